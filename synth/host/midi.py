"""MIDI inputs through RtMidi.

Threads: the main thread lists, opens and closes, and may block. RtMidi calls back on one thread a port, which only
stamps the time, notes what is held, and hands the bytes to `deliver` (`events`).

Under JACK, making and deleting an RtMidi input waits for the whole graph, with the interpreter lock held; while our
audio callback runs it cannot get that lock, and the graph stands still for half a second. So they are made before the
stream and deleted after it (`session`), with spare ones for keyboards that are plugged in: to open and close a port
takes milliseconds.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from synth.errors import UsageError, WavekeysError
from synth.host.held import Held
from synth.host.priority import PORTS, in_real_time
from synth.host.quiet import quiet_stderr

PORT_NAME = "wavekeys"
_CLIENT_NAME = "wavekeys-midi"  # under JACK the audio client has the plain name already
_LISTING_NAME = "wavekeys-ports"
_SPARE = 3  # inputs for keyboards that come; each is a client that JACK wakes in every period
_LOOPS = ("midi through",)  # echo what other programs send: not a keyboard
# JACK's copies of ports that the ALSA sequencer shows as well: a note must not arrive twice.
_BRIDGED = ("a2j", "system:midi_", "midi-bridge")

Deliver = Callable[[float, Sequence[int]], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A port of another program or a keyboard, that can be opened."""

    name: str
    api: int  # RtMidi's number of the system it belongs to
    twin: int = 0  # among ports of the same name


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputPlan:
    """What `--midi` came to: ports to open, or our own port that others connect to."""

    wanted: str
    sources: tuple[Source, ...]
    virtual: bool
    remark: str = ""  # what it is instead of what was asked for, and why


def list_input_names() -> list[str]:
    """Names of the ports that `--midi` can open. Empty where there is none."""
    return [source.name for source in _list_sources()]


def plan_inputs(wanted: str, *, needed: bool = True) -> InputPlan:
    """Resolve `all`, `virtual` or a part of a port's name; opens nothing.

    `needed`: whether nothing else plays. If something does, `all` and `virtual` come to no port where there is no MIDI.
    """
    if not _systems():
        missing = "no MIDI system was found: load the ALSA sequencer (modprobe snd-seq) or start a JACK server"
        if needed or wanted not in ("all", "virtual"):
            raise WavekeysError(f"{missing}; `wavekeys render` plays MIDI files without one")
        return InputPlan(wanted=wanted, sources=(), virtual=False, remark=missing)
    sources = _wanted_sources(wanted)
    if wanted == "virtual" or (wanted == "all" and not sources):
        instead = "no MIDI input was found: opening a virtual port instead, connect your keyboard to it"
        remark = "" if wanted == "virtual" else instead
        return InputPlan(wanted=wanted, sources=(), virtual=True, remark=remark)
    if not sources:
        names = ", ".join(repr(name) for name in list_input_names()) or "none"
        raise UsageError(f"--midi {wanted}: no such port; there are: {names}; or give 'all' or 'virtual'")
    return InputPlan(wanted=wanted, sources=sources, virtual=False)


class Inputs:
    """The open ports, and those that come and go while playing.

    Args:
      plan: what to open first; what fits its `wanted` later is opened when it appears.
      deliver: called for each message on the port's own thread, with the host time in seconds and the bytes.
    """

    def __init__(self, plan: InputPlan, deliver: Deliver) -> None:
        self._plan = plan
        self._deliver = deliver
        self._ports: dict[Source, _Input] = {}
        self._own: list[_Input] = []
        self._stock = _Stock()
        what = f"a virtual port {PORT_NAME!r}"
        try:
            if plan.virtual:
                self._own.extend(self._open_own())
            for source in plan.sources:
                what = f"port {source.name!r}"
                with contextlib.suppress(*([_GoneError] if plan.wanted == "all" else [])):
                    self._ports[source] = _Input(self._stock, source.api, source, deliver)
            self._stock.fill()
        except _refusals() as error:
            self.close()
            raise WavekeysError(f"MIDI: {what} cannot be opened: {error}; see `wavekeys devices`") from error

    def _open_own(self) -> Iterator[_Input]:
        """One in every system that works, so that a keyboard in one and a program in the other can both connect."""
        return (_Input(self._stock, api, None, self._deliver) for api in _systems())

    @property
    def names(self) -> list[str]:
        """Of the ports that are open now, each once."""
        return list(dict.fromkeys(port.name for port in (*self._own, *self._ports.values())))

    def look(self) -> list[str]:
        """Open what has appeared, let go of what was pulled, and of all that it held. Returns a line for each."""
        there = _wanted_sources(self._plan.wanted)
        lines = []
        gone = {(source.api, source.name) for source in self._ports if source not in there}
        # Of several with one name nobody knows which is gone: all are opened anew.
        for source in [source for source in self._ports if (source.api, source.name) in gone]:
            self._release(self._ports.pop(source))
            lines.append(f"{source.name} was pulled")
        for source in there:
            if source not in self._ports:
                try:
                    self._ports[source] = _Input(self._stock, source.api, source, self._deliver)
                except _refusals():
                    continue  # it may be ready the next time
                lines.append(f"{source.name} is there")
        return lines

    def renew(self) -> None:
        """Open our own ports, and at the next look all others, once more: a system that ended took them with it."""
        own, self._own = self._own, []
        for port in (*own, *self._ports.values()):
            self._release(port)
        self._ports.clear()
        self._stock.clear()
        _leave(_systems())
        _systems.cache_clear()
        with contextlib.suppress(*_refusals()):
            if own:
                self._own.extend(self._open_own())
            self._stock.fill()

    def _release(self, port: _Input) -> None:
        port.close()  # before what it holds is let go: nothing comes after that
        for message in port.held.let_go():
            self._deliver(time.perf_counter(), message)

    def close(self) -> None:
        for port in (*self._own, *self._ports.values()):
            port.close()
        self._stock.clear()
        _leave(_systems())
        _systems.cache_clear()


