"""librosa, whose compiled parts come into being in one process at a time.

Numba compiles them as they are imported, and keeps the machine code beside the package. Two processes that do so at
once leave files of both, and whoever loads these crashes: one part calls another by a name that its own process made.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import librosa

__all__ = ["librosa"]

_PARTS = ("core.audio", "core.constantq", "core.pitch", "feature", "sequence", "util.utils")  # those that are used here


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One process of this user's at a time, where the system has locks on files."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        file = (Path(tempfile.gettempdir()) / f"wavekeys-compiling-{os.getuid()}").open("a")
    except OSError:
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


with _alone():
    for _part in _PARTS:
        importlib.import_module(f"librosa.{_part}")
