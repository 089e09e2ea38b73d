"""The engine without threads or devices: a fake clock, a fake port, and a device that takes period after period."""

from __future__ import annotations

import time
from collections.abc import Sequence

import mido
import numpy as np
import pytest

from synth.host.engine import LARGEST_PERIOD_FRAMES, PROBE_CALLS, WORK_S, Engine, Playable, ring_frames
from synth.host.events import EventQueue
from synth.host.output import Output
from synth.host.ring import Ring
from synth.instrument import Part, Rack
from synth.testing import FakeClock, FakePort, SineInstrument

BLOCK = 64


class Clicks(SineInstrument):
    """A single full sample at every note-on."""

    def process(self, events: Sequence[tuple[int, mido.Message]], frames: int) -> np.ndarray:
        out = np.zeros((frames, 2), np.float32)
        for offset, message in events:
            if message.type == "note_on":
                out[offset] = 0.9
        return out


class Broken(SineInstrument):
    """Not a number until it is reset."""

    resets = 0

    def process(self, events: Sequence[tuple[int, mido.Message]], frames: int) -> np.ndarray:
        out = super().process(events, frames)
        if not self.resets:
            out[10:20] = np.nan
        return out

    def reset(self) -> None:
        super().reset()
        self.resets += 1


class Failing(SineInstrument):
    """Fails at once."""

    def process(self, events: Sequence[tuple[int, mido.Message]], frames: int) -> np.ndarray:  # noqa: ARG002
        raise RuntimeError("no more samples")


class Rig:
    """Runs the engine and the device in turns, on a clock of their own."""

    def __init__(
        self, instrument: Playable, *, rate_hz: int = 48_000, period: int = 256, spare: int = 2, stems: bool = False
    ) -> None:
        self.clock = FakeClock()
        self.rate_hz = rate_hz
        self.period = period
        self.events = EventQueue()
        self.port = FakePort(self.events.deliver, self.clock)
        self.ring = Ring(capacity_frames=1 << 13, channels=2)
        self.output = Output(self.ring, rate_hz=rate_hz, now=self.clock)
        self.engine = Engine(
            instrument=instrument,
            block_frames=BLOCK,
            spare_blocks=spare,
            rate_hz=rate_hz,
            events=self.events,
            ring=self.ring,
            output=self.output,
            stems=stems,
            now=self.clock,
            sleep=time.sleep,  # of the engine's own thread, for which this clock stands still
        )
        self.heard: list[np.ndarray] = []
        self._called = 0
        self._started_s = self.clock()

    def run(self, until_s: float) -> np.ndarray:
        """Play until a time since the start; returns all that was heard so far, [T, 2]."""
        while self.clock() - self._started_s < until_s:
            while self.engine.step() == 0.0:
                pass
            if self.clock() - self._started_s >= self._called * self.period / self.rate_hz:
                out = np.zeros((self.period, 2), np.float32)
                self.output(out, self.period, None, False)
                self.heard.append(out)
                self._called += 1
            self.clock.sleep(0.0001)
        return np.concatenate(self.heard)


@pytest.mark.parametrize(
    ("rate_hz", "period"), [(48_000, 256), (48_000, 64), (44_100, 441), (16_000, 100), (48_000, 2048)]
)
def test_every_note_sounds_a_constant_time_after_it_arrived(rate_hz: int, period: int) -> None:
    rig = Rig(Clicks(), rate_hz=rate_hz, period=period)
    rig.run(0.5)
    delays_s = []
    for index in range(25):
        send_s = 0.5 + index * 0.1517  # falls on another place of block and period every time
        rig.run(send_s)
        sent_s = rig.clock() - 100.0
        rig.port.send(mido.Message("note_on", note=60, velocity=100))
        audio = rig.run(send_s + 0.03 + 2 * period / rate_hz)
        recent = int(sent_s * rate_hz)
        delays_s.append((recent + int(np.argmax(np.abs(audio[recent:, 0])))) / rate_hz - sent_s)
    reported_s = rig.engine.latency(device_s=0.0).total_ms / 1e3
    assert rig.events.late == 0
    assert rig.output.underruns == 0
    np.testing.assert_allclose(delays_s, reported_s, atol=0.00025)  # measured: 0.15 ms, of which the rig's step is 0.1


def test_the_ring_never_runs_dry_while_the_engine_is_asked_in_time() -> None:
    rig = Rig(SineInstrument(), spare=1)
    rig.run(2.0)
    assert rig.output.underruns == 0
    assert rig.ring.fill_frames <= rig.engine.target_frames + 2 * 192


def test_a_device_that_begins_to_take_more_at_once_is_followed() -> None:
    rig = Rig(SineInstrument(), period=128)
    rig.run(0.5)
    small = rig.engine.target_frames
    rig.period = 1024
    rig._called = rig._called * 128 // 1024 + 1
    rig.run(1.5)
    assert rig.engine.target_frames == small + 1024 - 128
    underruns = rig.output.underruns
    rig.run(3.0)
    assert rig.output.underruns == underruns


