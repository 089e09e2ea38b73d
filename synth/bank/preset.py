"""Presets: an instrument as a player chooses it. A folder with `preset.toml`, `bank.safetensors`, the model by hash."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import tomllib
from pathlib import Path
from typing import Any

import platformdirs

from synth.bank.bank import Bank, load_bank
from synth.errors import UsageError, WavekeysError
from synth.wavenet import WaveNet, load_model

FORMAT_VERSION = 1
FACTORY_DEFAULT = "factory"

# Key of preset.toml: its type. All are required.
_SCHEMA: dict[str, type] = {
    "format_version": int,
    "name": str,
    "author": str,
    "licence": str,
    "tags": list,
    "description": str,
    "blend": dict,
    "parameters": dict,
    "model": dict,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PresetInfo:
    """What `preset.toml` says."""

    name: str
    author: str
    licence: str
    tags: tuple[str, ...]
    description: str
    blend: dict[str, float]
    parameters: dict[str, float]
    model_sha256: str
    folder: Path
    factory: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """A preset with its bank and its model."""

    info: PresetInfo
    bank: Bank
    model: WaveNet


def factory_folder() -> Path:
    """The presets that come with the package."""
    import synth.presets

    return Path(next(iter(synth.presets.__path__)))


def user_folder() -> Path:
    """The user's own presets."""
    return Path(platformdirs.user_data_dir("wavekeys")) / "presets"


def list_presets() -> list[PresetInfo]:
    """Factory presets, then the user's, each by name."""
    found = []
    for root in (factory_folder(), user_folder()):
        found += [read_info(path.parent) for path in sorted(root.glob("*/preset.toml"))]
    return found


def find_preset(name_or_path: str | Path) -> Path:
    """The folder of a preset given by name or path."""
    path = Path(name_or_path)
    if (path / "preset.toml").is_file():
        return path
    for root in (user_folder(), factory_folder()):
        if path.name == str(name_or_path) and (root / path / "preset.toml").is_file():
            return root / path
    known = ", ".join(sorted({info.name for info in list_presets()}))
    raise UsageError(f"unknown preset {str(name_or_path)!r}; there are {known or 'none'}, or give a preset's folder")


def load_preset(name_or_path: str | Path = FACTORY_DEFAULT) -> Preset:
    """Read a preset, by name or by its folder's path."""
    info = read_info(find_preset(name_or_path))
    bank = load_bank(info.folder / "bank.safetensors")
    bank.weights(info.blend)
    model = _model(info)
    channels = model.config.embedding_channels
    if bank.embeddings.shape[-1] != channels:
        raise WavekeysError(f"{info.folder}: the bank has {bank.embeddings.shape[-1]} channels, its model {channels}")
    return Preset(info=info, bank=bank, model=model)


def read_info(folder: Path) -> PresetInfo:
    """Read and check `preset.toml`; unknown keys and wrong types are refused by name."""
    path = folder / "preset.toml"
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WavekeysError(f"{path}: not a readable preset ({error})") from None
    for key in document.keys() | _SCHEMA.keys():
        if key not in _SCHEMA:
            raise WavekeysError(f"{path}: unknown key {key!r}; known: {', '.join(_SCHEMA)}")
        if not isinstance(document.get(key), _SCHEMA[key]):
            raise WavekeysError(f"{path}: key {key!r} must be a {_SCHEMA[key].__name__}, not {document.get(key)!r}")
    if document["format_version"] != FORMAT_VERSION:
        raise WavekeysError(f"{path}: preset format {document['format_version']}, this wavekeys reads {FORMAT_VERSION}")
    for table in ("blend", "parameters"):
        for key, value in document[table].items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise WavekeysError(f"{path}: {table}.{key} must be a number, not {value!r}")
    if document["model"].keys() != {"sha256"}:
        raise WavekeysError(f"{path}: [model] must hold sha256 alone, not {', '.join(document['model']) or 'nothing'}")
    return PresetInfo(
        name=document["name"],
        author=document["author"],
        licence=document["licence"],
        tags=tuple(document["tags"]),
        description=document["description"],
        blend={name: float(weight) for name, weight in document["blend"].items()},
        parameters={name: float(value) for name, value in document["parameters"].items()},
        model_sha256=str(document["model"]["sha256"]),
        folder=folder,
        factory=folder.parent == factory_folder(),
    )


def _model(info: PresetInfo) -> WaveNet:
    for candidate in (
        info.folder / "model.safetensors",
        *(root / "models" / f"{info.model_sha256[:16]}.safetensors" for root in (info.folder.parent, factory_folder())),
    ):
        if candidate.is_file():
            return _checked_model(candidate, info.model_sha256)
    raise WavekeysError(f"{info.folder}: its model {info.model_sha256[:16]} is not here; put it beside preset.toml")


@functools.lru_cache(maxsize=4)
def _checked_model(path: Path, sha256: str) -> WaveNet:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        raise WavekeysError(f"{path}: its hash is {digest[:16]}, but the preset was made for {sha256[:16]}")
    return load_model(path)
