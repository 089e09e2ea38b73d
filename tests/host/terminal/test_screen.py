"""What is seen, as text."""

from __future__ import annotations

import dataclasses
import io
import math
from typing import Any

import pytest
from rich.console import Console

from synth.host.desk import Status
from synth.host.terminal.drawing import bar, clock, meter, piano
from synth.host.terminal.keyboard import KeyboardView
from synth.host.terminal.meters import FALL_DB_PER_S, LIGHT_S, PEAK_HOLD_S, Meters, MeterView
from synth.host.terminal.screen import draw
from synth.testing.desk import two_parts

KEYBOARD = KeyboardView(
    part=0,
    instrument="organ",
    parameter="attack_ms",
    octave=4,
    velocity=100,
    pedal=False,
    held=frozenset(),
    tells_releases=True,
    complaint="",
)
SIZES = [(80, 24), (40, 12), (200, 60), (100, 30), (60, 15), (10, 3), (1, 1)]


def lines(
    status: Status, size: tuple[int, int] = (80, 24), meters: MeterView | None = None, **keyboard: Any
) -> list[str]:
    width, height = size
    view = dataclasses.replace(KEYBOARD, **keyboard)
    console = Console(file=io.StringIO(), width=width, height=height, record=True)
    console.print(draw(status, view, meters or MeterView(), width=width, height=height))
    return console.export_text().splitlines()


def crowded() -> Status:
    """More of everything than there is room for, and what no terminal can show in one column."""
    status = two_parts()
    first = dataclasses.replace(
        status.parts[0],
        preset="a preset with a very long name indeed " * 3,
        blend={f"楽器 {number}": float(number == 17) for number in range(40)},
    )
    return dataclasses.replace(
        status,
        parts=(first, *(dataclasses.replace(status.parts[1], name=f"lead {number}") for number in range(20))),
        remark="one\ntwo " * 40,
        level_db=(math.nan, math.inf),
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("status", [two_parts(), crowded(), dataclasses.replace(two_parts(), parts=())])
def test_nothing_is_wider_or_higher_than_the_terminal(status: Status, size: tuple[int, int]) -> None:
    width, height = size
    for held in (frozenset(), frozenset("awsedftgyhujkolp;'")):
        view = dataclasses.replace(KEYBOARD, held=held)
        text = draw(status, view, Meters().see(status, 0.0), width=width, height=height)
        assert len(text.split("\n")) <= height
        assert all(line.cell_len <= width for line in text.split("\n"))


def test_nothing_of_the_usual_is_cut_at_80_columns() -> None:
    assert "…" not in "\n".join(lines(two_parts()))


def test_what_counts_most_is_still_there_at_40_by_12() -> None:
    shown = "\n".join(lines(crowded(), (40, 12)))
    for word in ("42%", "recording 1:05", "panic", "oct 4", "L ", "R ", "▶ keys"):
        assert word in shown


def test_the_chosen_instrument_and_the_heard_one_are_shown_before_the_silent() -> None:
    shown = "\n".join(lines(crowded(), instrument="楽器 30"))
    assert "▸ 楽器 30" in shown
    assert "楽器 17" in shown
    assert "楽器 5" not in shown


def test_held_keys_are_lit_on_the_piano() -> None:
    assert not any("●" in str(line) for line in piano(frozenset(), 4, 78))
    upper, lower, names = (str(line) for line in piano(frozenset("ae"), 4, 78))
    assert (upper.count("●"), lower.count("●")) == (1, 1)
    assert lower.startswith("│ ●")
    assert "C4" in names and "C5" in names
    assert piano(frozenset(), 4, 30) == []


def test_black_keys_stand_over_the_cracks() -> None:
    upper, lower, _ = (str(line) for line in piano(frozenset(), 4, 78))
    cracks = [column for column, character in enumerate(lower) if character == "│"]
    letters = [column for column, character in enumerate(upper) if character.isalpha()]
    assert [cracks.index(column) for column in letters] == [1, 2, 4, 5, 6, 8, 9]


def test_a_complaint_goes_before_the_remark() -> None:
    status = dataclasses.replace(two_parts(), remark="all is well")
    assert any("all is well" in line for line in lines(status))
    told = lines(status, complaint="no such preset")
    assert any("no such preset" in line for line in told)
    assert not any("all is well" in line for line in told)


def test_the_limiter_s_light_stays_on_for_a_moment() -> None:
    meters = Meters()
    calm = two_parts()
    limiting = dataclasses.replace(calm, limiting=True)
    assert any("LIMIT" in line for line in lines(calm, meters=meters.see(limiting, 10.0)))
    assert meters.see(calm, 10.0 + LIGHT_S / 2).limiting
    assert not meters.see(calm, 10.0 + LIGHT_S).limiting


def test_a_peak_is_held_while_the_level_falls() -> None:
    meters = Meters()
    meters.see(dataclasses.replace(two_parts(), level_db=(-6.0, -20.0)), 10.0)
    silence = dataclasses.replace(two_parts(), level_db=(-math.inf, -math.inf))
    view = meters.see(silence, 10.5)
    assert view.peak_db == (-6.0, -20.0)
    assert view.level_db[0] == pytest.approx(-6.0 - FALL_DB_PER_S / 2)
    assert meters.see(silence, 10.0 + PEAK_HOLD_S).peak_db[0] < -6.0


def test_a_meter_shows_level_and_peak_in_proportion() -> None:
    shown = str(meter(-30.0, -12.0, 60))
    assert (shown.count("█"), shown.index("│"), len(shown)) == (30, 47, 60)
    assert str(meter(-math.inf, -math.inf, 60)) == "·" * 60
    assert str(meter(6.0, 6.0, 60)) == "█" * 60
    assert str(bar(0.5, 5, "")) == "██▌··"


def test_times_read_as_clocks_do() -> None:
    assert [clock(seconds) for seconds in (0.9, 83, 3725.2)] == ["0:00", "1:23", "1:02:05"]
