"""The one table of addresses. What is understood, what is echoed and the page docs/osc.md derive from it.

Threads: nothing here changes; any thread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import mido

from synth.errors import WavekeysError
from synth.host.desk import Desk, PartStatus, Status
from synth.host.osc.arguments import Argument, Midi, Setting, Text, Weights, Whole, taken
from synth.host.osc.keys import Keys
from synth.host.osc.parts import part_words
from synth.host.osc.wire import MAX_DATAGRAM_BYTES, Value
from synth.instrument import PARAMETERS, Parameter

Verb = Literal["subscribe", "unsubscribe", "refresh"]

ROOT = "/wavekeys"
ERROR = f"{ROOT}/error"
SILENCE_DB = -120.0  # stands for minus infinity, which not every client can read


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """What a command works with."""

    desk: Desk
    keys: Keys
    part: str  # "": it is for the host as a whole
    request: Callable[[Verb, int], None]  # with a port; 0: the sender's


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """One word under /wavekeys, or under a part of it."""

    name: str
    meaning: str
    takes: Sequence[Argument] = ()
    does: Callable[..., None] | None = None  # with a Call and what was taken; None: it only shows
    shows: Callable[[Any], Sequence[Value]] | None = None  # of Status, or of a part's; None: it is never sent
    tells: Callable[[Status], Sequence[Sequence[Value]]] | None = None  # what has happened, each sent once
    says: str = ""  # what it shows or tells, if not what it takes
    meter: bool = False  # changes all the time: sent less often

    def obey(self, call: Call, values: Sequence[Value]) -> None:
        """Raises WavekeysError for values that it does not take; then nothing has happened."""
        if self.does is None:
            raise WavekeysError("it only tells; ask without values")
        self.does(call, *taken(self.takes, values))


def _press(does: Callable[[Call], None]) -> dict[str, Any]:
    """A button: many surfaces send 1 as it goes down and 0 as it comes up."""
    return {"takes": (Whole("1", 0, 1, default=1),), "does": lambda call, pressed: does(call) if pressed else None}


def _note(call: Call, key: int, velocity: int, channel: int) -> None:
    call.keys.play(mido.Message("note_on", note=key, velocity=velocity, channel=channel - 1))


def _played(status: Status) -> list[tuple[int, int, int]]:
    return [(m.note, m.velocity if m.type == "note_on" else 0, m.channel + 1) for m in status.played]


def _presets(status: Status) -> list[str]:
    names, room = [], MAX_DATAGRAM_BYTES - 64
    for name in status.presets:
        room -= len(name.encode("utf-8", "replace")) + 5  # its type, and up to four bytes of padding
        if room < 0:
            break
        names.append(name)
    return names


def _of_parameter(parameter: Parameter) -> Address:
    def shows(part: PartStatus) -> tuple[Value]:
        value = part.parameters[parameter.id]
        return (parameter.choices[round(value)] if parameter.choices else float(value),)

    return Address(
        name=parameter.id,
        takes=(Setting(parameter),),
        does=lambda call, value: call.desk.set(call.part, parameter.id, value),
        shows=shows,
        meaning=parameter.meaning,
    )


_OF_THE_HOST = (
    Address(
        name="note",
        takes=(Whole("key", 0, 127), Whole("velocity", 0, 127), Whole("channel", 1, 16, default=1)),
        does=_note,
        tells=_played,
        says="key velocity channel",
        meaning="Plays a key; velocity 0 lets it go. Subscribers are told of every key, whoever plays it.",
    ),
    Address(
        name="midi",
        takes=(Midi(),),
        does=lambda call, message: call.keys.play(message),
        meaning="Any MIDI message, as if it came from a keyboard: a blob, OSC's type m, or a number a byte.",
    ),
    Address(name="panic", **_press(lambda call: call.desk.panic()), meaning="All sound off, at once."),
    Address(
        name="record",
        takes=(Whole("on", 0, 1),),
        does=lambda call, on: call.desk.record(bool(on)),
        shows=lambda status: (int(status.recording is not None), str(status.recording or "")),
        says="on file",
        meaning="1 starts a new take, 0 ends it.",
    ),
    Address(name="stop", **_press(lambda call: call.desk.stop()), meaning="Ends playing, and the program with it."),
    Address(
        name="subscribe",
        takes=(Whole("port", 1, 65535, default=0),),
        does=lambda call, port: call.request("subscribe", port),
        meaning="Sends the whole state, and from then on every change, to this port of the sender's machine, "
        "or to the port that this message came from. Answers go there as well.",
    ),
    Address(
        name="unsubscribe",
        takes=(Whole("port", 1, 65535, default=0),),
        does=lambda call, port: call.request("unsubscribe", port),
        meaning="Ends that.",
    ),
    Address(
        name="refresh",
        **_press(lambda call: call.request("refresh", 0)),
        meaning="Sends the whole state once, as an answer.",
    ),
    Address(
        name="parts",
        shows=lambda status: tuple(part_words(status)),
        says="part ...",
        meaning="The words that stand for the parts in addresses.",
    ),
    Address(
        name="presets",
        shows=_presets,
        says="name ...",
        meaning="The presets that can be loaded, as many as a datagram holds.",
    ),
    Address(
        name="level_db",
        shows=lambda status: tuple(max(SILENCE_DB, float(level)) for level in status.level_db),
        says="left right",
        meter=True,
        meaning=f"Largest sample of late; 0 is full scale, {SILENCE_DB:g} silence.",
    ),
    Address(
        name="limiting",
        shows=lambda status: (int(status.limiting),),
        says="on",
        meter=True,
        meaning="Whether the limiter worked of late.",
    ),
    Address(
        name="load",
        shows=lambda status: (float(status.load),),
        says="share",
        meter=True,
        meaning="Share of the time that rendering takes.",
    ),
    Address(
        name="recorded_s",
        shows=lambda status: (float(status.recorded_s),),
        says="seconds",
        meter=True,
        meaning="Length of the take.",
    ),
    Address(
        name="underruns",
        shows=lambda status: (int(status.underruns),),
        says="count",
        meaning="How often the sound came too late for the device.",
    ),
    Address(
        name="latency_ms",
        shows=lambda status: (float(status.latency_ms),),
        says="milliseconds",
        meaning="From a key to its sound.",
    ),
    Address(
        name="remark",
        shows=lambda status: (status.remark,),
        says="line",
        meaning="The last thing worth telling, such as why a preset could not be loaded.",
    ),
)

_OF_A_PART = (
    Address(
        name="preset",
        takes=(Text("name"),),
        does=lambda call, name: call.desk.load_preset(call.part, name),
        shows=lambda part: (part.preset,),
        meaning="Loads a preset; echoed when it plays.",
    ),
    Address(
        name="save",
        takes=(Text("name"),),
        does=lambda call, name: call.desk.save_preset(call.part, name),
        meaning="Saves what it plays as a preset of the user's own; `remark` says if that failed.",
    ),
    Address(
        name="step_preset",
        takes=(Whole("steps", -1000, 1000),),
        does=lambda call, steps: call.desk.step_preset(call.part, steps) if steps else None,
        meaning="The next preset (1) or the one before (-1), around the end.",
    ),
    Address(
        name="edited",
        shows=lambda part: (int(part.edited),),
        says="on",
        meaning="Whether it sounds otherwise than its preset.",
    ),
    Address(
        name="blend",
        takes=(Weights(),),
        does=lambda call, weights: call.desk.set_blend(call.part, weights),
        shows=lambda part: [item for name, weight in part.blend.items() if weight for item in (name, float(weight))],
        meaning="Blends the preset's instruments by these weights; those that are not named are silent.",
    ),
    Address(
        name="reset_blend",
        **_press(lambda call: call.desk.set_blend(call.part, None)),
        meaning="Back to the preset's own blend.",
    ),
    Address(
        name="learn",
        takes=(Text("parameter"),),
        does=lambda call, parameter: call.desk.learn(call.part, parameter or None),
        shows=lambda part: (part.learning or "",),
        meaning='The next MIDI controller that is moved will move this parameter from then on; "": never mind.',
    ),
    Address(
        name="forget",
        takes=(Text("parameter"),),
        does=lambda call, parameter: call.desk.forget(call.part, parameter),
        meaning="What this parameter has learnt counts no longer: controllers move what they usually do.",
    ),
    Address(
        name="controllers",
        shows=lambda part: [item for number, name in sorted(part.controllers.items()) for item in (number, name)],
        says="number parameter ...",
        meaning="Which MIDI controllers move which parameters.",
    ),
    Address(name="name", shows=lambda part: (part.name,), says="name", meaning="The part's name, as it is written."),
    Address(
        name="channel",
        shows=lambda part: (part.channel or 0,),
        says="channel",
        meaning="The MIDI channel that it listens to, 1 to 16; 0: all.",
    ),
    Address(
        name="sounding",
        shows=lambda part: (part.sounding,),
        says="count",
        meter=True,
        meaning="Voices that sound now.",
    ),
    Address(name="voices", shows=lambda part: (part.voices,), says="count", meaning="Voices at most."),
)

OF_THE_HOST = {address.name: address for address in _OF_THE_HOST}
OF_A_PART = {address.name: address for address in (*_OF_A_PART, *map(_of_parameter, PARAMETERS.values()))}
