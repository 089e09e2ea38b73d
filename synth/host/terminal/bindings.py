"""Which key does what: the one table that the keyboard obeys and the screen's help is drawn from.

Letters are meant by their place, so that two rows are a piano wherever a terminal tells the place of a key (see
`keys`). They are laid out as Ableton Live, GarageBand and the trackers before them have it.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

Action = Literal[
    "octave",
    "velocity",
    "pedal",
    "panic",
    "part",
    "preset",
    "instrument",
    "weight",
    "own blend",
    "parameter",
    "value",
    "learn",
    "forget",
    "save",
    "record",
    "stop",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binding:
    """What a key does, other than playing."""

    action: Action
    step: int = 0  # how far, and which way
    once: bool = False  # a key that is held does it but once
    pause_s: float = 0.0  # sooner after the last press it is autorepeat, where a terminal does not tell the two apart


WHITE = "asdfghjkl;'"
BLACK = {"w": 1, "e": 3, "t": 6, "y": 8, "u": 10, "o": 13, "p": 15}
PIANO: dict[str, int] = {
    **{place: 12 * (number // 7) + (0, 2, 4, 5, 7, 9, 11)[number % 7] for number, place in enumerate(WHITE)},
    **BLACK,
}
"""Semitones above the C of the chosen octave, by the key's place."""

PLACED: dict[str, Binding] = {
    "z": Binding(action="octave", step=-1),
    "x": Binding(action="octave", step=1),
    "c": Binding(action="velocity", step=-10),
    "v": Binding(action="velocity", step=10),
    "b": Binding(action="parameter", step=-1),
    "n": Binding(action="parameter", step=1),
    "m": Binding(action="value", step=-1),
    ",": Binding(action="value", step=1),
    ".": Binding(action="learn", once=True, pause_s=0.7),
}
"""By the key's place, as the piano."""

NAMED: dict[str, Binding] = {
    "space": Binding(action="pedal", once=True, pause_s=0.15),  # short: a pedal is trodden in time
    "escape": Binding(action="panic", once=True),
    "tab": Binding(action="part", step=1, once=True),
    "up": Binding(action="preset", step=-1),
    "down": Binding(action="preset", step=1),
    "left": Binding(action="instrument", step=-1),
    "right": Binding(action="instrument", step=1),
    "-": Binding(action="weight", step=-1),
    "+": Binding(action="weight", step=1),
    "=": Binding(action="weight", step=1),  # plus without shift
    "backspace": Binding(action="own blend", once=True),
}
"""By what the key types, wherever it is."""

CONTROLLED: dict[str, Binding] = {
    # With ctrl: R alone lies between two black keys, and a slip would cost the take.
    "r": Binding(action="record", once=True, pause_s=0.7),
    "s": Binding(action="save", once=True, pause_s=0.7),
    "l": Binding(action="forget", once=True),
    # Where the Kitty protocol is on, the terminal makes no signal of it.
    "c": Binding(action="stop", once=True),
}
"""Together with ctrl."""

HELP: tuple[tuple[str, str], ...] = (
    ("esc", "panic"),
    ("^C", "end"),
    ("↑↓", "preset"),
    ("^R", "record"),
    ("^S", "save"),
    ("←→ -+", "blend"),
    ("bn m,", "parameter"),
    ("tab", "part"),
    ("bksp", "preset's blend"),
    (".", "learn a controller"),
    ("^L", "forget it"),
)
"""The likelier it is wanted, the earlier; the screen shows those of the piano (z x, c v, space) beside it."""
