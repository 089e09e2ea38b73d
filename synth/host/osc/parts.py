"""The words that stand for the parts in addresses.

Threads: no state; any thread.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from synth.host.desk import PartStatus, Status

_UNFIT = re.compile(r"[^!-~]|[#*,/?\[\]{}]")  # not allowed in an address (OSC 1.0 specification, "OSC Address Spaces")


def part_words(status: Status) -> dict[str, PartStatus]:
    """The parts by the words that stand for their names; a number tells those apart that would be the same."""
    words: dict[str, PartStatus] = {}
    for part in status.parts:
        words[next(word for word in _words(part.name) if word not in words)] = part
    return words


def _words(name: str) -> Iterator[str]:
    word = _UNFIT.sub("_", name) or "_"
    yield word
    for number in itertools.count(2):
        yield f"{word}_{number}"
