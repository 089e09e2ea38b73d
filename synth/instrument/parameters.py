"""The one table of parameters. The MIDI map, presets, the implementation chart and the documentation derive from it."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING

from synth.errors import WavekeysError

if TYPE_CHECKING:
    from synth.bank import PresetInfo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameter:
    """One number that a player can set; with `choices`, the number of one of them."""

    id: str
    low: float
    high: float
    default: float
    meaning: str
    unit: str = ""
    controller: int | None = None  # MIDI controller that moves it from low (0) to high (127), unless another is learnt
    logarithmic: bool = False  # equal steps of the controller are equal ratios
    whole: bool = False  # no fractions
    choices: tuple[str, ...] = ()

    def at(self, fraction: float) -> float:
        """The value a fraction of the way from low to high."""
        if self.logarithmic:
            return self.low * (self.high / self.low) ** fraction
        value = self.low + (self.high - self.low) * fraction
        return self._rounded(value)

    def checked(self, value: float | str) -> float:
        """The value as a number. Raises WavekeysError for one that is out of range or no choice."""
        if isinstance(value, str):
            if value in self.choices:
                return float(self.choices.index(value))
            allowed = f"one of {', '.join(self.choices)}" if self.choices else "a number"
            raise WavekeysError(f"parameter {self.id!r} must be {allowed}, not {value!r}")
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise WavekeysError(f"parameter {self.id!r} must be a number, not {value!r}")
        if not (math.isfinite(value) and self.low <= value <= self.high):
            raise WavekeysError(f"parameter {self.id!r} must be from {self.low:g} to {self.high:g}, not {value:g}")
        return self._rounded(value)

    def _rounded(self, value: float) -> float:
        return float(round(value)) if self.whole or self.choices else float(value)

    def shown(self, value: float) -> str:
        """The value as a person reads it."""
        if self.choices:
            return self.choices[round(value)]
        return f"{value:.6g} {self.unit}".rstrip()


def _choice(identity: str, *choices: str, meaning: str, controller: int | None = None) -> Parameter:
    return Parameter(
        id=identity, low=0, high=len(choices) - 1, default=0, choices=choices, meaning=meaning, controller=controller
    )


PARAMETERS: dict[str, Parameter] = {
    parameter.id: parameter
    for parameter in (
        # Loudness
        Parameter(id="gain_db", low=-60, high=24, default=0, unit="dB", meaning="Output gain."),
        Parameter(
            id="velocity_range_db",
            low=0,
            high=60,
            default=24,
            unit="dB",
            meaning="Loudness of velocity 127 over velocity 1, as far as the bank's own velocities do not tell it.",
        ),
        Parameter(
            id="velocity_curve",
            low=-1,
            high=1,
            default=0,
            meaning="Answer to velocity: above 0 a light touch is louder, below 0 it takes a heavy one.",
        ),
        Parameter(
            id="pressure_gain_db", low=-24, high=24, default=0, unit="dB", meaning="Loudness added by full pressure."
        ),
        Parameter(id="pan_spread", low=-1, high=1, default=0, meaning="Low keys to one side, high ones to the other."),
        # Envelope
        Parameter(
            id="attack_ms",
            low=1,
            high=10_000,
            default=2,
            unit="ms",
            controller=73,
            logarithmic=True,
            meaning="Fade-in over the embedded attack.",
        ),
        Parameter(
            id="decay_ms",
            low=1,
            high=10_000,
            default=300,
            unit="ms",
            controller=75,
            logarithmic=True,
            meaning="From the attack's peak to within 1/1000 of the sustain level.",
        ),
        Parameter(
            id="sustain_level",
            low=0,
            high=1,
            default=1,
            meaning="Share of the peak that stays while a key is held; 1: the envelope as embedded.",
        ),
        Parameter(
            id="release_ms",
            low=5,
            high=10_000,
            default=150,
            unit="ms",
            controller=72,
            logarithmic=True,
            meaning="From note-off to -60 dB.",
        ),
        _choice(
            "release",
            "envelope",
            "embedded",
            meaning="How a note ends: it fades in release_ms, or goes on as its source did when the key was let go.",
        ),
        # Pitch
        Parameter(
            id="bend_range_semitones",
            low=0,
            high=48,
            default=2,
            unit="semitones",
            meaning="Pitch bend at its ends, until RPN 0 says otherwise.",
        ),
        Parameter(
            id="transpose",
            low=-36,
            high=36,
            default=0,
            unit="semitones",
            whole=True,
            meaning="Keys are moved by so much.",
        ),
        Parameter(id="fine_tune_cents", low=-100, high=100, default=0, unit="cents", meaning="Fine tuning."),
        Parameter(id="tuning_a4_hz", low=400, high=480, default=440, unit="Hz", meaning="Pitch of A4."),
        Parameter(
            id="vibrato_rate_hz",
            low=0.1,
            high=12,
            default=5.5,
            unit="Hz",
            controller=76,
            logarithmic=True,
            meaning="Vibrato's rate.",
        ),
        Parameter(
            id="vibrato_cents",
            low=0,
            high=200,
            default=0,
            unit="cents",
            controller=77,
            meaning="Vibrato that is always there.",
        ),
        Parameter(
            id="wheel_vibrato_cents",
            low=0,
            high=200,
            default=50,
            unit="cents",
            meaning="Vibrato added by the modulation wheel.",
        ),
        Parameter(
            id="pressure_vibrato_cents",
            low=0,
            high=200,
            default=0,
            unit="cents",
            meaning="Vibrato added by full pressure.",
        ),
        Parameter(
            id="own_vibrato", low=0, high=1, default=1, meaning="Share of the vibrato that the recorded notes have."
        ),
        Parameter(
            id="own_stretch",
            low=0,
            high=1,
            default=1,
            meaning="How far partials are off the pitch's multiples, of what those of the recorded notes are.",
        ),
        Parameter(
            id="own_tuning",
            low=0,
            high=1,
            default=1,
            meaning="Share of the recorded notes' own tuning, of which 10 cents at most are kept.",
        ),
        Parameter(
            id="own_tones",
            low=0,
            high=1,
            default=1,
            meaning="Level of the recorded notes' tones that are none of the pitch's partials, such as a bell's hum.",
        ),
        # Voices
        _choice(
            "mode",
            "poly",
            "mono",
            "legato",
            meaning="Many notes; one that begins anew; or one that goes on with the next key while one is held.",
        ),
        Parameter(
            id="glide_ms",
            low=0,
            high=5000,
            default=0,
            unit="ms",
            controller=5,
            meaning="From the last note's pitch to this one's.",
        ),
        Parameter(id="unison", low=1, high=4, default=1, whole=True, meaning="Voices a note."),
        Parameter(
            id="unison_detune_cents",
            low=0,
            high=100,
            default=10,
            unit="cents",
            meaning="From the lowest voice of a note to the highest.",
        ),
        Parameter(id="unison_width", low=0, high=1, default=0.5, meaning="How far apart a note's voices are heard."),
        # Sound
        Parameter(
            id="temperature", low=0, high=1.5, default=1.0, meaning="0 is the likeliest sample, 1 draws as learnt."
        ),
        Parameter(
            id="brightness",
            low=-12,
            high=12,
            default=0,
            unit="dB/octave",
            meaning="Tilt of the partials, their power unchanged; controller 74 adds to it, channel by channel.",
        ),
        Parameter(id="blend_x", low=0, high=1, default=0, controller=16, meaning="The pad: from left to right."),
        Parameter(id="blend_y", low=0, high=1, default=0, controller=17, meaning="The pad: from bottom to top."),
        Parameter(
            id="movement_hz",
            low=0.01,
            high=20,
            default=0.2,
            unit="Hz",
            logarithmic=True,
            meaning="Rate of the slow oscillator that modulations can follow.",
        ),
        # Embedding time
        Parameter(
            id="start_ms",
            low=0,
            high=2000,
            default=0,
            unit="ms",
            controller=18,
            meaning="Where in the embedded note a new note begins.",
        ),
        Parameter(
            id="speed", low=0, high=4, default=1, controller=19, meaning="Of the embedded note's time; 0 freezes it."
        ),
        _choice("direction", "forward", "backward", meaning="Of the embedded note's time."),
        _choice("hold", "loop", "freeze", meaning="A held note goes to and fro in its sustain, or stands still there."),
    )
}


def parameter_named(identity: str) -> Parameter:
    """A parameter of the table; what is none is refused by name."""
    if identity not in PARAMETERS:
        raise WavekeysError(f"unknown parameter {identity!r}; known: {', '.join(PARAMETERS)}")
    return PARAMETERS[identity]


def initial_values(overrides: Mapping[str, float | str]) -> dict[str, float]:
    """Every parameter's value, from its default or from a preset. Unknown names and values out of range are refused."""
    values = {parameter.id: float(parameter.default) for parameter in PARAMETERS.values()}
    for name, value in overrides.items():
        values[name] = parameter_named(name).checked(value)
    return values


def check_parameters(info: PresetInfo) -> None:
    """Refuse a preset, by its name, that has parameters which are none, or values that they cannot have."""
    try:
        initial_values(info.parameters)
    except WavekeysError as error:
        raise type(error)(f"preset {info.name!r}: {error}") from None


def stored_values(values: Mapping[str, float]) -> dict[str, float | str]:
    """What a preset has to say for `initial_values` to give these: those off their defaults, choices by their names."""
    stored: dict[str, float | str] = {}
    for name, value in values.items():
        parameter = PARAMETERS[name]
        if value != parameter.default:
            stored[name] = parameter.choices[round(value)] if parameter.choices else value
    return stored
