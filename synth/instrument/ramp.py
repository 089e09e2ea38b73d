"""Controls that move without steps, exact at every sample."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np

Times = int | np.ndarray

Part = TypeVar("Part")
T = TypeVar("T", bound=Times)
Value = TypeVar("Value")


class Ramp:
    """A value that goes to each new target in a straight line of `samples`.

    It is a function of time alone, in samples: it does not matter at which times it is asked, nor in which blocks. So
    the same movements a sample later give the same values a sample later.
    """

    def __init__(self, value: float, samples: int) -> None:
        self._samples = max(samples, 1)
        # Straight pieces: where each begins, its value there, and how much it rises a sample. The last one is level.
        self._times: list[int] = [0]
        self._values: list[float] = [value]
        self._rises: list[float] = [0.0]

    @classmethod
    def of(cls, pieces: Sequence[tuple[int, float, float]], now: int) -> Ramp:
        """One that goes as another's `pieces` say, from `now` on."""
        ramp = cls(0.0, 1)
        ramp._times = [now + begin for begin, _, _ in pieces]
        ramp._values, ramp._rises = ([*column] for column in [*zip(*pieces, strict=True)][1:])
        return ramp

    def pieces(self, now: int) -> list[tuple[int, float, float]]:
        """The straight pieces from `now` on: its beginning after that, the value there, and its rise a sample."""
        first = max(bisect.bisect_right(self._times, now) - 1, 0)
        beginnings = [time - now for time in self._times]
        return [*zip(beginnings, self._values, self._rises, strict=True)][first:]

    def copy(self) -> Ramp:
        """Another that has moved as this one."""
        other = Ramp(0.0, self._samples)
        other._times, other._values, other._rises = [*self._times], [*self._values], [*self._rises]
        return other

    @property
    def target(self) -> float:
        """Where it is going."""
        return self._values[-1]

    def move(self, at: int, target: float, *, samples: int | None = None) -> None:
        """Set out for `target` at time `at`; no movement may come before an earlier one."""
        here = self.at(at)
        if here == target == self.target:
            return
        span = max(self._samples if samples is None else samples, 1)
        keep = bisect.bisect_left(self._times, at)
        self._times[keep:] = [at, at + span]
        self._values[keep:] = [here, target]
        self._rises[keep:] = [(target - here) / span, 0.0]

    def at(self, time: int) -> float:
        """The value at one time."""
        piece = max(bisect.bisect_right(self._times, time) - 1, 0)
        return self._values[piece] + self._rises[piece] * max(time - self._times[piece], 0)

    def jump(self, value: float) -> None:
        """Be at `value`, and forget the way there."""
        self._times, self._values, self._rises = [0], [value], [0.0]

    def stands_still(self, since: int) -> bool:
        """Whether it has not moved since then."""
        return since >= self._times[-1]

    @overload
    def over(self, times: int) -> float: ...

    @overload
    def over(self, times: Times) -> float | np.ndarray: ...

    def over(self, times: Times) -> float | np.ndarray:
        """The value at one time, or the values at `times` [T], which rise: [T], or one number where it stands still."""
        if isinstance(times, int):
            return self.at(times)
        if self.stands_still(times[0]):
            return self.target
        known = np.asarray(self._times)
        piece = np.maximum(np.searchsorted(known, times, side="right") - 1, 0)
        since = np.maximum(times - known[piece], 0)
        return np.asarray(self._values)[piece] + np.asarray(self._rises)[piece] * since

    def forget(self, before: int) -> None:
        """Nobody will ask for times earlier than `before`."""
        while len(self._times) > 1 and self._times[1] <= before:
            del self._times[0], self._values[0], self._rises[0]


def mixture(before: Any, after: Any, share: Any) -> Any:
    """`after` in place of such a share of `before`."""
    return (1.0 - share) * before + share * after


class Crossfade(Generic[Part]):
    """One thing after another, each fading in over those before it. Like a ramp it is a function of time alone."""

    def __init__(self, first: Part) -> None:
        self.parts: list[tuple[Part, Ramp]] = [(first, Ramp(1.0, 1))]  # and their shares of what they fade in over

    @property
    def target(self) -> Part:
        """What will be left."""
        return self.parts[-1][0]

    def move(self, at: int, part: Part, *, samples: int) -> None:
        """Give place to `part` from time `at` on, in so many samples."""
        share = Ramp(0.0, samples)
        share.move(at, 1.0)
        self.parts.append((part, share))

    def replace(self, other: Callable[[Part], Part]) -> None:
        """Put something else in the place of each part."""
        self.parts = [(other(part), ramp) for part, ramp in self.parts]

    def over(
        self, times: T, value: Callable[[Part, T], Value], mix: Callable[[Value, Value, Any], Value] = mixture
    ) -> Value:
        """The mixture of `value(part, times)`; what has faded in wholly is alone, exactly."""
        (part, _), *others = self.parts
        mixed = value(part, times)
        for part, ramp in others:
            mixed = mix(mixed, value(part, times), ramp.over(times))
        return mixed

    def forget(self, before: int) -> None:
        """Nobody will ask for times earlier than `before`."""
        while len(self.parts) > 1 and self.parts[1][1].stands_still(before):
            del self.parts[0]
