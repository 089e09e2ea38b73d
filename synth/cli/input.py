"""Files of sound and of embeddings as the verbs want them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from synth.errors import WavekeysError
from synth.instrument.offline import resampled

RATES_HZ = (1000, 1_000_000)  # what a file may have; others are no sound, or a damaged header


def sound_seconds(path: Path) -> float:
    """How long a sound file says it is, 0 where it says nothing: only its header is read."""
    try:
        info = soundfile.info(path)
    except (OSError, soundfile.LibsndfileError):
        return 0.0
    return info.frames / max(info.samplerate, 1)


def read_sound(path: Path, rate_hz: int) -> np.ndarray:
    """A file of any rate and channel count as mono float32 [T] at `rate_hz`. Refuses what is no sound, by name."""
    try:
        audio, file_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        if not path.exists():
            raise WavekeysError(f"no file {path}") from None
        raise WavekeysError(f"{path}: not a readable sound file ({error})") from None
    if not len(audio) or not np.isfinite(audio).all():
        raise WavekeysError(f"{path}: {'it is empty' if not len(audio) else 'it holds numbers that are not finite'}")
    low, high = RATES_HZ
    if not low <= file_hz <= high:
        raise WavekeysError(f"{path}: its rate is {file_hz} Hz; {low} to {high} can be read")
    mono = resampled(audio.mean(axis=1, keepdims=True), file_hz, rate_hz)[:, 0]
    # libsamplerate may stop a sample early, and a note of 4 seconds has 64,000 of them.
    length = round(len(audio) * rate_hz / file_hz)
    return np.pad(mono[:length], (0, max(0, length - len(mono))))


def read_embeddings(path: Path, channels: int) -> np.ndarray:
    """A .npy file's embeddings [frames, channels] as float32. Refuses anything else, by name."""
    try:
        z = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise WavekeysError(f"no file {path}") from None
    except (OSError, ValueError, EOFError) as error:
        raise WavekeysError(f"{path}: not a readable .npy file ({error})") from None
    if z.ndim != 2 or z.shape[1] != channels or not len(z) or z.dtype.kind != "f":
        raise WavekeysError(f"{path}: embeddings are [frames, {channels}] floats, not {list(z.shape)} {z.dtype}")
    if not np.isfinite(z).all():
        raise WavekeysError(f"{path}: embeddings must be finite numbers")
    return z.astype(np.float32)
