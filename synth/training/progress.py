"""How fast a run goes, and when it will end."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

REMEMBERED_REPORTS = 20  # over which the time to the end is estimated


class Progress(NamedTuple):
    """What a report says, over the steps since the last one."""

    step: int
    loss: float  # median over the steps, nats a sample
    samples_per_second: float
    seconds_left: float
    slower_later: bool  # so that it will be more: frames are learnt alone, still
    waiting_share: float  # of the time, for crops
    peak_share: float | None  # of what the devices can do, where that is known
    validation: dict[str, float]  # of this step, where there was one: nats a sample

    def numbers(self) -> dict[str, float]:
        """By name, without the step and what is not there."""
        values = {**self._asdict(), **self.validation}
        return {name: value for name, value in values.items() if isinstance(value, float)}


class Pace:
    """A clock beside the steps. Validations and checkpoints take their time too, and count."""

    def __init__(self, first_step: int, last_step: int, *, slower_from: int = 0) -> None:
        self._last_step = last_step
        self._slower_from = slower_from
        self._marks = deque([(first_step, time.monotonic())], maxlen=REMEMBERED_REPORTS + 1)
        self._waited = 0.0

    def waits(self, seconds: float) -> None:
        """Note that crops were waited for."""
        self._waited += seconds

    def report(
        self,
        step: int,
        loss: float,
        *,
        samples: int,
        flops: float,
        peak_flops: float | None,
        validation: dict[str, float],
    ) -> Progress:
        """After a step; `samples` and `flops` are those of one."""
        now = time.monotonic()
        before, then = self._marks[-1]
        rate = (step - before) / (now - then)
        oldest, start = self._marks[0]
        progress = Progress(
            step=step,
            loss=loss,
            samples_per_second=rate * samples,
            seconds_left=(self._last_step - step) * (now - start) / (step - oldest),
            slower_later=before < self._slower_from,
            waiting_share=self._waited / (now - then),
            peak_share=flops * rate / peak_flops if peak_flops else None,
            validation=validation,
        )
        if before < self._slower_from <= step:
            self._marks.clear()  # a pace that is no more
        self._marks.append((step, now))
        self._waited = 0.0
        return progress
