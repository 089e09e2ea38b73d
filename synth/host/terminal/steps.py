"""How far one press of a key moves a parameter or a weight."""

from __future__ import annotations

import math
from collections.abc import Mapping

from synth.instrument import Parameter

STEPS = 50  # from a parameter's one end to the other, or somewhat more
WEIGHT_STEPS = 20


def fraction(parameter: Parameter, value: float) -> float:
    """How far the value is from low (0) to high (1): the inverse of `Parameter.at`."""
    if parameter.logarithmic:
        return math.log(value / parameter.low) / math.log(parameter.high / parameter.low)
    return (value - parameter.low) / (parameter.high - parameter.low)


def next_value(parameter: Parameter, value: float, steps: int) -> float:
    """The value so many steps on, within the range; on round numbers, wherever it began."""
    if parameter.logarithmic:
        moved = parameter.at((round(fraction(parameter, value) * STEPS) + steps) / STEPS)
        moved = float(f"{moved:.3g}")
    else:
        step = 1.0 if parameter.choices or parameter.whole else _round_number((parameter.high - parameter.low) / STEPS)
        moved = round((round(value / step) + steps) * step, 9)
    return min(max(moved, parameter.low), parameter.high)


def next_blend(blend: Mapping[str, float], instrument: str, steps: int) -> dict[str, float]:
    """Shares that sum to 1: the instrument's grows by so many steps, the others' shrink in proportion.

    One that is alone stays so, unless there is only one other that could be heard instead.
    """
    total = sum(blend.values()) or 1.0
    share = (round(blend[instrument] / total * WEIGHT_STEPS) + steps) / WEIGHT_STEPS
    others = {name: weight for name, weight in blend.items() if name != instrument}
    rest = sum(others.values())
    share = min(max(share, 0.0), 1.0) if rest or len(others) == 1 else 1.0
    moved = {name: (1.0 - share) * (weight / rest if rest else 1.0 / len(others)) for name, weight in others.items()}
    return {name: share if name == instrument else moved[name] for name in blend}


def _round_number(step: float) -> float:
    """The largest of 1, 2, 5, 10, 20... and their tenths that is no more than the step."""
    power = 10.0 ** math.floor(math.log10(step))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= step)
