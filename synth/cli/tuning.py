"""The options `--scale` and `--keys`, shared by the verbs that play a preset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click


def tuning_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add both options to a command; `read_tuning` reads what they give."""
    for name, metavar, what in (
        ("--keys", "FILE.kbm", "A Scala keyboard mapping: which key has which degree and frequency."),
        ("--scale", "FILE.scl", "A Scala scale to play in."),
    ):
        command = click.option(name, type=click.Path(path_type=Path), metavar=metavar, help=what)(command)
    return command


def read_tuning(scale: Path | None, keys: Path | None) -> list[float | None] | None:
    """Each key's pitch, or None where neither option is given."""
    from synth.instrument.tuning import TWELVE_EQUAL, KeyboardMapping, key_semitones, read_mapping, read_scale

    if scale is None and keys is None:
        return None
    mapping = read_mapping(keys) if keys else KeyboardMapping()
    return key_semitones(read_scale(scale) if scale else TWELVE_EQUAL, mapping)
