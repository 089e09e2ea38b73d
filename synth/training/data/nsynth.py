"""NSynth's dataset (Engel et al. 2017, section 3), as it is released: `examples.json` and `audio/`, or a TFRecord file.

A folder holds one split, or the folders `nsynth-train`, `nsynth-valid` and `nsynth-test`. Of those the first is trained
on; the second's instruments, none of which is in the first, are for validation; the third is left alone.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import UsageError, WavekeysError
from synth.training.config import DataConfig
from synth.training.data.note import BadNote, Note, NoteSource, as_note, read_recording
from synth.training.data.records import features, read_records

FAMILIES = ("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth_lead", "vocal")
ORIGINS = ("acoustic", "electronic", "synthetic")
QUALITIES = (
    "bright",
    "dark",
    "distortion",
    "fast_decay",
    "long_release",
    "multiphonic",
    "nonlinear_env",
    "percussive",
    "reverb",
    "tempo-synced",
)
NOISE = "brass_acoustic_046"  # 71 notes of the test split are noise (magenta issue 2092)
RATE_HZ = 16_000
_TRAIN, _VALID = "nsynth-train", "nsynth-valid"


def is_nsynth(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("examples.json", _TRAIN, _VALID))


def nsynth_notes(path: Path, data: DataConfig, rate_hz: int) -> NoteSource:
    """The notes of a split, of all splits, or of a TFRecord file."""
    for field, allowed in (("families", FAMILIES), ("origins", ORIGINS), ("without", QUALITIES)):
        for given in getattr(data, field):
            if given not in allowed:
                raise WavekeysError(f"[data] {field}: {given!r} is none of NSynth's {', '.join(allowed)}")
    if path.is_file():
        return _record_notes(path, data, rate_hz)
    splits = [path] if (path / "examples.json").is_file() else [path / _TRAIN, path / _VALID]
    lists = {split: _listed(split / "examples.json", data) for split in splits if split.exists()}
    _check_only(path, data, {instrument for there, _ in lists.values() for instrument in there})

    def read() -> Iterator[Note | BadNote]:
        for split, (_, wanted) in lists.items():
            for name, row in wanted.items():
                audio = functools.partial(read_recording, split / "audio" / f"{name}.wav", rate_hz, from_onset=False)
                yield _note(name, row, audio, held_out=split == path / _VALID)

    return NoteSource(where=str(path), at_most=sum(len(wanted) for _, wanted in lists.values()), read=read)


def _listed(path: Path, data: DataConfig) -> tuple[set[str], dict[str, dict[str, Any]]]:
    """The instruments of a split's list, and its rows by the notes' names, of those that are asked for."""
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))
        wanted = {name: row for name, row in examples.items() if _wanted(row, data)}
        return {row["instrument_str"] for row in examples.values()}, wanted
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WavekeysError(f"{path}: not NSynth's list of notes ({type(error).__name__}: {error})") from None


def _check_only(path: Path, data: DataConfig, there: set[str]) -> None:
    if missing := sorted(set(data.only) - there):
        known = f"there are {len(there)}, such as {min(there)}" if there else "its list is empty"
        raise UsageError(f"{path}: no instrument {missing[0]!r}; {known}")


def _record_notes(path: Path, data: DataConfig, rate_hz: int) -> NoteSource:
    """The file is read twice: what it holds is not known before it was read."""

    def rows() -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            for record in read_records(path):
                row = features(record)
                for key in ("note_str", "instrument_str", "instrument_family_str", "instrument_source_str"):
                    row[key] = row[key][0].decode()
                row |= {key: int(row[key][0]) for key in ("pitch", "velocity")}
                yield row["note_str"], row
        except (OSError, ValueError, LookupError) as error:
            raise WavekeysError(f"{path}: not NSynth's notes as TFRecord ({error})") from None

    def read() -> Iterator[Note | BadNote]:
        for name, row in rows():
            if _wanted(row, data):
                yield _note(name, row, functools.partial(_recorded, row, rate_hz), held_out=False)

    there, at_most = set(), 0
    for _, row in rows():
        there.add(row["instrument_str"])
        at_most += _wanted(row, data)
    _check_only(path, data, there)
    return NoteSource(where=str(path), at_most=at_most, read=read)


def _recorded(row: dict[str, Any], rate_hz: int) -> np.ndarray:
    """The sound that a row brings along. Raises ValueError if it is none."""
    return as_note(np.array(row.get("audio", []), np.float32)[:, None], RATE_HZ, rate_hz, from_onset=False)


def _note(name: str, row: dict[str, Any], audio: Callable[[], np.ndarray], held_out: bool) -> Note | BadNote:
    if row["instrument_str"] == NOISE:
        return BadNote(name, "noise in NSynth itself (magenta issue 2092)")
    if not (0 <= int(row["pitch"]) <= 127 and 1 <= int(row["velocity"]) <= 127):
        return BadNote(name, f"pitch {row['pitch']}, velocity {row['velocity']}: beyond MIDI's")
    try:
        return Note(row["instrument_str"], int(row["pitch"]), int(row["velocity"]), audio(), held_out)
    except ValueError as error:
        return BadNote(name, str(error))


def _wanted(row: dict[str, Any], data: DataConfig) -> bool:
    """Whether a config asks for a note."""
    qualities = {QUALITIES[i] for i, has in enumerate(row["qualities"]) if has}
    return (
        data.takes(row["instrument_str"], row["pitch"], row["velocity"])
        and (not data.families or row["instrument_family_str"] in data.families)
        and (not data.origins or row["instrument_source_str"] in data.origins)
        and not qualities & set(data.without)
    )
