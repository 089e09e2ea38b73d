"""From the model's rate to the device's, block by block.

Threads: the engine thread only. Allocates its output; never locks or logs.

A windowed sinc of constant delay: every block becomes the same number of frames (one more or less where the ratio is
not whole), as soon as the 1.25 ms after them are known. A filter so short must choose: this one is flat up to 6.7 kHz
of a model's 8, and its images are 60 dB down from 8.6 kHz on. libsamplerate's of the same delay (`sinc_fastest`) leaves
17 dB less at 7.25 kHz; longer ones, and soxr's, which holds back up to 59 ms and then bursts, would have to be paid as
ring. Output frame n lies exactly at the time of input frame n / ratio.
"""

from __future__ import annotations

import functools
import math

import numpy as np

HALF = 20  # frames of the slower side that the filter reaches in either direction
EDGE = 0.475  # of the slower side's rate: half of the amplitude is left there
KAISER_BETA = 5.6  # 60 dB
GRID = 512  # values of the filter a frame; straight lines between them are right to 110 dB
KNOWN_BLOCKS = 256  # whose weights are kept: a ratio that is not whole has several kinds of block


class StreamResampler:
    """A resampler for one stream of blocks of one size; passes blocks through where the rates are equal."""

    def __init__(self, *, source_hz: int, target_hz: int, block_frames: int, channels: int = 2) -> None:
        common = math.gcd(source_hz, target_hz)
        self._up, self._down = target_hz // common, source_hz // common
        self._half = 0 if self._up == self._down else math.ceil(HALF * max(1.0, self._down / self._up))
        self.ratio = target_hz / source_hz
        self.block_frames = math.ceil(block_frames * self.ratio)  # the most that one block becomes
        self.backlog_frames = math.ceil(self._half * self.ratio)  # target frames that it looks ahead
        self._before = np.zeros((max(2 * self._half - 1, 0), channels), np.float32)  # frames that are needed again
        self._taken = self._given = 0

    def process(self, block: np.ndarray) -> np.ndarray:
        """[T, C] at the source rate -> [T * ratio, C] at the target rate, float32."""
        if not self._half:
            return block
        first = self._taken - len(self._before)
        known = np.concatenate([self._before, block])
        self._taken += len(block)
        # Frame n lies between the source's frames n * down // up and the next, and reaches `half` of them further.
        ready = max(-(-(self._taken - self._half) * self._up // self._down), self._given)
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
    distance = np.abs(at[:, None] - np.arange(frames)) * min(1.0, up / down)
    weights = np.interp(distance, np.arange(HALF * GRID + 1) / GRID, _filter(), right=0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@functools.cache
def _filter() -> np.ndarray:
    """One half of it, from its middle on."""
    frames = np.arange(HALF * GRID + 1) / GRID
    window = np.i0(KAISER_BETA * np.sqrt(1.0 - np.square(frames / HALF))) / np.i0(KAISER_BETA)
    return np.sinc(2.0 * EDGE * frames) * window
