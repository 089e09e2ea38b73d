"""A note set to its clock: every partial in a known phase.

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

from synth.training.clock import INAUDIBLE_HZ, Clock, beginning, hold_before, low_pass

STEADY = (0.45, 0.8)  # agreement of a band with itself: below the first it is noise, above the second a partial
ABOVE_NOISE_DB = (2.0, 6.0)  # the same, by how far a band stands above its surroundings
THINNING = 16  # values of a band over the length of its window: four times what its main lobe needs
INTERPOLATION = 5  # values on either side that one between them is computed from; images are below -70 dB


class ClockedNote(NamedTuple):
    """A note set to its clock."""

    audio: np.ndarray  # [T] float32, re-phased
    rest: np.ndarray  # [T] float32, what of it is no partial, as far as it can be heard
    amplitudes: np.ndarray  # [H, T] float32, of the partials; before the note begins as there


def set_to_clock(audio: np.ndarray, clock: Clock, harmonics: int) -> ClockedNote:
    """Find a note's partials by its clock, and give them the decoder's phases (`synth.kernels.clock.partials`).

    A band around a multiple of the clock is a partial as far as it is steady or stands above the noise, which the bands
    halfway to its neighbours tell (their window is blind to steady neighbours): the first finds weak partials, the
    second those that waver with vibrato, chorus or a bow. A partial that is off its multiple (`Places.heard`) is
    heard where it is, and put on it. A band is narrow, so it is computed at every `every`-th sample only, and
    interpolated between them.
    """
    turns, sample_rate_hz = clock.turns, clock.sample_rate_hz
    period = sample_rate_hz / clock.pitch_hz
    narrow = low_pass(max(4 * period, 0.008 * sample_rate_hz))  # separates neighbouring partials
    every = -(-len(narrow) // THINNING)
    apart = THINNING  # two values of a band so far apart share no sample, hence no noise
    wide = low_pass(max(3 * len(narrow), 0.12 * sample_rate_hz))
    wide = every * wide[len(wide) // 2 % every :: every]
    thin, fill = _Thinning(narrow, every), _Filling(every, len(audio))
    half_carrier = np.exp(1j * np.pi * (turns % 2.0)).astype(np.complex64)
    turned = np.ones_like(half_carrier)

    def band_power(band: np.ndarray) -> np.ndarray:
        """Around each of its values."""
        return np.maximum(np.convolve(np.abs(band) ** 2, wide, mode="same"), 1e-20)

    def next_band() -> tuple[np.ndarray, np.ndarray]:
        """The band half a harmonic further up, and its power."""
        turned[:] *= half_carrier
        band = thin(audio * turned.conj())
        return band, band_power(band)

    _, below = next_band()
    rest, rephased = audio.astype(np.float32), np.zeros(len(audio), np.float32)
    amplitudes = np.zeros((harmonics, len(audio)), np.float32)
    for k, place in enumerate(clock.places.heard, 1):
        band, power = next_band()
        on_multiple = turned.copy()
        partial_carrier = on_multiple
        if place != k:
            partial_carrier = on_multiple * np.exp(2j * np.pi * ((place - k) * turns % 1.0)).astype(np.complex64)
            band = thin(audio * partial_carrier.conj())
            power = band_power(band)
        _, above = next_band()
        lagged = np.concatenate([np.full(apart, band[0]), band[:-apart]])
        # A steady partial advances by a steady angle over the lag, whatever its frequency; noise by any angle.
        agreement = np.abs(np.convolve(band * np.conj(lagged), wide, mode="same"))
        height_db = 10.0 * np.log10(power) - 5.0 * np.log10(below * above)
        share = np.maximum(_between(agreement / power, STEADY), _between(height_db, ABOVE_NOISE_DB))
        below = above
        partial = fill(2.0 * share * band)
        rest -= (partial * partial_carrier).real
        amplitudes[k - 1] = np.abs(partial)
        rephased += amplitudes[k - 1] * (on_multiple * np.complex64(np.exp(2j * np.pi * k * k / 128.0))).real
    hold_before(amplitudes, beginning(audio), narrow)
    rest -= fftconvolve(rest, low_pass(2 * sample_rate_hz / INAUDIBLE_HZ).astype(np.float32), mode="same")
    return ClockedNote(rephased + rest, rest, amplitudes)


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
        real, imaginary = np.sum([products[:, block : block + count, block] for block in range(self.blocks)], axis=0)
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


def _between(value: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """0 at the first of the ends and below, 1 at the second and above, straight between them."""
    return np.clip((value - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
