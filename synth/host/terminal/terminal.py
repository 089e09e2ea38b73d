"""The terminal while wavekeys has it: keys in, the screen out, and everything as it was at the end.

Threads: the one that polls. `poll` never waits: it reads what has come, draws when a picture is due, and returns.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live

from synth.errors import WavekeysError
from synth.host.desk import Desk
from synth.host.terminal import keys
from synth.host.terminal.keyboard import Keyboard
from synth.host.terminal.keys import FocusLost, KeyReader, KittyFlags
from synth.host.terminal.meters import Meters
from synth.host.terminal.screen import draw

PICTURE_S = 0.05
LONGEST_READ = 4096  # bytes


class Terminal:
    """The live screen of a desk and the computer's keyboard to play on; a context manager.

    Raises WavekeysError on entering where input or output is no terminal, or is Windows'.
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
        self._reader = KeyReader()
        self._keyboard = Keyboard(desk, desk.status(), now=now)
        self._meters = Meters()
        self._view = self._meters.see(desk.status(), now())
        self._pushed = False  # the Kitty protocol is switched on
        self._due_s = 0.0
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if not (self._stdin.isatty() and self._stdout.isatty()):
            raise WavekeysError("the live screen needs a terminal: give --no-screen to play without it")
        with contextlib.ExitStack() as stack:
            stack.enter_context(_keys_at_once(self._stdin.fileno()))
            stack.callback(self._say_goodbye)
            console = Console(file=self._stdout, highlight=False)
            self._live = stack.enter_context(Live(console=console, screen=True, auto_refresh=False))
            stack.callback(self._keyboard.let_go)
            self._stdout.write(keys.START)
            self._stdout.flush()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def poll(self) -> None:
        """To be called some times in a tenth of a second."""
        for event in self._reader.read(self._read(), self._now()):
            match event:
                case KittyFlags(flags=flags):
                    self._use_protocol(flags)
                case FocusLost():
                    self._keyboard.let_go()
                case _:
                    self._keyboard.handle(event)
        self._keyboard.expire()
        if self._now() >= self._due_s:
            self._due_s = self._now() + PICTURE_S
            self._draw()

    def _use_protocol(self, flags: int) -> None:
        """The terminal knows the protocol: ask for all of it once, then believe what it says."""
        if not self._pushed:
            self._pushed = True
            self._stdout.write(keys.PUSH)
            self._stdout.flush()
            return
        self._keyboard.tells_releases = bool(flags & keys.TELLS_RELEASES)

    def _draw(self) -> None:
        status = self._desk.status()
        self._keyboard.see(status)
        self._view = self._meters.see(status, self._now())
        width, height = self._live.console.size
        picture = draw(status, self._keyboard.view(), self._view, width=width, height=height)
        self._live.update(picture, refresh=True)

    def _read(self) -> bytes:
        import select

        data = b""
        descriptor = self._stdin.fileno()
        while len(data) < LONGEST_READ and select.select([descriptor], [], [], 0)[0]:
            try:
                piece = os.read(descriptor, LONGEST_READ)
            except OSError:  # the terminal has gone
                piece = b""
            if not piece:
                break
            data += piece
        return data

    def _say_goodbye(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stdout.write((keys.POP if self._pushed else "") + keys.END)
            self._stdout.flush()


@contextlib.contextmanager
def _keys_at_once(descriptor: int) -> Iterator[None]:
    """Bytes come as keys are pressed, and are not shown; Ctrl-C and Ctrl-Z stay what they are."""
    try:
        import termios
        import tty
    except ImportError as error:
        raise WavekeysError("the live screen does not work on Windows yet: give --no-screen") from error
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSANOW)
        yield
    finally:
        with contextlib.suppress(termios.error):  # a terminal that has gone needs no restoring
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
