"""Tones of a note that are no multiples of its pitch, found beside its partials.

A bell has a hum, a tierce and a quint, an organ's mixture a fifth, a layered sound two pitches, a piano's frame a thud.
No clock has them among its partials (`synth.training.clock`), and to a model what is no partial is noise. They are
found and taken off first: the band around a partial is wide, and would have what sounds next to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.signal import fftconvolve, find_peaks

from synth.pitch import HIGHEST_PARTIAL
from synth.tones import MOST_TONES
from synth.training.clock import (
    INAUDIBLE_HZ,
    LINE_HZ,
    LINE_SHARE,
    PEAK_DB,
    Clock,
    beginning,
    hold_before,
    loudness,
    low_pass,
    over_turns,
    power_spectrum,
)

FAINTEST_DB = -50.0  # of the whole note's power: fainter tones are left to the noise
AROUND = 5  # lines on either side, among which a tone has most of the power
BAND_SECONDS = 0.06  # what a tone's amplitude is heard over


class Tones(NamedTuple):
    """K tones, the loudest first."""

    places: np.ndarray  # [K], in multiples of the clock
    amplitudes: np.ndarray  # [K, T]; before the note begins as there
    audio: np.ndarray  # [K, T] float32


def find_tones(audio: np.ndarray, clock: Clock) -> Tones:
    """The tones of a note [T] beside its partials.

    A tone is a line in the spectrum over the clock's turns, the note's level taken off: a peak that stands out, with
    most of the power around it within its line, apart from all partials, and no higher than they are. Each is what
    passes through a narrow band around its place, which has nothing of a partial.
    """
    turns, sample_rate_hz = clock.turns, clock.sample_rate_hz
    power = power_spectrum(over_turns(audio / loudness(audio, sample_rate_hz), turns))
    faintest = 10.0 ** (FAINTEST_DB / 10.0) * power.sum()
    per_multiple = turns[-1] - turns[0]  # bins
    width, apart = (round(hertz * len(audio) / sample_rate_hz) for hertz in (LINE_HZ, 2.0 / BAND_SECONDS))
    peaks, _ = find_peaks(power, distance=width + 1)
    found = []
    first = INAUDIBLE_HZ * len(audio) / sample_rate_hz
    last = min(HIGHEST_PARTIAL * len(audio), (len(clock.places.heard) + 1) * per_multiple - apart)
    for peak in peaks[(first < peaks) & (peaks < last)].tolist():
        line, around = (power[max(0, peak - side) : peak + side + 1] for side in (width, AROUND * width))
        if line.sum() <= faintest:
            continue  # as nearly all
        stands_out = power[peak] > 10.0 ** (PEAK_DB / 10.0) * np.median(around)
        is_partial = np.abs(clock.places.heard * per_multiple - peak).min(initial=np.inf) < apart
        if stands_out and not is_partial and line.sum() > LINE_SHARE * around.sum():
            found.append((line.sum(), peak / per_multiple))
    places = np.array([place for _, place in sorted(found, reverse=True)[:MOST_TONES]])
    band = low_pass(BAND_SECONDS * sample_rate_hz)
    begins = beginning(audio)
    left, amplitudes = audio.astype(np.float64), np.zeros((len(places), len(audio)))
    sound = np.zeros((len(places), len(audio)), np.float32)
    for place, amplitude, own in zip(places, amplitudes, sound, strict=True):
        carrier = np.exp(2j * np.pi * (place * turns % 1.0))
        tone = 2.0 * fftconvolve(left * carrier.conj(), band, mode="same")
        own[begins:], amplitude[:] = (tone * carrier).real[begins:], np.abs(tone)
        left -= own
    hold_before(amplitudes, begins, band)
    return Tones(places, amplitudes, sound)
