"""A preset as one file: a zip of `preset.toml`, its bank and its model. Knows the container, not what is in it."""

from __future__ import annotations

import hashlib
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from synth.atomic import replacing
from synth.errors import WavekeysError

SUFFIX = ".wavekeys"

# What an archive holds, in this order, and the most bytes of each: room for a paper-size model four times over.
MEMBERS: dict[str, int] = {"bank.safetensors": 2**30, "model.safetensors": 2**30, "preset.toml": 2**18}
_OVERHEAD_BYTES = 2**16  # headers, and a comment of any length
_ENCRYPTED = 1  # flag bit (PKWARE's APPNOTE, 4.4.4)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What `zipfile` raises on damaged bytes.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError)


def pack(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write an archive of `members` (bytes, or the file that holds them), all that `MEMBERS` names.

    The same members give the same file: stored, in one order, without times. An older file at `path` stays until the
    new one is whole.
    """
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, limit in MEMBERS.items():
            source = members[name]
            size = len(source) if isinstance(source, bytes) else source.stat().st_size
            if size > limit:
                raise WavekeysError(f"cannot write {path}: its {name} has {size} bytes, allowed are {limit}")
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w") as target:
                if isinstance(source, bytes):
                    target.write(source)
                else:
                    with source.open("rb") as file:
                        shutil.copyfileobj(file, target)


def unpack(path: Path, folder: Path) -> None:
    """Write an archive's members into `folder`, which is there. What is no archive is refused in one line.

    Nothing outside `folder` is ever written, and never more than `MEMBERS` allows; after a refusal some members may
    lie in it, so it should be a temporary one.
    """
    try:
        if not path.is_file():
            raise WavekeysError(f"no preset file at {path}" + (": it is a folder" if path.is_dir() else ""))
        if path.stat().st_size > sum(MEMBERS.values()) + _OVERHEAD_BYTES:
            raise WavekeysError(f"{path}: too large for a preset")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check(path, entries)
            for entry in entries:
                with archive.open(entry) as source, (folder / entry.filename).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except _DAMAGE as error:
        raise WavekeysError(f"{path}: not a whole preset file ({str(error) or type(error).__name__})") from None
    except OSError as error:
        raise WavekeysError(f"{path}: cannot be unpacked ({error.strerror or error})") from None


def _check(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if sorted(names) != sorted(MEMBERS):
        held = ", ".join(repr(name) for name in names[:4]) or "nothing"
        raise WavekeysError(f"{path}: a preset file holds {', '.join(MEMBERS)} and nothing else, this one {held}")
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise WavekeysError(f"{path}: {entry.filename} is encrypted, or compressed in a way that is not read")
        if entry.file_size > MEMBERS[entry.filename]:
            raise WavekeysError(
                f"{path}: {entry.filename} has {entry.file_size} bytes, allowed are {MEMBERS[entry.filename]}"
            )


def unpacked(path: Path) -> Path:
    """The folder in the user's cache where an archive lies unpacked; it is, if it was not yet.

    It is named by the archive's own hash, so another archive never meets it, and may be deleted at any time.
    """
    cache = Path(platformdirs.user_cache_dir("wavekeys")) / "presets"
    try:
        with path.open("rb") as file:
            folder = cache / hashlib.file_digest(file, "sha256").hexdigest()[:32]
        if all((folder / name).is_file() for name in MEMBERS):
            return folder
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".") as partial:
            unpack(path, Path(partial))
            folder.mkdir(exist_ok=True)
            for name in MEMBERS:  # preset.toml is the last: with it the folder is a preset
                (Path(partial) / name).replace(folder / name)
    except OSError as error:
        why = f"{error.strerror or error}; the environment variable XDG_CACHE_HOME names another place"
        raise WavekeysError(f"{path}: cannot be unpacked into {cache} ({why})") from None
    return folder
