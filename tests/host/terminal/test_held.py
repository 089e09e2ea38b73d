"""Notes of a terminal that tells no releases: strike, repeat, or strike again?"""

from __future__ import annotations

import mido
import pytest

from synth.host.terminal.held import HeldNotes

REPEAT_S = 0.03


class Finger:
    """Plays at a terminal of the old kind, whose first repeat comes after `delay_s`; polled every 10 ms."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.now_s = 100.0
        self.sent: list[mido.Message] = []
        self.held = HeldNotes(self.sent.append)

    def strike(self, place: str = "a", note: int = 60) -> None:
        self.held.press(place, note, velocity=100, channel=0, now_s=self.now_s, releases=False)

    def wait(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s - 1e-9:
            self.now_s += 0.01
            self.held.expire(self.now_s)

    def hold(self, seconds: float, place: str = "a", note: int = 60) -> None:
        """Strike and stay."""
        self.strike(place, note)
        self.wait(self.delay_s)
        for _ in range(round((seconds - self.delay_s) / REPEAT_S)):
            self.strike(place, note)
            self.wait(REPEAT_S)

    def count(self, kind: str) -> int:
        return sum(message.type == kind for message in self.sent)


@pytest.mark.parametrize("delay_s", [0.2, 0.25, 0.4, 0.5, 0.66])
def test_a_held_key_is_one_note_at_every_common_delay(delay_s: float) -> None:
    finger = Finger(delay_s)
    for times in (1, 2, 3):
        finger.hold(2.0)
        assert finger.count("note_off") == times - 1
        finger.wait(1.0)
        assert finger.count("note_on") == finger.count("note_off") == times


def test_once_the_delay_is_known_a_key_struck_again_is_a_new_note() -> None:
    finger = Finger(0.5)
    finger.hold(1.0)
    finger.wait(1.0)
    for _ in range(4):
        finger.strike()
        finger.wait(0.3)
    assert finger.count("note_on") == 5
    finger.hold(2.0)
    finger.wait(1.0)
    assert finger.count("note_on") == finger.count("note_off") == 6


def test_before_that_the_third_strike_is_one_for_sure() -> None:
    finger = Finger(0.5)
    for _ in range(3):
        finger.strike()
        finger.wait(0.3)
    assert finger.count("note_on") == 2


def test_a_delay_that_changes_is_learnt_anew() -> None:
    finger = Finger(0.25)
    finger.hold(1.0)
    finger.wait(1.0)
    finger.delay_s = 0.4  # longer than a note waits by now
    finger.hold(1.0)
    finger.wait(1.0)
    finger.delay_s = 0.25
    finger.hold(1.0)
    finger.wait(1.0)
    struck = finger.count("note_on")
    finger.hold(1.0)
    assert finger.count("note_on") == struck + 1


def test_a_chord_lives_as_long_as_its_last_key_repeats() -> None:
    finger = Finger(0.5)
    finger.strike("a", 60)
    finger.strike("d", 64)
    finger.hold(2.0, "g", 67)
    assert finger.held.places == {"a", "d", "g"}
    finger.wait(0.5)
    assert not finger.held.places


def test_a_melody_s_earlier_notes_do_not_wait_for_the_last() -> None:
    finger = Finger(0.5)
    finger.strike("a", 60)
    finger.wait(0.3)
    finger.hold(2.0, "d", 64)
    assert finger.held.places == {"d"}


def test_two_keys_of_one_note_end_it_once() -> None:
    finger = Finger(0.5)
    finger.strike("a", 72)
    finger.strike("k", 72)
    finger.held.let_go()
    assert [message.type for message in finger.sent] == ["note_on", "note_off", "note_on", "note_off"]
