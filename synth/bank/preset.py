"""Presets: an instrument as a player chooses it. A folder with `preset.toml`; bank and model are there, or shared.

Or one file, see `synth.bank.archive`. What changes presets is in `synth.bank.library`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import os
import re
import string
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import tomli_w

from synth.bank.archive import SUFFIX, unpacked
from synth.bank.bank import Bank, load_bank
from synth.errors import UsageError, WavekeysError
from synth.wavenet import WaveNet, load_model

FORMAT_VERSION = 2
FACTORY_DEFAULT = "factory"

SOURCES = ("velocity", "key", "pressure", "wheel", "timbre", "movement")  # that a modulation can follow
CORNERS = ("bottom_left", "bottom_right", "top_left", "top_right")

NAME_CHARACTERS = 60  # of up to four bytes each: a file's name has at most 255 bytes
_FORBIDDEN = '/\\:*?"<>|'  # by one file system or another
_WITH_CHANNEL = re.compile(r"@\d+$")  # as `wavekeys play` takes it

MOST_ZONES = 64  # each may sound for a key that is struck
_LARGEST = float(np.finfo(np.float32).max)

# Key of preset.toml: its type.
_REQUIRED: dict[str, type] = {
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
_OPTIONAL: dict[str, type] = {"bank": dict, "pad": dict, "zones": list, "modulations": list}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Zone:
    """Keys and velocities that sound alike: a split, or a layer where zones overlap."""

    key_low: int = 0
    key_high: int = 127
    velocity_low: int = 1
    velocity_high: int = 127
    transpose: int = 0  # semitones
    gain_db: float = 0.0
    pan: float = 0.0  # -1 to 1
    blend: dict[str, float] | None = None  # None: the preset's

    def holds(self, key: int, velocity: int) -> bool:
        return self.key_low <= key <= self.key_high and self.velocity_low <= velocity <= self.velocity_high


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modulation:
    """The blend goes towards another one as `source` goes from `low` to `high` (all sources are 0 to 1)."""

    source: str
    blend: dict[str, float]
    amount: float = 1.0
    low: float = 0.0
    high: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PresetInfo:
    """What `preset.toml` says."""

    name: str
    author: str
    licence: str
    tags: tuple[str, ...]
    description: str
    blend: dict[str, float]
    parameters: dict[str, float | str]
    model_sha256: str
    bank_sha256: str | None = None  # of a bank that it shares with others
    pad: dict[str, str] | None = None  # corner: instrument
    zones: tuple[Zone, ...] = (Zone(),)
    modulations: tuple[Modulation, ...] = ()
    folder: Path
    factory: bool

    @property
    def plays(self) -> tuple[str, ...]:
        """The instruments that can be heard in it without a change of blend, of all that its bank has."""
        blends = [self.blend, *(zone.blend or {} for zone in self.zones), *(m.blend for m in self.modulations)]
        weighed = [name for blend in blends for name, weight in blend.items() if weight > 0]
        return tuple(dict.fromkeys([*weighed, *(self.pad or {}).values()]))

    def blended(self, blend: Mapping[str, float]) -> PresetInfo:
        """The same preset with this blend alone: pad, modulations and the zones' own blends give way to it.

        It sounds as an instrument does whose blend was set. What was said of the other blend does not hold of it.
        """
        zones = tuple(dataclasses.replace(zone, blend=None) for zone in self.zones)
        weights = {name: float(weight) for name, weight in blend.items()}
        names = ", ".join(name for name, weight in weights.items() if weight > 0)
        about: dict[str, Any] = {"description": f"{names.capitalize()}; made of {self.name}.", "tags": ()}
        return dataclasses.replace(self, blend=weights, pad=None, modulations=(), zones=zones, **about)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """A preset with its bank and its model."""

    info: PresetInfo
    bank: Bank
    model: WaveNet = dataclasses.field(repr=False)  # pages of layers
    digest: str = dataclasses.field(
        init=False
    )  # of `info`: known beforehand, for takes ask for it while they are played

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", digest_of(self.info))


def factory_folder() -> Path:
    """The presets that come with the package."""
    import synth.presets

    return Path(next(iter(synth.presets.__path__)))


def user_folder() -> Path:
    """The user's own presets."""
    return Path(platformdirs.user_data_dir("wavekeys")) / "presets"


def list_presets(damaged: Callable[[WavekeysError], None] | None = None) -> list[PresetInfo]:
    """Factory presets, then the user's, each by name.

    A preset that cannot be read raises its WavekeysError, or is left out and told to `damaged`.
    """
    found = []
    for root in (factory_folder(), user_folder()):
        for folder in preset_folders(root):
            try:
                found.append(read_info(folder))
            except WavekeysError as error:
                if damaged is None:
                    raise
                damaged(error)
    return found


