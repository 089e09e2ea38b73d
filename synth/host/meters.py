"""What is counted while playing, and the lines that tell it.

Threads: the engine thread writes `Meters`; the main thread reads it after the engine has stopped. `Latency` is
written once by the engine before it says that it is ready.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(kw_only=True)
class Meters:
    """Counters of one session."""

    block_s: float  # what one block may take
    blocks: int = 0
    busy_s: float = 0.0
    longest_s: float = 0.0
    silenced_blocks: int = 0  # held something that is not a number

    def count(self, seconds: float) -> None:
        self.blocks += 1
        self.busy_s += seconds
        self.longest_s = max(self.longest_s, seconds)

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
    resampler_ms: float  # its look-ahead
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
