"""The one table of parameters. The MIDI map, presets and documentation are derived from it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from synth.errors import WavekeysError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameter:
    """One number that a player can set."""

    id: str
    low: float
    high: float
    default: float
    controller: int | None  # MIDI controller number that moves it from low (0) to high (127)
    meaning: str


PARAMETERS: dict[str, Parameter] = {
    parameter.id: parameter
    for parameter in (
        Parameter(id="gain_db", low=-60, high=24, default=0, controller=None, meaning="Output gain."),
        Parameter(id="volume", low=0, high=1, default=100 / 127, controller=7, meaning="Channel volume; squared."),
        Parameter(id="expression", low=0, high=1, default=1, controller=11, meaning="Expression; squared."),
        Parameter(
            id="attack_ms", low=1, high=10_000, default=2, controller=None, meaning="Fade-in over the embedded attack."
        ),
        Parameter(
            id="release_ms", low=5, high=10_000, default=150, controller=None, meaning="From note-off to -60 dB."
        ),
        Parameter(
            id="temperature",
            low=0,
            high=1.5,
            default=0.4,
            controller=None,
            meaning="0 is the likeliest sample, 1 draws as the model learnt.",
        ),
        Parameter(
            id="velocity_range_db",
            low=0,
            high=60,
            default=24,
            controller=None,
            meaning="Loudness of velocity 127 over velocity 1.",
        ),
        Parameter(
            id="bend_range_semitones", low=0, high=24, default=2, controller=None, meaning="Pitch bend at its ends."
        ),
        Parameter(id="tuning_a4_hz", low=400, high=480, default=440, controller=None, meaning="Pitch of A4."),
    )
}


def initial_values(overrides: Mapping[str, float]) -> dict[str, float]:
    """Every parameter's value, from its default or from a preset. Unknown names and values out of range are refused."""
    values = {parameter.id: float(parameter.default) for parameter in PARAMETERS.values()}
    for name, value in overrides.items():
        parameter = PARAMETERS.get(name)
        if parameter is None:
            raise WavekeysError(f"unknown parameter {name!r}; known: {', '.join(PARAMETERS)}")
        if not (math.isfinite(value) and parameter.low <= value <= parameter.high):
            raise WavekeysError(f"parameter {name!r} must be from {parameter.low} to {parameter.high}, not {value}")
        values[name] = float(value)
    return values
