"""What an instrument obeys beside MIDI: events like MIDI's, at an offset inside a block."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import mido

from synth.bank import Preset, PresetInfo


class Set(NamedTuple):
    """Gives a parameter a value."""

    parameter: str
    value: float | str


class SetBlend(NamedTuple):
    """Blends the instruments by these weights; None: as the preset does."""

    blend: Mapping[str, float] | None


class Load(NamedTuple):
    """Plays another preset of the same model."""

    preset: Preset


class Learn(NamedTuple):
    """Lets the next controller that is moved move this parameter from then on; None: never mind."""

    parameter: str | None


class Forget(NamedTuple):
    """Lets this parameter be moved as before anything was learnt."""

    parameter: str


class Describe(NamedTuple):
    """Adds to `answers` the preset that plays and what it plays now, once all that was sent before has been obeyed."""

    answers: deque[tuple[PresetInfo, PresetInfo]]


class SavedAs(NamedTuple):
    """What it plays is this preset from now on, if it still plays the former; no note hears of it."""

    former: PresetInfo | str  # a take knows but its name
    info: PresetInfo


class Renew(NamedTuple):
    """Program changes that chose a preset of this name choose this from now on: it was saved."""

    info: PresetInfo


class Resume(NamedTuple):
    """Brings the channels to where these messages have them, whatever controllers have learnt."""

    messages: Sequence[mido.Message]


Command = Set | SetBlend | Load | Learn | Forget | Describe | SavedAs | Renew | Resume
Event = tuple[int, mido.Message | Command]

ALL_SOUND_OFF, RESET_CONTROLLERS = 120, 121

# All sound off, pedals up, controllers at rest, on every channel: what a panic key sends.
PANIC = tuple(
    mido.Message("control_change", channel=channel, control=control)
    for channel in range(16)
    for control in (ALL_SOUND_OFF, RESET_CONTROLLERS)
)
