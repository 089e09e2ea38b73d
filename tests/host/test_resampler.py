"""From the model's rate to the device's."""

from __future__ import annotations

import numpy as np
import pytest

from synth.host.resampler import StreamResampler

RATES_HZ = [22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000]


@pytest.mark.parametrize("target_hz", RATES_HZ)
@pytest.mark.parametrize("block", [16, 64, 100, 512])
def test_every_block_becomes_the_same_number_of_frames_within_one(target_hz: int, block: int) -> None:
    resampler = StreamResampler(source_hz=16_000, target_hz=target_hz, block_frames=block)
    sizes = [len(resampler.process(np.zeros((block, 2), np.float32))) for _ in range(400)]
    settled = sizes[8:]  # until the look-ahead is filled
    assert max(settled) == resampler.block_frames
    assert max(settled) - min(settled) <= 1


@pytest.mark.parametrize("target_hz", RATES_HZ)
def test_it_never_holds_back_more_than_it_says(target_hz: int) -> None:
    resampler = StreamResampler(source_hz=16_000, target_hz=target_hz, block_frames=64)
    emitted = 0
    for index in range(1, 400):
        emitted += len(resampler.process(np.zeros((64, 2), np.float32)))
        assert index * 64 * resampler.ratio - emitted <= resampler.backlog_frames
    assert resampler.backlog_frames / target_hz < 0.002  # measured: 1.25 ms


def test_a_click_comes_out_at_its_own_time() -> None:
    resampler = StreamResampler(source_hz=16_000, target_hz=48_000, block_frames=64)
    click = np.zeros((640, 2), np.float32)
    click[300] = 1.0
    out = np.concatenate([resampler.process(click[start : start + 64]) for start in range(0, 640, 64)])
    assert np.argmax(np.abs(out[:, 0])) == 900


def test_equal_rates_pass_blocks_through() -> None:
    resampler = StreamResampler(source_hz=16_000, target_hz=16_000, block_frames=64)
    block = np.ones((64, 2), np.float32)
    assert resampler.process(block) is block
    assert resampler.backlog_frames == 0