class _GoneError(OSError):
    """A port that was listed is there no longer."""


def _refusals() -> tuple[type[Exception], ...]:
    """What RtMidi may raise where a system or a port cannot be had."""
    return OSError, NotImplementedError, _rtmidi().RtMidiError


class _Stock:
    """RtMidi inputs that are not open, by their system."""

    def __init__(self) -> None:
        self._inputs: dict[int, list[Any]] = {}

    def take(self, api: int) -> Any:
        spare = self._inputs.get(api)
        return spare.pop() if spare else _rtmidi().MidiIn(api, _CLIENT_NAME)

    def put(self, api: int, closed: Any) -> None:
        self._inputs.setdefault(api, []).append(closed)

    def fill(self) -> None:
        """Make the spare ones, where it could not be done while playing."""
        jack = _rtmidi().API_UNIX_JACK
        if jack in _systems():
            with contextlib.suppress(*_refusals()):
                for _ in range(_SPARE - len(self._inputs.get(jack, ()))):
                    self.put(jack, _rtmidi().MidiIn(jack, _CLIENT_NAME))

    def clear(self) -> None:
        for inputs in self._inputs.values():
            while inputs:
                inputs.pop().delete()


class _Input:
    """One RtMidi input, open: a source of `api`, or for None a port of our own that others connect to."""

    def __init__(self, stock: _Stock, api: int, source: Source | None, deliver: Deliver) -> None:
        self.name = source.name if source else PORT_NAME
        self.held = Held()
        self._deliver = deliver
        self._stock, self._api = stock, api
        self._input = stock.take(api)
        try:
            self._input.set_callback(self._receive)
            with in_real_time(PORTS):  # its thread
                if source is None:
                    self._input.open_virtual_port(PORT_NAME)
                else:
                    self._input.open_port(self._index_of(source), PORT_NAME)
        except BaseException:
            stock.put(api, self._input)
            raise

    def _index_of(self, source: Source) -> int:
        """Where it is in its system's list now: a list moves up when another keyboard is pulled."""
        places = [index for index, name in enumerate(self._input.get_ports()) if name == source.name]
        if source.twin >= len(places):
            raise _GoneError("it is there no longer")
        return places[source.twin]

    def _receive(self, event: tuple[Sequence[int], float], _data: Any) -> None:
        self._deliver(time.perf_counter(), event[0])
        self.held.see(event[0])

    def close(self) -> None:
        """Nothing comes from it after that."""
        self._input.close_port()
        self._stock.put(self._api, self._input)


def _wanted_sources(wanted: str) -> tuple[Source, ...]:
    """The ports that `--midi` means, of those there are now."""
    sources = _list_sources()
    if wanted == "virtual":
        return ()
    if wanted == "all":
        return tuple(source for source in sources if not source.name.lower().startswith(_LOOPS))
    same = [source for source in sources if source.name.lower() == wanted.lower()]
    return tuple(same or [source for source in sources if wanted.lower() in source.name.lower()])


def _list_sources() -> list[Source]:
    systems = _systems()
    sources: list[Source] = []
    for api, probe in systems.items():
        bridged = _BRIDGED if api == _rtmidi().API_UNIX_JACK and _rtmidi().API_LINUX_ALSA in systems else ()
        names = probe.get_ports()
        sources.extend(
            Source(name=name, api=api, twin=names[:index].count(name))
            for index, name in enumerate(names)
            if not (bridged and name.lower().startswith(bridged))
        )
    return sources


@functools.cache
def _systems() -> dict[int, Any]:
    """RtMidi's systems that answer here (on Linux the ALSA sequencer, a running JACK server, or both), by number.

    Each with an input that lists its ports. It stays open: to open one for every look would disturb a JACK graph, and
    so would one that just vanishes at the end.
    """
    rtmidi = _rtmidi()
    working = {}
    for api in rtmidi.get_compiled_api():
        with quiet_stderr(), contextlib.suppress(OSError, rtmidi.RtMidiError):
            working[api] = rtmidi.MidiIn(api, _LISTING_NAME)
    atexit.register(_leave, working)
    return working


def _leave(systems: dict[int, Any]) -> None:
    while systems:
        systems.popitem()[1].delete()


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError as error:
        raise WavekeysError(
            "python-rtmidi is not installed, which MIDI input needs: it has wheels up to Python 3.12; on a newer one "
            "apt install g++ libasound2-dev, then .venv/bin/pip install python-rtmidi"
        ) from error
    return rtmidi
