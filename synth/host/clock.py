"""The device's clock: which frame of the ring the device takes at a given host time.

Threads: the engine thread only. Never allocates, locks or logs.

The audio callback is called in periods and late by a varying amount, so its own times would put a jitter of
a period on every note. This is a first-order delay-locked loop (after Adriaensen, "Using a DLL to filter
time", 2005): between callbacks the position advances at the nominal rate, and every callback pulls it a part of
the way to what was seen. A callback can be late but not early, so one that seems early is believed at once and
one that seems late only a little: the loop follows the device, not the scheduler. Sound cards are within 0.01 %
of their nominal rate, so it needs no second order: 0.01 % of a 5 ms period, divided by the smaller gain, leaves 25
microseconds.
"""

from __future__ import annotations

GAIN_EARLY = 0.5
GAIN_LATE = 0.02
SNAP_MS = 20.0  # a larger error is a device that stood still, not jitter: follow at once


class DeviceClock:
    """Maps host seconds to a position in the ring, in frames read since the beginning."""

    def __init__(self, *, rate_hz: float) -> None:
        self._nominal_hz = rate_hz
        self._rate_hz = 0.0  # 0 while the device takes nothing out of the ring
        self._time_s = 0.0
        self._position = 0.0

    def observe(self, time_s: float, position_frames: int, running: bool) -> None:
        """A callback at `time_s` began to read at `position_frames`, or did not read at all (`running` false)."""
        if time_s == self._time_s:
            return
        predicted = self.position_at(time_s)
        error = position_frames - predicted
        if running and self._rate_hz and abs(error) <= SNAP_MS * 1e-3 * self._nominal_hz:
            self._position = predicted + (GAIN_EARLY if error > 0 else GAIN_LATE) * error
        else:
            self._position = float(position_frames)
        self._time_s = time_s
        self._rate_hz = self._nominal_hz if running else 0.0

    def position_at(self, time_s: float) -> float:
        """Position in frames that the device reaches at `time_s` (past or near future)."""
        return self._position + (time_s - self._time_s) * self._rate_hz
