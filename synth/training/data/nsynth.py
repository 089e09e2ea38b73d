"""NSynth's dataset (Engel et al. 2017, section 3), as it is released: `examples.json` and `audio/`, or a TFRecord file.

A folder holds one split, or the folders `nsynth-train`, `nsynth-valid` and `nsynth-test`. Of those the first is trained
on; the second's instruments, none of which is in the first, are for validation; the third is left alone.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import WavekeysError
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
    if (path / "examples.json").is_file():
        return _folder_notes(path, data, rate_hz, held_out=False)
    parts = [
        _folder_notes(path / name, data, rate_hz, held_out=name == _VALID)
        for name in (_TRAIN, _VALID)
        if (path / name).exists()
    ]
    return NoteSource(
        where=str(path),
        at_most=sum(part.at_most for part in parts),
        read=lambda: itertools.chain.from_iterable(part.read() for part in parts),
    )


def _folder_notes(folder: Path, data: DataConfig, rate_hz: int, *, held_out: bool) -> NoteSource:
    path = folder / "examples.json"
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))
        wanted = {name: row for name, row in examples.items() if _wanted(row, data)}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WavekeysError(f"{path}: not NSynth's list of notes ({type(error).__name__}: {error})") from None

    def read() -> Iterator[Note | BadNote]:
        for name, row in wanted.items():
            file = folder / "audio" / f"{name}.wav"
            audio = functools.partial(read_recording, file, rate_hz, from_onset=False)
            yield _note(name, row, audio, held_out)

    return NoteSource(where=str(folder), at_most=len(wanted), read=read)


def _record_notes(path: Path, data: DataConfig, rate_hz: int) -> NoteSource:
    """As `_folder_notes`. The file is read twice: what it holds is not known before it was read."""

    def rows() -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            for record in read_records(path):
                row = features(record)
                for key in ("note_str", "instrument_str", "instrument_family_str", "instrument_source_str"):
                    row[key] = row[key][0].decode()
                row |= {key: int(row[key][0]) for key in ("pitch", "velocity")}
                if _wanted(row, data):
                    yield row["note_str"], row
        except (OSError, ValueError, LookupError) as error:
            raise WavekeysError(f"{path}: not NSynth's notes as TFRecord ({error})") from None

    def read() -> Iterator[Note | BadNote]:
        for name, row in rows():
            audio = functools.partial(_recorded, row, rate_hz)
            yield _note(name, row, audio, held_out=False)

    return NoteSource(where=str(path), at_most=sum(1 for _ in rows()), read=read)


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
