"""What the audio callback does: copy out of the ring, and fade when the ring runs dry.

Threads: `__call__` belongs to the audio callback's thread. The engine thread sets `resume_frames` and
`finishing` and reads the rest. The callback never locks, waits, logs, compiles or allocates array data; it
moves slices and multiplies ramps that exist already. It does not wake the engine either: every way of doing that
from Python (event, semaphore, pipe) takes a lock or gives the interpreter lock away in the middle of the
callback, and getting it back can cost more than a period. The engine wakes by itself when a block is due (`engine`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from synth.host.ring import Ring

FADE_MS = 5.0  # shorter clicks, longer is heard as a dip


class Output:
    """The callback object that a stream calls with a block to fill."""

    def __init__(self, ring: Ring, *, rate_hz: int, now: Callable[[], float] = time.perf_counter) -> None:
        fade_frames = max(1, round(FADE_MS * 1e-3 * rate_hz))
        self.rate_hz = rate_hz
        self.calls = 0
        self.period_frames = 0  # the largest block that the device has asked for
        self.underruns = 0  # how often the ring ran dry
        self.device_xruns = 0  # how often the device said that it was served too late
        self.observed = (0.0, 0, False)  # host time, ring position and whether this callback reads
        self.resume_frames = sys.maxsize  # silent until the ring holds this much
        self.finishing = False  # a dry ring is the end, not a fault
        self._ring = ring
        self._now = now
        self._rising = np.linspace(0.0, 1.0, fade_frames, endpoint=False, dtype=np.float32)[:, None]  # [fade, 1]
        self._falling = self._rising[::-1].copy()
        self._fade_frames = fade_frames
        self._faded_in = 0
        self._faded_out = fade_frames
        self._last = np.zeros(ring.channels, np.float32)  # where the sound was when the ring ran dry
        self._reading = False
        self._stereo = np.zeros((ring.capacity_frames, ring.channels), np.float32)  # for `mono`

    def __call__(self, outdata: np.ndarray, frames: int, time_info: object, status: object) -> None:  # noqa: ARG002
        """Fill `outdata` [frames, C]."""
        started_s = self._now()
        if status:
            self.device_xruns += 1
        self.period_frames = max(self.period_frames, frames)
        ended = self._faded_out >= self._fade_frames  # what was heard before has come to silence
        if not self._reading and ended and self._ring.fill_frames >= max(self.resume_frames, frames):
            self._reading = True
            self._faded_in = 0
        self.observed = (started_s, self._ring.read_frames, self._reading)
        copied = self._ring.read_into(outdata) if self._reading else 0
        self._fade_in(outdata[:copied])
        if copied < frames:
            if self._reading:
                self._run_dry()
            self._fade_out(outdata[copied:])
        self.calls += 1

    def fade_in(self) -> None:
        """Let the next call begin from silence; only while nobody calls."""
        self._faded_in = 0
        self._last[:] = 0.0

    def mono(self, outdata: np.ndarray, frames: int, time_info: object, status: object) -> None:
        """The same for a device with one channel: `outdata` [frames, 1] gets the mean of both."""
        stereo = self._stereo[:frames]
        self(stereo, frames, time_info, status)
        np.add(stereo[:, 0], stereo[:, 1], out=outdata[:, 0])
        np.multiply(outdata, 0.5, out=outdata)

    def _fade_in(self, heard: np.ndarray) -> None:
        count = min(len(heard), self._fade_frames - self._faded_in)
        if count > 0:
            ramp = self._rising[self._faded_in : self._faded_in + count]
            np.multiply(heard[:count], ramp, out=heard[:count])
            self._faded_in += count
        if len(heard):
            np.copyto(self._last, heard[-1])

    def _run_dry(self) -> None:
        self._reading = False
        self._faded_out = 0
        if not self.finishing:
            self.underruns += 1

    def _fade_out(self, missing: np.ndarray) -> None:
        # There is nothing left to fade but the last value: let it glide to zero from where it is.
        count = min(len(missing), self._fade_frames - self._faded_out)
        np.multiply(self._falling[self._faded_out : self._faded_out + count], self._last, out=missing[:count])
        missing[count:] = 0.0
        self._faded_out += count
