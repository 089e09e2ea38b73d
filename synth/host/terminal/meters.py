"""Levels as the eye wants them: quick up, slow down, the peak held for a while.

Threads: none of its own; only the one that polls the terminal.
"""

from __future__ import annotations

import dataclasses

from synth.host.desk import Status

FLOOR_DB = -60.0
FALL_DB_PER_S = 26.0  # slow enough to be read, quick enough to show a rhythm
PEAK_HOLD_S = 1.5
LIGHT_S = 0.5  # a limiter that worked for one block is still seen


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeterView:
    """What the screen shows of the levels."""

    level_db: tuple[float, float] = (FLOOR_DB, FLOOR_DB)
    peak_db: tuple[float, float] = (FLOOR_DB, FLOOR_DB)  # of the last while
    limiting: bool = False


class Meters:
    """Follows the levels from one snapshot to the next."""

    def __init__(self) -> None:
        self._channels = (_Channel(), _Channel())
        self._seen_s: float | None = None
        self._lit_until_s = float("-inf")

    def see(self, status: Status, now_s: float) -> MeterView:
        """Take in a snapshot, once, and say what to show."""
        passed_s = now_s - (now_s if self._seen_s is None else self._seen_s)
        self._seen_s = now_s
        for channel, level_db in zip(self._channels, status.level_db, strict=True):
            channel.see(level_db, passed_s, now_s)
        if status.limiting:
            self._lit_until_s = now_s + LIGHT_S
        left, right = self._channels
        return MeterView(
            level_db=(left.level_db, right.level_db),
            peak_db=(left.peak_db, right.peak_db),
            limiting=now_s < self._lit_until_s,
        )


class _Channel:
    def __init__(self) -> None:
        self.level_db = self.peak_db = FLOOR_DB
        self._peak_until_s = 0.0

    def see(self, level_db: float, passed_s: float, now_s: float) -> None:
        """A level that is not a number counts as none."""
        self.level_db = max(FLOOR_DB, self.level_db - FALL_DB_PER_S * passed_s)
        self.level_db = max(self.level_db, level_db)
        if self.level_db >= self.peak_db or now_s >= self._peak_until_s:
            self.peak_db = self.level_db
            self._peak_until_s = now_s + PEAK_HOLD_S