def preset_folders(root: Path) -> list[Path]:
    """The folders in `root` that hold a preset, by name."""
    return [path.parent for path in sorted(root.glob("*/preset.toml")) if not path.parent.name.startswith(".")]


def find_preset(name_or_path: str | Path) -> Path:
    """The folder of a preset given by name or, where there is none of that name, by path.

    That of a `.wavekeys` file is in the user's cache.
    """
    path = Path(name_or_path)
    try:
        # A plain name is that of a preset, whatever folder of that name lies about.
        for root in (user_folder(), factory_folder()):
            if path.name == str(name_or_path) and (root / path / "preset.toml").is_file():
                return root / path
        if (path / "preset.toml").is_file():
            return path
        if path.suffix.lower() == SUFFIX and path.is_file():
            return unpacked(path)
    except (OSError, ValueError):
        pass  # too long for a path, or no path at all
    presets = list_presets(damaged=lambda _: None)
    for info in presets:
        if info.name == str(name_or_path):
            return info.folder
    if os.path.lexists(name_or_path):
        what = "a folder without preset.toml" if path.is_dir() else f"neither a preset's folder nor a {SUFFIX} file"
        raise UsageError(f"{path} is no preset: it is {what}")
    known = sorted({info.name for info in presets})
    near = difflib.get_close_matches(str(name_or_path), known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known) or 'none'}"
    raise UsageError(f"unknown preset {str(name_or_path)!r}; {hint}")


def load_preset(name_or_path: str | Path = FACTORY_DEFAULT) -> Preset:
    """Read a preset, by name or by the path of its folder or its `.wavekeys` file."""
    info = read_info(find_preset(name_or_path))
    bank = fitting_bank(info)
    model = _model(info)
    channels = model.config.embedding_channels
    if bank.embeddings.shape[-1] != channels:
        raise WavekeysError(f"{info.folder}: the bank has {bank.embeddings.shape[-1]} channels, its model {channels}")
    partials = bank.stretch.shape[-1]
    if partials not in (1, model.config.harmonics):
        raise WavekeysError(f"{info.folder}: the bank has {partials} partials, its model {model.config.harmonics}")
    return Preset(info=info, bank=bank, model=model)


def model_file(name_or_path: str | Path) -> Path:
    """The file of a model: given itself (`.safetensors`), or by the preset that plays it."""
    if Path(name_or_path).suffix == ".safetensors":
        return Path(name_or_path)
    info = read_info(find_preset(name_or_path))
    return file_of(info, "model", info.model_sha256)


def check_blends(info: PresetInfo, bank: Bank) -> None:
    """Refuse a preset that names instruments which its bank does not have, or weighs them wrongly."""
    blends = [info.blend, *(zone.blend for zone in info.zones), *(m.blend for m in info.modulations)]
    for blend in (*blends, *({name: 1.0} for name in (info.pad or {}).values())):
        if blend is not None:
            bank.weights(blend)


def fitting_bank(info: PresetInfo) -> Bank:
    """The bank of a preset that was read, and whose blends are checked against it."""
    bank = bank_of(info)
    try:
        check_blends(info, bank)
    except UsageError as error:
        raise WavekeysError(f"{info.folder / 'preset.toml'}: {error}") from None
    return bank


def read_info(folder: Path) -> PresetInfo:
    """Read and check `preset.toml`; unknown keys and wrong types are refused by name."""
    path = folder / "preset.toml"
    try:
        return parse_info(path.read_text(encoding="utf-8"), folder)
    except (OSError, UnicodeDecodeError) as error:
        raise WavekeysError(f"{path}: not a readable preset ({error})") from None


