"""Sound files as the analyses want them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr

from synth.errors import WavekeysError


def read_sound(path: Path, rate_hz: int) -> np.ndarray:
    """A file of any rate and channel count as mono float32 [T] at `rate_hz`. Refuses what is no sound, by name."""
    try:
        audio, file_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise WavekeysError(f"{path}: not a readable sound file ({error})") from None
    mono = audio.mean(axis=1)
    if not len(mono) or not np.isfinite(mono).all():
        raise WavekeysError(f"{path}: {'it is empty' if not len(mono) else 'it holds numbers that are not finite'}")
    return soxr.resample(mono, file_hz, rate_hz).astype(np.float32) if file_hz != rate_hz else mono
