"""A note's own pitch clock, and the note set to it: every partial in a known phase.

The decoder's harmonic part sums partials whose phases are fixed multiples of the clock's. Recorded notes have
partials in phases of their own, which no embedding tells and no ear hears. So the notes to learn from are re-phased:
each partial keeps its amplitude, moment by moment, and gets the phase that the decoder will give it. What is no
partial (breath, bow, hammer) stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.signal import fftconvolve

COHERENT = (0.45, 0.8)  # below the first, a band is noise; above the second, a partial


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
    """Find a note's clock and partials, and give the partials the decoder's phases (`decoder.partials`)."""
    turns = fundamental_turns(audio, pitch_hz, sample_rate_hz)
    period = sample_rate_hz / pitch_hz
    narrow = _window(max(4 * period, 0.02 * sample_rate_hz))  # separates neighbouring partials
    apart = len(narrow)  # two values of a band so far apart share no sample, hence no noise
    wide = _window(max(3 * apart, 0.12 * sample_rate_hz))
    rest = audio.astype(np.float64)
    rephased = np.zeros(len(audio))
    amplitudes = np.zeros((harmonics, len(audio)), np.float32)
    for k in range(1, min(harmonics, int(0.47 * period)) + 1):
        carrier = np.exp(2j * np.pi * k * turns)
        band = fftconvolve(audio / carrier, narrow, mode="same")
        lagged = np.concatenate([np.full(apart, band[0]), band[:-apart]])
        # A steady partial advances by a steady angle over the lag, whatever its frequency; noise by any angle.
        agreement = np.abs(fftconvolve(band * np.conj(lagged), wide, mode="same"))
        power = np.maximum(fftconvolve(np.abs(band) ** 2, wide, mode="same"), 1e-20)
        share = np.clip((agreement / power - COHERENT[0]) / (COHERENT[1] - COHERENT[0]), 0.0, 1.0)
        rest -= share * 2.0 * np.real(band * carrier)
        amplitudes[k - 1] = share * 2.0 * np.abs(band)
        rephased += amplitudes[k - 1] * np.cos(2 * np.pi * (k * turns + k * k / 128.0))
    phase = np.round((turns % 1.0) * 2.0**32).astype(np.uint64).astype(np.uint32)
    return ClockedNote((rephased + rest).astype(np.float32), rest.astype(np.float32), phase, amplitudes)


def _window(samples: float) -> np.ndarray:
    """A Hann low-pass of about that length and unit gain."""
    window = np.hanning((int(samples) | 1) + 2)[1:-1]
    return window / window.sum()
