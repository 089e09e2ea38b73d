"""Which control points a block of a player needs, and where in a voice's window they lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.kernels import cpu
from synth.stream import Player, PlayerBlock, Point, last_point
from synth.stream.player import KNOWN_POINTS
from synth.wavenet import WaveNet

VOICES, SLOT = 3, 1


def numbered(number: int) -> Point:
    """A point that can be told from the others."""
    none = np.zeros(16, np.float32)
    return Point(np.zeros((2, 16), np.float32), float(number), 440.0, 440.0, 440.0, 0.0, stretch=none, tones=none)


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=12),
    late=st.floats(0, 1, exclude_max=True),
    period=st.sampled_from([32, 64]),
)
def test_every_sample_finds_the_points_on_both_its_sides_though_each_comes_once(
    lengths: list[int], late: float, period: int
) -> None:
    age = -int(late * lengths[0])
    known, due = np.full(KNOWN_POINTS, -1.0), 0
    for samples in lengths:
        block = PlayerBlock(VOICES, samples, 16, 16, period)
        last = last_point(age, samples, period)
        points = [numbered(number) for number in range(due, last + 1)]
        block.set(SLOT, points, age=age, seed=1, temperature=1.0)
        windows = np.full((VOICES, block.window), -1.0)
        windows[SLOT, :KNOWN_POINTS] = known
        windows.reshape(-1)[block.rows[: block.due]] = block.points.fraction[: block.due]
        window, first = windows[SLOT], max(age, 0) // period
        for sample in range(block.begin[SLOT], samples):
            before = (block.position[SLOT] + sample) // period
            assert window[before : before + 2].tolist() == [first + before, first + before + 1]
        known, due, age = window[block.onward[SLOT] :][:KNOWN_POINTS], last + 1, age + samples


@pytest.mark.parametrize("precision", cpu.precisions())
def test_a_voice_alone_and_in_company_is_computed_to_the_same_bits(
    tiny_model: Callable[[str], WaveNet], precision: str
) -> None:
    """With others, its points lie elsewhere among those that are due."""

    def play(company: int) -> np.ndarray:
        player = Player(tiny_model("live"), voices=8, backend="cpu", precision=precision)
        rng = np.random.default_rng(0)
        heard = []
        for index in range(12):
            block = player.new_block(48)
            for slot in (*range(company), 7):
                age, own = 48 * index, np.random.default_rng(index) if slot == 7 else rng
                last = last_point(age, 48, player.period)
                count = last + 1 - (0 if index == 0 else last_point(age - 48, 48, player.period) + 1)
                points = [
                    Point(
                        frames=own.normal(size=(2, 16)).astype(np.float32),
                        fraction=own.random(),
                        pitch_hz=300.0,
                        clock_hz=300.0,
                        learnt_hz=300.0,
                        brightness=own.normal(),
                        stretch=own.uniform(-0.5, 0.5, size=16),
                        tones=np.maximum(own.normal(scale=0.1, size=16), 0.0),
                    )
                    for _ in range(count)
                ]
                block.set(slot, points, age=age, seed=slot, temperature=1.0)
                block.clock[slot] = np.arange(age, age + 48, dtype=np.uint32) * 80_000_000
            heard.append(player.advance(block)[7].copy())
        return np.concatenate(heard)

    alone = play(0)
    assert np.abs(alone).max() > 0
    for company in (1, 2, 5):
        np.testing.assert_array_equal(play(company), alone)
