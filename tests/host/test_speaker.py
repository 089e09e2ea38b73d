"""A device that is lost and comes back, without a device."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from synth.errors import WavekeysError
from synth.host.audio import AudioCallback, OutputDevice
from synth.host.output import Output
from synth.host.ring import Ring
from synth.host.speaker import RETRY_S, STALL_S, Speaker
from synth.testing import FakeClock

DEVICE = OutputDevice(index=3, name="USB Audio", host_api="ALSA", default=True, rate_hz=48_000, channels=2)
PERIOD = 64


class FakeStream:
    """A stream that a test calls back, stops and kills."""

    def __init__(self, callback: AudioCallback) -> None:
        self.active = True
        self.latency_s = 0.005
        self.closed = False
        self.callback = callback

    def close(self) -> None:
        self.closed = True

    def call(self) -> np.ndarray:
        out = np.full((PERIOD, 2), 9.0, np.float32)
        self.callback(out, PERIOD, None, None)
        return out


class Rig:
    """A speaker on a clock of its own; `there` is what looking for the device finds."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ring = Ring(capacity_frames=1 << 14, channels=2)
        self.output = Output(self.ring, rate_hz=48_000)
        self.output.resume_frames = PERIOD
        self.streams: list[FakeStream] = []
        self.there: OutputDevice | Exception | None = DEVICE
        self.refuses = False
        self.renewed = 0
        self.speaker = Speaker(
            DEVICE, self.output, before_return=self.renew, open_stream=self.open, find=self.find, now=self.clock
        )

    def renew(self) -> None:
        self.renewed += 1

    def find(self, _device: OutputDevice) -> OutputDevice | None:
        if isinstance(self.there, Exception):
            raise self.there
        return self.there

    def open(self, _device: OutputDevice, callback: AudioCallback) -> FakeStream:
        if self.refuses:
            raise WavekeysError("busy")
        self.streams.append(FakeStream(callback))
        return self.streams[-1]

    def fill(self, frames: int = 4096) -> None:
        self.ring.write(np.full((frames, 2), 0.5, np.float32))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline_s
            time.sleep(0.001)


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.fill()
    made.streams[0].call()
    assert made.speaker.poll() is None
    return made


def test_a_device_that_ends_is_lost_and_the_sound_goes_on_without_it(rig: Rig) -> None:
    rig.streams[0].active = False
    line = rig.speaker.poll()
    assert line is not None
    assert line.startswith("USB Audio (ALSA) is lost")
    assert rig.speaker.lost
    assert rig.streams[0].closed
    read = rig.ring.read_frames
    rig.wait_until(lambda: rig.ring.read_frames > read + 4 * PERIOD)
    rig.speaker.close()


def test_a_device_that_stalls_is_lost_after_a_while_and_not_before(rig: Rig) -> None:
    rig.clock.sleep(0.9 * STALL_S)
    assert rig.speaker.poll() is None
    rig.clock.sleep(0.2 * STALL_S)
    assert rig.speaker.poll() is not None
    rig.speaker.close()


def test_a_lost_stream_that_wakes_up_plays_silence_and_takes_nothing(rig: Rig) -> None:
    rig.streams[0].active = False
    rig.speaker.poll()
    rig.speaker.close()  # and the stand-in with it
    read = rig.ring.read_frames
    assert not rig.streams[0].call().any()
    assert rig.ring.read_frames == read


def test_it_is_opened_again_once_it_is_there_and_fades_in(rig: Rig) -> None:
    rig.streams[0].active = False
    rig.there = None
    rig.speaker.poll()
    rig.clock.sleep(2 * RETRY_S)
    assert rig.speaker.poll() is None
    assert rig.speaker.lost
    rig.there = DEVICE
    rig.clock.sleep(2 * RETRY_S)
    assert rig.speaker.poll() == "USB Audio (ALSA) is back"
    assert not rig.speaker.lost
    rig.fill()
    first = rig.streams[1].call()
    assert first[0, 0] == 0.0
    assert np.all(np.abs(np.diff(first[:, 0])) < 0.01)
    assert first[-1, 0] > 0.0


def test_a_device_that_cannot_be_opened_yet_is_tried_again(rig: Rig) -> None:
    rig.streams[0].active = False
    rig.speaker.poll()
    rig.refuses = True
    rig.clock.sleep(2 * RETRY_S)
    assert rig.speaker.poll() == "busy"
    rig.clock.sleep(2 * RETRY_S)
    assert rig.speaker.poll() is None  # the same again, in a session that may wait for hours
    assert rig.renewed == 1  # keyboards are not cut off at every attempt
    read = rig.ring.read_frames
    rig.wait_until(lambda: rig.ring.read_frames > read)  # still taken by the stand-in
    rig.refuses = False
    rig.clock.sleep(2 * RETRY_S)
    assert rig.speaker.poll() == "USB Audio (ALSA) is back"


def test_a_device_that_is_there_and_of_no_use_says_so_once(rig: Rig) -> None:
    rig.streams[0].active = False
    rig.there = WavekeysError("runs at 44100 Hz now")
    rig.speaker.poll()
    said = []
    for _ in range(3):
        rig.clock.sleep(2 * RETRY_S)
        said.append(rig.speaker.poll())
    assert said == ["runs at 44100 Hz now", None, None]
    rig.there = DEVICE
    rig.clock.sleep(2 * RETRY_S)
    assert rig.speaker.poll() == "USB Audio (ALSA) is back"
    rig.speaker.close()
