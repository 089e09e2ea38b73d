"""The line at its worst: stalled, hung up, stopped, or no terminal at all."""

from __future__ import annotations

import os
import pty
import termios
import threading
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from synth.host.terminal import Terminal, refusal
from synth.host.terminal.line import opened
from synth.testing.desk import FakeDesk, two_parts


class Pty:
    """The two ends of a terminal's line."""

    def __init__(self) -> None:
        self.outer, inner = pty.openpty()
        self.stdin: TextIO = os.fdopen(inner, "r")
        self.stdout: TextIO = os.fdopen(os.dup(inner), "w")

    def hang_up(self) -> None:
        if self.outer >= 0:
            os.close(self.outer)
            self.outer = -1

    def drain(self, until: bytes) -> bytes:
        read = b""
        while until not in read:
            read += os.read(self.outer, 1 << 16)
        return read


@pytest.fixture
def ends() -> Iterator[Pty]:
    made = Pty()
    yield made
    made.hang_up()
    made.stdin.close()
    made.stdout.close()


def test_a_terminal_that_takes_nothing_keeps_nobody_waiting(ends: Pty) -> None:
    desk = FakeDesk(two_parts())
    times = iter(range(10_000))
    with Terminal(desk, stdin=ends.stdin, stdout=ends.stdout, now=lambda: float(next(times))) as terminal:
        longest_s = 0.0
        for _ in range(60):  # 3 kB each; a pty holds less than 70 kB
            began_s = time.perf_counter()
            terminal.poll()
            longest_s = max(longest_s, time.perf_counter() - began_s)
        os.write(ends.outer, b"a")
        terminal.poll()
        assert desk.messages[0].note == 60
    assert longest_s < 1.0  # measured: 4 ms; a write that waits would never end


def test_what_a_stalled_terminal_missed_arrives_whole_and_in_order(ends: Pty) -> None:
    text = "".join(f"{number} " for number in range(40_000))  # 230 kB
    with opened(ends.stdin, ends.stdout) as line:
        line.write(text)
        assert line.busy
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.append(ends.drain(b"39999 ")))
        reader.start()
        while line.busy:
            time.sleep(0.001)
        reader.join()
    assert received[0].decode() == text


def test_a_terminal_that_hangs_up_ends_playing_and_its_notes(ends: Pty) -> None:
    desk = FakeDesk()
    with Terminal(desk, stdin=ends.stdin, stdout=ends.stdout) as terminal:
        os.write(ends.outer, b"a")
        terminal.poll()
        ends.hang_up()
        terminal.poll()
        terminal.poll()
    assert desk.calls == [("stop",)]
    assert [message.type for message in desk.messages] == ["note_on", "note_off"]


def test_waiting_for_a_key_ends_with_the_key(ends: Pty) -> None:
    desk = FakeDesk()
    with Terminal(desk, stdin=ends.stdin, stdout=ends.stdout) as terminal:
        terminal.poll()
        typist = threading.Timer(0.05, os.write, (ends.outer, b"a"))
        typist.start()
        began_s = time.perf_counter()
        terminal.poll(10.0)
        assert time.perf_counter() - began_s < 5.0  # measured: 51 ms
        typist.join()
    assert desk.messages[0].note == 60


def test_ctrl_c_interrupts_and_ctrl_z_does_not_stop(ends: Pty) -> None:
    descriptor = ends.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    with opened(ends.stdin, ends.stdout):
        mode = termios.tcgetattr(descriptor)
        assert mode[3] & termios.ISIG
        assert not mode[3] & (termios.ICANON | termios.ECHO)
        assert mode[6][termios.VINTR] == before[6][termios.VINTR]
        assert mode[6][termios.VSUSP] == os.fpathconf(descriptor, "PC_VDISABLE").to_bytes()
    assert termios.tcgetattr(descriptor) == before


def test_the_shell_does_not_get_the_notes_that_were_not_read(ends: Pty) -> None:
    with opened(ends.stdin, ends.stdout):
        os.write(ends.outer, b"rm asdf\n")
    with opened(ends.stdin, ends.stdout) as line:
        assert line.read(0.05) == b""


def test_the_line_s_file_still_waits_for_others(ends: Pty) -> None:
    with opened(ends.stdin, ends.stdout):
        assert os.get_blocking(ends.stdout.fileno())


def test_a_terminal_is_refused_for_what_it_cannot_do(ends: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(ends.stdin, ends.stdout) is None
    with os.fdopen(os.dup(ends.stdout.fileno()), "w", encoding="latin-1") as latin:
        assert "UTF-8" in (refusal(ends.stdin, latin) or "")
    monkeypatch.setenv("TERM", "dumb")
    assert "cursor" in (refusal(ends.stdin, ends.stdout) or "")
