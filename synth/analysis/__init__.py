"""Listening with instruments: pitch, spectral distance, clicks. Needs the extra `analysis`, imports no wavekeys."""

from synth.analysis.measures import click_positions, clicks, level_db, log_mel_distance, median_cents

__all__ = ["click_positions", "clicks", "level_db", "log_mel_distance", "median_cents"]
