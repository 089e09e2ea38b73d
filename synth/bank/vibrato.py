"""The vibrato of a recorded note. The embedding does not tell it, since a note's clock is steady: so the bank does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SUSTAIN_SECONDS = (0.4, 2.9)  # of a recorded note, where its vibrato is looked for
SHORTEST_SECONDS = 0.8
RATES_HZ = np.arange(3.0, 8.5, 0.05)
POINTS_PER_SECOND = 250
FAINT = 0.05  # of the fundamental's largest magnitude: it has ended
SHARE = 0.35  # of what the pitch does that a vibrato must explain, a slow drift taken off
RISE_SECONDS = 0.4  # from a note's beginning until its vibrato is all there


class Vibrato(NamedTuple):
    """A pitch that swings: cents * sin(2 pi (rate_hz * seconds + turns)), seconds from the note's beginning."""

    rate_hz: float = 0.0
    cents: float = 0.0
    turns: float = 0.0


LARGEST = Vibrato(20.0, 200.0, 1.0)  # that a bank holds


def find_vibrato(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> Vibrato:
    """The vibrato of a note [T] near `pitch_hz`; one of no depth where the pitch is steady, wavers otherwise or wails.

    The fundamental's own band (up to half the pitch on either side), shifted down to 0 Hz, has the pitch's deviation
    as the slope of its phase. Of that the sinusoid that explains most is taken.
    """
    hertz = np.fft.fftfreq(len(audio), 1.0 / sample_rate_hz)
    away = np.abs(hertz - pitch_hz) / (0.5 * pitch_hz)
    band = np.fft.ifft(np.fft.fft(audio) * np.where(away < 1.0, np.cos(0.5 * np.pi * np.minimum(away, 1.0)) ** 2, 0.0))
    every = sample_rate_hz // POINTS_PER_SECOND
    seconds = np.arange(0, len(audio), every) / sample_rate_hz
    thin = band[::every] * np.exp(-2j * np.pi * pitch_hz * seconds)
    sounding = np.flatnonzero(np.abs(thin) > FAINT * np.abs(thin).max())
    if not len(sounding):
        return Vibrato()
    start, end = SUSTAIN_SECONDS
    inside = (seconds >= start) & (seconds < min(end, seconds[sounding[-1]]))
    if np.count_nonzero(inside) < SHORTEST_SECONDS * POINTS_PER_SECOND:
        return Vibrato()
    slope = np.angle(thin[1:] * thin[:-1].conj()) * sample_rate_hz / every / (2.0 * np.pi)
    cents = 1200.0 * np.log2(np.maximum(1.0 + np.append(slope, 0.0) / pitch_hz, 0.5))[inside]
    t = seconds[inside] + 0.5 * every / sample_rate_hz  # a difference lies between its ends
    cents = cents - np.polyval(np.polyfit(t - t.mean(), cents, 2), t - t.mean())
    rate = RATES_HZ[np.abs(np.exp(-2j * np.pi * RATES_HZ[:, None] * t) @ cents).argmax()]
    waves = np.stack([np.sin(2.0 * np.pi * rate * t), np.cos(2.0 * np.pi * rate * t)], axis=1)
    (sine, cosine), *_ = np.linalg.lstsq(waves, cents, rcond=None)
    left, depth = cents - waves @ (sine, cosine), float(np.hypot(sine, cosine))
    if left @ left > (1.0 - SHARE) * (cents @ cents) or depth > LARGEST.cents:
        return Vibrato()
    return Vibrato(float(rate), depth, float(np.arctan2(cosine, sine) / (2.0 * np.pi) % 1.0))
