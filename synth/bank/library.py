"""The user's presets: save, rename, delete, export, import, search.

What comes with the package is read-only. A preset of the user's is a folder that holds `preset.toml`. Its bank and its
model lie beside it in `banks/` and `models/`, by their hashes, those of the package too: its next version may come with
others. So a preset is replaced by replacing one small file, and at no moment is it half written: a crash leaves the old
one or the new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from synth.atomic import replacing
from synth.bank import archive
from synth.bank.bank import load_bank
from synth.bank.favourites import mark_favourite, read_favourites
from synth.bank.preset import (
    NAME_CHARACTERS,
    PresetInfo,
    check_blends,
    factory_folder,
    file_of,
    list_presets,
    load_preset,
    parse_info,
    preset_folders,
    preset_text,
    read_info,
    sha256_of,
    shared_file,
    user_folder,
    wrong_name,
)
from synth.errors import UsageError, WavekeysError

_DEVICES = ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
_RESERVED = ("banks", "models", *_DEVICES)  # folders among the presets, and what Windows does not let be one
_KINDS = ("bank", "model")


def checked_name(name: str) -> str:
    """A name that a user's preset may have, in Unicode's composed form. Raises UsageError, which says what is wrong."""
    name = unicodedata.normalize("NFC", name)
    if wrong := wrong_name(name):
        raise UsageError(wrong)
    if name.casefold() in _RESERVED:
        raise UsageError(f"{name!r} cannot be a name: a folder among the presets, or a device of Windows, is called so")
    if name.casefold() in {folder.name.casefold() for folder in preset_folders(factory_folder())}:
        raise UsageError(f"{name!r} is a factory preset, which is read-only; choose another name")
    return name


def save_preset(info: PresetInfo, *, name: str, overwrite: bool = False) -> PresetInfo:
    """Write a preset of the user's; returns what it is now.

    Args:
      info: what it says, as a rule `dataclasses.replace` of another preset's; bank and model are found by its `folder`.
      name: its name; no factory preset's, and only with `overwrite` one that is there already.

    Raises UsageError for a name that cannot be, and WavekeysError for one that is taken, for anything that
    `load_preset` would refuse in `preset.toml`, or where files cannot be written. What was there stays then.
    """
    name = checked_name(name)
    there = _folder(name)
    if there is not None and not overwrite:
        raise WavekeysError(f"there is a preset {name!r} already; choose another name, or overwrite it with --force")
    folder = there or user_folder() / name
    former = None
    if there is not None:
        with contextlib.suppress(WavekeysError):
            former = read_info(there)
    info, files = _whole(dataclasses.replace(info, name=name))
    data = _checked_bytes(info, folder)
    check_blends(info, load_bank(files["bank"]))
    hashes = _hashes(info)
    for kind, source in files.items():
        _share(source, kind, hashes[kind], root=folder.parent)
    _write(folder, data)
    for kind in _KINDS:  # of an older version; `file_of` looks among the shared ones first
        with contextlib.suppress(OSError):
            (folder / f"{kind}.safetensors").unlink(missing_ok=True)
    if former is not None:
        with contextlib.suppress(OSError):
            _forget(former)
    return read_info(folder)


def own_name(info: PresetInfo) -> str:
    """What a preset may be saved as: its own name where it is the user's, else that with a number that is free."""
    if _folder(info.name) == info.folder:
        return info.name
    folders = {folder.name for root in (factory_folder(), user_folder()) for folder in preset_folders(root)}
    inside = {other.name for other in list_presets(damaged=lambda _: None)}
    taken = {name.casefold() for name in folders | inside}
    stem = info.name[: NAME_CHARACTERS - len(" 1000")]
    names = (f"{stem} {number}" for number in itertools.count(2))
    return next(name for name in names if name.casefold() not in taken)


