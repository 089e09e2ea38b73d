"""From the model's rate to the device's, block by block.

Threads: the engine thread only. Allocates its output (libsamplerate returns a new array); never locks or logs,
and gives the interpreter lock away while it computes.

libsamplerate's `sinc_fastest` emits the same number of frames (one more or less where the ratio is not whole)
for every block and looks 1.25 ms ahead; soxr of the same quality holds back up to 59 ms and then bursts, which
would have to be paid as ring. Output frame n lies exactly at the time of input frame n / ratio.
"""

from __future__ import annotations

import math

import numpy as np
import samplerate


class StreamResampler:
    """A resampler for one stream of blocks of one size; passes blocks through where the rates are equal."""

    def __init__(self, *, source_hz: int, target_hz: int, block_frames: int, channels: int = 2) -> None:
        self.ratio = target_hz / source_hz
        self.block_frames = math.ceil(block_frames * self.ratio)  # the most that one block becomes
        self._converter = _converter(channels) if target_hz != source_hz else None
        self.backlog_frames = self._measure_backlog(block_frames, channels)  # target frames that it looks ahead

    def process(self, block: np.ndarray) -> np.ndarray:
        """[T, C] at the source rate -> [T * ratio, C] at the target rate, float32."""
        if self._converter is None:
            return block
        return np.asarray(self._converter.process(block, self.ratio))

    def _measure_backlog(self, block_frames: int, channels: int) -> int:
        if self._converter is None:
            return 0
        trial = _converter(channels)
        silence = np.zeros((block_frames, channels), np.float32)
        emitted = 0
        backlog = 0.0
        for index in range(1, 33):
            emitted += len(trial.process(silence, self.ratio))
            backlog = max(backlog, index * block_frames * self.ratio - emitted)
        return math.ceil(backlog)


def _converter(channels: int) -> samplerate.Resampler:
    return samplerate.Resampler("sinc_fastest", channels=channels)
