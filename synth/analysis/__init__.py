"""Listening with instruments: pitch, spectral distance, clicks. Needs the extra `analysis`; imports nothing of wavekeys."""

from synth.analysis.measures import clicks, level_db, log_mel_distance, median_cents

__all__ = ["clicks", "level_db", "log_mel_distance", "median_cents"]
