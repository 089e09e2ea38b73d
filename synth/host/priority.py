"""Before other work: what playing asks of the system and of JAX.

Threads: the main thread, before it starts others, which inherit it.
"""

from __future__ import annotations

import contextlib
import os
import sys

import jax

NICENESS = -11  # as sound servers have it


def go_before_other_work() -> None:
    """Ask for more of the processor, for this thread and all that it starts from now on, the model's among them.

    A real-time class would be stronger, but a model that needs more than a core has would then freeze the
    machine. Most desktops grant this to the group `audio`; where it is refused, all goes on as before.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def compute_where_asked() -> None:
    """Let JAX compute on the processor in the thread that asks, before it has computed anything.

    Otherwise each block wakes a thread of JAX's and waits to be woken by it, and again for every product and copy that
    XLA shares among threads: a fifth of a block for nothing. The kernels' threads are their own.
    """
    os.environ["PJRT_NPROC"] = "1"
    jax.config.update("jax_cpu_enable_async_dispatch", False)