def parse_info(text: str, folder: Path) -> PresetInfo:
    """`read_info`, of the text that is to stand in that folder."""
    path = folder / "preset.toml"
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise WavekeysError(f"{path}: not a readable preset ({error})") from None
    known = _REQUIRED | _OPTIONAL
    for key in sorted(document.keys() | _REQUIRED.keys()):
        if key not in known:
            raise WavekeysError(f"{path}: unknown key {key!r}; known: {', '.join(known)}")
        if not isinstance(document.get(key), known[key]):
            raise WavekeysError(f"{path}: key {key!r} must be a {known[key].__name__}, not {document.get(key)!r}")
    if document["format_version"] != FORMAT_VERSION:
        raise WavekeysError(f"{path}: preset format {document['format_version']}, this wavekeys reads {FORMAT_VERSION}")
    _check_texts(document, path)
    _check_numbers(document["blend"], f"{path}: blend")
    choices = {key for key, value in document["parameters"].items() if isinstance(value, str)}
    _check_numbers({k: v for k, v in document["parameters"].items() if k not in choices}, f"{path}: parameters")
    pad = document.get("pad")
    if pad is not None and (pad.keys() != set(CORNERS) or not all(isinstance(name, str) for name in pad.values())):
        raise WavekeysError(f"{path}: [pad] must name an instrument for {', '.join(CORNERS)}")
    for table in ("model", "bank"):
        keys = document.get(table, {"sha256": ""}).keys()
        if keys != {"sha256"}:
            raise WavekeysError(f"{path}: [{table}] must hold sha256 alone, not {', '.join(keys) or 'nothing'}")
        sha256 = document.get(table, {"sha256": ""})["sha256"]
        if not isinstance(sha256, str) or not set(sha256) <= set(string.hexdigits):
            raise WavekeysError(f"{path}: [{table}] sha256 must be hexadecimal digits, not {sha256!r}")
    if len(document.get("zones", [])) > MOST_ZONES:
        raise WavekeysError(f"{path}: {len(document['zones'])} zones, {MOST_ZONES} are the most")
    return PresetInfo(
        name=document["name"],
        author=document["author"],
        licence=document["licence"],
        tags=tuple(document["tags"]),
        description=document["description"],
        blend={name: float(weight) for name, weight in document["blend"].items()},
        parameters=document["parameters"],
        model_sha256=document["model"]["sha256"],
        bank_sha256=document["bank"]["sha256"] if "bank" in document else None,
        pad=pad,
        zones=tuple(_zone(row, f"{path}: zones") for row in document.get("zones", [])) or (Zone(),),
        modulations=tuple(_modulation(row, f"{path}: modulations") for row in document.get("modulations", [])),
        folder=folder,
        factory=folder.parent == factory_folder(),
    )


def preset_text(info: PresetInfo) -> str:
    """What `preset.toml` says of a preset; `parse_info` reads it back."""
    document: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "name": info.name,
        "author": info.author,
        "licence": info.licence,
        "tags": list(info.tags),
        "description": info.description,
        "blend": dict(info.blend),
        "parameters": dict(info.parameters),
        "pad": info.pad,
        "zones": [_row(zone) for zone in info.zones] if info.zones != (Zone(),) else None,
        "modulations": [_row(modulation) for modulation in info.modulations] or None,
        "bank": {"sha256": info.bank_sha256} if info.bank_sha256 is not None else None,
        "model": {"sha256": info.model_sha256},
    }
    return tomli_w.dumps({key: value for key, value in document.items() if value is not None})


def digest_of(info: PresetInfo) -> str:
    """Of all in a preset that is heard: 16 hexadecimal digits."""
    heard = dataclasses.replace(info, author="", licence="", tags=(), description="")
    return hashlib.sha256(preset_text(heard).encode()).hexdigest()[:16]


def wrong_name(name: str) -> str:
    """What is wrong with a preset's name; empty if nothing is."""
    why = ""
    if not 1 <= len(name) <= NAME_CHARACTERS or not name.isprintable() or set(name) & set(_FORBIDDEN):
        why = f"a preset's name has 1 to {NAME_CHARACTERS} printable characters, none of {_FORBIDDEN}"
    elif name.startswith("-") or name != name.strip(" .") or name.lower().endswith(SUFFIX):
        why = "it may not begin like an option, begin or end with a dot or a space, or end like a file"
    elif _WITH_CHANNEL.search(name):
        why = "a number behind an @ is a MIDI channel to `wavekeys play`"
    return f"{name!r} cannot be a name: {why}" if why else ""


def _row(value: Any) -> dict[str, Any]:
    """A zone or a modulation, without what is left at its default."""
    defaults = {field.name: field.default for field in dataclasses.fields(value)}
    return {name: getattr(value, name) for name, default in defaults.items() if getattr(value, name) != default}


def _check_texts(document: dict[str, Any], path: Path) -> None:
    """Refuse what would move a terminal's cursor or worse: presets come from anywhere."""
    if not all(isinstance(tag, str) for tag in document["tags"]):
        raise WavekeysError(f"{path}: tags must be texts, not {document['tags']!r}")
    texts = [(key, document[key]) for key in ("name", "author")]
    texts += [("tags", tag) for tag in document["tags"]]
    for key in ("licence", "description"):  # these may have lines
        texts += [(key, line) for line in document[key].replace("\t", " ").split("\n")]
    for key, text in texts:
        if not text.isprintable():
            raise WavekeysError(f"{path}: {key} must be printable text, not {text!r}")
    if wrong := wrong_name(document["name"]):
        raise WavekeysError(f"{path}: {wrong}")


