"""A ring of audio frames between one writing and one reading thread.

Threads: `write` and `free_frames` belong to the writing thread, `read_into` to the reading one; `fill_frames`
may be asked by both. Never locks, never waits, never allocates array data: a call moves at most two slices.

Why it is safe without a lock: each counter has a single writer, is stored after the samples it announces, and
loading or storing a Python attribute is atomic (under the interpreter lock, and per object without it).
"""

from __future__ import annotations

import numpy as np

from synth.errors import WavekeysError


class Ring:
    """Frames of float32 audio, first in, first out; the capacity is a power of two so that wrapping is a mask."""

    def __init__(self, *, capacity_frames: int, channels: int) -> None:
        if capacity_frames < 1 or capacity_frames & (capacity_frames - 1):
            raise WavekeysError(f"ring: capacity_frames must be a power of two, not {capacity_frames}")
        self.capacity_frames = capacity_frames
        self.channels = channels
        self.written_frames = 0  # since the beginning; stored by the writing thread only
        self.read_frames = 0  # since the beginning; stored by the reading thread only
        self._frames = np.zeros((capacity_frames, channels), np.float32)  # [capacity, C]

    @property
    def fill_frames(self) -> int:
        """Frames that wait to be read. The other thread may have changed it since, only in its own direction."""
        return self.written_frames - self.read_frames

    @property
    def free_frames(self) -> int:
        return self.capacity_frames - self.fill_frames

    def write(self, frames: np.ndarray) -> int:
        """Append as many of `frames` [T, C] as there is room for; returns how many that were."""
        count = min(len(frames), self.free_frames)
        start = self.written_frames & (self.capacity_frames - 1)
        first = min(count, self.capacity_frames - start)
        np.copyto(self._frames[start : start + first], frames[:first])
        np.copyto(self._frames[: count - first], frames[first:count])
        self.written_frames += count
        return count

    def read_into(self, out: np.ndarray) -> int:
        """Move the oldest frames into the beginning of `out` [T, C]; returns how many there were."""
        count = min(len(out), self.fill_frames)
        start = self.read_frames & (self.capacity_frames - 1)
        first = min(count, self.capacity_frames - start)
        np.copyto(out[:first], self._frames[start : start + first])
        np.copyto(out[first:count], self._frames[: count - first])
        self.read_frames += count
        return count
