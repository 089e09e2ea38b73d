"""Files that are there whole or not at all, whatever happens while they are written, and what they may be called."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from synth.errors import WavekeysError


def file_name(name: str) -> str:
    """A preset's or an instrument's name without what a file system could take for something else."""
    return re.sub(r"[^\w .+-]", "_", name)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary neighbour of `path` to write to, put in its place at the end; if anything fails, only removed.

    Missing folders are made. Raises WavekeysError where the system refuses.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # else a power cut can leave the new name on an empty file
        partial.replace(path)
    except OSError as error:
        raise WavekeysError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
