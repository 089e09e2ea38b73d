"""What a note's spectrum is like, and how far it is from its source's. Needs the extra `analysis`."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from synth.analysis.compiled import librosa

FFT, HOP, MELS = 1024, 256, 64
FLOOR_DB = -80.0  # below the source's loudest band, nothing counts
SCALES = (2048, 1024, 512, 256, 128, 64)  # of the multi-scale distance (Engel et al. 2020, DDSP, section 4.2)
NOISE_FFT = 4096
CRACKLE_SECONDS = 0.016  # from one look at what lies between the partials to the next
COURSE_SECONDS = 0.5  # over which its course is taken


def log_mel(audio: np.ndarray, sample_rate_hz: int, reference: float) -> np.ndarray:
    """Power of 64 mel bands in dB above `reference`, not below `FLOOR_DB`: [T] -> [64, frames]."""
    power = librosa.feature.melspectrogram(y=audio, sr=sample_rate_hz, n_fft=FFT, hop_length=HOP, n_mels=MELS)
    return 10.0 * np.log10(np.maximum(power / reference, 10.0 ** (FLOOR_DB / 10.0)))


def log_mel_distance(source: np.ndarray, rendering: np.ndarray, sample_rate_hz: int) -> float:
    """Mean absolute difference of two notes' log-mel spectra, in dB, over the shorter of the two."""
    source, rendering = _equally_long(source, rendering)
    power = librosa.feature.melspectrogram(y=source, sr=sample_rate_hz, n_fft=FFT, hop_length=HOP, n_mels=MELS)
    reference = max(float(power.max()), 1e-12)
    difference = log_mel(source, sample_rate_hz, reference) - log_mel(rendering, sample_rate_hz, reference)
    return float(np.abs(difference).mean())


def multi_scale_distance(source: np.ndarray, rendering: np.ndarray) -> float:
    """Mean over six FFT sizes of the relative difference of magnitudes and of the difference of their logarithms.

    Each size's terms: the sum of |S - R| over the sum of S, and the mean of |ln S - ln R| with magnitudes not below
    -80 dB of the source's largest. 0 for equal sounds, 1 for the first term of silence.
    """
    source, rendering = _equally_long(source, rendering)
    total = 0.0
    for size in SCALES:
        first, second = (np.abs(librosa.stft(sound, n_fft=size, hop_length=size // 4)) for sound in (source, rendering))
        floor = max(float(first.max()), 1e-9) * 10.0 ** (FLOOR_DB / 20.0)
        total += np.abs(first - second).sum() / max(float(first.sum()), 1e-9)
        total += np.abs(np.log(np.maximum(first, floor)) - np.log(np.maximum(second, floor))).mean()
    return float(total / len(SCALES))


def noise_db(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> float:
    """Power between the partials of a steady note [T], in dB of its whole power.

    Partials reach 16 Hz or 0.5 % to either side, whichever is more: a Blackman-Harris window's main lobe at 16 kHz, and
    strings whose partials are a little sharp.
    """
    spectra = librosa.stft(audio, n_fft=NOISE_FFT, hop_length=NOISE_FFT // 4, window="blackmanharris", center=False)
    power = np.abs(spectra) ** 2
    hertz = np.arange(len(power)) * sample_rate_hz / NOISE_FFT
    partial = np.maximum(np.round(hertz / pitch_hz), 1.0) * pitch_hz
    between = np.abs(hertz - partial) > np.maximum(16.0, 0.005 * partial)
    return float(10.0 * np.log10(power[between].sum() / max(power.sum(), 1e-20) + 1e-12))


def crackle_db(audio: np.ndarray, pitch_hz: float, sample_rate_hz: int) -> float:
    """How far the level between the partials of a held note [T] leaps above its course at most, in dB.

    Its course is the running median, so that a note may decay or breathe; steady noise leaps by 1 to 3 dB. Only above
    1 kHz, and where it is not below -80 dB of the note.
    """
    size = 2048 if pitch_hz < 200.0 else 1024
    spectra = librosa.stft(audio, n_fft=size, hop_length=round(CRACKLE_SECONDS * sample_rate_hz), center=False)
    power = np.abs(spectra) ** 2
    multiples = np.arange(len(power)) * sample_rate_hz / size / pitch_hz
    between = (np.abs(multiples - np.round(multiples)) > 0.35) & (multiples * pitch_hz > 1000.0)
    floor = power.sum(axis=0).max() * 10.0 ** (FLOOR_DB / 10.0) + 1e-20
    levels = 10.0 * np.log10(power[between].sum(axis=0) + floor)
    course = median_filter(levels, round(COURSE_SECONDS / CRACKLE_SECONDS), mode="nearest")
    return float(np.max(levels - course))


def centroid_hz(audio: np.ndarray, sample_rate_hz: int) -> float:
    """The centre of gravity of a sound's magnitude spectrum, the median over its frames."""
    return float(np.median(librosa.feature.spectral_centroid(y=audio, sr=sample_rate_hz, n_fft=FFT, hop_length=HOP)))


def _equally_long(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    length = min(len(first), len(second))
    return first[:length], second[:length]
