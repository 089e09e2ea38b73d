"""The terminal as a control surface: its keys play the desk, its screen shows it.

Threads: the main thread, in `poll`; there is no other. A poll takes a few milliseconds when it draws and much less when
it does not, and waits only as long as it is told to.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.text import Text

from synth.errors import WavekeysError
from synth.host.desk import Desk
from synth.host.terminal.keyboard import Keyboard
from synth.host.terminal.keys import END, POP, PUSH, START, TELLS_RELEASES, Event, FocusLost, KeyReader, KittyFlags
from synth.host.terminal.line import Line, opened
from synth.host.terminal.meters import Meters
from synth.host.terminal.screen import draw

FRAME_S = 0.05
REPAINT_S = 1.0  # a frame like the last is drawn again, over what others may have written


def refusal(stdin: TextIO | None = None, stdout: TextIO | None = None) -> str | None:
    """Why there can be no screen and keys here, in a line; None if there can."""
    stdin, stdout = stdin or sys.stdin, stdout or sys.stdout
    if sys.platform == "win32":
        return "the live screen does not work on Windows yet: give --no-screen, or play under WSL"
    if not (stdin.isatty() and stdout.isatty()):
        return "the live screen needs a terminal for its keys and its picture: give --no-screen to play without it"
    if os.environ.get("TERM") in ("dumb", "unknown"):
        return "the live screen needs a terminal that can move its cursor (TERM says this one cannot): give --no-screen"
    if (stdout.encoding or "").lower().replace("-", "") != "utf8":
        return f"the live screen needs UTF-8, not {stdout.encoding}: set LANG to C.UTF-8, say, or give --no-screen"
    with contextlib.suppress(OSError):  # a terminal that is not the process's own has no foreground
        if os.tcgetpgrp(stdin.fileno()) != os.getpgrp():
            return "the live screen needs the terminal's foreground: give --no-screen, or start it without &"
    return None


class Terminal:
    """A context manager: inside it the terminal is the instrument's; afterwards it is as it was.

    Entering raises WavekeysError where `refusal` says why not. `poll` is to be called every 20 to 50 ms.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._stdin = stdin or sys.stdin
        self._stdout = stdout or sys.stdout
        self._now = now
        self._keys = KeyReader()
        self._meters = Meters()
        self._keyboard = Keyboard(desk, desk.status(), now=now)
        self._stack = contextlib.ExitStack()
        self._pushed = False
        self._gone = False
        self._drawn: tuple[Text, tuple[int, int]] | None = None
        self._drawn_s = float("-inf")

    def __enter__(self) -> Self:
        if reason := refusal(self._stdin, self._stdout):
            raise WavekeysError(reason)
        with contextlib.ExitStack() as stack:
            self._line = stack.enter_context(opened(self._stdin, self._stdout))
            # Under Live's alternate screen, since terminals keep the state of their keys for each screen apart.
            self._live = stack.enter_context(_live(self._line))
            stack.callback(self._hand_back)
            self._line.write(START)
            self._line.flush()
            stack.callback(self._keyboard.let_go)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def poll(self, wait_s: float = 0.0) -> None:
        """Obey the keys and draw, if it is time. With `wait_s` it waits so long, or until the first key."""
        data = b"" if self._gone else self._line.read(wait_s)
        if data is None:
            self._gone = True
            self._keyboard.let_go()
            self._desk.stop()
            return
        now_s = self._now()
        status = self._desk.status()
        self._keyboard.see(status)
        for event in self._keys.read(data, now_s):
            self._obey(event)
        self._keyboard.expire()
        levels = self._meters.see(status, now_s)
        if now_s - self._drawn_s < FRAME_S or self._line.busy or self._gone:
            return
        width, height = self._line.size
        frame = draw(status, self._keyboard.view(), levels, width=width, height=height)
        if (frame, (width, height)) != self._drawn or now_s - self._drawn_s >= REPAINT_S:
            self._drawn, self._drawn_s = (frame, (width, height)), now_s
            self._live.console.size = (width, height)
            self._live.update(frame, refresh=True)

    def _obey(self, event: Event) -> None:
        if isinstance(event, FocusLost):
            self._keyboard.let_go()
        elif isinstance(event, KittyFlags):
            if self._pushed:
                self._keyboard.tells_releases = bool(event.flags & TELLS_RELEASES)
            else:
                self._pushed = True
                self._line.write(PUSH)
                self._line.flush()
        else:
            self._keyboard.handle(event)

    def _hand_back(self) -> None:
        self._line.write((POP if self._pushed else "") + END)


def _live(line: Line) -> Live:
    # Nothing is redirected: the host's own lines come as remarks, and others must not wait for the screen's lock.
    console = Console(file=cast("TextIO", line), force_terminal=True, highlight=False, markup=False)
    return Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
