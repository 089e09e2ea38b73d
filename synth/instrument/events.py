"""What an instrument obeys beside MIDI: events like MIDI's, at an offset inside a block."""

from __future__ import annotations

from collections.abc import Mapping
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


class SavedAs(NamedTuple):
    """What it plays is this preset from now on; no note hears of it."""

    info: PresetInfo


Command = Set | SetBlend | Load | Learn | SavedAs
Event = tuple[int, mido.Message | Command]

# All sound off, pedals up, controllers at rest, on every channel: what a panic key sends.
PANIC = tuple(
    mido.Message("control_change", channel=channel, control=control) for channel in range(16) for control in (120, 121)
)
