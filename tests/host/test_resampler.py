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
    assert max(sizes) == resampler.block_frames
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("target_hz", RATES_HZ)
def test_it_holds_nothing_back(target_hz: int) -> None:
    resampler = StreamResampler(source_hz=16_000, target_hz=target_hz, block_frames=64)
    emitted = 0
    for index in range(1, 400):
        emitted += len(resampler.process(np.zeros((64, 2), np.float32)))
        assert index * 64 * resampler.ratio <= emitted < index * 64 * resampler.ratio + 1


@pytest.mark.parametrize("target_hz", [8000, 44_100, 48_000])
def test_a_click_comes_out_at_its_own_time_and_not_before(target_hz: int) -> None:
    resampler = StreamResampler(source_hz=16_000, target_hz=target_hz, block_frames=64)
    click = np.zeros((640, 2), np.float32)
    click[300] = 1.0
    out = np.concatenate([resampler.process(click[start : start + 64]) for start in range(0, 640, 64)])[:, 0]
    own_s = 300 / 16_000
    seconds = np.arange(len(out)) / target_hz
    assert not out[seconds < own_s].any()
    assert np.argmax(np.abs(out)) / target_hz - own_s == pytest.approx(0.0, abs=0.0004)
    assert seconds @ out / out.sum() - own_s == pytest.approx(resampler.lag_s, abs=1e-5)
    assert resampler.lag_s < 0.0002 * max(1.0, 16_000 / target_hz)  # measured: 0.15 ms


def test_equal_rates_pass_blocks_through() -> None:
    resampler = StreamResampler(source_hz=16_000, target_hz=16_000, block_frames=64)
    block = np.ones((64, 2), np.float32)
    assert resampler.process(block) is block
    assert resampler.lag_s == 0.0


@pytest.mark.parametrize("target_hz", [44_100, 48_000, 96_000])
@pytest.mark.parametrize(
    ("tone_hz", "within_db", "lag_ms"),
    [(100, 0.01, 0.15), (2000, 0.01, 0.153), (4000, 0.01, 0.163), (6500, 0.01, 0.2), (7250, 0.1, 0.233)],
)
def test_what_the_model_plays_comes_through_and_no_image_of_it(
    target_hz: int, tone_hz: int, within_db: float, lag_ms: float
) -> None:
    tone = np.sin(2 * np.pi * tone_hz / 16_000 * np.arange(16_000)).astype(np.float32)[:, None]
    resampler = StreamResampler(source_hz=16_000, target_hz=target_hz, block_frames=48, channels=1)
    out = np.concatenate([resampler.process(tone[start : start + 48]) for start in range(0, 15_984, 48)])[2000:, 0]
    at = 2 * np.pi * tone_hz / target_hz * np.arange(2000, 2000 + len(out))
    basis = np.stack([np.sin(at), np.cos(at)], axis=1)
    sine, cosine = np.linalg.lstsq(basis, out, rcond=None)[0]
    lag_turns = np.arctan2(-cosine, sine) / (2 * np.pi) % 1.0
    assert 20 * np.log10(np.hypot(sine, cosine)) == pytest.approx(0.0, abs=within_db)
    whole_turns = tone_hz * lag_ms // 1000
    assert 1e3 * (lag_turns + whole_turns) / tone_hz == pytest.approx(lag_ms, abs=0.002)
    assert np.abs(out - basis @ [sine, cosine]).max() < 10 ** (-65 / 20)


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
