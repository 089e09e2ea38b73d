"""One thing that was looked at."""

from __future__ import annotations

import dataclasses
from typing import Literal

State = Literal["well", "note", "fault"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found: all is well, something is worth knowing, or something keeps a verb from working."""

    what: str
    state: State
    said: str
    remedy: str = ""  # how to mend it, as a command where there is one
