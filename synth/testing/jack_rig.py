"""A real JACK server with the dummy driver, `wavekeys play` as a process, and a JACK client that plays and listens.

Needs Debian's jackd2 and the test extra (JACK-Client). Works on conditions, never on elapsed times, so that a busy
machine makes it slow and not wrong.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

SERVER = f"wavekeys-test-{os.getpid()}"
RATE_HZ = 48_000
PERIOD_FRAMES = 256
PATIENCE_S = 60.0  # until a wait counts as failed; generous, because the machine may be busy with other work
PLAY = (sys.executable, "-m", "synth.testing.play_sine")
PLAY_FACTORY = (sys.executable, "-c", "from synth.cli.main import main; main()", "play")  # the trained model
ENVIRONMENT = {
    **os.environ,
    "JACK_DEFAULT_SERVER": SERVER,
    "JACK_NO_AUDIO_RESERVATION": "1",
    "JACK_NO_START_SERVER": "1",
}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        time.sleep(0.01)


@dataclasses.dataclass
class Player:
    """A running `wavekeys play`: its process and what it has printed."""

    process: subprocess.Popen[str]
    out: list[str]
    err: list[str]

    def said(self, text: str, *, times: int = 1) -> bool:
        return sum(text in line for line in (*self.out, *self.err)) >= times

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(PATIENCE_S)
        wait_until(lambda: all(not thread.is_alive() for thread in self._readers), "the end of the output")
        return code

    def close(self) -> None:
        """End it if it still runs; killed, it would leave the server waiting for its clients.

        What it has said is printed, which pytest shows if the test fails.
        """
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        print(*self.out, *self.err, sep="\n")
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def __post_init__(self) -> None:
        self._readers = [
            threading.Thread(target=lines.extend, args=(map(str.rstrip, stream),), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()


class _Block(NamedTuple):
    frame: int  # by the server's clock
    heard_s: float  # by the host's
    audio: np.ndarray  # [C, T]


class Listener:
    """A JACK client with a MIDI output and two audio inputs; keeps everything it hears."""

    def __init__(self, *, server: str = SERVER, name: str = "listener") -> None:
        import jack  # from the test extra: `synth.testing` itself must import without it

        self._client = jack.Client(name, servername=server, no_start_server=True)
        self._midi = self._client.midi_outports.register("midi")
        self._inputs = [self._client.inports.register(f"in_{channel}") for channel in (1, 2)]
        self._to_send: collections.deque[bytes] = collections.deque()
        self._heard: list[_Block] = []
        self.sent_frames: list[int] = []
        self._client.set_process_callback(self._process)
        self._client.activate()

    def _process(self, _frames: int) -> None:
        now = self._client.last_frame_time
        self._midi.clear_buffer()
        while self._to_send:
            self._midi.write_midi_event(0, self._to_send.popleft())
            self.sent_frames.append(now)
        audio = np.stack([port.get_array() for port in self._inputs])
        self._heard.append(_Block(now, time.perf_counter(), audio))

    def connect(self) -> None:
        """Connect both ways with `wavekeys play --midi virtual`."""
        self._client.connect(self._midi, "wavekeys-midi:wavekeys")
        self.connect_audio()

    def connect_audio(self) -> None:
        for source, own in zip(("wavekeys:out_0", "wavekeys:out_1"), self._inputs, strict=True):
            self._client.connect(source, own)

    def send(self, *messages: mido.Message) -> None:
        self._to_send.extend(bytes(message.bytes()) for message in messages)
        wait_until(lambda: not self._to_send, "JACK to take the MIDI events")

    @property
    def position(self) -> int:
        """Blocks heard so far; a mark for `since`."""
        return len(self._heard)

    def since(self, position: int) -> np.ndarray:
        """What was heard from a mark on, [T, 2], with silence where JACK skipped this client."""
        blocks = self._heard[position:]
        if not blocks:
            return np.zeros((0, 2), np.float32)
        first = blocks[0].frame
        audio = np.zeros((blocks[-1].frame - first + PERIOD_FRAMES, 2), np.float32)
        for block in blocks:
            audio[block.frame - first :][: block.audio.shape[1]] = block.audio.T
        return audio

    def pauses(self, position: int) -> list[float]:
        """When, since a mark and the first sound, blocks held digital silence, two frames or more: host times in s."""
        blocks = itertools.dropwhile(lambda block: not block.audio.any(), self._heard[position:])
        silent = [(block.heard_s, np.all(block.audio == 0.0, axis=0)) for block in itertools.islice(blocks, 1, None)]
        return [heard_s for heard_s, frames in silent if np.any(frames[1:] & frames[:-1])]

    def first_frame(self, position: int) -> int:
        return self._heard[position].frame

    def listen(self, seconds: float) -> np.ndarray:
        """Hear that much from now on, [T, 2]."""
        start = self.position
        wait_until(lambda: len(self.since(start)) >= seconds * RATE_HZ, f"{seconds} s of JACK audio")
        return self.since(start)

    def close(self) -> None:
        self._client.deactivate()
        self._client.close()


@contextlib.contextmanager
def serve(
    log_path: Path, *, name: str = SERVER, rate_hz: int = RATE_HZ, realtime: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A jackd with the dummy driver under a name of its own, so that it meets no other server.

    Synchronous: it waits for its clients. Else a client that is late for a period never sees that period's MIDI
    (measured on a busy machine: 20 of 935 events lost, none when synchronous).
    """
    command = [
        "jackd",
        "--sync",
        "-n",
        name,
        *(("--realtime", "--realtime-priority", "10", "--no-mlock") if realtime else ("--no-realtime",)),
        "-d",
        "dummy",
        "-r",
        str(rate_hz),
        "-p",
        str(PERIOD_FRAMES),
    ]
    with log_path.open("w") as log:
        server = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait = ["jack_wait", "-s", name, "-w", "-t", str(round(PATIENCE_S))]
            subprocess.run(wait, env=ENVIRONMENT, check=True, stdout=log, stderr=subprocess.STDOUT)
            yield server
        finally:
            server.terminate()
            server.wait(PATIENCE_S)


def launch(
    *arguments: str | Path, prefix: tuple[str, ...] = (), server: str = SERVER, command: tuple[str, ...] = PLAY
) -> Player:
    """Start `wavekeys play` on that server and wait until it plays.

    `prefix` is a program to start it with; `command` is the same host with sines unless told otherwise.
    """
    process = subprocess.Popen(
        [*prefix, *command, *map(str, arguments)],
        env=ENVIRONMENT | {"JACK_DEFAULT_SERVER": server},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    player = Player(process, [], [])
    wait_until(lambda: player.said("playing;") or process.poll() is not None, "the player to start")
    assert process.poll() is None, player.err
    return player
