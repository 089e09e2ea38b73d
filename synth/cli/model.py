"""What verbs share that need no preset but its model: the option `--model`, and pitches from the names of files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.errors import UsageError, WavekeysError
from synth.pitch import NAMED, note_number

if TYPE_CHECKING:
    from synth.wavenet import WaveNet

model_option = click.option(
    "--model",
    "model_name",
    default="factory",
    show_default=True,
    help="A model.safetensors, or the preset that has it.",
)

# NSynth's notes are named instrument-pitch-velocity: bass_electronic_018-036-100.
_NSYNTHS = re.compile(r"-(\d{3})-\d{3}$")


def chosen_model(name_or_path: str) -> WaveNet:
    """The model of that file, or of that preset."""
    from synth.bank import model_file
    from synth.wavenet import load_model

    return load_model(model_file(name_or_path))


def pitch_of(path: Path) -> float | None:
    """The MIDI pitch that a file's name tells: as NSynth's do, flute-060-100, or by a note's own name, flute_C4."""
    stem = path.stem.removesuffix("_embeddings")
    nsynths, named = _NSYNTHS.search(stem), list(NAMED.finditer(stem))
    told = nsynths[1] if nsynths else named[-1]["note"] if named else ""
    number = note_number(told)
    return None if number is None else float(number)


def require_pitch(path: Path, given: float | None) -> float:
    """The pitch that was given, or that the file's name tells. Raises UsageError where neither is, and WavekeysError
    for a file that is not there."""
    if not path.exists():
        raise WavekeysError(f"no file {path}")
    pitch = pitch_of(path) if given is None else given
    if pitch is None:
        raise UsageError(f"the name {path.name} tells no pitch: give --pitch, such as --pitch 60")
    return pitch