def rename_preset(old: str, new: str) -> PresetInfo:
    """Give a preset of the user's another name; it stays among the favourites if it was there.

    Raises UsageError for a factory preset, an unknown one, or a name that cannot be, WavekeysError for a name that is
    taken.
    """
    folder = _own(old)
    new = checked_name(new)
    if _folder(new) not in (None, folder):
        raise WavekeysError(f"there is a preset {new!r} already; choose another name, or delete that one first")
    info = read_info(folder)
    data = _checked_bytes(dataclasses.replace(info, name=new), folder)
    favourite = info.name in read_favourites()
    target = folder.with_name(new)
    try:
        folder.rename(target)
    except OSError as error:
        raise WavekeysError(f"cannot rename {folder}: {error.strerror or error}") from None
    try:
        _write(target, data)
    except WavekeysError:
        target.rename(folder)
        raise
    if favourite:
        mark_favourite(info.name, False)
        mark_favourite(new)
    return read_info(target)


def delete_preset(name: str) -> None:
    """Delete a preset of the user's, and its bank and model where no other preset needs them.

    Other files that someone put into its folder stay. Raises UsageError for a factory preset or an unknown one.
    """
    folder = _own(name)
    try:
        info = read_info(folder)
    except WavekeysError:
        info = None  # damaged: all the more reason to delete it
    name = folder.name if info is None else info.name
    favourites = read_favourites()  # before anything is gone: a damaged list stops this
    try:
        (folder / "preset.toml").unlink()  # from here on it is no preset
        for kind in _KINDS:
            (folder / f"{kind}.safetensors").unlink(missing_ok=True)
        if info is not None:
            _forget(info)
    except OSError as error:
        raise WavekeysError(f"cannot delete {folder}: {error.strerror or error}") from None
    with contextlib.suppress(OSError):
        folder.rmdir()  # unless something else lies in it
    if name in favourites:
        mark_favourite(name, False)


def export_preset(
    name_or_path: str | Path,
    path: Path,
    *,
    overwrite: bool = False,
    check: Callable[[PresetInfo], None] = lambda _: None,
) -> PresetInfo:
    """Write a preset as one `.wavekeys` file, byte for byte the same every time; returns what it holds.

    Raises UsageError for a path that does not end so, WavekeysError for a file that is there (but for `overwrite`), and
    for a preset that `import_preset` would refuse; nor is one written that `check` refuses by raising.
    """
    if path.suffix.lower() != archive.SUFFIX:
        raise UsageError(f"{path}: a preset's file ends in {archive.SUFFIX}; name it {path.stem}{archive.SUFFIX}")
    if path.is_dir():
        raise WavekeysError(f"cannot write {path}: it is a folder")
    info, files = _whole(load_preset(name_or_path).info)
    check(info)
    data = _checked_bytes(info, info.folder)
    if path.exists() and not overwrite:
        raise WavekeysError(f"{path} is there already; choose another name, or overwrite it with --force")
    archive.pack(path, {"preset.toml": data, **{f"{kind}.safetensors": file for kind, file in files.items()}})
    return info


