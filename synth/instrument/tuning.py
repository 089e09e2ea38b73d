"""Which frequency a key has: A4, and Scala scales and keyboard mappings.

Formats: https://www.huygens-fokker.org/scala/scl_format.html and .../help.htm#mappings.
"""

from __future__ import annotations

import dataclasses
import math
import re
from fractions import Fraction
from pathlib import Path

from synth.errors import WavekeysError

KEYS = 128
FARTHEST = 1000.0  # pitch of a key, as a MIDI number either side of 0
MOST_DEGREES = 10_000  # that a mapping's keys, and its degrees, may count


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """A Scala scale: `cents` of its degrees above the first note, the last of them the interval of repetition."""

    name: str
    cents: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class KeyboardMapping:
    """A Scala keyboard mapping: which key has which degree, and which key has which frequency."""

    degrees: tuple[int | None, ...] = ()  # of the keys of a period from `middle` on; empty: every key the next degree
    first: int = 0
    last: int = KEYS - 1
    middle: int = 60
    reference_key: int = 69
    reference_hz: float = 440.0
    octave_degree: int = 0  # that the period of the mapping is worth; 0: the scale's own length


_BYTE_ORDER_MARK = b"\xef\xbb\xbf".decode("latin-1")  # that some editors put before UTF-8

TWELVE_EQUAL = Scale(name="12 equal steps", cents=tuple(100.0 * step for step in range(1, 13)))


def key_semitones(scale: Scale, mapping: KeyboardMapping) -> list[float | None]:
    """Each key's pitch as a MIDI number with a fraction (69 is 440 Hz).

    None for a key that is not mapped, or that a wide scale puts beyond `FARTHEST`.
    """
    reference = _cents(scale, mapping, mapping.reference_key)
    if reference is None:
        raise WavekeysError(f"tuning: reference key {mapping.reference_key} is not mapped to a degree")
    base = 69.0 + 12.0 * math.log2(mapping.reference_hz / 440.0) - reference / 100.0
    pitches = []
    for key in range(KEYS):
        cents = _cents(scale, mapping, key) if mapping.first <= key <= mapping.last else None
        pitch = None if cents is None else base + cents / 100.0
        pitches.append(None if pitch is None or abs(pitch) > FARTHEST else pitch)
    return pitches


def _cents(scale: Scale, mapping: KeyboardMapping, key: int) -> float | None:
    """Above the middle key's first degree."""
    size = len(mapping.degrees) or 1
    period, place = divmod(key - mapping.middle, size)
    if mapping.degrees:
        own = mapping.degrees[place]
        if own is None:
            return None
        degree = own + period * (mapping.octave_degree or len(scale.cents))
    else:
        degree = period
    octaves, step = divmod(degree, len(scale.cents))
    return octaves * scale.cents[-1] + (scale.cents[step - 1] if step else 0.0)


def read_scale(path: Path) -> Scale:
    """Read a .scl file."""
    lines = _lines(path)
    try:
        count = int(lines[1].split()[0])
        cents = tuple(_interval(line) for line in lines[2 : 2 + count])
    except (IndexError, ValueError, ZeroDivisionError, OverflowError):
        raise WavekeysError(f"{path}: not a Scala scale (.scl)") from None
    if len(cents) != count or count < 1 or not all(map(math.isfinite, cents)) or cents[-1] <= 0:
        raise WavekeysError(f"{path}: a Scala scale needs as many intervals as it says, the last of them upwards")
    return Scale(name=lines[0].strip(), cents=cents)


def _interval(line: str) -> float:
    word, *rest = line.split(maxsplit=1)
    if rest and rest[0].startswith("/"):
        raise ValueError(line)
    if "." in word:
        return float(word)
    if not re.fullmatch(r"\d+(/\d+)?", word):  # `Fraction` would take exponents too, of any size
        raise ValueError(word)
    ratio = Fraction(word)
    if ratio <= 0:
        raise ValueError(word)
    return 1200.0 * math.log2(ratio)


def read_mapping(path: Path) -> KeyboardMapping:
    """Read a .kbm file."""
    lines = [line for line in _lines(path) if line.strip()]
    try:
        size, first, last, middle, reference_key = (int(line.split()[0]) for line in lines[:5])
        reference_hz, octave_degree = float(lines[5].split()[0]), int(lines[6].split()[0])
        words = [line.split()[0].lower() for line in lines[7 : 7 + size]]
        degrees = tuple(None if word == "x" else int(word) for word in words)
    except (IndexError, ValueError):
        raise WavekeysError(f"{path}: not a Scala keyboard mapping (.kbm)") from None
    keys = range(KEYS)
    if not (first in keys and last in keys and middle in keys and reference_key in keys):
        raise WavekeysError(f"{path}: keys of a mapping are from 0 to {KEYS - 1}")
    if first > last:
        raise WavekeysError(f"{path}: its first key, {first}, comes after its last, {last}")
    if not 0 <= size <= MOST_DEGREES or any(abs(degree or 0) > MOST_DEGREES for degree in (*degrees, octave_degree)):
        raise WavekeysError(f"{path}: a mapping's size and its degrees are no more than {MOST_DEGREES}")
    degrees += (None,) * (size - len(degrees))
    if not (math.isfinite(reference_hz) and 1.0 <= reference_hz <= 20_000.0):
        raise WavekeysError(f"{path}: the reference frequency must be from 1 to 20000 Hz, not {reference_hz:g}")
    return KeyboardMapping(
        degrees=degrees,
        first=first,
        last=last,
        middle=middle,
        reference_key=reference_key,
        reference_hz=reference_hz,
        octave_degree=octave_degree,
    )


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="latin-1")
    except FileNotFoundError:
        raise WavekeysError(f"no tuning file {path}") from None
    except OSError as error:
        raise WavekeysError(f"{path}: cannot be read ({error.strerror})") from None
    # Not `splitlines`: read so, a byte of an accented letter may look like one of its other line ends.
    text = text.removeprefix(_BYTE_ORDER_MARK)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    return [line for line in lines if not line.startswith("!")]
