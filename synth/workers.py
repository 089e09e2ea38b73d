"""Processes that work for this one."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from synth.errors import WavekeysError


@contextmanager
def workers(count: int, begin: Callable[..., None] | None = None, *arguments: Any) -> Iterator[Executor]:
    """So many processes, each of which calls `begin(*arguments)` first, and ends when this one does.

    Raises:
        WavekeysError: one of them has ended by itself, so that its work will never be done.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would copy JAX's threads as locks that nobody frees
    pool = ProcessPoolExecutor(count, spawn, _begin, (begin, arguments))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise WavekeysError("a process that shares the work ended by itself; is there memory enough?") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; this one ends with its parent
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    if begin is not None:
        begin(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
