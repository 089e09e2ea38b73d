"""Listening with instruments: pitch, spectra, loudness, clicks. Needs the extra `analysis`, imports no wavekeys."""

from synth.analysis.envelope import attack_ms, click_positions, clicks, level_db, loudness_db
from synth.analysis.pitch import folded, median_cents, spectral_cents
from synth.analysis.spectrum import centroid_hz, crackle_db, log_mel_distance, multi_scale_distance, noise_db

__all__ = [
    "attack_ms",
    "centroid_hz",
    "click_positions",
    "clicks",
    "crackle_db",
    "folded",
    "level_db",
    "log_mel_distance",
    "loudness_db",
    "median_cents",
    "multi_scale_distance",
    "noise_db",
    "spectral_cents",
]
