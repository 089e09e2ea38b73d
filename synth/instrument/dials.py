"""The parameters that are heard at once, as functions of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import overload

import numpy as np

from synth.instrument.ramp import Ramp, Times

SMOOTHING_MS = 10.0  # from one value of a parameter to the next
# Parameters that are heard at once, also by notes that sound already.
LIVE = (
    "gain_db",
    "pressure_gain_db",
    "fine_tune_cents",
    "tuning_a4_hz",
    "vibrato_rate_hz",
    "vibrato_cents",
    "wheel_vibrato_cents",
    "pressure_vibrato_cents",
    "own_vibrato",
    "own_stretch",
    "own_tuning",
    "own_tones",
    "temperature",
    "brightness",
    "blend_x",
    "blend_y",
    "movement_hz",
    "speed",
)


class Dials:
    """The live parameters of a preset while it plays.

    A note keeps those that it began with: what ends while another preset is chosen ends as it would have.
    """

    def __init__(self, values: Mapping[str, float], sample_rate_hz: int) -> None:
        smoothing = round(SMOOTHING_MS * sample_rate_hz / 1000)
        self._ramps = {name: Ramp(values[name], smoothing) for name in LIVE}
        self._still = {name: values[name] for name in LIVE}  # those that do not move in this block
        self._moving: set[str] = set()  # the others

    def move(self, name: str, at: int, value: float) -> None:
        """A parameter's new value, from time `at` on; nothing for one that is not live."""
        if name in self._ramps:
            self._ramps[name].move(at, value)
            self._moving.add(name)
            self._still.pop(name, None)

    def begin(self, now: int) -> None:
        """A block comes next; nothing will move before it has been rendered, nor be asked for earlier times."""
        for name in [*self._moving]:
            ramp = self._ramps[name]
            ramp.forget(now)
            if ramp.stands_still(now):
                self._still[name] = ramp.target
                self._moving.remove(name)

    @overload
    def over(self, name: str, times: int) -> float: ...

    @overload
    def over(self, name: str, times: Times) -> float | np.ndarray: ...

    def over(self, name: str, times: Times) -> float | np.ndarray:
        """A parameter's value at one time, or its values at `times` [T], one number where it stands still."""
        still = self._still.get(name)
        return self._ramps[name].over(times) if still is None else still
