"""What a run measures of itself, as JSON lines and for TensorBoard."""

from __future__ import annotations

import json
import math
import platform
import time
from pathlib import Path
from typing import Any

from synth import plain_json
from synth.training.data.records import MESSAGES, framed


class MetricsLog:
    """`metrics.jsonl`, of the steps that count, and one TensorBoard file for each time that a run was gone on with.

    Args:
      first: the step that it goes on from; what is told of later ones is of steps that were lost.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self._lines = folder / "metrics.jsonl"
        if self._lines.exists():
            lines = self._lines.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            self._lines.write_text("".join(line for line in lines if _step_of(line) <= first), encoding="utf-8")
        self._events = folder / f"events.out.tfevents.{time.time():010.0f}.{platform.node()}"
        self._append(MESSAGES["Event"](wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, step: int, values: dict[str, float]) -> None:
        """Numbers by name, as they are after a step."""
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(plain_json.dumps({"step": step, **values}) + "\n")
        event = MESSAGES["Event"](wall_time=time.time(), step=step)
        for name, value in values.items():
            event.summary.value.add(tag=name, simple_value=value)
        self._append(event)

    def _append(self, event: Any) -> None:
        with self._events.open("ab") as file:
            file.write(framed(event.SerializeToString()))


def _step_of(line: str) -> float:
    """After which step a line was written; infinity for one that a crash cut short."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
