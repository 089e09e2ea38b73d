"""The pitch of a note, by two methods that have nothing in common. Needs the extra `analysis`."""

from __future__ import annotations

import numpy as np

from synth.analysis.compiled import librosa

_COMB_CENTS = 0.5  # resolution of `spectral_cents`
_COMB_PARTIALS = 10
_RANGE = 2.0 ** (7.5 / 12.0)  # a multiple of pyin's 2 cents, so that the nominal pitch is one that it chooses among
_FASTEST_OCTAVES_A_SECOND = 18.0  # from one frame to the next, less than the range; a held note does not move anyway
_LOWEST_HZ = 17.0  # of which a frame holds two periods
_DIED_AWAY_DB = 60.0  # below the loudest frame: what is left has no pitch to be heard


def median_cents(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> float:
    """Median pitch of a note [T] against `pitch_hz` in cents, octaves folded to +-600; NaN where none is found.

    librosa.pyin (Mauch and Dixon 2014) at a resolution of 2 cents, in frames of 128 ms that overlap by half, within 7.5
    semitones of the nominal pitch: its time grows with the square of the range, and whole octaves are folded anyway.
    Frames in which the note has died away do not count.
    """
    hop = round(0.064 * sample_rate_hz)
    lowest, highest = max(pitch_hz / _RANGE, _LOWEST_HZ), min(pitch_hz * _RANGE, sample_rate_hz / 2.1)
    if highest <= _RANGE * lowest:
        return float("nan")  # a pitch that it could only find by guessing
    track, _, _ = librosa.pyin(
        audio,
        fmin=lowest,
        fmax=highest,
        sr=sample_rate_hz,
        resolution=0.02,
        frame_length=2 * hop,
        hop_length=hop,
        max_transition_rate=_FASTEST_OCTAVES_A_SECOND,
    )
    level = librosa.feature.rms(y=audio, frame_length=2 * hop, hop_length=hop)[0]
    track = track[np.isfinite(track) & (level > 10.0 ** (-_DIED_AWAY_DB / 20.0) * level.max())]
    if not len(track):
        return float("nan")
    return folded(1200.0 * np.log2(np.median(track) / pitch_hz))


def spectral_cents(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int, *, within_cents: float = 60.0) -> float:
    """Pitch of a steady note [T] against `pitch_hz` in cents, from its spectrum: where a comb of partials fits best.

    The magnitudes of the whole note's spectrum are added up at the first ten multiples of every pitch near the nominal
    one. It shares nothing with autocorrelation and its relatives, such as pyin.
    """
    size = 1 << (8 * len(audio) - 1).bit_length()  # interpolated eightfold
    magnitude = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size))
    cents = np.arange(-within_cents, within_cents + _COMB_CENTS, _COMB_CENTS)
    partials = np.arange(1, max(2, min(_COMB_PARTIALS, int(0.45 * sample_rate_hz / pitch_hz)) + 1))
    hertz = pitch_hz * 2.0 ** (cents / 1200.0)[:, None] * partials
    fit = np.interp(hertz * size / sample_rate_hz, np.arange(len(magnitude)), magnitude).sum(axis=1)
    return float(cents[np.argmax(fit)])


def folded(cents: float) -> float:
    """An interval without its octaves, within +-600 cents."""
    return float((cents + 600.0) % 1200.0 - 600.0)
