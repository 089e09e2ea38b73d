"""The one exception that a user sees: a single line that says what was given, what is allowed, how to mend it."""

from __future__ import annotations


class WavekeysError(Exception):
    """The work failed for a reason the user can act on. The command line prints it as one line, exit code 1."""


class UsageError(WavekeysError):
    """What was typed was wrong (an unknown name, a value out of range). Exit code 2."""


def first_line(error: BaseException) -> str:
    """What an exception of a library says, in a line; its type's name if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
