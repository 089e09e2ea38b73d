"""The computer's keyboard as an instrument: what the keys mean for the desk.

Threads: the one that polls the terminal. Nothing here waits; the clock is only looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import mido

from synth.errors import WavekeysError
from synth.host.desk import Desk, PartStatus, Status
from synth.host.terminal.bindings import CONTROLLED, NAMED, PIANO, PLACED, Action, Binding
from synth.host.terminal.held import HeldNotes
from synth.host.terminal.keys import KeyEvent
from synth.host.terminal.steps import next_blend, next_value
from synth.instrument import PARAMETERS

SUSTAIN = 64  # MIDI's number of the controller
OCTAVES = (-1, 8)  # with C4 as 60; the two rows reach 17 semitones further
SETTLED_S = 0.5  # by then the desk's status says what was set
COMPLAINT_S = 5.0  # shown for so long


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyboardView:
    """What the screen shows of the keyboard."""

    part: int  # number of the part that is played, from 0
    instrument: str | None  # of its blend; whose weight is changed
    parameter: str
    octave: int
    velocity: int
    pedal: bool
    held: frozenset[str]  # places of keys
    tells_releases: bool
    complaint: str  # why the desk refused a command; "" if it did not, lately


class Keyboard:
    """Turns key events into commands for the desk, and remembers what is chosen.

    `tells_releases` is to be set once the terminal is known to tell when a key comes up.
    """

    def __init__(self, desk: Desk, status: Status, *, now: Callable[[], float]) -> None:
        self.tells_releases = False
        self._desk = desk
        self._status = status
        self._now = now
        self._held = HeldNotes(desk.midi)
        self._part = 0
        self._instrument: str | None = None
        self._parameter = next(iter(PARAMETERS))
        self._octave = 4
        self._velocity = 100
        self._pedal_channel: int | None = None  # None: the pedal is up
        self._complaint = ("", -COMPLAINT_S)
        self._pressed_s: dict[str, float] = {}  # when a key that acts but once was last pressed
        # What was set, and when, of a part's preset: another one brings its own.
        self._values: dict[tuple[str, str, str], tuple[float, float]] = {}  # part, preset, parameter
        self._blends: dict[tuple[str, str], tuple[Mapping[str, float], float]] = {}
        self._given_up: dict[tuple[str, str], tuple[Mapping[str, float], float]] = {}  # for the preset's own
        self._actions: dict[Action, Callable[[int], None]] = {
            "octave": self._move_octave,
            "velocity": self._move_velocity,
            "pedal": lambda _: self._tread(),
            "panic": lambda _: self._panic(),
            "part": self._choose_part,
            "preset": self._step_preset,
            "instrument": self._choose_instrument,
            "weight": self._move_weight,
            "own blend": lambda _: self._own_blend(),
            "parameter": self._choose_parameter,
            "value": self._move_value,
            "learn": lambda _: self._learn(),
            "forget": lambda _: self._unlearn(),
            "save": lambda _: self._save(),
            "record": lambda _: desk.record(self._status.recording is None),
            "stop": lambda _: desk.stop(),
        }

    def see(self, status: Status) -> None:
        """The desk's latest."""
        self._status = status
        now_s = self._now()
        self._values = {key: set_ for key, set_ in self._values.items() if now_s - set_[1] < SETTLED_S}
        self._blends = {key: set_ for key, set_ in self._blends.items() if now_s - set_[1] < SETTLED_S}
        shown = {(part.name, part.preset): part.blend for part in status.parts}
        self._given_up = {
            key: (blend, since_s)
            for key, (blend, since_s) in self._given_up.items()
            if now_s - since_s < SETTLED_S and shown.get(key) == blend
        }

    def handle(self, event: KeyEvent) -> None:
        """Do what the key means. What the desk refuses is shown as a complaint."""
        if event.kind == "release":
            self._held.release(event.place)
        elif event.modifier == "" and event.place in PIANO:
            if event.kind == "press":
                self._play(event.place)
        elif (binding := _binding(event)) is not None and not self._is_repeat(event, binding):
            try:
                self._actions[binding.action](binding.step)
            except WavekeysError as error:
                self._complaint = (str(error), self._now())

    def expire(self) -> None:
        """End the notes whose keys must have come up. To be called often, after the events that have come."""
        self._held.expire(self._now())

    def let_go(self) -> None:
        """All that is held comes up, the pedal too."""
        self._held.let_go()
        if self._pedal_channel is not None:
            self._tread()

    def view(self) -> KeyboardView:
        part = self._chosen()
        complaint, since_s = self._complaint
        return KeyboardView(
            part=self._part,
            instrument=None if part is None else self._instrument_of(part),
            parameter=self._parameter,
            octave=self._octave,
            velocity=self._velocity,
            pedal=self._pedal_channel is not None,
            held=self._held.places,
            tells_releases=self.tells_releases,
            complaint=complaint if self._now() - since_s < COMPLAINT_S else "",
        )

    def _is_repeat(self, event: KeyEvent, binding: Binding) -> bool:
        if not binding.once or event.kind == "repeat":
            return binding.once
        now_s = self._now()
        since_s, self._pressed_s[event.key] = now_s - self._pressed_s.get(event.key, -1e9), now_s
        return not self.tells_releases and since_s < binding.pause_s

    def _chosen(self) -> PartStatus | None:
        parts = self._status.parts
        self._part = max(0, min(self._part, len(parts) - 1))
        return parts[self._part] if parts else None

    def _channel(self) -> int:
        """As mido counts: from 0. A part that hears all channels is played on the first."""
        part = self._chosen()
        return (part.channel if part is not None and part.channel else 1) - 1

    def _play(self, place: str) -> None:
        note = 12 * (self._octave + 1) + PIANO[place]
        if note <= 127:
            self._held.press(
                place,
                note,
                velocity=self._velocity,
                channel=self._channel(),
                now_s=self._now(),
                releases=self.tells_releases,
            )

    def _move_octave(self, step: int) -> None:
        self._octave = min(max(self._octave + step, OCTAVES[0]), OCTAVES[1])

    def _move_velocity(self, step: int) -> None:
        self._velocity = min(max(self._velocity + step, 1), 127)

    def _tread(self) -> None:
        """The pedal goes down, or comes up on the channel on which it went down."""
        down = self._pedal_channel is None
        channel = self._channel() if self._pedal_channel is None else self._pedal_channel
        self._desk.midi(mido.Message("control_change", control=SUSTAIN, value=127 if down else 0, channel=channel))
        self._pedal_channel = channel if down else None

    def _panic(self) -> None:
        self.let_go()
        self._desk.panic()

    def _choose_part(self, step: int) -> None:
        if self._status.parts:
            self._part = (self._part + step) % len(self._status.parts)

    def _step_preset(self, step: int) -> None:
        if (part := self._chosen()) is not None:
            self._forget(part.name)
            self._desk.step_preset(part.name, step)

    def _blend_of(self, part: PartStatus) -> Mapping[str, float]:
        blend, _ = self._blends.get((part.name, part.preset), (part.blend, 0.0))
        return blend if blend.keys() == part.blend.keys() else part.blend  # else somebody else has chosen others

    def _instrument_of(self, part: PartStatus) -> str | None:
        if self._instrument in part.blend:
            return self._instrument
        heard = (name for name, weight in part.blend.items() if weight)
        return next(heard, next(iter(part.blend), None))

    def _choose_instrument(self, step: int) -> None:
        part = self._chosen()
        if part is not None and (instrument := self._instrument_of(part)) is not None:
            names = list(part.blend)
            self._instrument = names[(names.index(instrument) + step) % len(names)]

    def _move_weight(self, step: int) -> None:
        part = self._chosen()
        if part is None or (part.name, part.preset) in self._given_up:
            return  # nobody knows yet what the preset's own blend is
        if (instrument := self._instrument_of(part)) is not None:
            former = self._blend_of(part)
            blend = next_blend(former, instrument, step)
            if blend == former:
                return
            self._desk.set_blend(part.name, {name: weight for name, weight in blend.items() if weight})
            self._blends[part.name, part.preset] = (blend, self._now())

    def _own_blend(self) -> None:
        if (part := self._chosen()) is not None:
            self._blends.pop((part.name, part.preset), None)
            self._desk.set_blend(part.name, None)
            self._given_up[part.name, part.preset] = (part.blend, self._now())

    def _choose_parameter(self, step: int) -> None:
        names = list(PARAMETERS)
        self._parameter = names[(names.index(self._parameter) + step) % len(names)]

    def _move_value(self, step: int) -> None:
        if (part := self._chosen()) is None:
            return
        key = (part.name, part.preset, self._parameter)
        parameter = PARAMETERS[self._parameter]
        now = self._values[key][0] if key in self._values else part.parameters.get(parameter.id, parameter.default)
        value = next_value(parameter, now, step)
        self._desk.set(part.name, parameter.id, value)
        self._values[key] = (value, self._now())

    def _learn(self) -> None:
        if (part := self._chosen()) is not None:
            self._desk.learn(part.name, None if part.learning == self._parameter else self._parameter)

    def _unlearn(self) -> None:
        if (part := self._chosen()) is not None:
            self._desk.forget(part.name, self._parameter)

    def _save(self) -> None:
        if (part := self._chosen()) is not None:
            self._desk.save_preset(part.name, None)

    def _forget(self, part: str) -> None:
        """What was set, since it counts no longer."""
        self._blends = {key: set_ for key, set_ in self._blends.items() if key[0] != part}
        self._values = {key: set_ for key, set_ in self._values.items() if key[0] != part}


def _binding(event: KeyEvent) -> Binding | None:
    if event.modifier == "ctrl":
        return CONTROLLED.get(event.key)
    if event.modifier == "other":
        return None
    return PLACED.get(event.place) or NAMED.get(event.key)
