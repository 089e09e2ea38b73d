"""Ctrl-C and SIGTERM while training: they end it after the step that is under way, and what it has reached is saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Says inside whether one has come. A second one is an exception wherever it finds the program, as at other times.

    An exception in the middle of a step would find the state given away and not yet replaced, and one in a callback of
    JAX's is heard by nobody.
    """
    if threading.current_thread() is not threading.main_thread():  # to which alone signals come
        yield lambda: False
        return
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.default_int_handler(number, frame)
        asked = True

    former = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
