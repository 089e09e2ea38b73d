"""What controllers and parameters ask of a note."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from synth.instrument.dials import Dials
from synth.instrument.ramp import Times
from synth.instrument.voice import Touch, Voice

TIMBRE_DB = 12.0  # an octave, added to the brightness by controller 74 at its end

Value = float | np.ndarray


class Course(NamedTuple):
    """At one time, or over a block: [T], or one number where it stands still."""

    semitones: Value  # tuning and bends
    vibrato_cents: Value
    tilt_db: Value  # an octave
    decibels: Value
    volume: Value
    pan: Value
    stands_still: bool  # it is the same at all later times, until an event moves it


def course_of(voice: Voice, times: Times, common: dict[Hashable, Course]) -> Course:
    """A voice's. `common`: what was found at these times, by what it depends on; for the next voice."""
    if len(voice.touch.parts) == 1:
        return _of_touch(voice.dials, voice.touch.target, times, common)

    def mixed(field: int) -> Value:
        return voice.touch.over(times, lambda touch, times: _of_touch(voice.dials, touch, times, common)[field])

    return _complete(*map(mixed, range(len(Course._fields) - 1)))


def _of_touch(dials: Dials, touch: Touch, times: Times, common: dict[Hashable, Course]) -> Course:
    pressed = touch.key if any(touch.key in channel.key_pressure for channel in touch.channels) else None
    key = dials, touch.channels, touch.ranges, pressed
    if key not in common:
        pressure = touch.pressure(times)
        by_wheel, by_pressure = dials.over("wheel_vibrato_cents", times), dials.over("pressure_vibrato_cents", times)
        common[key] = _complete(
            _tuning(dials, times) + touch.semitones(times),
            dials.over("vibrato_cents", times) + by_wheel * touch.wheel(times) + by_pressure * pressure,
            dials.over("brightness", times) + TIMBRE_DB * touch.brightness(times),
            dials.over("gain_db", times) + dials.over("pressure_gain_db", times) * pressure,
            touch.volume(times),
            touch.pan(times),
        )
    return common[key]


def _complete(*values: Value) -> Course:
    return Course._make((*values, all(isinstance(value, float) for value in values)))


def _tuning(dials: Dials, times: Times) -> Value:
    """What is added to the pitch of all notes, in semitones."""
    a4_hz = dials.over("tuning_a4_hz", times)
    tuning = 12.0 * (math.log2(a4_hz / 440.0) if isinstance(a4_hz, float) else np.log2(a4_hz / 440.0))
    return tuning + 0.01 * dials.over("fine_tune_cents", times)
