"""The screen: a pure function from what the desk and the keyboard say to a text that fits the terminal.

Threads: none; nothing here keeps anything.

A screen is made of sections, each some lines with a rank. What does not fit the height is left out, the highest rank
first; lines are cut at the width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from rich.cells import cell_len
from rich.text import Text

from synth.host.desk import PartStatus, Status
from synth.host.terminal.bindings import HELP
from synth.host.terminal.drawing import bar, clock, meter, piano
from synth.host.terminal.keyboard import KeyboardView
from synth.host.terminal.meters import FLOOR_DB, MeterView
from synth.host.terminal.steps import fraction
from synth.instrument import PARAMETERS

WIDEST = 120  # bars that are longer say no more
WIDE = 64  # from here on there is room for words
QUIET = "dim"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """Lines that are shown together or not at all."""

    rank: int  # 0 is the last to go
    lines: list[Text]


def draw(status: Status, keyboard: KeyboardView, meters: MeterView, *, width: int, height: int) -> Text:
    """At most `height` lines of at most `width` columns."""
    inner = min(width, WIDEST) - 2
    blank = Section(rank=90, lines=[Text()])
    sections = [
        Section(rank=0, lines=[_health(status, inner)]),
        blank,
        *_parts(status, keyboard, inner),
        blank,
        Section(rank=2, lines=_levels(meters, inner)),
        blank,
        Section(rank=5, lines=[_recording(status, inner)]),
        blank,
        *_parameter(status, keyboard, inner),
        blank,
        Section(rank=16, lines=piano(keyboard.held, keyboard.octave, inner)),
        Section(rank=6, lines=[_hands(keyboard, inner)]),
        blank,
        Section(rank=4, lines=[_remark(status, keyboard)]),
        Section(rank=1, lines=[_help(inner, several_parts=len(status.parts) > 1)]),
    ]
    lines = [Text(" ") + line for line in _fitting(sections, height)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True, end="").join(lines)


def _fitting(sections: list[Section], height: int) -> list[Text]:
    """The lines of the sections that there is room for, those of the lowest rank first; in their order."""
    left = height
    chosen = set()
    for number in sorted(range(len(sections)), key=lambda number: sections[number].rank):
        if len(sections[number].lines) <= left:
            left -= len(sections[number].lines)
            chosen.add(number)
    return [line for number, section in enumerate(sections) if number in chosen for line in section.lines]


def _health(status: Status, width: int) -> Text:
    load_style = "red" if status.load > 0.9 else "yellow" if status.load > 0.7 else "green"
    right = Text.assemble(
        (f" {status.load:4.0%}", load_style),
        f"{_gap(width)}{'underruns' if width >= WIDE else 'under'} ",
        (f"{status.underruns}", "bold red" if status.underruns else "green"),
        f"{_gap(width)}{'latency ' if width >= WIDE else ''}{status.latency_ms:.1f} ms",
    )
    left = Text.assemble(("wavekeys", "bold"), "   load " if width >= WIDE else " ")
    room = width - left.cell_len - right.cell_len
    return left + (bar(status.load, room, load_style) if room > 2 else Text()) + right


def _parts(status: Status, keyboard: KeyboardView, width: int) -> Iterable[Section]:
    names = max((cell_len(part.name) for part in status.parts), default=0) if len(status.parts) > 1 else 0
    for number, part in enumerate(status.parts):
        chosen = number == keyboard.part
        line = _part(part, status.presets, width, names=names, chosen=chosen and names > 0)
        yield Section(rank=3 if chosen else 20 + abs(number - keyboard.part), lines=[line])
        if chosen and len(part.blend) > 1:
            yield from _blend(part, keyboard.instrument, width)


def _part(part: PartStatus, presets: tuple[str, ...], width: int, *, names: int, chosen: bool) -> Text:
    left = Text("▶ " if chosen else "  ") + _column(part.name, min(names, width // 4)) + Text("  ") if names else Text()
    left.append(part.preset, style="bold cyan")
    left.append(" *" if part.edited else "", style="bold yellow")
    if part.preset in presets:
        left.append(f"  {presets.index(part.preset) + 1}/{len(presets)}", style=QUIET)
    if width >= WIDE:
        left.append(f"  {'all channels' if part.channel is None else f'channel {part.channel}'}", style=QUIET)
        if part.edited:
            left.append("  edited", style="yellow")
    voices = Text("voices ") if width >= WIDE else Text()
    if width >= WIDE:
        voices += bar(part.sounding / max(part.voices, 1), 16, "cyan")
    voices.append(f" {part.sounding:2}/{part.voices}", style="bold" if part.sounding >= part.voices else "")
    return _spread(left, voices, width)


def _blend(part: PartStatus, chosen: str | None, width: int) -> Iterable[Section]:
    total = sum(part.blend.values()) or 1.0
    instruments = list(part.blend)
    at = instruments.index(chosen) if chosen is not None and chosen in part.blend else 0
    column = min(max(cell_len(name) for name in instruments), max(8, width // 4))
    for number, name in enumerate(instruments):
        share = part.blend[name] / total
        left = Text("  ▸ " if number == at else "    ") + _column(name, column) + Text(" ")
        left.stylize("bold" if number == at else "")
        right = Text(f" {share:4.0%}")
        line = left + bar(share, max(1, width - left.cell_len - right.cell_len), "cyan" if share else QUIET) + right
        yield Section(rank=_rank(abs(number - at), heard=share > 0), lines=[line])


def _rank(distance: int, *, heard: bool) -> int:
    """Of an instrument in the blend: those near the chosen one, then those that are heard, the others if all fits."""
    return 10 + 3 * distance if distance < 4 else 19 if heard else 100 + distance


def _levels(meters: MeterView, width: int) -> list[Text]:
    lines = []
    for side, level_db, peak_db in zip("LR", meters.level_db, meters.peak_db, strict=True):
        number = f"{peak_db:6.1f} dB" if peak_db > FLOOR_DB else "  -inf dB"
        light = Text.assemble("  ", ("LIMIT", "bold white on red") if meters.limiting else ("limit", QUIET))
        right = Text(f" {number}") + (light if side == "L" else Text(" " * light.cell_len))
        lines.append(Text(f"{side} ") + meter(level_db, peak_db, max(1, width - 2 - right.cell_len)) + right)
    return lines


def _recording(status: Status, width: int) -> Text:
    if status.recording is None:
        return Text("○ not recording", style=QUIET)
    line = Text.assemble(("● ", "bold red"), (f"recording {clock(status.recorded_s)}", "red"), "  ")
    path = str(status.recording)
    return line.append(path if line.cell_len + len(path) <= width else status.recording.name)


def _parameter(status: Status, keyboard: KeyboardView, width: int) -> Iterable[Section]:
    if keyboard.part >= len(status.parts):
        return
    part = status.parts[keyboard.part]
    parameter = PARAMETERS[keyboard.parameter]
    value = part.parameters.get(parameter.id, parameter.default)
    line = Text(f"{parameter.id} ")
    line += bar(fraction(parameter, value), 12, "magenta") if width >= WIDE else Text()
    line.append(f" {parameter.shown(value)}", style="bold")
    numbers = [str(number) for number, moved in part.controllers.items() if moved == parameter.id]
    if part.learning == parameter.id:
        line.append("  move a controller to learn it", style="bold yellow")
    elif numbers:
        line.append(f"  controller {', '.join(numbers)} (. learns, ^L forgets)", style=QUIET)
    else:
        line.append("  no controller (. learns)", style=QUIET)
    yield Section(rank=8, lines=[line])
    yield Section(rank=70, lines=[Text(parameter.meaning, style=QUIET)])


def _hands(keyboard: KeyboardView, width: int) -> Text:
    pedal = ("down", "bold green") if keyboard.pedal else ("up", "")
    if width < WIDE:
        return Text.assemble(
            ("zx ", QUIET),
            f"oct {keyboard.octave}",
            ("  cv ", QUIET),
            f"vel {keyboard.velocity}",
            ("  spc ", QUIET),
            "pedal ",
            pedal,
        )
    line = Text.assemble(
        ("z x ", QUIET),
        f"octave {keyboard.octave}",
        ("   c v ", QUIET),
        f"velocity {keyboard.velocity}",
        ("   space ", QUIET),
        "pedal ",
        pedal,
    )
    if not keyboard.tells_releases:
        line.append("   notes end by themselves", style=QUIET)
    return line


def _remark(status: Status, keyboard: KeyboardView) -> Text:
    return Text(keyboard.complaint, style="yellow") if keyboard.complaint else Text(status.remark.replace("\n", " "))


def _help(width: int, *, several_parts: bool) -> Text:
    line = Text()
    for keys, what in HELP:
        if keys == "tab" and not several_parts:
            continue
        entry = Text.assemble("  " if line else "", (keys, "bold"), (f" {what}", QUIET))
        if line.cell_len + entry.cell_len <= width:
            line += entry
    return line


def _column(name: str, width: int) -> Text:
    text = Text(name)
    text.truncate(width, overflow="ellipsis", pad=True)
    return text


def _spread(left: Text, right: Text, width: int) -> Text:
    """One at each end of the line; the left one is cut."""
    left.truncate(max(0, width - right.cell_len - 1), overflow="ellipsis", pad=True)
    return left + Text(" ") + right


def _gap(width: int) -> str:
    return "   " if width >= WIDE else " "
