"""How loud a note is, moment by moment, and whether it clicks."""

from __future__ import annotations

import numpy as np

from synth.analysis.compiled import librosa

ATTACK_WITHIN_S = 1.0
_CLICK_WINDOW, _CLICK_FACTOR = 512, 12.0


def level_db(audio: np.ndarray) -> float:
    """RMS in dB below full scale."""
    return float(20.0 * np.log10(np.sqrt(np.mean(np.square(audio))) + 1e-10))


def loudness_db(audio: np.ndarray, sample_rate_hz: int) -> float:
    """Level in dB after A-weighting (IEC 61672), which follows the ear's sensitivity over frequency."""
    power = np.mean(np.abs(librosa.stft(audio, n_fft=2048)[1:]) ** 2, axis=1)  # 0 Hz is not heard, and has no decibels
    weighting = 10.0 ** (librosa.A_weighting(librosa.fft_frequencies(sr=sample_rate_hz, n_fft=2048)[1:]) / 10.0)
    return float(10.0 * np.log10((power * weighting).sum() + 1e-12))


def attack_ms(audio: np.ndarray, sample_rate_hz: int) -> float:
    """From the first sample to where the level first comes within 6 dB of the most that it reaches in a second."""
    window = round(0.005 * sample_rate_hz)
    first = audio[: round(ATTACK_WITHIN_S * sample_rate_hz)]
    power = np.convolve(np.square(first.astype(np.float64)), np.ones(window) / window)[: len(first)]
    return float(np.argmax(power >= power.max() / 4.0) / sample_rate_hz * 1e3)


def clicks(audio: np.ndarray) -> int:
    """How many clicks a note [T] has."""
    return len(click_positions(audio))


def click_positions(audio: np.ndarray) -> np.ndarray:
    """Samples whose second difference stands out of its surroundings' by more than a factor of 12: [T] -> [N].

    And of what is before and after: the first periods of a sound that swells out of silence are none, nor the last ones
    of a sound that ends.
    """
    if len(audio) < 3:
        return np.zeros(0, int)
    second = np.abs(np.diff(audio, 2))
    padded = np.pad(second, (0, -len(second) % _CLICK_WINDOW)).reshape(-1, _CLICK_WINDOW)
    local = np.sqrt(np.mean(padded**2, axis=1, keepdims=True)) + 1e-5
    around = np.pad(local[:, 0], 1, mode="edge")
    local = np.maximum(local, np.maximum(around[:-2], around[2:])[:, None])
    return np.flatnonzero(padded > _CLICK_FACTOR * local)