def test_a_block_that_is_not_a_number_is_silenced_and_the_instrument_starts_anew() -> None:
    instrument = Broken()
    rig = Rig(instrument)
    audio = rig.run(0.3)
    assert np.isfinite(audio).all()
    assert (instrument.resets, rig.engine.meters.silenced_blocks) == (1, 1)


def test_the_parts_of_the_latency_add_up() -> None:
    rig = Rig(SineInstrument())
    rig.run(0.1)
    latency = rig.engine.latency(device_s=0.005)
    assert str(latency) == "23.0 ms = midi 0.5 + block 4.0 + ring 13.3 + resampler 0.2 + device 5.0"


def test_a_failing_instrument_ends_the_engine_and_is_kept_for_the_report() -> None:
    rig = Rig(Failing())
    rig.output.calls, rig.output.period_frames = 4, 256
    rig.engine.start()
    rig.engine._thread.join()
    assert str(rig.engine.failure) == "no more samples"
    assert rig.output.finishing


def test_stopping_fades_the_last_block_out() -> None:
    rig = Rig(SineInstrument(), rate_hz=16_000)
    rig.port.send(mido.Message("note_on", note=69, velocity=127))
    rig.run(0.3)
    before = rig.ring.written_frames
    rig.engine.start()
    rig.engine.stop()
    tail = np.zeros((rig.ring.fill_frames, 2), np.float32)
    assert rig.ring.written_frames >= before + BLOCK
    rig.ring.read_into(tail)
    assert abs(tail[-1, 0]) < 1e-6
    assert np.max(np.abs(tail)) > 0.01


def test_an_engine_that_is_always_late_rests_now_and_then() -> None:
    clock = FakeClock()
    rests: list[float] = []

    class Slow(SineInstrument):
        """Needs ten times as long as its blocks last."""

        def process(self, events: Sequence[tuple[int, mido.Message]], frames: int) -> np.ndarray:
            clock.sleep(10 * frames / self.sample_rate_hz)
            return super().process(events, frames)

    ring = Ring(capacity_frames=1 << 13, channels=2)
    output = Output(ring, rate_hz=48_000, now=clock)

    def sleep(seconds: float) -> None:
        rests.append(clock())
        clock.sleep(seconds)
        if len(rests) == 10:
            engine._stop = True

    engine = Engine(
        instrument=Slow(),
        block_frames=BLOCK,
        spare_blocks=1,
        rate_hz=48_000,
        events=EventQueue(),
        ring=ring,
        output=output,
        now=clock,
        sleep=sleep,
    )
    for _ in range(PROBE_CALLS):
        output(np.zeros((256, 2), np.float32), 256, None, False)
    engine.start()
    engine._thread.join(10.0)
    assert engine.failure is None
    assert len(rests) == 10
    assert max(np.diff(rests)) < WORK_S + 2 * 10 * BLOCK / 16_000


@pytest.mark.parametrize(("block", "spare", "rate_hz"), [(2048, 8, 48_000), (2048, 2, 96_000), (48, 1, 192_000)])
def test_a_ring_holds_what_is_asked_for_beyond_the_largest_period(block: int, spare: int, rate_hz: int) -> None:
    frames = ring_frames(block_frames=block, spare_blocks=spare, source_hz=16_000, rate_hz=rate_hz)
    ring = Ring(capacity_frames=frames, channels=2)
    output = Output(ring, rate_hz=rate_hz, now=FakeClock())
    engine = Engine(
        instrument=SineInstrument(),
        block_frames=block,
        spare_blocks=spare,
        rate_hz=rate_hz,
        events=EventQueue(),
        ring=ring,
        output=output,
    )
    for _ in range(PROBE_CALLS):
        output(np.zeros((LARGEST_PERIOD_FRAMES, 2), np.float32), LARGEST_PERIOD_FRAMES, None, False)
    engine.step()
    assert engine.target_frames == LARGEST_PERIOD_FRAMES + spare * block * rate_hz // 16_000


def test_a_stem_that_is_not_a_number_is_silence() -> None:
    taken: list[np.ndarray] = []

    class Takes:
        def push_events(self, events: object, frames: int) -> None: ...

        def push(self, sound: np.ndarray, parts: list[np.ndarray]) -> None:
            taken.extend([sound.copy(), *(part.copy() for part in parts)])

    rig = Rig(Rack([Part(name="a", instrument=Broken())]), stems=True)
    rig.engine.record(Takes())  # type: ignore[arg-type]
    rig.port.send(mido.Message("note_on", note=60, velocity=100))
    rig.run(0.3)
    assert any(block.any() for block in taken)
    assert all(np.isfinite(block).all() for block in taken)
