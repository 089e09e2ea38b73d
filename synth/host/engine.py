"""The engine: one thread that turns MIDI events into a ring that is always a little ahead of the device.

Threads: `start`, `stop` and the properties belong to the main thread, everything else to the engine thread.
It may allocate and compute; it never waits for a lock of another thread, never touches the disk and never logs.

A block is due when the ring reaches less than a period and the spare blocks beyond p, the position of the device
by its smooth clock (`clock`). So blocks are spread evenly, however large the device's period is, and nobody has to
wake the engine (`output` says why the callback does not): it sleeps until the next block is due.

Constant latency: an event that arrives when the device is at p sounds at p + lead (and the resampler's lag), where lead
is that spare part and one block. The next block never begins later than that: when the one before it was rendered, the
ring reached less than the spare part beyond the p of that time, and the event came after it. So the place of a note
inside its block follows its arrival alone.

The thread is a real-time one where the system grants it. So it rests now and then even when it is late: a model that
is too large for the machine must not take the machine away from who would end it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from synth.host.clock import DeviceClock
from synth.host.events import EventQueue
from synth.host.limiter import Limiter, silence_non_finite
from synth.host.meters import Latency, Meters
from synth.host.output import Output
from synth.host.priority import ENGINE, in_real_time
from synth.host.recorder import Recorder
from synth.host.resampler import StreamResampler
from synth.host.ring import Ring
from synth.instrument.rack import Rack, RackEvent

LONGEST_SLEEP_S = 0.001  # a stop, or a correction of the clock, is seen this soon
LARGEST_PERIOD_FRAMES = 1 << 14  # that drivers use
PROBE_CALLS = 4  # callbacks that show the device's period before the ring's target is chosen
WORK_S = 0.1  # without rest, at most; then LONGEST_SLEEP_S
MARGIN_MS = 0.5  # a correction of the clock may be this large before an event's offset feels it


def ring_frames(*, block_frames: int, spare_blocks: float, source_hz: int, rate_hz: int) -> int:
    """The capacity of a ring that can be as far ahead as asked, beyond the largest period of a device."""
    block = math.ceil(block_frames * rate_hz / source_hz)
    return 1 << (LARGEST_PERIOD_FRAMES + math.ceil((spare_blocks + 2) * block) - 1).bit_length()


class Playable(Protocol):
    """What the engine plays. All calls come from one thread at a time; the block size never changes in a run."""

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def latency_frames(self) -> int:
        """Frames by which the sound lags its event inside the instrument."""

    @property
    def sounding(self) -> int:
        """Voices that sound now."""

    def warm_up(self, frames: int) -> None:
        """Compile everything that `process` needs for blocks of `frames`."""

    def process(self, events: Sequence[RackEvent], frames: int) -> np.ndarray:
        """The next block [frames, 2] float32; each event takes effect at its offset, 0 <= offset < frames."""

    def reset(self) -> None:
        """All sound off, at once."""


class Engine:
    """Renders blocks into `ring` until told to stop."""

    def __init__(
        self,
        *,
        instrument: Playable,
        block_frames: int,
        spare_blocks: float,
        rate_hz: int,
        events: EventQueue,
        ring: Ring,
        output: Output,
        stems: bool = False,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.meters = Meters(block_s=block_frames / instrument.sample_rate_hz)
        self.failure: Exception | None = None
        self.target_frames = 0  # that the ring reaches beyond the device; 0 until the device's period is known
        self._instrument = instrument
        self._block_frames = block_frames
        self._spare_blocks = spare_blocks
        self._rate_hz = rate_hz
        self._events = events
        self._ring = ring
        self._output = output
        self._recorder: Recorder | None = None
        self._stems = list(instrument.stems) if stems and isinstance(instrument, Rack) else []
        self._now = now
        self._sleep = sleep
        self._resampler = StreamResampler(
            source_hz=instrument.sample_rate_hz,
            target_hz=rate_hz,
            block_frames=block_frames,
            channels=2 + 2 * len(self._stems),
        )
        self._limiter = Limiter(rate_hz=rate_hz)
        self._clock = DeviceClock(rate_hz=rate_hz)
        self._period_frames = 0
        self._lead_frames = 0
        self._rendered_frames = 0  # of the model
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def limited_blocks(self) -> int:
        """Blocks that were louder than the device can play."""
        return self._limiter.limited_blocks

    def start(self) -> None:
        self._thread.start()

    def record(self, recorder: Recorder | None) -> None:
        """From the next block on, hand the sound and its events to this recorder, and to no other any more."""
        self._recorder = recorder
        blocks, deadline_s = self.meters.blocks, time.monotonic() + 1.0
        while self._thread.is_alive() and self.meters.blocks == blocks and time.monotonic() < deadline_s:
            time.sleep(0.001)  # the block that is being rendered still goes to the one before

    def stop(self) -> None:
        """Fade out with one last block and end the thread; what is in the ring still plays."""
        self._stop = True
        self._thread.join()

    def latency(self, *, device_s: float) -> Latency:
        """Valid once `target_frames` is set; `device_s` is what the driver reports."""
        to_ms = 1e3 / self._rate_hz
        return Latency(
            midi_ms=MARGIN_MS,
            block_ms=self._resampler.block_frames * to_ms,
            ring_ms=self.target_frames * to_ms,
            resampler_ms=self._resampler.lag_s * 1e3,
            instrument_ms=self._instrument.latency_frames * 1e3 / self._instrument.sample_rate_hz,
            device_ms=device_s * 1e3,
        )

    def step(self) -> float:
        """Render one block if it is due and return 0, else return the seconds until it will be."""
        if self._output.calls < PROBE_CALLS:
            return LONGEST_SLEEP_S
        if self._output.period_frames > self._period_frames:
            self._follow_period(self._output.period_frames)
        self._clock.observe(*self._output.observed)
        ahead_frames = self._ring.written_frames - self._clock.position_at(self._now())
        if ahead_frames >= self.target_frames or self._ring.free_frames < self._resampler.block_frames:
            return max(0.0001, (ahead_frames - self.target_frames) / self._rate_hz)
        self._render(1.0, 1.0)
        return 0.0

    def _run(self) -> None:
        try:
            with in_real_time(ENGINE):
                rested_s = self._now()
                while not self._stop:
                    due_s = self.step()
                    if not due_s and self._now() - rested_s > WORK_S:
                        due_s = LONGEST_SLEEP_S
                    if due_s:
                        self._sleep(min(due_s, LONGEST_SLEEP_S))
                        rested_s = self._now()
                self._render(1.0, 0.0)
        except Exception as error:  # the main thread reports it, whatever it is
            self.failure = error
        finally:
            self._output.finishing = True

    def _follow_period(self, period_frames: int) -> None:
        """Choose how far to be ahead; again if the device begins to ask for more at once."""
        block = self._resampler.block_frames
        margin = round(MARGIN_MS * 1e-3 * self._rate_hz)
        self._period_frames = period_frames
        self.target_frames = min(period_frames + round(self._spare_blocks * block), self._ring.capacity_frames - block)
        self._lead_frames = self.target_frames + block + margin
        self._output.resume_frames = self.target_frames

    def _render(self, first_gain: float, last_gain: float) -> None:
        started_s = self._now()
        events = self._events.take(self._rendered_frames, self._block_frames, self._model_frame_at)
        recorder = self._recorder
        if recorder is not None:
            recorder.push_events(events, self._block_frames)
        mix = np.array(self._instrument.process(events, self._block_frames), np.float32)
        self._rendered_frames += self._block_frames
        if silence_non_finite(mix):
            # A decoder feeds its output back: once it is not a number it stays so, until it starts anew.
            self.meters.silenced_blocks += 1
            self._instrument.reset()
        if first_gain != last_gain:
            mix *= np.linspace(first_gain, last_gain, len(mix), dtype=np.float32)[:, None]
        parts = [self._instrument.stems[name] for name in self._stems] if isinstance(self._instrument, Rack) else []
        for part in parts:
            silence_non_finite(part)
        wide = self._resampler.process(np.concatenate([mix, *parts], axis=1) if parts else mix)
        sound = self._limiter.process(np.ascontiguousarray(wide[:, :2]))
        if recorder is not None:
            recorder.push(sound, [wide[:, at : at + 2] for at in range(2, wide.shape[1], 2)])
        self._ring.write(sound)
        self.meters.hear(sound)
        self.meters.count(self._now() - started_s)

    def _model_frame_at(self, arrival_s: float) -> float:
        # A device that stalls cannot have taken more than there is, however long ago it was seen.
        position = min(self._clock.position_at(arrival_s), self._ring.written_frames)
        return (position + self._lead_frames) / self._resampler.ratio
