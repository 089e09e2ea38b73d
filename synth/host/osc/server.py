"""The server: one UDP socket that takes commands and answers them, and the echoes.

Threads: the main thread builds, starts, calls `echo` and closes. The receiving thread (a daemon) reads the socket and
calls the desk; it answers queries from the last snapshot that the main thread left. Whoever wants echoes or the whole
state is put in a deque that the main thread empties, so that changes leave in their order. Nothing holds a lock, and
nothing that a datagram says ends the receiving thread.
"""

from __future__ import annotations

import collections
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from synth.errors import WavekeysError
from synth.host.desk import Desk, Status
from synth.host.osc import wire
from synth.host.osc.addresses import ERROR, Call, Verb
from synth.host.osc.echoes import SUBSCRIBERS, Echoes, Place, connected, whole_state
from synth.host.osc.keys import Keys
from synth.host.osc.tree import find

_LOOK_EVERY_S = 0.05  # whether to end
_REQUESTS = 64  # the most that wait for the main thread; the oldest are forgotten
_LINE = 400  # characters of an error

Request = tuple[Verb, Place, Place]  # verb, whom it is about, who asks


class OscServer:
    """Open Sound Control for a desk, on loopback unless another address of this machine is given.

    `port` 0 takes a free one; the attribute `port` says which. Raises WavekeysError if the port cannot be had. Close it
    before the engine: it lets go what clients still hold down.
    """

    def __init__(
        self, desk: Desk, *, port: int, host: str = "127.0.0.1", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._desk = desk
        self._keys = Keys(desk)
        self._echoes = Echoes(clock)
        self._seen: Status = desk.status()
        self._requests: collections.deque[Request] = collections.deque(maxlen=_REQUESTS)
        self._listens: dict[Place, Place] = {}  # where those who subscribed with a port of their own want answers
        self._closing = False
        self._thread = threading.Thread(target=self._receive, name="osc", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        self._thread.start()

    def echo(self, status: Status) -> None:
        """Send subscribers what changed since the last snapshot; from the main thread, with each new one."""
        self._seen = status
        self._echoes.show(status)
        while self._requests:
            verb, place, asker = self._requests.popleft()
            with self._refusing(asker):
                match verb:
                    case "subscribe":
                        self._echoes.add(place, status)
                    case "unsubscribe":
                        self._echoes.remove(place)
                    case "refresh":
                        self._send(place, whole_state(status))

    def close(self) -> None:
        self._closing = True
        if self._thread.ident is not None:
            self._thread.join()
        self._keys.release()
        self._echoes.close()
        self._socket.close()

    def handle(self, datagram: bytes, sender: Place) -> None:
        """Do what a datagram says, or tell its sender why not. From the receiving thread; never raises."""
        with self._refusing(sender):
            for path, values in wire.read(datagram):
                if path != ERROR:  # another server's: answering it could go on for ever
                    with self._refusing(sender):
                        self._obey(path, values, sender)

    def _obey(self, path: str, values: Iterable[wire.Value], sender: Place) -> None:
        address, part = find(path, self._seen)
        given = list(values)
        if address.shows is not None and not given:
            shown = address.shows(self._seen if part is None else part)
            self._send(self._answers_go_to(sender), [wire.write(path, shown)])
            return
        call = Call(
            desk=self._desk,
            keys=self._keys,
            part="" if part is None else part.name,
            request=lambda verb, port: self._ask(verb, port, sender),
        )
        try:
            address.obey(call, given)
        except WavekeysError as error:
            raise WavekeysError(f"{path}: {error}") from error

    def _ask(self, verb: Verb, port: int, sender: Place) -> None:
        own = (sender[0], port, *sender[2:]) if port else sender
        if verb == "subscribe":
            self._refuse_ourselves(own)
            self._listens.pop(sender, None)
            self._listens[sender] = own
            if len(self._listens) > SUBSCRIBERS:
                self._listens.pop(next(iter(self._listens)))
        answers = self._answers_go_to(sender)
        if verb == "unsubscribe" and own in (sender, answers):
            self._listens.pop(sender, None)
        self._requests.append((verb, own if port else answers, sender))

    def _refuse_ourselves(self, place: Place) -> None:
        """Echoes to the server itself would be commands, and their refusals more of them."""
        with connected(place) as probe:
            if place[1] == self.port and probe.getsockname()[0] == place[0]:
                raise WavekeysError(f"port {self.port} is where commands go: subscribe with a port of your own")

    def _answers_go_to(self, sender: Place) -> Place:
        return self._listens.get(sender, sender)

    @contextlib.contextmanager
    def _refusing(self, sender: Place) -> Iterator[None]:
        try:
            yield
        except WavekeysError as error:
            self._refuse(sender, str(error))
        except Exception as error:
            self._refuse(sender, f"the host failed: {error!r}")

    def _refuse(self, sender: Place, reason: str) -> None:
        line = " ".join(reason.split())
        self._send(self._answers_go_to(sender), [wire.write(ERROR, [line[:_LINE]])])

    def _send(self, place: Place, datagrams: Iterable[bytes]) -> None:
        for datagram in datagrams:
            with contextlib.suppress(OSError):  # whoever asked is gone
                self._socket.sendto(datagram, place)

    def _receive(self) -> None:
        while not self._closing:
            try:
                datagram, sender = self._socket.recvfrom(1 << 16)
            except TimeoutError:
                continue
            except OSError:  # Windows tells here that an answer was not wanted
                time.sleep(0.001)
                continue
            self.handle(datagram, sender)


def refuse_taken(port: int, host: str = "127.0.0.1") -> None:
    """Raise WavekeysError if the port cannot be had."""
    _bound(host, port).close()


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port < 1 << 16:
        raise WavekeysError(f"OSC: a port is from 0 to 65535, not {port}")
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        bound = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise WavekeysError(f"OSC: {host!r} is no address of this machine ({error.strerror or error})") from error
    try:
        bound.bind(place)
    except OSError as error:
        bound.close()
        raise WavekeysError(
            f"OSC: port {port} of {host} cannot be had ({error.strerror or error}): "
            f"close the program that has it, or choose another port"
        ) from error
    bound.settimeout(_LOOK_EVERY_S)
    return bound
