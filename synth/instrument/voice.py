"""One note: where it is in its embedding, its clock and its envelope. All arrays are of one block's length."""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import NamedTuple

import numpy as np

from synth.instrument.channels import Channel
from synth.instrument.dials import Dials
from synth.instrument.ramp import Crossfade, Ramp, Times
from synth.instrument.timbre import Timbre

STEAL_MS = 5.0
SILENCE = 1e-3  # -60 dB: a release ends here


class Phase(enum.Enum):
    HELD = "held"
    SUSTAINED = "sustained"  # the key is up, a pedal down
    RELEASED = "released"
    STOLEN = "stolen"


class Touch(NamedTuple):
    """A key that was struck, and the channels whose controllers add up for it. Times are one, or rise: [T]."""

    channels: tuple[Channel, ...]  # its own, and its MPE zone's master
    key: int
    ranges: tuple[Ramp, ...] = ()  # how far their bends go, if not as far as they go now

    def kept(self) -> Touch:
        """The same, whose bends go on as far as they go now."""
        return self._replace(ranges=self.ranges or tuple(channel.bend_range.copy() for channel in self.channels))

    def semitones(self, times: Times) -> float | np.ndarray:
        ranges = self.ranges or tuple(channel.bend_range for channel in self.channels)
        bends = zip(self.channels, ranges, strict=True)
        return sum(c.bend.over(times) * bend_range.over(times) + c.tuning.over(times) for c, bend_range in bends)

    def wheel(self, times: Times) -> float | np.ndarray:
        return _within(0.0, sum(channel.wheel.over(times) for channel in self.channels))

    def pressure(self, times: Times) -> float | np.ndarray:
        return _within(0.0, sum(channel.pressure_over(self.key, times) for channel in self.channels))

    def brightness(self, times: Times) -> float | np.ndarray:
        return _within(-1.0, sum(channel.brightness.over(times) for channel in self.channels))

    def pan(self, times: Times) -> float | np.ndarray:
        return sum(channel.pan.over(times) for channel in self.channels)

    def volume(self, times: Times) -> float | np.ndarray:
        """In an MPE zone it is the master's alone."""
        return self.channels[-1].gain.over(times)

    def source(self, time: int, *, name: str) -> float:
        """What moves a blend, 0 to 1: "wheel", "pressure" or "timbre", of the channel where it is most."""
        if name == "wheel":
            return max(channel.wheel.at(time) for channel in self.channels)
        if name == "pressure":
            return max(channel.pressure_over(self.key, time) for channel in self.channels)
        return 0.5 + 0.5 * max(channel.brightness.at(time) for channel in self.channels)


def _within(lowest: float, total: float | np.ndarray) -> float | np.ndarray:
    """What controllers of one kind add up to: no more than one of them at its end."""
    return min(max(total, lowest), 1.0) if isinstance(total, float) else np.clip(total, lowest, 1.0)


class Fade(NamedTuple):
    """An exponential fall of a voice's level."""

    begin: int  # age
    level: float  # there
    factor: float  # a sample

    def at(self, age: int) -> float:
        """The level at one age after its beginning; silence from -60 dB on."""
        fall = self.level * self.factor ** max(age - self.begin, 0)
        return fall if fall > SILENCE else 0.0

    def over(self, ages: np.ndarray) -> np.ndarray:
        """The same at ages [T]."""
        fall = self.level * self.factor ** np.maximum(ages - self.begin, 0)
        return np.where(fall > SILENCE, fall, 0.0)


