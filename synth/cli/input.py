"""Files of sound and of embeddings as the verbs want them."""

from __future__ import annotations

import tokenize
import warnings
from pathlib import Path

import numpy as np
import soundfile

from synth.bank.bank import LARGEST_EMBEDDING
from synth.errors import WavekeysError
from synth.instrument.offline import resampled
from synth.sounds import LOUDEST, RATES_HZ

BLOCK = 2**16  # frames read at once: a damaged header may promise more of them than memory holds


def sound_seconds(path: Path) -> float:
    """How long a sound file says it is, 0 where it says nothing: only its header is read."""
    try:
        info = soundfile.info(path)
    except (OSError, TypeError, soundfile.LibsndfileError):
        return 0.0
    return info.frames / max(info.samplerate, 1)


def read_sound(path: Path, rate_hz: int) -> np.ndarray:
    """A file of any rate and channel count as mono float32 [T] at `rate_hz`. Refuses what is no sound, by name."""
    blocks: list[np.ndarray] = []  # mono
    try:
        with soundfile.SoundFile(path) as file:
            file_hz = file.samplerate
            while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
                if not np.abs(block).max() < LOUDEST:
                    raise WavekeysError(f"{path}: it holds numbers that are not finite, or no sound's")
                blocks.append(block.mean(axis=1, keepdims=True))
    except (OSError, TypeError, soundfile.LibsndfileError) as error:  # TypeError: raw samples without a header
        if not path.exists():
            raise WavekeysError(f"no file {path}") from None
        raise WavekeysError(f"{path}: not a readable sound file ({error})") from None
    if not blocks:
        raise WavekeysError(f"{path}: it is empty")
    low, high = RATES_HZ
    if not low <= file_hz <= high:
        raise WavekeysError(f"{path}: its rate is {file_hz} Hz; {low} to {high} can be read")
    audio = np.concatenate(blocks)
    mono = resampled(audio, file_hz, rate_hz)[:, 0]
    # libsamplerate may stop a sample early, and a note of 4 seconds has 64,000 of them.
    length = round(len(audio) * rate_hz / file_hz)
    return np.pad(mono[:length], (0, max(0, length - len(mono))))


def read_embeddings(path: Path, channels: int) -> np.ndarray:
    """A .npy file's embeddings [frames, channels] as float32. Refuses anything else, by name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a header of Python 2 is as good
            # Mapped: memory is taken only for what the file has, whatever its header promises.
            mapped = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise WavekeysError(f"no file {path}") from None
    except IsADirectoryError:
        raise WavekeysError(f"{path} is a folder; give one .npy file") from None
    except (OSError, ValueError, TypeError, OverflowError, EOFError, tokenize.TokenError) as error:
        raise WavekeysError(f"{path}: not a readable .npy file ({' '.join(str(error).split())})") from None
    if mapped.ndim != 2 or mapped.shape[1] != channels or not len(mapped) or mapped.dtype.kind != "f":
        raise WavekeysError(
            f"{path}: embeddings are [frames, {channels}] floats, not {list(mapped.shape)} {mapped.dtype}"
        )
    with np.errstate(over="ignore"):
        z = mapped.astype(np.float32, order="C")
    if not np.abs(z).max() <= LARGEST_EMBEDDING:
        raise WavekeysError(
            f"{path}: embeddings must be numbers from {-LARGEST_EMBEDDING:.0f} to {LARGEST_EMBEDDING:.0f}"
        )
    return z
