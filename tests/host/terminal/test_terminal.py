"""A real terminal (a pty): what is typed plays, what plays is drawn, and all is given back at the end."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import termios
from collections.abc import Iterator

import mido
import pytest
from rich.console import Console

from synth.errors import WavekeysError
from synth.host.terminal import Terminal
from synth.host.terminal.keyboard import Keyboard
from synth.host.terminal.meters import Meters
from synth.host.terminal.screen import draw
from synth.testing import FakeClock
from synth.testing.desk import FakeDesk, two_parts


class Rig:
    """A terminal program on one end of a pty, a test on the other."""

    def __init__(self) -> None:
        self.outer, inner = pty.openpty()
        self.stdin = os.fdopen(inner, "r")
        self.stdout = os.fdopen(os.dup(inner), "w")
        self.before = termios.tcgetattr(inner)
        os.set_blocking(self.outer, False)
        self._written = b""
        self.clock = FakeClock()
        self.desk = FakeDesk()
        self.terminal = Terminal(self.desk, stdin=self.stdin, stdout=self.stdout, now=self.clock)

    def type(self, text: str) -> None:
        os.write(self.outer, text.encode())
        self.wait(0.01)

    def wait(self, seconds: float) -> None:
        """Polls as the session does."""
        until_s = self.clock() + seconds
        while self.clock() < until_s:
            self.terminal.poll()
            self._drain()  # else the pty is full one day, and writing waits
            self.clock.sleep(0.01)

    def shown(self) -> str:
        """All that was written since it was last asked."""
        self._drain()
        shown, self._written = self._written, b""
        return shown.decode()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.outer, 1 << 16):
                self._written += piece

    def notes(self) -> list[tuple[str, int]]:
        return [(m.type, m.note) for m in self.desk.messages if m.type in ("note_on", "note_off")]

    def close(self) -> None:
        os.close(self.outer)
        self.stdin.close()
        self.stdout.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def test_a_key_plays_and_without_release_events_its_note_ends_by_itself(rig: Rig) -> None:
    with rig.terminal:
        rig.type("d")
        assert rig.notes() == [("note_on", 64)]
        rig.wait(2.0)
        assert rig.notes() == [("note_on", 64), ("note_off", 64)]


def test_a_terminal_that_tells_releases_is_believed(rig: Rig) -> None:
    with rig.terminal:
        rig.type("\x1b[?0u")
        assert "\x1b[>15u" in rig.shown()
        rig.type("\x1b[?15u")
        rig.type("\x1b[97;1:1u")
        rig.wait(5.0)
        assert rig.notes() == [("note_on", 60)]
        rig.type("\x1b[97;1:3u")
        assert rig.notes() == [("note_on", 60), ("note_off", 60)]
    assert "\x1b[<u" in rig.shown()


def test_whatever_ends_it_no_note_and_no_pedal_stays_and_the_terminal_is_as_it_was(rig: Rig) -> None:
    def fail_while_playing() -> None:
        with rig.terminal:
            assert not termios.tcgetattr(rig.stdin.fileno())[3] & termios.ICANON
            rig.type("dg ")
            raise RuntimeError("something")

    with pytest.raises(RuntimeError, match="something"):
        fail_while_playing()
    sounding = {note for kind, note in rig.notes() if kind == "note_on"}
    assert sounding == {note for kind, note in rig.notes() if kind == "note_off"} == {64, 67}
    pedals = [m.value for m in rig.desk.messages if m.type == "control_change" and m.control == 64]
    assert pedals == [127, 0]
    assert termios.tcgetattr(rig.stdin.fileno()) == rig.before
    assert "\x1b[?1049l" in rig.shown()  # the ordinary screen again


def test_the_focus_takes_the_notes_with_it(rig: Rig) -> None:
    with rig.terminal:
        rig.type("\x1b[?15u\x1b[?15u\x1b[97;1:1u\x1b[O")
        assert rig.notes() == [("note_on", 60), ("note_off", 60)]


def test_keys_reach_the_desk(rig: Rig) -> None:
    with rig.terminal:
        rig.type("\x1b[B")
        rig.type("\x12")
        rig.type("\x13")
        rig.type("+")
        rig.wait(0.2)
        rig.type("\x1b")
        rig.wait(0.2)
    assert rig.desk.calls[:3] == [("step_preset", "keys", 1), ("record", True), ("save_preset", "keys", None)]
    assert rig.desk.calls[3][:2] == ("set_blend", "keys")
    assert ("panic",) in rig.desk.calls


def test_what_is_refused_is_shown(rig: Rig) -> None:
    with rig.terminal:
        rig.desk.refusal = WavekeysError("no such thing")
        rig.type("\x1b[B")
        rig.wait(0.2)
    assert "no such thing" in rig.shown()


def test_where_there_is_no_terminal_it_says_so() -> None:
    with pytest.raises(WavekeysError, match="needs a terminal"), Terminal(FakeDesk(), stdin=io.StringIO("")):
        pass


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (200, 60), (10, 3)])
def test_the_screen_fits_and_tells_what_matters(width: int, height: int) -> None:
    desk = FakeDesk(two_parts())
    keyboard = Keyboard(desk, desk.status(), now=FakeClock())
    view = Meters().see(desk.status(), 0.0)
    text = draw(desk.status(), keyboard.view(), view, width=width, height=height)
    console = Console(file=io.StringIO(), width=width, height=height, record=True)
    console.print(text)
    lines = console.export_text().splitlines()
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    if width >= 40:
        told = "\n".join(lines)
        for word in (
            "wavekeys",
            "grand *" if width >= 80 else "grand",
            "warm-flute",
            "3/4",
            "-12.0 dB",
            "recording 1:05",
        ):
            assert word in told, word


def test_every_message_of_a_wild_hand_ends(rig: Rig) -> None:
    with rig.terminal:
        rig.type("asdfghjklzxcvbnm,.qwertyuiop \t123")
        rig.wait(3.0)
    ends = [m for m in rig.desk.messages if isinstance(m, mido.Message) and m.type == "note_off"]
    starts = [m for m in rig.desk.messages if m.type == "note_on"]
    assert sorted(m.note for m in starts) == sorted(m.note for m in ends)
