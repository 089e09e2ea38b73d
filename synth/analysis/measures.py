"""Measures of a note's sound: pitch, and distance from its source. Needs the extra `analysis`."""

from __future__ import annotations

import librosa
import numpy as np

FFT, HOP, MELS = 1024, 256, 64
FLOOR_DB = -80.0  # below the source's loudest band, nothing counts


def median_cents(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> float:
    """Median pitch of a note [T] against `pitch_hz` in cents, octaves folded to +-600; NaN where none is found.

    librosa.pyin (Mauch and Dixon 2014) at a resolution of 2 cents, in frames of 128 ms, within an octave and a half of
    the nominal pitch.
    """
    track, _, _ = librosa.pyin(
        audio,
        fmin=max(pitch_hz / 2.9, 30.0),
        fmax=min(pitch_hz * 2.9, sample_rate_hz / 2.1),
        sr=sample_rate_hz,
        resolution=0.02,
        frame_length=2 * round(0.064 * sample_rate_hz),
    )
    track = track[np.isfinite(track)]
    if not len(track):
        return float("nan")
    cents = 1200.0 * np.log2(np.median(track) / pitch_hz)
    return float((cents + 600.0) % 1200.0 - 600.0)


def log_mel(audio: np.ndarray, sample_rate_hz: int, reference: float) -> np.ndarray:
    """Power of 64 mel bands in dB above `reference`, not below `FLOOR_DB`: [T] -> [64, frames]."""
    power = librosa.feature.melspectrogram(y=audio, sr=sample_rate_hz, n_fft=FFT, hop_length=HOP, n_mels=MELS)
    return 10.0 * np.log10(np.maximum(power / reference, 10.0 ** (FLOOR_DB / 10.0)))


def log_mel_distance(source: np.ndarray, rendering: np.ndarray, sample_rate_hz: int) -> float:
    """Mean absolute difference of two notes' log-mel spectra, in dB, over the shorter of the two."""
    length = min(len(source), len(rendering))
    source, rendering = source[:length], rendering[:length]
    power = librosa.feature.melspectrogram(y=source, sr=sample_rate_hz, n_fft=FFT, hop_length=HOP, n_mels=MELS)
    reference = max(float(power.max()), 1e-12)
    difference = log_mel(source, sample_rate_hz, reference) - log_mel(rendering, sample_rate_hz, reference)
    return float(np.abs(difference).mean())


def clicks(audio: np.ndarray) -> int:
    """How many clicks a note [T] has."""
    return len(click_positions(audio))


def click_positions(audio: np.ndarray) -> np.ndarray:
    """Samples whose second difference stands out of its surroundings' by more than a factor of 12: [T] -> [N]."""
    second = np.abs(np.diff(audio, 2))
    size = 512
    padded = np.pad(second, (0, -len(second) % size)).reshape(-1, size)
    local = np.sqrt(np.mean(padded**2, axis=1, keepdims=True)) + 1e-5
    return np.flatnonzero(padded > 12.0 * local)


def level_db(audio: np.ndarray) -> float:
    """RMS in dB below full scale."""
    return float(20.0 * np.log10(np.sqrt(np.mean(np.square(audio))) + 1e-10))
