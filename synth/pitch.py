"""Keys and frequencies in equal temperament."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

HIGHEST_PARTIAL = 0.47  # of the sample rate: partials, and tones beside them, that are higher are silent

Number = TypeVar("Number", float, np.ndarray)


def midi_to_hertz(number: Number) -> Number:
    """The frequency of a MIDI number, which may have a fraction: 69 is 440 Hz."""
    return 440.0 * 2.0 ** ((number - 69) / 12.0)