def _check_numbers(table: dict[str, Any], where: str) -> None:
    for key, value in table.items():
        # Not `isfinite`: TOML has whole numbers that no float can hold.
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
            raise WavekeysError(f"{where}.{key} must be a number, not {value!r}")


def _zone(row: Any, where: str) -> Zone:
    fields = _fields(Zone, row, where)
    zone = Zone(**fields)
    if not (0 <= zone.key_low <= zone.key_high <= 127 and 1 <= zone.velocity_low <= zone.velocity_high <= 127):
        raise WavekeysError(f"{where}: keys must go up from 0 to 127, velocities from 1 to 127")
    if not (-60 <= zone.gain_db <= 24 and -1 <= zone.pan <= 1 and abs(zone.transpose) <= 48):
        raise WavekeysError(f"{where}: gain_db is from -60 to 24, pan from -1 to 1, transpose from -48 to 48")
    return zone


def _modulation(row: Any, where: str) -> Modulation:
    fields = _fields(Modulation, row, where)
    if fields.get("source") not in SOURCES or "blend" not in fields:
        raise WavekeysError(f"{where}: each needs a blend and a source, one of {', '.join(SOURCES)}")
    modulation = Modulation(**fields)
    if not (0 <= modulation.amount <= 1 and modulation.low != modulation.high):
        raise WavekeysError(f"{where}: amount is from 0 to 1, and low differs from high")
    return modulation


def _fields(kind: type, row: Any, where: str) -> dict[str, Any]:
    """A table's values for a dataclass. Unknown keys and what is not a number are refused by name."""
    if not isinstance(row, dict):
        raise WavekeysError(f"{where} must be tables, not {row!r}")
    known = {field.name: field.type for field in dataclasses.fields(kind)}
    for key, value in row.items():
        if key not in known:
            raise WavekeysError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
        if key == "blend":
            if not isinstance(value, dict):
                raise WavekeysError(f"{where}: blend must be a table, not {value!r}")
            _check_numbers(value, f"{where}: blend")
        elif key == "source":
            pass
        elif known[key] == "int" and (isinstance(value, bool) or not isinstance(value, int)):
            raise WavekeysError(f"{where}: {key} must be a whole number, not {value!r}")
        else:
            _check_numbers({key: value}, where)
    return row


def bank_of(info: PresetInfo) -> Bank:
    """A preset's bank, without its model."""
    path = file_of(info, "bank", info.bank_sha256)
    return load_bank(path) if info.bank_sha256 is None else _checked_bank(path, info.bank_sha256)


def _model(info: PresetInfo) -> WaveNet:
    return _checked_model(file_of(info, "model", info.model_sha256), info.model_sha256)


def file_of(info: PresetInfo, kind: str, sha256: str | None) -> Path:
    """Where a preset's bank or model lies.

    By its hash in the folder `kinds` that presets beside it share, or in the factory's, else as its own
    `kind.safetensors`. In this order, so that an own file is never taken for the shared one that replaced it.
    """
    shared = [shared_file(root, kind, sha256) for root in (info.folder.parent, factory_folder()) if sha256 is not None]
    for candidate in (*shared, info.folder / f"{kind}.safetensors"):
        if candidate.is_file():
            return candidate
    raise WavekeysError(f"{info.folder}: its {kind} {(sha256 or '')[:16]} is not here; put it beside preset.toml")


def shared_file(root: Path, kind: str, sha256: str) -> Path:
    """Where the presets in `root` share a bank or a model."""
    return root / f"{kind}s" / f"{sha256[:16]}.safetensors"


@functools.lru_cache(maxsize=4)
def _checked_bank(path: Path, sha256: str) -> Bank:
    _check_hash(path, sha256)
    return load_bank(path)


@functools.lru_cache(maxsize=4)
def _checked_model(path: Path, sha256: str) -> WaveNet:
    _check_hash(path, sha256)
    return load_model(path)


def _check_hash(path: Path, sha256: str) -> None:
    digest = sha256_of(path)
    if digest != sha256:
        raise WavekeysError(f"{path}: its hash is {digest[:16]}, but the preset was made for {sha256[:16]}")


def sha256_of(path: Path) -> str:
    """A file's hash, in hexadecimal digits."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WavekeysError(f"{path}: cannot be read ({error.strerror})") from None
