"""A clock and a MIDI port under a test's control."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mido


class FakeClock:
    """Stands in for `time.perf_counter` and `time.sleep`: time passes only by `sleep`."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class FakePort:
    """A MIDI input that a test plays on; the clock stamps what it sends."""

    name = "fake"

    def __init__(self, deliver: Callable[[float, Sequence[int]], None], clock: Callable[[], float]) -> None:
        self.closed = False
        self._deliver = deliver
        self._clock = clock

    def send(self, message: mido.Message) -> None:
        self._deliver(self._clock(), message.bytes())

    def close(self) -> None:
        self.closed = True
