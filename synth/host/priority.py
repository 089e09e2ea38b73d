"""Before other work: the priority that playing asks of the system.

Threads: the main thread, before it starts others, which inherit it.
"""

from __future__ import annotations

import contextlib
import os
import sys

NICENESS = -11  # as sound servers have it


def go_before_other_work() -> None:
    """Ask for more of the processor, for this thread and all that it starts from now on, the model's among them.

    A real-time class would be stronger, but a model that needs more than a core has would then freeze the
    machine. Most desktops grant this to the group `audio`; where it is refused, all goes on as before.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
