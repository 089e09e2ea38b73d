"""MIDI inputs through RtMidi.

Threads: the main thread lists, opens and closes, and may block. RtMidi calls back on one thread a port, which only
stamps the time and hands the bytes to `deliver` (`events`).

Under JACK, closing a port waits for the whole graph, with the interpreter lock held; while our audio callback runs it
cannot get that lock, and the graph stands still for half a second. So ports are opened before the stream and
closed after it (`session`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from synth.errors import UsageError, WavekeysError

PORT_NAME = "wavekeys"
_CLIENT_NAME = "wavekeys-midi"  # under JACK the audio client has the plain name already
_LOOPS = ("midi through",)  # echo what other programs send: not a keyboard
# JACK's copies of ports that the ALSA sequencer shows as well: a note must not arrive twice.
_BRIDGED = ("a2j", "system:midi_", "midi-bridge")

Deliver = Callable[[float, Sequence[int]], None]


class InputPort(Protocol):
    """An open input."""

    @property
    def name(self) -> str: ...

    def close(self) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A port of another program or a keyboard, that can be opened."""

    name: str
    api: int  # RtMidi's number of the system it belongs to
    index: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputPlan:
    """What `--midi` came to: ports to open, or our own port that others connect to."""

    sources: tuple[Source, ...]
    virtual: bool
    remark: str = ""  # why it is not what was asked for


def list_input_names() -> list[str]:
    """Names of the ports that `--midi` can open. Empty where there is none."""
    return [source.name for source in _list_sources()]


def plan_inputs(wanted: str) -> InputPlan:
    """Resolve `all`, `virtual` or a part of a port's name; opens nothing."""
    if not _working_apis():
        raise WavekeysError(
            "no MIDI system was found: load the ALSA sequencer (modprobe snd-seq) or start a JACK server; "
            "`wavekeys render` plays MIDI files without one"
        )
    if wanted == "virtual":
        return InputPlan(sources=(), virtual=True)
    sources = _list_sources()
    if wanted == "all":
        sources = [source for source in sources if not source.name.lower().startswith(_LOOPS)]
        if not sources:
            return InputPlan(sources=(), virtual=True, remark="no MIDI input was found")
        return InputPlan(sources=tuple(sources), virtual=False)
    matches = [source for source in sources if source.name.lower() == wanted.lower()]
    matches = matches or [source for source in sources if wanted.lower() in source.name.lower()]
    if not matches:
        names = ", ".join(repr(source.name) for source in sources) or "none"
        raise UsageError(f"--midi {wanted}: no such port; there are: {names}; or give 'all' or 'virtual'")
    return InputPlan(sources=tuple(matches), virtual=False)


def open_inputs(plan: InputPlan, deliver: Deliver) -> list[InputPort]:
    """Open what was planned; every port calls `deliver(host seconds, bytes)`."""
    ports: list[InputPort] = []
    try:
        if plan.virtual:
            # In every system that works, so that a keyboard in one and a program in the other can both connect.
            ports.extend(_RtMidiInput(api, None, deliver) for api in _working_apis())
        for source in plan.sources:
            ports.append(_RtMidiInput(source.api, source, deliver))
    except (OSError, NotImplementedError) as error:
        for port in ports:
            port.close()
        what = f"port {plan.sources[len(ports)].name!r}" if plan.sources else f"a virtual port {PORT_NAME!r}"
        raise WavekeysError(f"MIDI: {what} cannot be opened: {error}; see `wavekeys devices`") from error
    return ports


class _RtMidiInput:
    """One RtMidi input: a source of `api`, or for None a port of our own that others connect to."""

    def __init__(self, api: int, source: Source | None, deliver: Deliver) -> None:
        self.name = source.name if source else PORT_NAME
        self._deliver = deliver
        self._input = _rtmidi().MidiIn(api, _CLIENT_NAME)
        self._input.set_callback(self._receive)
        if source is None:
            self._input.open_virtual_port(PORT_NAME)
        else:
            self._input.open_port(source.index, PORT_NAME)

    def _receive(self, event: tuple[Sequence[int], float], _data: Any) -> None:
        self._deliver(time.perf_counter(), event[0])

    def close(self) -> None:
        self._input.close_port()
        self._input.delete()


def _list_sources() -> list[Source]:
    rtmidi = _rtmidi()
    apis = _working_apis()
    sources: list[Source] = []
    for api in apis:
        probe = rtmidi.MidiIn(api, _CLIENT_NAME)
        names = probe.get_ports()
        probe.delete()
        bridged = _BRIDGED if api == rtmidi.API_UNIX_JACK and rtmidi.API_LINUX_ALSA in apis else ()
        sources.extend(
            Source(name=name, api=api, index=index)
            for index, name in enumerate(names)
            if not (bridged and name.lower().startswith(bridged))
        )
    return sources


def _working_apis() -> list[int]:
    """RtMidi's systems that answer here: on Linux the ALSA sequencer, a running JACK server, or both."""
    rtmidi = _rtmidi()
    working = []
    for api in rtmidi.get_compiled_api():
        with _quiet_stderr(), contextlib.suppress(OSError):
            rtmidi.MidiIn(api, _CLIENT_NAME).delete()
            working.append(api)
    return working


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError as error:
        raise WavekeysError(
            "python-rtmidi is not installed, which MIDI input needs: it has wheels up to Python 3.12; on a newer one "
            "apt install g++ libasound2-dev, then .venv/bin/pip install python-rtmidi"
        ) from error
    return rtmidi


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep libasound and libjack from writing to the terminal that they are not there."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