@dataclasses.dataclass(kw_only=True, eq=False)
class Voice:
    """A sounding slot of the stream. Times are in samples at the model's rate."""

    slot: int
    dials: Dials
    touch: Crossfade[Touch]  # whose controllers it follows
    held_by: tuple[int, int]  # channel and key that let it go
    zone: int
    order: int  # of its note-on: a younger voice has a higher one
    velocity: float  # 0 to 1
    gain: float
    pan: float  # -1 to 1
    seed: int
    age: int  # samples at the block's start; negative: begins that far into the block
    attack: int
    decay: float  # factor a sample, towards the sustain level
    sustain: float
    nominal: float  # the pitch whose embedding it has, as a MIDI number with a fraction
    pitch: Ramp  # the pitch itself
    timbre: Crossfade[Timbre]
    turns: int = 0  # the clock at the block's start, in 1/2**32 of a turn, like all phases
    vibrato_turns: int = 0
    point: int = 0  # the number of the control point that comes next
    frame: float = 0.0  # where in the embedded note that point is, in frames
    movement_turns: int = 0  # the phase of the slow oscillator at that point
    swung_turns: int = 0  # the phase of the vibrato at that point; `vibrato_turns` is the one at the block's start
    # The cents of its own vibrato and tuning at the points before.
    cents: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    let_at: int | None = None  # when the key was let go, if its source's release is to be heard
    phase: Phase = Phase.HELD
    fades: list[Fade] = dataclasses.field(default_factory=list)  # each goes on where the one before had come

    def release(self, at: int, *, samples: float, after: int = 0) -> None:
        """Fall to -60 dB in `samples`, from so many after age `at` on."""
        self._fade(at + after, samples, Phase.RELEASED)

    def steal(self, at: int, *, samples: float) -> None:
        """The same, fast, because the voice is needed."""
        self._fade(at, samples, Phase.STOLEN)

    def _fade(self, at: int, samples: float, phase: Phase) -> None:
        at = max(at, 0)
        self.fades.append(Fade(at, self.level(at), SILENCE ** (1.0 / max(samples, 1.0))))
        self.phase = phase

    def level(self, age: int) -> float:
        """The envelope at one age."""
        level = min(max((age + 1) / self.attack, 0.0), 1.0)
        if self.sustain < 1.0:
            level *= self.sustain + (1.0 - self.sustain) * self.decay ** max(age + 1 - self.attack, 0)
        for fade in self.fades:
            if age >= fade.begin:
                level = fade.at(age)
        return level

    def loudness(self, age: int) -> float:
        """Its gain and envelope at one age; a voice that still rises counts as risen."""
        return self.gain * self.level(age if self.fades else max(age, self.attack - 1))

    def envelope(self, ages: np.ndarray) -> np.ndarray | float:
        """The envelope at ages [T]: a straight attack, an exponential decay to the sustain level, an exponential end.

        Where it stands still, one number. In double precision: whether a neighbour moves must not change a rounding.
        """
        if not self.fades and self.sustain == 1.0 and ages[0] + 1 >= self.attack:
            return 1.0
        level = np.clip((ages + 1) / self.attack, 0.0, 1.0)
        if self.sustain < 1.0:
            falling = self.decay ** np.maximum(ages + 1 - self.attack, 0)
            level = level * (self.sustain + (1.0 - self.sustain) * falling)
        for fade in self.fades:
            level = np.where(ages >= fade.begin, fade.over(ages), level)
        return level

    @property
    def tail(self) -> int:
        """Samples from the block's start until the fall has reached silence; 0 where it has, or none has begun."""
        if not self.fades:
            return 0
        begin, level, factor = self.fades[-1]
        fall = math.ceil(math.log(SILENCE / level) / math.log(factor)) if level > SILENCE else 0
        return max(begin + fall - self.age, 0)

    @property
    def finished(self) -> bool:
        """Whether the fall has reached silence by the block's start."""
        if not self.fades or self.age < self.fades[-1].begin:
            return False
        return not self.fades[-1].at(self.age)


def stealing_order(voice: Voice, loudness: float) -> tuple[int, float, int]:
    """Sort key: released voices first, then sustained ones, then the quietest, then the oldest."""
    rank = {Phase.RELEASED: 0, Phase.SUSTAINED: 1, Phase.HELD: 2, Phase.STOLEN: 3}[voice.phase]
    return rank, round(20 * math.log10(max(loudness, 1e-6)) / 6) * 6.0, voice.order
