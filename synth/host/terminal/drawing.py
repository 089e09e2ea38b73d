"""The screen's pieces: bars, level meters, a piano. Widths are in the terminal's columns."""

from __future__ import annotations

from rich.text import Text

from synth.host.terminal.bindings import BLACK, WHITE
from synth.host.terminal.meters import FLOOR_DB

EIGHTHS = " ▏▎▍▌▋▊▉"
ZONES_DB = ((-12.0, "green"), (-3.0, "yellow"), (float("inf"), "red"))  # up to where a meter has the colour
WHITE_KEY, BLACK_KEY, HELD_KEY = "black on white", "white on black", "bold black on green"
HELD = "●"


def bar(share: float, width: int, style: str) -> Text:
    """A bar that fills the share of the width, to an eighth of a column."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    text = Text("█" * full + (EIGHTHS[part] if part else ""), style=style)
    return text.append("·" * (width - len(text)), style="dim")


def meter(level_db: float, peak_db: float, width: int) -> Text:
    """A level meter from -60 dB to full scale, with a tick at the peak."""
    level, peak = (round(min(max(1.0 - db / FLOOR_DB, 0.0), 1.0) * width) for db in (level_db, peak_db))
    text = Text()
    drawn = 0
    for until_db, style in ZONES_DB:
        end = min(level, max(drawn, round((1.0 - until_db / FLOOR_DB) * width) if until_db < 0 else width))
        text.append("█" * (end - drawn), style=style)
        drawn = end
    text.append("·" * (width - level), style="dim")
    if peak > level:
        text = text[: peak - 1] + Text("│", style=_zone(peak_db)) + text[peak:]
    return text


def clock(seconds: float) -> str:
    """Minutes and seconds, hours if there are any."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def piano(held: frozenset[str], octave: int, width: int) -> list[Text]:
    """Two rows of keys with the letters that play them, and the names of the Cs; nothing if it does not fit."""
    column = min(5, (width - 1) // len(WHITE))
    if column < 3:
        return []
    upper, lower, names = Text(), Text(), Text()
    black = {_white_below(semitones): place for place, semitones in BLACK.items()}
    for number, place in enumerate(WHITE):
        lower.append("│", style=WHITE_KEY)
        lower.append(_label(place, held).center(column - 1), style=HELD_KEY if place in held else WHITE_KEY)
        names.append((f" C{octave + number // 7}" if number % 7 == 0 else "").ljust(column), style="dim")
        if number - 1 in black:
            above = black[number - 1]
            upper.append(f"{_label(above, held)} ", style=HELD_KEY if above in held else BLACK_KEY)
        else:
            upper.append("│ ", style=WHITE_KEY)
        upper.append(" " * (column - 3), style=WHITE_KEY)
        upper.append(" ", style=BLACK_KEY if number in black else WHITE_KEY)
        if number in black and black[number] in held:
            upper.stylize(HELD_KEY, len(upper) - 1)
    upper.append("│", style=WHITE_KEY)
    lower.append("│", style=WHITE_KEY)
    return [upper, lower, names]


def _white_below(semitones: int) -> int:
    """The number of the white key to the left of a black one."""
    return 7 * (semitones // 12) + {1: 0, 3: 1, 6: 3, 8: 4, 10: 5}[semitones % 12]


def _label(place: str, held: frozenset[str]) -> str:
    return HELD if place in held else place


def _zone(level_db: float) -> str:
    return next(style for until_db, style in ZONES_DB if level_db < until_db)
