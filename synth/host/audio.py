"""Audio devices through PortAudio.

Threads: the main thread only; it may block. The stream calls the given callback on PortAudio's own thread.

PortAudio's list of devices is made when the library starts, so `_portaudio` starts it anew on first use, and
`refresh_outputs` whenever a lost device is looked for; that is also the only moment to name ourselves to a JACK server.
"""

from __future__ import annotations

import atexit
import ctypes
import dataclasses
import functools
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import UsageError, WavekeysError
from synth.host.quiet import quiet_stderr

CLIENT_NAME = "wavekeys"
CLOSE_S = 3.0
JACK = "JACK Audio Connection Kit"
_CLIENT_NAME_C = ctypes.c_char_p(CLIENT_NAME.encode())  # PortAudio keeps the pointer, so it must live as long

AudioCallback = Callable[[np.ndarray, int, Any, Any], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputDevice:
    """A device that can play."""

    index: int
    name: str
    host_api: str
    default: bool  # the one taken where none is asked for
    rate_hz: int  # its own rate; playing at another makes the driver resample
    channels: int


def list_outputs() -> list[OutputDevice]:
    """Every device that can play, in PortAudio's order. Empty where there is none."""
    portaudio = _portaudio()
    host_apis = [api["name"] for api in portaudio.query_hostapis()]
    found = [info for info in portaudio.query_devices() if info["max_output_channels"] > 0]
    default_index = _default_index(portaudio, found, host_apis)
    return [
        OutputDevice(
            index=info["index"],
            name=info["name"],
            host_api=host_apis[info["hostapi"]],
            default=info["index"] == default_index,
            rate_hz=round(info["default_samplerate"]),
            channels=min(2, info["max_output_channels"]),
        )
        for info in found
    ]


def choose_output(wanted: str | None) -> OutputDevice:
    """The device with this index or, if only one has it, this part in its name; the default for None."""
    devices = list_outputs()
    if not devices:
        raise WavekeysError(
            "no audio device was found: connect one, or start a sound server (PipeWire, PulseAudio or JACK), "
            "and look at `wavekeys devices`; `wavekeys render` needs none"
        )
    if wanted is None:
        return next((device for device in devices if device.default), devices[0])
    listing = ", ".join(f"{device.index} {device.name!r} ({device.host_api})" for device in devices)
    if wanted.isdecimal():
        matches = [device for device in devices if device.index == int(wanted)]
    else:
        matches = [device for device in devices if wanted.lower() == device.name.lower()]
        matches = matches or [device for device in devices if wanted.lower() in device.name.lower()]
        if len(matches) > 1:
            raise UsageError(f"--audio {wanted}: several devices have that name, give an index of: {listing}")
    if not matches:
        raise UsageError(f"--audio {wanted}: no such output; give an index or a part of a name of: {listing}")
    return matches[0]


def choose_input(wanted: str | None, beside: OutputDevice) -> int | None:
    """The index of the input with this index or this part in its name; for None that of the output's own device."""
    portaudio = _portaudio()
    inputs = [info for info in portaudio.query_devices() if info["max_input_channels"] > 0]
    if wanted is None:
        return beside.index if any(info["index"] == beside.index for info in inputs) else None
    for info in inputs:
        if (info["index"] == int(wanted)) if wanted.isdecimal() else (wanted.lower() in info["name"].lower()):
            return int(info["index"])
    listing = ", ".join(f"{info['index']} {info['name']!r}" for info in inputs) or "none"
    raise UsageError(f"--input {wanted}: no such input; give an index or a part of a name of: {listing}")


class OutputStream:
    """An open device that calls back for blocks of float32 [frames, channels]."""

    def __init__(self, device: OutputDevice, callback: AudioCallback) -> None:
        portaudio = _portaudio()
        try:
            self._stream = self._open(portaudio, device, callback)
            self._stream.start()
        except portaudio.PortAudioError as error:
            raise WavekeysError(
                f"audio device {device.name!r} ({device.host_api}) cannot be opened at {device.rate_hz} Hz: {error}; "
                f"close what else uses it, or choose another with --audio (`wavekeys devices`)"
            ) from error

    def _open(self, portaudio: Any, device: OutputDevice, callback: AudioCallback) -> Any:
        return portaudio.OutputStream(
            device=device.index, channels=device.channels, callback=callback, **_as_is(device)
        )

    @property
    def active(self) -> bool:
        """False once the driver has given up, as when a server ends or a device is pulled."""
        return bool(self._stream.active)

    @property
    def latency_s(self) -> float:
        """From the callback to the output, as the driver reports it."""
        return float(self._stream.latency)

    def close(self) -> None:
        """End the stream; a device that is gone already is no error.

        After the death of its JACK server PortAudio waits for ever for one more callback, here and when it
        terminates. So it is given up after a while, and this copy of the library with it.
        """
        closing = threading.Thread(target=self._stream.close, kwargs={"ignore_errors": True}, daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():
            portaudio = _portaudio()
            _given_up.append(portaudio._lib)
            portaudio._initialized = 0
            atexit.unregister(portaudio._exit_handler)


class DuplexStream(OutputStream):
    """The same with an input open beside it: the callback takes its block [frames, 1] before the one to fill."""

    def __init__(self, device: OutputDevice, input_index: int, callback: Callable[..., None]) -> None:
        self._input_index = input_index
        super().__init__(device, callback)

    def _open(self, portaudio: Any, device: OutputDevice, callback: Callable[..., None]) -> Any:
        pair = (self._input_index, device.index)
        return portaudio.Stream(device=pair, channels=(1, device.channels), callback=callback, **_as_is(device))

    @property
    def latency_s(self) -> float:
        return float(self._stream.latency[1])


def _as_is(device: OutputDevice) -> dict[str, Any]:
    # Block size 0 lets the driver call with its own period, which saves PortAudio's adapting buffer.
    return {"samplerate": device.rate_hz, "dtype": "float32", "blocksize": 0, "latency": "low"}


_given_up: list[Any] = []  # copies of PortAudio that wait for ever; unloading one would pull the code from under it


def refresh_outputs() -> bool:
    """Look at the devices anew, while no stream is open; False where that cannot be done any more."""
    forget_outputs()
    portaudio = _portaudio()
    with quiet_stderr():
        if portaudio._lib in _given_up and not _load_copy(portaudio):
            return False
        portaudio._initialize()
    return True


def forget_outputs() -> None:
    """Let go of the sound servers until `refresh_outputs`, while no stream is open.

    PortAudio stays a client of a JACK server that it has looked at. Should that one die first, letting go of it would
    abort the program.
    """
    portaudio = _portaudio()
    with quiet_stderr():
        while portaudio._initialized:
            portaudio._terminate()


def _load_copy(portaudio: Any) -> bool:
    """Put a fresh copy of the library in the place of one that was given up; only where a file may be loaded twice."""
    if sys.platform != "linux":
        return False
    lines = Path("/proc/self/maps").read_text().splitlines()
    mapped = (Path(line.split(maxsplit=5)[-1]) for line in lines if "libportaudio" in line)
    loaded = next((path for path in mapped if path.is_file()), None)  # a copy's file is gone
    if loaded is None:
        return False
    with tempfile.TemporaryDirectory(prefix="wavekeys-") as folder:
        copy = shutil.copy(loaded, folder)
        portaudio._lib = portaudio._ffi.dlopen(copy)
        _name_ourselves(copy)
    return True


@functools.cache
def _portaudio() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise WavekeysError(
            "the PortAudio library is missing, which playing needs: apt install libportaudio2 "
            "(Fedora: dnf install portaudio; Arch: pacman -S portaudio)"
        ) from error
    sounddevice._terminate()
    _name_ourselves(sounddevice._libname)
    sounddevice._initialize()
    return sounddevice


def _name_ourselves(library_name: str) -> None:
    """To a JACK server, from the next start of the library on."""
    library = ctypes.CDLL(library_name)
    if hasattr(library, "PaJack_SetClientName"):  # only in a PortAudio that was built with JACK
        library.PaJack_SetClientName(_CLIENT_NAME_C)


def _default_index(portaudio: Any, found: list[dict[str, Any]], host_apis: list[str]) -> int | None:
    # Who runs a JACK server has given it the sound card, so the other interfaces to it are busy. In PortAudio's list
    # every JACK client is a device; the sound card is the one that the server calls "system".
    jack = [info for info in found if host_apis[info["hostapi"]] == JACK]
    if jack:
        return int(next((info for info in jack if info["name"] == "system"), jack[0])["index"])
    index = portaudio.default.device[1]
    indices = [info["index"] for info in found]
    return index if index in indices else next(iter(indices), None)
