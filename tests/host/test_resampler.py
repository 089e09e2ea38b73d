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


@pytest.mark.parametrize("target_hz", [44_100, 48_000, 96_000])
@pytest.mark.parametrize(("tone_hz", "within_db"), [(100, 0.02), (4000, 0.02), (6500, 0.1), (7000, 0.6)])
def test_what_the_model_plays_comes_through_and_no_image_of_it(target_hz: int, tone_hz: int, within_db: float) -> None:
    tone = np.sin(2 * np.pi * tone_hz / 16_000 * np.arange(16_000)).astype(np.float32)[:, None]
    resampler = StreamResampler(source_hz=16_000, target_hz=target_hz, block_frames=48, channels=1)
    out = np.concatenate([resampler.process(tone[start : start + 48]) for start in range(0, 15_984, 48)])[2000:, 0]
    at = 2 * np.pi * tone_hz / target_hz * np.arange(2000, 2000 + len(out))  # exactly its own times
    basis = np.stack([np.sin(at), np.cos(at)], axis=1)
    sine, cosine = np.linalg.lstsq(basis, out, rcond=None)[0]
    assert 20 * np.log10(sine) == pytest.approx(0.0, abs=within_db)
    assert abs(cosine) < 1e-3
    assert np.abs(out - basis @ [sine, cosine]).max() < 10 ** (-55 / 20)


def test_the_size_of_the_blocks_does_not_matter() -> None:
    noise = np.random.default_rng(0).normal(size=(1600, 2)).astype(np.float32)
    heard = []
    for block in (16, 50, 160):
        resampler = StreamResampler(source_hz=16_000, target_hz=44_100, block_frames=block)
        heard.append(np.concatenate([resampler.process(noise[at : at + block]) for at in range(0, 1600, block)]))
    for other in heard[1:]:
        np.testing.assert_allclose(other, heard[0], atol=1e-5)


def test_a_slower_device_hears_nothing_beyond_its_rate() -> None:
    tone = np.sin(2 * np.pi * 6000 / 16_000 * np.arange(16_000)).astype(np.float32)[:, None]
    resampler = StreamResampler(source_hz=16_000, target_hz=8000, block_frames=64, channels=1)
    out = np.concatenate([resampler.process(tone[start : start + 64]) for start in range(0, 16_000, 64)])
    assert np.abs(out[200:]).max() < 2e-3
