"""The line to the terminal: its mode, the bytes that come, the text that goes, its size.

Threads: the one that polls the terminal. It never waits for the terminal: what a terminal does not take at once
(somebody marks text, a network stalls) stays here until it does, and `busy` says so.

Unix only: `termios` is imported when a line is opened.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from typing import Any, TextIO

FALLBACK_SIZE = (80, 24)  # of a line that does not know its own
LAST_WORDS_S = 0.2  # a terminal that has taken nothing for so long at the end does not get the rest


class Line:
    """To be made in `opened`. As far as rich is concerned, a file."""

    encoding = "utf-8"

    def __init__(self, keys_fd: int, screen_fd: int) -> None:
        self._keys_fd = keys_fd
        self._screen_fd = screen_fd
        self._pending = b""

    @property
    def busy(self) -> bool:
        """The terminal has not taken all that was written."""
        self.flush()
        return bool(self._pending)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self._screen_fd)
            if size.columns and size.lines:
                return (size.columns, size.lines)
        return FALLBACK_SIZE

    def read(self, wait_s: float) -> bytes | None:
        """What has come, or comes first within the time. None: the terminal has gone."""
        with contextlib.suppress(OSError):
            if not select.select([self._keys_fd], [], [], wait_s)[0]:
                return b""
            return os.read(self._keys_fd, 4096) or None
        return None

    def write(self, text: str) -> int:
        """As a file does; it goes with the next `flush`."""
        self._pending += text.encode(errors="replace")
        return len(text)

    def flush(self) -> None:
        """Send what the terminal takes now."""
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._screen_fd, self._pending) :]
        except BlockingIOError:
            return
        except OSError:  # it has gone; `read` tells
            self._pending = b""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._screen_fd

    def finish(self) -> None:
        """Send the rest, within reason."""
        deadline_s = time.monotonic() + LAST_WORDS_S
        while self.busy and time.monotonic() < deadline_s:
            select.select([], [self._screen_fd], [], LAST_WORDS_S / 10)


@contextlib.contextmanager
def opened(stdin: TextIO, stdout: TextIO) -> Iterator[Line]:
    """A line whose keys come one by one and unseen. However it ends, the terminal has its mode back."""
    import termios

    keys_fd = stdin.fileno()
    before = termios.tcgetattr(keys_fd)
    stdout.flush()
    screen_fd = _opened_again(stdout.fileno())
    line = Line(keys_fd, screen_fd)
    try:
        termios.tcsetattr(keys_fd, termios.TCSANOW, _key_by_key(before, keys_fd))
        yield line
    finally:
        line.finish()
        with contextlib.suppress(termios.error):  # it has gone
            termios.tcflush(keys_fd, termios.TCIFLUSH)  # notes are no commands for the shell
            termios.tcsetattr(keys_fd, termios.TCSANOW, before)
        os.close(screen_fd)


def _key_by_key(mode: list[Any], keys_fd: int) -> list[Any]:
    """Ctrl-C still interrupts; nothing stops the program or its output, since a screen would be left behind."""
    import termios

    read, write, control, local, speed_in, speed_out, characters = mode
    read &= ~(termios.IXON | termios.ICRNL)
    local &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
    characters = list(characters)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    characters[termios.VSUSP] = os.fpathconf(keys_fd, "PC_VDISABLE").to_bytes()
    return [read, write, control, local, speed_in, speed_out, characters]


def _opened_again(fd: int) -> int:
    """The same terminal, not to be waited for. `fd` itself is shared with other programs, and stays as it is."""
    try:
        return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # another user's, after su: then writing may wait
        return os.dup(fd)
