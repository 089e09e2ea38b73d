"""The presets that a player marked: their names, in `favourites.toml` beside the folder of the player's presets."""

from __future__ import annotations

import tomllib
from pathlib import Path

import tomli_w

from synth.atomic import replacing
from synth.bank.preset import user_folder
from synth.errors import WavekeysError

FORMAT_VERSION = 1


def favourites_file() -> Path:
    return user_folder().parent / "favourites.toml"


def read_favourites() -> frozenset[str]:
    """Names of the marked presets, none before the first is marked.

    Raises WavekeysError for a damaged file: it is never overwritten, because a person may still mend it.
    """
    path = favourites_file()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WavekeysError(f"{path}: not a readable list of favourites ({error}); mend or delete it") from None
    names = document.get("names")
    if document.get("format_version") != FORMAT_VERSION:
        raise WavekeysError(f"{path}: format_version must be {FORMAT_VERSION}; mend or delete it")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WavekeysError(f"{path}: names must be a list of presets' names; mend or delete it")
    return frozenset(names)


def mark_favourite(name: str, on: bool = True) -> None:
    """Put a preset's name among the favourites, or take it out."""
    before = read_favourites()
    after = before | {name} if on else before - {name}
    if after != before:
        document = {"format_version": FORMAT_VERSION, "names": sorted(after)}
        with replacing(favourites_file()) as partial:
            partial.write_text(tomli_w.dumps(document), encoding="utf-8")
