"""A note's own pitch clock, and the note set to it: every partial in a known phase.

The decoder's harmonic part sums partials whose phases are fixed multiples of the clock's. Recorded notes have
partials in phases of their own, which no embedding tells and no ear hears. So the notes to learn from are re-phased:
each partial keeps its amplitude, moment by moment, and gets the phase that the decoder will give it. What is no
partial (breath, bow, hammer) stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import fftconvolve, firwin

COHERENT = (0.45, 0.8)  # below the first, a band is noise; above the second, a partial
THINNING = 16  # values of a band over the length of its window: four times what its main lobe needs
INTERPOLATION = 5  # values on either side that one between them is computed from; images are below -70 dB


class ClockedNote(NamedTuple):
    """A note set to its clock."""

    audio: np.ndarray  # [T] float32, re-phased
    rest: np.ndarray  # [T] float32, what of it is no partial
    phase: np.ndarray  # [T] uint32, turns of 2**32
    amplitudes: np.ndarray  # [H, T] float32, of the partials


def fundamental_turns(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> np.ndarray:
    """Phase of the fundamental near `pitch_hz`, in turns from the start on: [T] -> [T] float64.

    The note is shifted down by its nominal pitch, low-passed over six periods, and the slow phase that remains
    unwrapped. Where the fundamental is more than 40 dB below its peak (before the onset, after the release) that
    phase is held, so that the clock runs on at the nominal pitch.
    """
    carrier = pitch_hz / sample_rate_hz * np.arange(len(audio), dtype=np.float64)
    baseband = fftconvolve(audio * np.exp(-2j * np.pi * carrier), _window(6 * sample_rate_hz / pitch_hz), mode="same")
    magnitude = np.abs(baseband)
    voiced = np.flatnonzero(magnitude > 0.01 * magnitude.max())
    if not len(voiced):
        return carrier
    deviation = np.unwrap(np.angle(baseband[voiced])) / (2 * np.pi)
    return carrier + np.interp(np.arange(len(audio)), voiced, deviation)


def set_to_clock(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int, harmonics: int) -> ClockedNote:
    """Find a note's clock and partials, and give the partials the decoder's phases (`decoder.partials`).

    A band is narrow, so it is computed at every `every`-th sample only, and interpolated between them.
    """
    turns = fundamental_turns(audio, pitch_hz, sample_rate_hz)
    period = sample_rate_hz / pitch_hz
    narrow = _window(max(4 * period, 0.02 * sample_rate_hz))  # separates neighbouring partials
    every = -(-len(narrow) // THINNING)
    apart = THINNING  # two values of a band so far apart share no sample, hence no noise
    wide = _window(max(3 * len(narrow), 0.12 * sample_rate_hz))
    wide = every * wide[len(wide) // 2 % every :: every]
    thin, fill = _Thinning(narrow, every), _Filling(every, len(audio))
    carrier = np.exp(2j * np.pi * (turns % 1.0)).astype(np.complex64)
    turned = np.ones_like(carrier)
    rest, rephased = audio.astype(np.float32), np.zeros(len(audio), np.float32)
    amplitudes = np.zeros((harmonics, len(audio)), np.float32)
    for k in range(1, min(harmonics, int(0.47 * period)) + 1):
        turned *= carrier
        band = thin(audio * turned.conj())
        lagged = np.concatenate([np.full(apart, band[0]), band[:-apart]])
        # A steady partial advances by a steady angle over the lag, whatever its frequency; noise by any angle.
        agreement = np.abs(np.convolve(band * np.conj(lagged), wide, mode="same"))
        power = np.maximum(np.convolve(np.abs(band) ** 2, wide, mode="same"), 1e-20)
        share = np.clip((agreement / power - COHERENT[0]) / (COHERENT[1] - COHERENT[0]), 0.0, 1.0)
        partial = fill(2.0 * share * band)
        rest -= (partial * turned).real
        amplitudes[k - 1] = np.abs(partial)
        rephased += amplitudes[k - 1] * (turned * np.complex64(np.exp(2j * np.pi * k * k / 128.0))).real
    phase = np.round((turns % 1.0) * 2.0**32).astype(np.uint64).astype(np.uint32)
    return ClockedNote(rephased + rest, rest, phase, amplitudes)


class _Thinning:
    """A signal through a window of odd length, at every `every`-th sample, the first among them.

    In blocks of `every` samples each block is multiplied with each block of the window, in one matrix product.
    """

    def __init__(self, window: np.ndarray, every: int) -> None:
        self.before, self.every = len(window) // 2, every
        self.blocks = -(-len(window) // every)
        padded = np.pad(window, (0, self.blocks * every - len(window)))
        self.window = padded.reshape(self.blocks, every).T.astype(np.float32)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """[T] complex64 -> [ceil(T / every)] complex64."""
        count = -(-len(signal) // self.every)
        total = (count + self.blocks - 1) * self.every
        padded = np.zeros((2, total), np.float32)
        inside = slice(self.before, min(self.before + len(signal), total))
        seen = signal[: inside.stop - inside.start]
        padded[0, inside], padded[1, inside] = seen.real, seen.imag
        products = padded.reshape(2, -1, self.every) @ self.window  # [2, count + blocks - 1, blocks]
        real, imaginary = sum(products[:, block : block + count, block] for block in range(self.blocks))
        return real + np.complex64(1j) * imaginary


class _Filling:
    """The reverse: a signal of which every `every`-th sample is given, at all of them."""

    def __init__(self, every: int, length: int) -> None:
        self.length = length
        half = INTERPOLATION * every
        kernel = every * firwin(2 * half + 1, 1.0 / every, window=("kaiser", 6.0))
        # Row i: what the value i - INTERPOLATION + 1 places on adds to each of the next `every` samples.
        self.kernel = kernel[:-1].reshape(-1, every)[::-1].astype(np.float32)

    def __call__(self, thin: np.ndarray) -> np.ndarray:
        """[ceil(T / every)] -> [T] complex64; held at its ends, as if it went on."""
        held = np.pad(thin.astype(np.complex64), (INTERPOLATION - 1, INTERPOLATION), mode="edge")
        near = sliding_window_view(held, 2 * INTERPOLATION)
        filled = near.real @ self.kernel + np.complex64(1j) * (near.imag @ self.kernel)
        return filled.reshape(-1)[: self.length]


def _window(samples: float) -> np.ndarray:
    """A Hann low-pass of about that length and unit gain."""
    window = np.hanning((int(samples) | 1) + 2)[1:-1]
    return window / window.sum()
