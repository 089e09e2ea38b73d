"""Several instruments that play together, each with effects of its own, and effects on all of them.

A rack is played like an instrument: `process(events, frames)`, `warm_up`, `reset`. It needs no device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

import mido
import numpy as np

from synth.errors import WavekeysError
from synth.instrument.effects import Effect, Effects
from synth.instrument.events import ALL_SOUND_OFF, PANIC, Command, Event, Resume
from synth.instrument.instrument import Instrument

OMNI = None  # a part's channel: all of them
CHANNELS = 16
QUIET, QUIET_SECONDS = 1e-3, 0.5  # of full scale, -60 dB: effects that were fainter for so long have ended


class Plays(Protocol):
    """What a part holds: `Instrument`, or another rack."""

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def latency_frames(self) -> int: ...

    @property
    def tail_frames(self) -> int: ...

    @property
    def sounding(self) -> int: ...

    @property
    def ringing(self) -> bool: ...

    def warm_up(self, frames: int) -> None: ...

    def process(self, events: Sequence[Event], frames: int) -> np.ndarray: ...

    def reset(self) -> None: ...


@dataclasses.dataclass(kw_only=True)
class Part:
    """One instrument of a rack."""

    name: str
    instrument: Plays
    channel: int | None = OMNI  # 0 to 15
    effects: Sequence[Effect] = ()


class To(NamedTuple):
    """A command for one part."""

    part: str
    command: Command


class Replace(NamedTuple):
    """Another instrument in a part's place, warmed up already; what the old one plays fades out at once."""

    part: str
    instrument: Plays


Played: TypeAlias = mido.Message | Command | To | Replace
RackEvent = tuple[int, Played]


