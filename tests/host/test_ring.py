"""The ring between two threads."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth import WavekeysError
from synth.host.ring import Ring


def numbered(first: int, count: int) -> np.ndarray:
    """Frames that carry their own number, [count, 2]."""
    frames = np.arange(first, first + count, dtype=np.float32)
    return np.stack([frames, -frames], axis=1)


@given(st.integers(0, 6), st.lists(st.tuples(st.booleans(), st.integers(0, 80)), max_size=60))
def test_any_order_of_writes_and_reads_keeps_every_frame_in_order(bits: int, steps: list[tuple[bool, int]]) -> None:
    ring = Ring(capacity_frames=1 << bits, channels=2)
    written = read = 0
    for writes, count in steps:
        if writes:
            room = ring.free_frames
            assert ring.write(numbered(written, count)) == min(count, room)
            written += min(count, room)
        else:
            out = np.full((count, 2), np.nan, np.float32)
            moved = ring.read_into(out)
            assert moved == min(count, written - read)
            np.testing.assert_array_equal(out[:moved], numbered(read, moved))
            assert np.isnan(out[moved:]).all()
            read += moved
        assert ring.fill_frames == written - read


def test_two_threads_pass_a_long_sequence_without_a_gap() -> None:
    ring = Ring(capacity_frames=256, channels=2)
    total = 50_000

    def write() -> None:
        sent = 0
        while sent < total:
            sent += ring.write(numbered(sent, min(100, total - sent)))
            time.sleep(0)

    writer = threading.Thread(target=write)
    writer.start()
    out = np.zeros((total, 2), np.float32)
    received = 0
    while received < total:
        received += ring.read_into(out[received : received + 77])
        time.sleep(0)
    writer.join()
    np.testing.assert_array_equal(out, numbered(0, total))


def test_a_capacity_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(WavekeysError, match="power of two, not 100"):
        Ring(capacity_frames=100, channels=2)
