"""Keys and frequencies in equal temperament."""

from __future__ import annotations

import re
from typing import TypeVar

import numpy as np

HIGHEST_PARTIAL = 0.47  # of the sample rate: partials, and tones beside them, that are higher are silent

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "s": 1, "\N{MUSIC SHARP SIGN}": 1, "b": -1, "\N{MUSIC FLAT SIGN}": -1}
_NOTE_NAME = f"([A-Ga-g])([{''.join(_ACCIDENTALS)}]?)(-?[0-9])"
BETWEEN, END = r"(?:^|[-_ .])", r"(?=$|[-_ .])"  # of the words of a file's name
NAMED = re.compile(BETWEEN + f"(?P<note>{_NOTE_NAME})" + END)

Number = TypeVar("Number", float, np.ndarray)


def midi_to_hertz(number: Number) -> Number:
    """The frequency of a MIDI number, which may have a fraction: 69 is 440 Hz."""
    return 440.0 * 2.0 ** ((number - 69) / 12.0)


def note_number(text: str) -> int | None:
    """A pitch as people write it, `C#4` or `61`, as a MIDI number; None where it is none from 0 to 127. C4 is 60."""
    named = re.fullmatch(_NOTE_NAME, text.strip())
    if named:
        letter, accidental, octave = named.groups()
        number = 12 * (int(octave) + 1) + _SEMITONES[letter.upper()] + _ACCIDENTALS[accidental]
    elif text.strip().isdecimal():
        number = int(text)
    else:
        return None
    return number if 0 <= number <= 127 else None
