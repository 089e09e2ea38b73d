"""The computer's keyboard as an instrument: a hand that a test moves."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.host.terminal.bindings import BLACK, CONTROLLED, NAMED, PIANO, PLACED, WHITE
from synth.host.terminal.keyboard import Keyboard
from synth.host.terminal.keys import KeyEvent
from synth.instrument import PARAMETERS
from synth.testing import FakeClock
from synth.testing.desk import FakeDesk, two_parts


class Hand:
    """A keyboard that tells releases, unless told otherwise."""

    def __init__(self, *, tells_releases: bool = True) -> None:
        self.clock = FakeClock()
        self.desk = FakeDesk(two_parts())
        self.keyboard = Keyboard(self.desk, self.desk.status(), now=self.clock)
        self.keyboard.tells_releases = tells_releases

    def press(self, key: str, modifier: Any = "") -> None:
        self.keyboard.handle(KeyEvent(key=key, place=key, modifier=modifier))

    def release(self, key: str) -> None:
        self.keyboard.handle(KeyEvent(key=key, place=key, kind="release"))

    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.keyboard.expire()

    @property
    def notes(self) -> list[tuple[str, int]]:
        return [(m.type, m.note) for m in self.desk.messages if m.type.startswith("note")]


def test_no_key_has_two_meanings() -> None:
    meanings = [*PIANO, *PLACED, *NAMED]
    assert len(set(meanings)) == len(meanings)
    assert set(PIANO) == set(WHITE) | set(BLACK)
    assert all(name.isascii() for name in CONTROLLED)


def test_two_rows_are_a_piano_from_c() -> None:
    hand = Hand()
    for key in "awsedftgyhujkolp;'":
        hand.press(key)
    assert [note for _, note in hand.notes] == list(range(60, 78))


def test_an_octave_that_is_changed_while_a_key_is_held_ends_the_note_that_it_began() -> None:
    hand = Hand()
    hand.press("a")
    hand.press("x")
    hand.release("a")
    hand.press("a")
    assert hand.notes == [("note_on", 60), ("note_off", 60), ("note_on", 72)]


def test_autorepeat_does_not_strike_again_and_holds_the_note() -> None:
    hand = Hand(tells_releases=False)
    hand.press("a")
    hand.wait(0.5)
    for _ in range(40):
        hand.press("a")
        hand.wait(0.03)
    assert hand.notes == [("note_on", 60)]
    hand.wait(1.0)
    assert hand.notes == [("note_on", 60), ("note_off", 60)]


def test_tab_plays_the_next_part_on_its_channel() -> None:
    hand = Hand()
    hand.press("tab")
    hand.press("a")
    assert hand.desk.messages[-1].channel == 1


def test_a_parameter_is_chosen_and_moved_within_its_range() -> None:
    hand = Hand()
    hand.press(",")
    first = next(iter(PARAMETERS))
    assert hand.desk.calls[-1][:3] == ("set", "keys", first)
    for _ in range(200):
        hand.press(",")
    assert hand.desk.calls[-1] == ("set", "keys", first, PARAMETERS[first].high)
    hand.press("n")
    hand.press(".")
    assert hand.desk.calls[-1] == ("learn", "keys", list(PARAMETERS)[1])
    hand.press("l", "ctrl")
    assert hand.desk.calls[-1] == ("forget", "keys", list(PARAMETERS)[1])


def test_a_weight_grows_at_the_others_cost() -> None:
    hand = Hand()
    hand.press("+")
    assert hand.desk.calls[-1] == ("set_blend", "keys", {"piano": 0.75, "organ": 0.25})
    hand.press("backspace")
    assert hand.desk.calls[-1] == ("set_blend", "keys", None)
    hand.press("+")  # nobody knows yet what it comes back to
    assert hand.desk.calls[-1] == ("set_blend", "keys", None)
    status = two_parts()
    grand, lead = status.parts
    hand.keyboard.see(dataclasses.replace(status, parts=(dataclasses.replace(grand, blend={"piano": 1.0}), lead)))
    calls = len(hand.desk.calls)
    hand.press("-")  # it is alone: there is nothing to hear instead
    assert len(hand.desk.calls) == calls


def test_an_instrument_that_is_silent_is_chosen_and_blended_in() -> None:
    hand = Hand()
    status = two_parts()
    grand, lead = status.parts
    solo = dataclasses.replace(grand, preset="solo", blend={"bell": 0.0, "harp": 1.0, "pipe": 0.0})
    hand.keyboard.see(dataclasses.replace(status, parts=(solo, lead)))
    assert hand.keyboard.view().instrument == "harp"
    calls = len(hand.desk.calls)
    hand.press("-")
    assert len(hand.desk.calls) == calls
    hand.press("right")
    hand.press("+")
    assert hand.desk.calls[-1] == ("set_blend", "keys", {"harp": 0.95, "pipe": 0.05})


def test_what_was_set_just_now_counts_for_its_preset_alone() -> None:
    """Another preset, or another surface's blend, may have other instruments."""
    hand = Hand()
    hand.press("+")
    status = two_parts()
    grand, lead = status.parts
    chosen = dataclasses.replace(grand, preset="bright", blend={"bell": 0.5, "pipe": 0.5})
    hand.keyboard.see(dataclasses.replace(status, parts=(chosen, lead)))
    hand.press("+")
    assert hand.desk.calls[-1] == ("set_blend", "keys", pytest.approx({"bell": 0.55, "pipe": 0.45}))
    other = dataclasses.replace(chosen, blend={"harp": 0.8, "bow": 0.2})
    hand.keyboard.see(dataclasses.replace(status, parts=(other, lead)))
    hand.press("+")
    assert hand.desk.calls[-1] == ("set_blend", "keys", pytest.approx({"harp": 0.85, "bow": 0.15}))


KEYS = st.sampled_from([*PIANO, *PLACED, *NAMED, "q", "1", "ö"])


@given(st.lists(st.tuples(KEYS, st.sampled_from(["press", "repeat", "release"]), st.floats(0, 0.7))), st.booleans())
def test_no_hand_leaves_a_note_stuck(moves: list[tuple[str, Any, float]], tells_releases: bool) -> None:
    hand = Hand(tells_releases=tells_releases)
    for key, kind, passed_s in moves:
        hand.keyboard.handle(KeyEvent(key=key, place=key, kind=kind if tells_releases else "press"))
        hand.wait(passed_s)
    hand.keyboard.let_go()
    sounding: dict[tuple[int, int], int] = {}
    pedal = 0
    for message in hand.desk.messages:
        if message.type == "control_change":
            pedal = message.value
            continue
        at = (message.channel, message.note)
        sounding[at] = sounding.get(at, 0) + (1 if message.type == "note_on" else -1)
    assert not any(sounding.values())
    assert pedal == 0


@pytest.mark.parametrize("key", ["up", "down", "+", ",", "."])
def test_a_refusal_is_a_complaint_for_a_while(key: str) -> None:
    from synth.errors import WavekeysError

    hand = Hand()
    hand.desk.refusal = WavekeysError("not now")
    hand.press(key)
    assert hand.keyboard.view().complaint == "not now"
    hand.wait(6.0)
    assert hand.keyboard.view().complaint == ""
