"""One note: its embedding, its clock and its envelope. All arrays are of one block's length."""

from __future__ import annotations

import dataclasses
import enum
import math

import numpy as np

from synth.bank import HeldNote

STEAL_MS = 5.0
SILENCE = 1e-3  # -60 dB: a release ends here


class Phase(enum.Enum):
    HELD = "held"
    SUSTAINED = "sustained"  # the key is up, the pedal down
    RELEASED = "released"
    STOLEN = "stolen"


@dataclasses.dataclass(kw_only=True)
class Voice:
    """A sounding slot of the stream. Times are in samples at the model's rate."""

    slot: int
    channel: int
    key: int
    order: int  # of its note-on: a younger voice has a higher one
    held: HeldNote
    gain: float
    seed: int
    age: int  # samples at the block's start; negative: begins that far into the block
    attack: int
    turns: int = 0  # the clock, in 1/2**32 of a turn
    phase: Phase = Phase.HELD
    fading_from: int | None = None  # age at which the level began to fall
    fade: float = 1.0  # factor a sample, while falling
    level_at_fade: float = 1.0

    def release(self, at: int, *, samples: float) -> None:
        """Fall from age `at` on, to -60 dB in `samples`."""
        self._fade(at, samples, Phase.RELEASED)

    def steal(self, at: int, *, samples: float) -> None:
        """The same, fast, because the voice is needed."""
        self._fade(at, samples, Phase.STOLEN)

    def _fade(self, at: int, samples: float, phase: Phase) -> None:
        at = max(at, 0)
        self.level_at_fade = self.level(at)
        self.fading_from = at
        self.fade = SILENCE ** (1.0 / max(samples, 1.0))
        self.phase = phase

    def level(self, age: int) -> float:
        """The envelope at one age."""
        return float(self.envelope(np.array([age]))[0])

    def envelope(self, ages: np.ndarray) -> np.ndarray:
        """The envelope at ages [T]: 0 before the beginning, a straight attack, an exponential fall once that began."""
        level = np.clip((ages + 1) / self.attack, 0.0, 1.0)
        if self.fading_from is not None:
            falling = ages >= self.fading_from
            fall = self.level_at_fade * self.fade ** np.maximum(ages - self.fading_from, 0)
            level = np.where(falling, np.where(fall > SILENCE, fall, 0.0), level)
        return level.astype(np.float32)

    @property
    def finished(self) -> bool:
        """Whether the fall has reached silence by the block's start."""
        if self.fading_from is None or self.age < self.fading_from:
            return False
        return self.level_at_fade * self.fade ** (self.age - self.fading_from) <= SILENCE

    def advance_clock(self, increment: int, samples: int) -> np.ndarray:
        """Phases of the next `samples` samples, [T] uint32, `increment` a sample."""
        phases = np.uint32(self.turns) + np.uint32(increment) * np.arange(samples, dtype=np.uint32)
        self.turns = (self.turns + increment * samples) % 2**32
        return phases


def stealing_order(voice: Voice, level: float) -> tuple[int, float, int]:
    """Sort key: released voices first, then sustained ones, then the quietest, then the oldest."""
    rank = {Phase.RELEASED: 0, Phase.SUSTAINED: 1, Phase.HELD: 2, Phase.STOLEN: 3}[voice.phase]
    return rank, round(20 * math.log10(max(level, 1e-6)) / 6) * 6.0, voice.order
