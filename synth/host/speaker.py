"""The audio device, opened again by its name when it was lost.

Threads: the main thread alone calls; `poll` may block while a device opens or closes. While there is none, a thread of
our own takes the sound out of the ring in its place, at the same pace: the engine and a recording go on undisturbed.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from synth.errors import WavekeysError
from synth.host.audio import (
    JACK,
    AudioCallback,
    OutputDevice,
    OutputStream,
    forget_outputs,
    list_outputs,
    refresh_outputs,
)
from synth.host.output import Output
from synth.host.priority import PORTS, in_real_time

STALL_S = 1.0  # a device that has not called back for this long is lost
RETRY_S = 1.0


class Stream(Protocol):
    """What `OutputStream` is."""

    @property
    def active(self) -> bool: ...

    @property
    def latency_s(self) -> float: ...

    def close(self) -> None: ...


class Speaker:
    """Plays `output` on a device, from construction on.

    Args:
      device: to play on. Its name and its system find it again.
      output: what the device calls back.
      before_return: called once when the lost device was found, before it is opened: the last moment at which nobody
        waits for our callback.
      open_stream, find: open it; look for it anew, None if it is not there. Both raise WavekeysError if it is and
        cannot be played on. Given by tests.
    """

    def __init__(
        self,
        device: OutputDevice,
        output: Output,
        *,
        before_return: Callable[[], None] = lambda: None,
        open_stream: Callable[[OutputDevice, AudioCallback], Stream] | None = None,
        find: Callable[[OutputDevice], OutputDevice | None] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = device
        self._output = output
        self._before_return = before_return
        self._open_stream = open_stream or _open
        self._find = find or _find
        self._now = now
        self._stand_in: _StandIn | None = None
        self._gate = _Gate(output if device.channels == 2 else output.mono)
        self._stream: Stream | None = self._open_stream(device, self._gate)
        self._calls, self._called_s = output.calls, now()
        self._retry_s = 0.0
        self._found = False  # the lost device, and `before_return` was told
        self._refusal = ""  # why the lost device could not be opened, as far as it has been told

    @property
    def lost(self) -> bool:
        """Whether nothing is heard because the device is not there."""
        return self._stream is None

    @property
    def latency_s(self) -> float:
        """From the callback to the output, as the driver reports it; 0 while the device is lost."""
        return self._stream.latency_s if self._stream else 0.0

    def poll(self) -> str | None:
        """Look after the device, some times a second. Returns a line if it was lost, is back, or cannot be opened."""
        if self._stream is None:
            return self._try_again() if self._now() >= self._retry_s else None
        if self._output.calls != self._calls:
            self._calls, self._called_s = self._output.calls, self._now()
        if self._stream.active and self._now() - self._called_s <= STALL_S:
            return None
        self._lose(self._stream)
        return f"{self.device.name} ({self.device.host_api}) is lost: waiting for it, playing and recording go on"

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._stand_in is not None:
            self._stand_in.stop()

    def _lose(self, stream: Stream) -> None:
        self._gate.open = False
        self._stand_in = _StandIn(self._output)
        self._stream, self._found = None, False
        self._retry_s = self._now() + RETRY_S
        stream.close()

    def _try_again(self) -> str | None:
        self._retry_s = self._now() + RETRY_S
        try:
            found = self._find(self.device)
        except WavekeysError as error:
            return self._told_once(error)
        if found is None or self._stand_in is None:
            self._found = False
            return None
        gate = _Gate(self._output if found.channels == 2 else self._output.mono)
        if not self._found:
            self._found = True
            self._before_return()
        self._stand_in.stop()
        self._output.fade_in()
        try:
            stream = self._open_stream(found, gate)
        except WavekeysError as error:
            gate.open = False
            self._stand_in = _StandIn(self._output)
            return self._told_once(error)
        self.device, self._gate, self._stream, self._stand_in = found, gate, stream, None
        self._refusal = ""
        self._calls, self._called_s = self._output.calls, self._now()
        return f"{found.name} ({found.host_api}) is back"

    def _told_once(self, error: WavekeysError) -> str | None:
        told, self._refusal = self._refusal, str(error)
        return self._refusal if self._refusal != told else None


def _find(lost: OutputDevice) -> OutputDevice | None:
    """The device of the same name and system, to be opened at the rate that it had: a take has begun with that."""
    try:
        if not refresh_outputs():
            return None
        same = [d for d in list_outputs() if (d.name, d.host_api) == (lost.name, lost.host_api)]
    except (WavekeysError, OSError, RuntimeError):
        same = []
    if not same:
        forget_outputs()
        return None
    if lost.host_api == JACK and same[0].rate_hz != lost.rate_hz:
        forget_outputs()
        raise WavekeysError(
            f"{lost.name} ({JACK}) runs at {same[0].rate_hz} Hz now and is not played on: "
            f"start its server at {lost.rate_hz} Hz, as before"
        )
    return dataclasses.replace(same[0], rate_hz=lost.rate_hz)


def _open(device: OutputDevice, call: AudioCallback) -> OutputStream:
    try:
        with in_real_time(PORTS):
            return OutputStream(device, call)
    except WavekeysError:
        forget_outputs()
        raise


class _Gate:
    """Between a stream and the output: a lost stream that wakes up again must not play beside its successor."""

    def __init__(self, call: AudioCallback) -> None:
        self.open = True
        self._call = call

    def __call__(self, outdata: np.ndarray, frames: int, time_info: Any, status: Any) -> None:
        if self.open:
            self._call(outdata, frames, time_info, status)
        else:
            outdata.fill(0.0)


class _StandIn:
    """Calls the output as the device would, into nothing."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stand-in", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        frames = max(self._output.period_frames, 1)
        nowhere = np.zeros((frames, 2), np.float32)
        due_s = time.monotonic()
        while not self._stopped.is_set():
            self._output(nowhere, frames, None, None)
            due_s = max(due_s + frames / self._output.rate_hz, time.monotonic() - 0.1)
            self._stopped.wait(max(0.0, due_s - time.monotonic()))
