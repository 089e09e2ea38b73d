"""What is counted while playing, and the lines that tell it.

Threads: the engine thread writes `Meters`; the main thread reads it at any time and takes its levels. `Latency` is
written once by the engine before it says that it is ready.
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(kw_only=True)
class Meters:
    """Counters of one session."""

    block_s: float  # what one block may take
    blocks: int = 0
    busy_s: float = 0.0
    longest_s: float = 0.0
    silenced_blocks: int = 0  # held something that is not a number
    peaks: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2, np.float32))  # since they were taken

    def count(self, seconds: float) -> None:
        self.blocks += 1
        self.busy_s += seconds
        self.longest_s = max(self.longest_s, seconds)

    def hear(self, sound: np.ndarray) -> None:
        """Follow the level of a block [T, 2]."""
        if len(sound):
            np.maximum(self.peaks, np.max(np.abs(sound), axis=0), out=self.peaks)

    def take_levels_db(self) -> tuple[float, float]:
        """The largest sample of each channel since the last time, in dB of full scale; a block between may be lost."""
        left, right = 20.0 * np.log10(np.maximum(self.peaks, 1e-6))
        self.peaks[:] = 0.0
        return float(left), float(right)

    @property
    def load(self) -> float:
        """Mean share of the time that rendering takes; 1 is all of it."""
        return self.busy_s / (self.blocks * self.block_s) if self.blocks else 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency:
    """From the arrival of a MIDI message to the sound at the device's output, and where it goes."""

    midi_ms: float  # room for corrections of the device's clock, so that they do not reach the notes
    block_ms: float  # a block is rendered whole
    ring_ms: float  # the device's period, which it takes at once, and the spare blocks
    resampler_ms: float  # the lag of its filter
    instrument_ms: float
    device_ms: float  # as the driver reports it

    @property
    def total_ms(self) -> float:
        return float(sum(dataclasses.astuple(self)))

    def __str__(self) -> str:
        parts = (
            f"{field.name.removesuffix('_ms')} {getattr(self, field.name):.1f}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name)
        )
        return f"{self.total_ms:.1f} ms = {' + '.join(parts)}"
