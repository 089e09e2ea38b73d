"""From the model's rate to the device's, block by block.

Threads: the engine thread only. Allocates its output; never locks or logs.

A windowed sinc, made causal: the filter of the same magnitude that lags the least (Oppenheim and Schafer, Discrete-
Time Signal Processing: a minimum-phase system from its cepstrum). A symmetric one would lag by half of its length, 2
ms; this one lags by 0.15 ms up to 2 kHz, 0.4 at 6.5 and 1.0 at 7.5, which no ear tells from none, and would lag no
more if it were longer. So it is flat up to 7.2 kHz of a model's 8, and its images are 70 dB down from 8.3 kHz on.
Every block becomes the same number of frames at once (one more or less where the ratio is not whole). Output frame n
lies at the time of input frame n / ratio, but for that lag.
"""

from __future__ import annotations

import functools
import math

import numpy as np

SPAN = 64  # frames of the slower side that the filter reaches back
EDGE = 0.4825  # of the slower side's rate: half of the amplitude is left there
KAISER_BETA = 7.0  # 70 dB
GRID = 512  # values of the filter a frame; straight lines between them are right to 110 dB
FLOOR = 1e-9  # of the largest magnitude: what is less has no logarithm worth folding
KNOWN_BLOCKS = 256  # whose weights are kept: a ratio that is not whole has several kinds of block


class StreamResampler:
    """A resampler for one stream of blocks of one size; passes blocks through where the rates are equal."""

    def __init__(self, *, source_hz: int, target_hz: int, block_frames: int, channels: int = 2) -> None:
        common = math.gcd(source_hz, target_hz)
        self._up, self._down = target_hz // common, source_hz // common
        self._passes = self._up == self._down
        self.ratio = target_hz / source_hz
        self.block_frames = math.ceil(block_frames * self.ratio)  # the most that one block becomes
        self.lag_s = 0.0 if self._passes else _lag() / min(source_hz, target_hz)  # of what is far below the edge
        reach = math.ceil(SPAN * max(1.0, self._down / self._up))
        self._before = np.zeros((reach, channels), np.float32)  # frames that are needed again
        self._taken = self._given = 0

    def process(self, block: np.ndarray) -> np.ndarray:
        """[T, C] at the source rate -> [T * ratio, C] at the target rate, float32."""
        if self._passes:
            return block
        first = self._taken - len(self._before)
        known = np.concatenate([self._before, block])
        self._taken += len(block)
        ready = -(-self._taken * self._up // self._down)  # those before the source's next frame
        offset = self._given * self._down - first * self._up
        weights = _weights(offset, ready - self._given, len(known), self._up, self._down)
        self._given = ready
        self._before = known[len(block) :]
        return weights @ known


@functools.lru_cache(KNOWN_BLOCKS)
def _weights(offset: int, count: int, frames: int, up: int, down: int) -> np.ndarray:
    """What each of so many source frames is worth to each of `count` target frames: [count, frames] float32.

    The n-th of these is at (offset + n * down) / up source frames.
    """
    at = (offset + down * np.arange(count, dtype=np.int64)) / up
    ago = (at[:, None] - np.arange(frames)) * min(1.0, up / down)
    weights = np.interp(ago, np.arange(SPAN * GRID + 1) / GRID, _filter(), left=0.0, right=0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@functools.cache
def _filter() -> np.ndarray:
    """The filter at 0, 1 / GRID, … SPAN frames after a click; its sum is 1."""
    frames = np.arange(SPAN * GRID + 1) / GRID - SPAN / 2
    symmetric = np.sinc(2.0 * EDGE * frames) * np.kaiser(len(frames), KAISER_BETA)
    size = 8 << (len(frames) - 1).bit_length()  # so that the cepstrum has died away before it comes round
    magnitude = np.abs(np.fft.rfft(symmetric / symmetric.sum(), size))
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitude, FLOOR)), size)
    cepstrum[1 : size // 2] *= 2.0
    cepstrum[size // 2 + 1 :] = 0.0
    causal = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), size)[: len(frames)]
    return causal / causal.sum()


def _lag() -> float:
    """The filter's delay of low frequencies, in frames of the slower side: its centre."""
    return float(np.arange(SPAN * GRID + 1) @ _filter() / GRID)
