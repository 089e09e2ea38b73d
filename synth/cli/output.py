"""What the verbs that write sound share: progress, resampling, the file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import soundfile

from synth.atomic import replacing
from synth.errors import UsageError, WavekeysError
from synth.instrument.offline import resampled
from synth.sounds import SUFFIXES, wav_bytes

_FILES = SUFFIXES | {".npy", ".mid", ".midi", ".sfz", ".sf2", ".toml", ".safetensors", ".png", ".svg", ".zip"}


@contextlib.contextmanager
def progress_bar(what: str, total_seconds: float) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, nothing in a pipe; yields a function of the seconds done."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total_seconds)
        yield lambda seconds: bar.update(task, completed=min(seconds, total_seconds))


def expect_suffix(path: Path, suffix: str) -> None:
    """Refuse the name of another kind of file: it may be one that is needed yet."""
    if path.suffix.lower() not in ("", suffix):
        raise UsageError(f"{path}: what is written is {suffix}; name it {path.stem}{suffix}")


def expect_folder(path: Path, otherwise: str = "") -> None:
    """Refuse a file's name for what becomes a folder; `otherwise`: what it may be instead."""
    if not path.is_dir() and path.suffix.lower() in _FILES:
        raise UsageError(f"{path}: what is written is a folder{otherwise}; give it the name of one")


def check_writable(path: Path) -> None:
    """Refuse an output path before the work, not after it."""
    if path.is_dir():
        raise WavekeysError(f"cannot write {path}: it is a folder; give a file's name, such as {path / 'out.wav'}")
    try:
        existed = path.exists()
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise WavekeysError(f"cannot write {path}: {error.strerror}") from None


def write_wav(path: Path, audio: np.ndarray, *, rate_hz: int, wanted_hz: int) -> int:
    """Write [frames, channels] as 24-bit WAV at `wanted_hz`; returns how many samples were limited to full scale."""
    if not np.isfinite(audio).all():
        raise WavekeysError(f"{path}: not written, since its sound is not finite: the model or its embedding is broken")
    audio = resampled(audio, rate_hz, wanted_hz)
    over = int(np.count_nonzero(np.abs(audio) > 1.0))
    # When the disk is full, the file that was there before is still there; a pipe or a device cannot be replaced.
    place = replacing(path) if path.is_file() or not path.exists() else contextlib.nullcontext(path)
    try:
        whole = wav_bytes(audio, wanted_hz)
        with place as partial:
            partial.write_bytes(whole)
    except (soundfile.LibsndfileError, OSError) as error:
        raise WavekeysError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None
    return over


def tell_limited(samples: int) -> None:
    """Say that so many samples were too loud for the files, if any were."""
    if samples:
        click.echo(f"wavekeys: {samples} samples were limited to full scale", err=True)


def write_embeddings(path: Path, z: np.ndarray) -> None:
    """Write [F, 16] float32 as .npy, whole or not at all."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.save(file, z)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


class Stopwatch:
    """How much faster than real time a rendering went."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    def summary(self, audio_seconds: float) -> str:
        took = time.perf_counter() - self._start
        return f"{audio_seconds:.1f} s of sound in {took:.1f} s, {audio_seconds / took:.1f} times faster than real time"
