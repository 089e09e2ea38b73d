"""Before other work: what playing asks of the system and of JAX.

Two steps, each as far as the system grants it: the whole program goes before other work by its niceness, and the
threads that have a deadline (the engine with the kernel's workers, the device's, the keyboards') are real-time ones.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import jax

NICENESS = -11  # as sound servers have it
# Real-time priorities below those of sound servers and their clients (JACK: 10 and 5).
ENGINE = 3
PORTS = 4  # audio and MIDI threads: little work, and the engine waits for it


def go_before_other_work() -> None:
    """Ask for more of the processor, for this thread and all that it starts from now on, the model's among them.

    Most desktops grant this to the group `audio`; where it is refused, all goes on as before.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


@contextlib.contextmanager
def in_real_time(priority: int) -> Iterator[None]:
    """This thread, and those that it starts meanwhile for as long as they live, before all that have no deadline.

    Only Linux has it, and only for those whom `may_be_real_time` names. A thread of that class that never rests
    leaves nothing to others, so it must rest by itself (`engine`).
    """
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def may_be_real_time() -> bool:
    """Whether the system grants `in_real_time`."""
    if sys.platform != "linux":
        return False
    with in_real_time(ENGINE):
        return os.sched_getscheduler(0) == os.SCHED_RR


def compute_where_asked() -> None:
    """Let JAX compute on the processor in the thread that asks, before it has computed anything.

    Otherwise each block wakes a thread of JAX's and waits to be woken by it, and again for every product and copy that
    XLA shares among threads: a fifth of a block for nothing. The kernels' threads are their own.
    """
    os.environ["PJRT_NPROC"] = "1"
    jax.config.update("jax_cpu_enable_async_dispatch", False)
