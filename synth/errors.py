"""The one exception that a user sees: a single line that says what was given, what is allowed, how to mend it."""

from __future__ import annotations

import shlex
import sys


class WavekeysError(Exception):
    """The work failed for a reason the user can act on. The command line prints it as one line, exit code 1."""


class UsageError(WavekeysError):
    """What was typed was wrong (an unknown name, a value out of range). Exit code 2."""


def first_line(error: BaseException) -> str:
    """What an exception of a library says, in a line; its type's name if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def install_hint(extra: str) -> str:
    """The command that installs what an extra of this package brings."""
    return shlex.join([sys.executable, "-m", "pip", "install", f"wavekeys[{extra}]"])
