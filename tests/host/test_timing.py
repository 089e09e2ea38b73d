"""From arrival times to offsets inside blocks: the device's clock and the event queue."""

from __future__ import annotations

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.host.clock import DeviceClock
from synth.host.events import EventQueue

RATE_HZ = 48_000
PERIOD = 256
NOTE = mido.Message("note_on", note=60, velocity=100)


def test_the_clock_advances_smoothly_between_callbacks() -> None:
    clock = DeviceClock(rate_hz=RATE_HZ)
    clock.observe(10.0, 512, True)
    assert clock.position_at(10.001) == pytest.approx(512 + 48)


def test_callbacks_that_come_late_hardly_move_the_clock() -> None:
    clock = DeviceClock(rate_hz=RATE_HZ)
    random = np.random.default_rng(1)
    worst = 0.0
    for call in range(2000):
        true_s = 10.0 + call * PERIOD / RATE_HZ
        clock.observe(true_s + random.exponential(0.0003), call * PERIOD, True)
        if call > 200:
            worst = max(worst, abs(clock.position_at(true_s) - call * PERIOD))
    assert worst < 0.001 * RATE_HZ  # measured: 0.24 ms, with callbacks late by 0.3 ms on average and 2.4 at most


def test_the_clock_follows_a_device_that_runs_fast() -> None:
    clock = DeviceClock(rate_hz=RATE_HZ)
    for call in range(5000):
        clock.observe(10.0 + call * PERIOD / (RATE_HZ * 1.0001), call * PERIOD, True)
    end_s = 10.0 + 5000 * PERIOD / (RATE_HZ * 1.0001)
    assert clock.position_at(end_s) == pytest.approx(5000 * PERIOD, abs=3)


def test_the_clock_stands_while_the_device_takes_nothing_and_goes_on_from_there() -> None:
    clock = DeviceClock(rate_hz=RATE_HZ)
    clock.observe(10.0, 0, True)
    clock.observe(10.1, 4800, False)
    assert clock.position_at(11.0) == 4800
    clock.observe(12.0, 4800, True)
    assert clock.position_at(12.01) == pytest.approx(4800 + 480)


@given(
    st.lists(st.floats(0.0, 0.5), min_size=1, max_size=20),
    st.sampled_from([16, 48, 64, 512]),
)
def test_the_frame_of_an_event_does_not_depend_on_the_block_size(arrivals_s: list[float], block: int) -> None:
    queue = EventQueue()
    for arrival_s in sorted(arrivals_s):
        queue.deliver(arrival_s, NOTE.bytes())
    frames = []
    for start in range(0, 16_000, block):
        events = queue.take(start, block, lambda time_s: 16_000 * time_s + 320)
        assert all(0 <= offset < block for offset, _ in events)
        frames.extend(start + offset for offset, _ in events)
    assert frames == [int(16_000 * arrival_s + 320) for arrival_s in sorted(arrivals_s)]
    assert (queue.notes, queue.late) == (len(arrivals_s), 0)


def test_a_late_event_sounds_at_the_start_of_the_block_and_is_counted() -> None:
    queue = EventQueue()
    queue.deliver(0.0, NOTE.bytes())
    assert queue.take(640, 64, lambda _: 600.0) == [(0, NOTE)]
    assert queue.late == 1


def test_a_clock_that_steps_back_does_not_swap_note_on_and_note_off() -> None:
    queue = EventQueue()
    release = mido.Message("note_off", note=60)
    queue.deliver(0.0, NOTE.bytes())
    queue.deliver(0.1, release.bytes())
    positions = iter([40.0, 20.0])
    assert queue.take(0, 64, lambda _: next(positions)) == [(40, NOTE), (40, release)]


@given(st.lists(st.integers(0, 255), max_size=8))
def test_bytes_that_are_not_midi_never_reach_the_instrument(data: list[int]) -> None:
    queue = EventQueue()
    queue.deliver(0.0, data)
    events = queue.take(0, 64, lambda _: 0.0)
    assert len(events) + queue.unreadable == 1
