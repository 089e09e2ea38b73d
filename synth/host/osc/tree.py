"""The addresses of a host as it is now: the table, spread over its parts.

Threads: no state; any thread.
"""

from __future__ import annotations

import difflib
from typing import Any

from synth.errors import WavekeysError
from synth.host.desk import PartStatus, Status
from synth.host.osc.addresses import OF_A_PART, OF_THE_HOST, ROOT, Address
from synth.host.osc.parts import part_words
from synth.host.osc.wire import Value


def find(path: str, status: Status) -> tuple[Address, PartStatus | None]:
    """What an address means, and which part it is for; WavekeysError with the nearest one if there is no such thing."""
    if not path.startswith(f"{ROOT}/"):
        raise WavekeysError(f"no address {_quoted(path)}: all begin with {ROOT}/")
    first, *others = path.removeprefix(f"{ROOT}/").split("/")
    if not others:
        return _known(first, OF_THE_HOST, f"{ROOT}/", ""), None
    parts = part_words(status)
    part = _known(first, parts, f"{ROOT}/", f"/{others[0]}")
    return _known("/".join(others), OF_A_PART, f"{ROOT}/{first}/", ""), part


def state(status: Status, *, meters: bool) -> dict[str, tuple[Value, ...]]:
    """All that the addresses show."""
    owners: list[tuple[str, dict[str, Address], Status | PartStatus]] = [(ROOT, OF_THE_HOST, status)]
    owners += [(f"{ROOT}/{word}", OF_A_PART, part) for word, part in part_words(status).items()]
    return {
        f"{prefix}/{name}": tuple(address.shows(owner))
        for prefix, table, owner in owners
        for name, address in table.items()
        if address.shows is not None and (meters or not address.meter)
    }


def happened(status: Status) -> list[tuple[str, tuple[Value, ...]]]:
    """What the addresses tell of the time since the last snapshot."""
    return [
        (f"{ROOT}/{name}", tuple(values))
        for name, address in OF_THE_HOST.items()
        if address.tells is not None
        for values in address.tells(status)
    ]


def _known(word: str, table: dict[str, Any], before: str, after: str) -> Any:
    if word in table:
        return table[word]
    near = difflib.get_close_matches(word[:64], table, n=1)
    hint = f"did you mean {before}{near[0]}{after}?" if near else f"there are {', '.join(table)}"
    raise WavekeysError(f"no address {_quoted(f'{before}{word}{after}')}; {hint}")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
