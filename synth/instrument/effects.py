"""Effects between an instrument and the mix.

`pedalboard`'s plugins and boards are effects as they are (`pip install 'wavekeys[effects]'`); whatever else has their
two methods is one too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from synth.errors import WavekeysError

LONGEST_SECONDS = 10.0  # that an effect may look ahead
HUSH_MS = 5.0  # in which they fall silent
_NOTHING = np.zeros((2, 0), np.float32)


class Effect(Protocol):
    """Audio in, audio out, with a memory from block to block."""

    def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int, reset: bool) -> np.ndarray:
        """The next block, float32 [2, frames]. `reset`: forget what came before.

        It may return fewer frames than it got while it fills a look-ahead; those are its latency. More are kept for the
        blocks that come.
        """

    def reset(self) -> None:
        """Forget what came before."""


class Effects:
    """A chain of effects, played in order. One thread at a time.

    Args:
      chain: the effects; each belongs to this chain alone.
      sample_rate_hz: of the audio.
    """

    def __init__(self, chain: Sequence[Effect], sample_rate_hz: int) -> None:
        for effect in chain:
            if not callable(getattr(effect, "process", None)) or not callable(getattr(effect, "reset", None)):
                raise WavekeysError(f"{effect!r} is no effect: it needs process(audio, rate, size, reset) and reset()")
        self._chain = list(chain)
        self._rate_hz = float(sample_rate_hz)
        self.latency_frames = 0  # of the effects that look ahead, as they have shown it
        self._missing = 0  # frames that they have kept back since the last reset
        # What each has given beyond the block, [2, frames].
        self._kept: list[np.ndarray] = [_NOTHING] * len(self._chain)
        self._hushed: int | None = None  # frames of a hush that have passed when the next block begins

    def process(self, audio: np.ndarray) -> np.ndarray:
        """Audio [frames, 2] float32 through all of them, as many frames."""
        frames = len(audio)
        for place, effect in enumerate(self._chain):
            out = effect.process(np.ascontiguousarray(audio.T), self._rate_hz, frames, False)
            if self._kept[place].size:
                out = np.concatenate([self._kept[place], out], axis=1)
            missing = frames - out.shape[-1]
            if missing > 0:
                self._missing += missing
                self.latency_frames = max(self.latency_frames, self._missing)
                out = np.concatenate([np.zeros((2, missing), np.float32), out], axis=1)
            self._kept[place] = out[:, frames:]
            audio = out[:, :frames].T
        if self._hushed is not None:
            fade = round(HUSH_MS * self._rate_hz / 1000)
            audio = audio * np.clip(1.0 - np.arange(self._hushed, self._hushed + frames) / fade, 0.0, 1.0)[:, None]
            audio = audio.astype(np.float32)
            self._hushed += frames
            if self._hushed >= fade:
                self.reset()
        return audio

    def hush(self, offset: int) -> None:
        """Fall silent from that frame of the next block on, and forget what came before."""
        if self._chain and self._hushed is None:
            self._hushed = -offset

    def warm_up(self, frames: int) -> None:
        """Play silence in blocks of so many frames, until those that look ahead have shown how far."""
        known = -1
        while self.latency_frames > known:
            if self.latency_frames > LONGEST_SECONDS * self._rate_hz:
                names = ", ".join(type(effect).__name__ for effect in self._chain)
                raise WavekeysError(f"{names}: no sound comes out of it in {LONGEST_SECONDS:g} s; leave it out")
            known = self.latency_frames
            self.process(np.zeros((frames, 2), np.float32))

    def reset(self) -> None:
        self._missing = 0
        self._kept = [_NOTHING] * len(self._chain)
        self._hushed = None
        for effect in self._chain:
            effect.reset()
