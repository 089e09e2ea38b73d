"""What is said of what went wrong."""

from __future__ import annotations

from synth.errors import first_line


def test_an_exception_is_told_in_one_line_whatever_it_says() -> None:
    assert first_line(ValueError("no\nmore")) == "no"
    assert first_line(RuntimeError()) == "RuntimeError"
    assert first_line(OSError("\n\n")) == "OSError"