def import_preset(
    path: Path,
    *,
    name: str | None = None,
    overwrite: bool = False,
    check: Callable[[PresetInfo], None] = lambda _: None,
) -> PresetInfo:
    """Take a `.wavekeys` file among the user's presets, under its own name or another; returns what it is now.

    It is read as a whole first, hashes, bank and model too: what `load_preset` would refuse is not imported, and
    nothing of it stays; nor is what `check` refuses by raising. Raises what `save_preset` raises.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="wavekeys-") as partial:
            folder = Path(partial)
            archive.unpack(path, folder)
            try:
                info = load_preset(folder).info
                check(info)
                return save_preset(info, name=info.name if name is None else name, overwrite=overwrite)
            except WavekeysError as error:
                raise type(error)(str(error).replace(str(folder), str(path))) from None
    except OSError as error:
        raise WavekeysError(f"cannot unpack {path}: {error.strerror or error}") from None


def search(presets: Iterable[PresetInfo], text: str = "", *, tags: Iterable[str] = ()) -> list[PresetInfo]:
    """The presets that have all these tags, and every word of `text` in name, tags, description or what they play.

    Upper and lower case are the same.
    """
    words = text.casefold().split()
    wanted = {tag.casefold() for tag in tags}

    def matches(info: PresetInfo) -> bool:
        if not wanted <= {tag.casefold() for tag in info.tags}:
            return False
        said = [info.name, *info.tags, info.description, *info.plays]
        return all(word in "\n".join(said).casefold() for word in words)

    return [info for info in presets if matches(info)]


def _folder(name: str) -> Path | None:
    """The folder of the user's preset of that name, by its own name or by what `preset.toml` says.

    As a last resort in capitals or not: to some file systems names are the same that differ in that alone.
    """
    folders = preset_folders(user_folder())
    names = [(folder.name, folder) for folder in folders]
    for folder in folders:
        with contextlib.suppress(WavekeysError):
            names.append((read_info(folder).name, folder))
    exact = (folder for known, folder in names if known == name)
    alike = (folder for known, folder in names if known.casefold() == name.casefold())
    return next(itertools.chain(exact, alike), None)


def _own(name: str) -> Path:
    """The folder of a preset of the user's, for changing it."""
    folder = _folder(unicodedata.normalize("NFC", name))
    if folder is not None:
        return folder
    if name in {folder.name for folder in preset_folders(factory_folder())}:
        raise UsageError(
            f"{name!r} is a factory preset, which is read-only; save it under another name and change that"
        )
    own = [info.name for info in list_presets(damaged=lambda _: None) if not info.factory]
    raise UsageError(f"no preset of your own is called {name!r}; there are {', '.join(own) or 'none'}")


def _whole(info: PresetInfo) -> tuple[PresetInfo, dict[str, Path]]:
    """A preset that gives its bank's hash too, and where its bank and model lie. Both hashes are checked."""
    files = {"bank": file_of(info, "bank", info.bank_sha256), "model": file_of(info, "model", info.model_sha256)}
    found = {kind: sha256_of(file) for kind, file in files.items()}
    whole = dataclasses.replace(info, bank_sha256=info.bank_sha256 or found["bank"])
    for kind, sha256 in _hashes(whole).items():
        if found[kind] != sha256:
            raise WavekeysError(f"{files[kind]}: its hash is {found[kind][:16]}, the preset was made for {sha256[:16]}")
    return whole, files


def check_files(info: PresetInfo) -> None:
    """Raise WavekeysError where a preset's bank or model is not there, or is another than it was made for."""
    _whole(info)


def _hashes(info: PresetInfo) -> dict[str, str]:
    return {"bank": info.bank_sha256 or "", "model": info.model_sha256}


def _checked_bytes(info: PresetInfo, folder: Path) -> bytes:
    """What is to stand in `preset.toml`; refused if it could not be read again."""
    try:
        data = preset_text(info).encode()
    except UnicodeEncodeError:
        raise UsageError(f"preset {info.name!r}: its texts must be Unicode") from None
    parse_info(data.decode(), folder)
    return data


def _share(source: Path, kind: str, sha256: str, *, root: Path) -> None:
    """See that the presets in `root` find this file by its hash."""
    target = shared_file(root, kind, sha256)
    if not (target.is_file() and sha256_of(target) == sha256):
        with replacing(target) as partial:
            shutil.copyfile(source, partial)


def _write(folder: Path, data: bytes) -> None:
    is_new = not folder.exists()
    try:
        with replacing(folder / "preset.toml") as partial:
            partial.write_bytes(data)
    except WavekeysError:
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _forget(info: PresetInfo) -> None:
    """Delete a former preset's bank and model, unless a preset of the user's needs them or cannot be read."""
    root = info.folder.parent
    try:
        others = [_hashes(read_info(folder)) for folder in preset_folders(root)]
    except WavekeysError:
        return
    for kind, sha256 in _hashes(info).items():
        if sha256 and all(other[kind] != sha256 for other in others):
            shared_file(root, kind, sha256).unlink(missing_ok=True)
