"""The kinds of values that a message may carry. What does not fit is refused in one line, with what would.

Threads: no state; any thread.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import mido
from mido.messages import SPEC_BY_STATUS

from synth.bank.bank import LARGEST_WEIGHT
from synth.errors import WavekeysError
from synth.host.osc.wire import Value
from synth.instrument import Parameter

Rest = collections.deque[Value]  # of a message, not yet taken


class Argument(Protocol):
    """Takes its values from the front of a message."""

    @property
    def usage(self) -> str:
        """As the page shows it; brackets: may be left out."""

    def take(self, rest: Rest) -> Any: ...


def taken(arguments: Sequence[Argument], values: Sequence[Value]) -> list[Any]:
    """A message's values as its address wants them, all of them."""
    rest = collections.deque(values)
    wanted = [argument.take(rest) for argument in arguments]
    if rest:
        raise WavekeysError(f"it takes {usage(arguments) or 'nothing'}, not {len(values)} values")
    return wanted


def usage(arguments: Sequence[Argument]) -> str:
    return " ".join(argument.usage for argument in arguments)


@dataclasses.dataclass(frozen=True)
class Whole:
    """A whole number; floats that are one will do, because many surfaces send nothing else."""

    name: str
    low: int
    high: int
    default: int | None = None  # None: it must be there

    @property
    def usage(self) -> str:
        return self.name if self.default is None else f"[{self.name}]"

    def take(self, rest: Rest) -> int:
        if not rest and self.default is not None:
            return self.default
        value = _next(rest, self.name)
        if not isinstance(value, int | float) or not self.low <= value <= self.high or value != int(value):
            raise WavekeysError(f"{self.name} must be a whole number from {self.low} to {self.high}, not {value!r}")
        return int(value)


@dataclasses.dataclass(frozen=True)
class Text:
    """A string."""

    name: str

    @property
    def usage(self) -> str:
        return self.name

    def take(self, rest: Rest) -> str:
        value = _next(rest, self.name)
        if not isinstance(value, str):
            raise WavekeysError(f"{self.name} must be a string, not {value!r}")
        return value


@dataclasses.dataclass(frozen=True)
class Setting:
    """A parameter's value, as a number or as a choice's name."""

    parameter: Parameter

    @property
    def usage(self) -> str:
        return "choice" if self.parameter.choices else "value"

    def take(self, rest: Rest) -> float:
        value = _next(rest, self.usage)
        if not isinstance(value, str | int | float):
            raise WavekeysError(f"parameter {self.parameter.id!r} must be a number or a string, not {value!r}")
        return self.parameter.checked(float(value) if isinstance(value, bool) else value)


@dataclasses.dataclass(frozen=True)
class Weights:
    """Names and weights in turn, to the end of the message."""

    usage: str = "name weight ..."

    def take(self, rest: Rest) -> dict[str, float]:
        weights: dict[str, float] = {}
        while rest:
            name = Text("name").take(rest)
            weight = _next(rest, f"the weight of {name!r}")
            if not isinstance(weight, int | float) or not 0.0 <= weight <= LARGEST_WEIGHT:
                raise WavekeysError(
                    f"the weight of {name!r} must be a number from 0 to {LARGEST_WEIGHT:.0f}, not {weight!r}"
                )
            weights[name] = float(weight)
        return weights


@dataclasses.dataclass(frozen=True)
class Midi:
    """One MIDI message: as a blob, as OSC's own type for it, or as a number a byte."""

    usage: str = "bytes"

    def take(self, rest: Rest) -> mido.Message:
        first = _next(rest, "a MIDI message")
        if isinstance(first, bytes):
            data = list(first)
        elif isinstance(first, tuple):
            _port, status, *values = first
            length = SPEC_BY_STATUS.get(status, {"length": 3})["length"]  # infinite for system exclusive
            data = [status, *values][: min(length, 3)]  # always four bytes in OSC
        else:
            rest.appendleft(first)
            data = [Whole("a byte", 0, 255).take(rest) for _ in range(len(rest))]
        try:
            return mido.Message.from_bytes(data)
        except (ValueError, IndexError, TypeError):
            raise WavekeysError(f"not one MIDI message: {bytes(data).hex(' ')}") from None


def _next(rest: Rest, name: str) -> Value:
    if not rest:
        raise WavekeysError(f"{name} is missing")
    return rest.popleft()