class Rack:
    """Instruments side by side. Not thread-safe: one thread at a time.

    Args:
      parts: at least one, all of the same sample rate, with names of their own.
      effects: on the mix of all parts.
    """

    def __init__(self, parts: Sequence[Part], effects: Sequence[Effect] = ()) -> None:
        if not parts:
            raise WavekeysError("a rack needs at least one instrument")
        names = [part.name for part in parts]
        if len(set(names)) < len(names):
            raise WavekeysError(f"each part of a rack needs a name of its own, not {', '.join(names)}")
        self.parts = {part.name: part for part in parts}
        self.sample_rate_hz = parts[0].instrument.sample_rate_hz
        for part in parts:
            self.check(part.instrument)
            if part.channel is not OMNI and part.channel not in range(16):
                raise WavekeysError(f"part {part.name!r}: a channel is from 0 to 15, not {part.channel}")
        self._chains = {part.name: Effects(part.effects, self.sample_rate_hz) for part in parts}
        self._effects = effects
        self._master = Effects(effects, self.sample_rate_hz)
        self._has_effects = bool(self.effect_names)
        self._quiet_frames = 0  # until now; effects may make a sound last longer than its voices
        self._leaving: list[tuple[str, Plays, list[mido.Message]]] = []  # replaced; what they have to be told yet
        # Each part's share of the last block, [frames, 2], before `effects`.
        self.stems = {part.name: np.zeros((0, 2), np.float32) for part in parts}

    @property
    def effect_names(self) -> list[str]:
        """Of all its effects, those of its parts first."""
        chains = (*(part.effects for part in self.parts.values()), self._effects)
        return [type(effect).__name__ for chain in chains for effect in chain]

    @property
    def latency_frames(self) -> int:
        """Frames from an event to the sound it makes, in the slowest part."""
        slowest = max(part.instrument.latency_frames + self._chains[name].latency_frames for name, part in self._all())
        return slowest + self._master.latency_frames

    @property
    def tail_frames(self) -> int:
        """Frames that can sound after the last note-off; effects may add to it what they like."""
        return max(part.instrument.tail_frames for part in self.parts.values())

    @property
    def sounding(self) -> int:
        """Voices that sound now."""
        return sum(part.instrument.sounding for part in self.parts.values())

    @property
    def ringing(self) -> bool:
        """Whether anything is heard yet: a voice, or what effects make of those that were."""
        effects = self._has_effects and self._quiet_frames < QUIET_SECONDS * self.sample_rate_hz
        return effects or bool(self._leaving) or any(part.instrument.ringing for part in self.parts.values())

    def part(self, name: str) -> Part:
        """The part of that name; raises WavekeysError if there is none."""
        if name not in self.parts:
            raise WavekeysError(f"no part {name!r}; there are: {', '.join(self.parts)}")
        return self.parts[name]

    def warm_up(self, frames: int) -> None:
        """Compile everything for blocks of `frames`."""
        for name, part in self._all():
            part.instrument.warm_up(frames)
            self._chains[name].warm_up(frames)
        self._master.warm_up(frames)
        self.reset()

    def reset(self) -> None:
        """All sound off, all controllers at rest. Parameters stay."""
        self._leaving.clear()
        self._quiet_frames = 0
        for name, part in self._all():
            part.instrument.reset()
            self._chains[name].reset()
        self._master.reset()

    def process(self, events: Sequence[RackEvent], frames: int) -> np.ndarray:
        """The next block [frames, 2] float32. MIDI goes to the parts on its channel, commands to the part they name.

        A bare command is for the first part. All sound off on all channels that a part hears silences its effects too,
        and on all there are those on the mix.
        """
        shares: dict[str, list[Event]] = {name: [] for name in self.parts}
        silenced: dict[int, int] = {}  # channels, and from which frame on
        for offset, event in events:
            match event:
                case mido.Message():
                    if event.is_cc(ALL_SOUND_OFF):
                        silenced[event.channel] = offset
                    for name, part in self._all():
                        if part.channel is OMNI or getattr(event, "channel", part.channel) == part.channel:
                            shares[name].append((offset, event))
                case To(name, command):
                    shares[self.part(name).name].append((offset, command))
                case Replace(name, instrument):
                    resumed = self._replace(name, instrument)
                    # Keys and commands until now were for the instrument that has gone, controllers are the player's.
                    before = [event for _, event in shares[name] if _is_controller(event)]
                    shares[name] = [(offset, event) for event in (resumed, *before)]
                case _:
                    next(iter(shares.values())).append((offset, event))
        last = max(silenced.values(), default=0)
        for name, part in self._all():
            if part.channel in silenced or len(silenced) == CHANNELS:
                self._chains[name].hush(last)
            audio = part.instrument.process(shares[name], frames)
            self.stems[name] = self._chains[name].process(audio + self._fading(name, frames))
        if len(silenced) == CHANNELS:
            self._master.hush(last)
        mix = self._master.process(sum(self.stems.values(), np.zeros((frames, 2), np.float32)))
        loud = self._has_effects and np.abs(mix).max(initial=0.0) > QUIET
        self._quiet_frames = 0 if loud else self._quiet_frames + frames
        return mix

    def _replace(self, name: str, instrument: Plays) -> Resume:
        """Put an instrument in a part's place. What brings its controllers to where the player has them is returned."""
        self.check(instrument)
        part = self.part(name)
        moved = part.instrument.controls() if isinstance(part.instrument, Instrument) else []
        self._leaving.append((name, part.instrument, list(PANIC)))
        part.instrument = instrument
        return Resume(moved)

    def _fading(self, name: str, frames: int) -> np.ndarray | float:
        """What is left of the instruments that this part had before."""
        audio: np.ndarray | float = 0.0
        for former, instrument, messages in self._leaving:
            if former == name:
                audio = audio + instrument.process([(0, message) for message in messages], frames)
                messages.clear()
        self._leaving = [left for left in self._leaving if left[0] != name or left[1].sounding]
        return audio

    def _all(self) -> list[tuple[str, Part]]:
        return list(self.parts.items())

    def check(self, instrument: Plays) -> None:
        """Raises WavekeysError for an instrument that cannot be a part of this rack."""
        if instrument.sample_rate_hz != self.sample_rate_hz:
            raise WavekeysError(
                f"instruments of a rack share a rate: {self.sample_rate_hz} Hz, not {instrument.sample_rate_hz} Hz"
            )


def _is_controller(event: mido.Message | Command) -> bool:
    return isinstance(event, mido.Message) and event.type not in ("note_on", "note_off", "program_change")
