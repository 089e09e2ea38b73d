"""Which source a path or a config names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synth.errors import UsageError
from synth.training.config import DataConfig
from synth.training.data.folder import folder_notes
from synth.training.data.note import SILENT, BadNote, Note, NoteSource
from synth.training.data.nsynth import is_nsynth, nsynth_notes
from synth.training.soundfont import render_notes

SOUNDFONT, NSYNTH, FOLDER = "a SoundFont", "NSynth's dataset", "a folder of notes"
_CHOICES = {SOUNDFONT: ("instruments",), NSYNTH: ("only", "families", "origins", "without"), FOLDER: ("only",)}
"""What of `[data]` chooses among the instruments of each."""


def kind_of(path: Path) -> str:
    """`SOUNDFONT`, `NSYNTH` or `FOLDER`."""
    if path.is_file() and path.suffix.lower() in (".sf2", ".sf3"):
        return SOUNDFONT
    if path.is_dir():
        return NSYNTH if is_nsynth(path) else FOLDER
    if path.is_file() and ".tfrecord" in path.name:
        return NSYNTH
    what = "it is not there" if not path.exists() else "it is none of them"
    raise UsageError(f"{path}: give a folder of notes, NSynth's folder or .tfrecord file, or a .sf2 file; {what}")


def open_notes(data: DataConfig, rate_hz: int) -> NoteSource:
    """The notes that a config names: those of `notes` where it is given, else those of its SoundFont."""
    path = Path(data.notes or data.soundfont).expanduser()
    kind = kind_of(path) if data.notes else SOUNDFONT
    for choice in itertools.chain.from_iterable(_CHOICES.values()):
        if getattr(data, choice) and choice not in _CHOICES[kind]:
            raise UsageError(f"[data] {choice}: of {kind} ({path}) one asks by {', '.join(_CHOICES[kind])}")
    if kind == SOUNDFONT:
        return _rendered_notes(path, data, rate_hz)
    return (nsynth_notes if kind == NSYNTH else folder_notes)(path, data, rate_hz)


def _rendered_notes(soundfont: Path, data: DataConfig, rate_hz: int) -> NoteSource:
    if not data.instruments:
        raise UsageError(
            "[data]: give notes, a folder of them, or [data.instruments], such as piano = 0 (its General MIDI program)"
        )

    def read() -> Iterator[Note | BadNote]:
        for name, program in data.instruments.items():
            for velocity in data.velocities:
                rendered = render_notes(soundfont, program, data.pitches, velocity, sample_rate_hz=rate_hz)
                for pitch, audio in zip(data.pitches, rendered, strict=True):
                    if np.abs(audio).max() >= SILENT:
                        yield Note(name, pitch, velocity, audio)
                    else:
                        yield BadNote(f"{name}, pitch {pitch}, velocity {velocity}", "silent in this SoundFont")

    count = len(data.instruments) * len(data.velocities) * len(data.pitches)
    return NoteSource(where=str(soundfont), at_most=count, read=read)
