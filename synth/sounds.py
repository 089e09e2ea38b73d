"""What is taken for a sound file, wherever one is read."""

from __future__ import annotations

SUFFIXES = frozenset({".wav", ".wave", ".flac", ".aif", ".aiff", ".au", ".caf", ".mp3", ".ogg", ".opus", ".w64"})
RATES_HZ = (1000, 1_000_000)  # what a file may have; others are no sound, or a damaged header
LOUDEST = 1e6  # times full scale: beyond that, powers and sums leave what float32 can say
