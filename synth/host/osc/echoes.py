"""What changed, sent to those who asked for it.

Threads: the main thread only. Nothing here waits: a datagram that cannot be sent at once is lost, as datagrams may be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Callable, Iterable

from synth.errors import WavekeysError
from synth.host.desk import Status
from synth.host.osc import wire
from synth.host.osc.tree import happened, state

SUBSCRIBERS = 16
METERS_EVERY_S = 0.1
GONE_AFTER_S = 10.0  # of refused datagrams: time enough for a client to be started again
_QUIET_S = 5.0  # without a refusal: it is back

Place = tuple  # a socket address; two items for IPv4, four for IPv6


class Echoes:
    """The subscribers, and what they know already."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._subscribers: dict[Place, _Subscriber] = {}  # the longest subscribed first
        self._known: dict[str, tuple[wire.Value, ...]] = {}
        self._loudest: Status | None = None  # since the meters were last sent
        self._metered_s = -METERS_EVERY_S

    def add(self, place: Place, status: Status) -> None:
        """From now on `place` gets every change, and first all there is. One too many takes the oldest one's place."""
        self.remove(place)
        subscriber = _Subscriber(place)
        if len(self._subscribers) == SUBSCRIBERS:
            self.remove(next(iter(self._subscribers)))
        self._subscribers[place] = subscriber
        self._known = state(status, meters=False)  # nothing of the meters: their next values are for all
        subscriber.send(whole_state(status), self._clock())

    def remove(self, place: Place) -> None:
        if place in self._subscribers:
            self._subscribers.pop(place).close()

    def show(self, status: Status) -> None:
        """Send what is not as it was, and what has happened."""
        if not self._subscribers:
            return
        now_s = self._clock()
        self._loudest = loudest = _louder(self._loudest, status)
        due = now_s - self._metered_s >= METERS_EVERY_S
        if due:
            self._metered_s, self._loudest = now_s, None
        present = state(loudest, meters=due)
        changed = {path: values for path, values in present.items() if self._known.get(path) != values}
        self._known.update(changed)
        datagrams = [wire.write(path, values) for path, values in (*happened(status), *changed.items())]
        for place, subscriber in list(self._subscribers.items()):
            subscriber.send(datagrams, now_s)
            if subscriber.gone:
                self.remove(place)

    def close(self) -> None:
        for place in list(self._subscribers):
            self.remove(place)


def whole_state(status: Status) -> list[bytes]:
    return [wire.write(path, values) for path, values in state(status, meters=True).items()]


def connected(place: Place) -> socket.socket:
    """A socket that sends there and nowhere else."""
    opened = socket.socket(socket.AF_INET if len(place) == 2 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        opened.connect(place)
    except OSError as error:
        opened.close()
        raise WavekeysError(f"cannot send to port {place[1]}: {error.strerror or error}") from error
    return opened


class _Subscriber:
    """A socket of its own, connected, because only such a one is told that nobody listens any more."""

    def __init__(self, place: Place) -> None:
        self.gone = False
        self._refused_since_s = self._refused_s = -_QUIET_S
        self._socket = connected(place)
        self._socket.setblocking(False)

    def send(self, datagrams: Iterable[bytes], now_s: float) -> None:
        for datagram in datagrams:
            try:
                self._socket.send(datagram)
            except BlockingIOError:
                continue
            except OSError:  # about an earlier datagram; this one was not sent
                self._refused(now_s)
                with contextlib.suppress(OSError):
                    self._socket.send(datagram)

    def close(self) -> None:
        self._socket.close()

    def _refused(self, now_s: float) -> None:
        if now_s - self._refused_s >= _QUIET_S:
            self._refused_since_s = now_s
        self._refused_s = now_s
        self.gone = now_s - self._refused_since_s >= GONE_AFTER_S


def _louder(earlier: Status | None, status: Status) -> Status:
    """This moment, with what the meters must not miss of the moments before."""
    if earlier is None:
        return status
    left, right = (max(pair) for pair in zip(earlier.level_db, status.level_db, strict=True))
    return dataclasses.replace(status, level_db=(left, right), limiting=earlier.limiting or status.limiting)
