"""The same kind of terminal wherever the tests run."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def colour_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
