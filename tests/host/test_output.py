"""What the audio callback puts out."""

from __future__ import annotations

import numpy as np

from synth.host.output import Output
from synth.host.ring import Ring

RATE_HZ = 48_000
PERIOD = 64
FADE = 240  # 5 ms


def make(level: float = 0.5, frames: int = 0) -> tuple[Ring, Output]:
    ring = Ring(capacity_frames=4096, channels=2)
    ring.write(np.full((frames, 2), level, np.float32))
    output = Output(ring, rate_hz=RATE_HZ)
    output.resume_frames = PERIOD
    return ring, output


def call(output: Output, times: int = 1, frames: int = PERIOD) -> np.ndarray:
    """What the device gets in that many periods, [T, 2]."""
    blocks = []
    for _ in range(times):
        block = np.full((frames, 2), np.nan, np.float32)
        output(block, frames, None, False)
        blocks.append(block)
    return np.concatenate(blocks)


def largest_step(audio: np.ndarray) -> float:
    return float(np.max(np.abs(np.diff(audio, axis=0))))


def test_it_is_silent_until_the_ring_holds_what_it_waits_for() -> None:
    ring, output = make()
    output.resume_frames = 200
    ring.write(np.ones((199, 2), np.float32))
    assert not call(output, 3).any()
    assert ring.fill_frames == 199
    assert output.underruns == 0


def test_it_fades_in_and_then_passes_frames_unchanged() -> None:
    _, output = make(0.5, frames=1024)
    audio = call(output, 16)
    assert largest_step(audio) <= 0.5 / FADE + 1e-6
    np.testing.assert_array_equal(audio[FADE:], 0.5)


def test_a_dry_ring_fades_out_is_counted_once_and_fades_in_again() -> None:
    ring, output = make(0.5, frames=1000)
    dry = call(output, 25)
    assert output.underruns == 1
    assert not dry[1000 + FADE :].any()
    ring.write(np.full((1024, 2), 0.5, np.float32))
    audio = np.concatenate([dry, call(output, 16)])
    assert largest_step(audio) <= 0.5 / (FADE - 1) + 1e-6
    assert output.underruns == 1
    assert audio[-1, 0] == 0.5


def test_a_ring_that_ends_on_purpose_is_no_underrun() -> None:
    _, output = make(0.5, frames=100)
    output.finishing = True
    call(output, 4)
    assert output.underruns == 0


def test_it_reports_the_position_at_which_each_call_began() -> None:
    _, output = make(0.5, frames=1024)
    call(output, 3)
    assert output.observed[1:] == (2 * PERIOD, True)
    assert (output.calls, output.period_frames) == (3, PERIOD)


def test_what_the_driver_reports_is_counted_apart() -> None:
    _, output = make(0.5, frames=1024)
    output(np.zeros((PERIOD, 2), np.float32), PERIOD, None, True)
    assert (output.device_xruns, output.underruns) == (1, 0)


def test_a_device_with_one_channel_hears_the_mean_of_both() -> None:
    ring, output = make()
    ring.write(np.tile(np.array([[0.2, 0.6]], np.float32), (1024, 1)))
    heard = np.zeros((512, 1), np.float32)
    output.mono(heard, 512, None, False)
    np.testing.assert_allclose(heard[FADE:], 0.4, rtol=1e-6)


def test_a_ring_that_is_filled_again_during_the_fade_waits_for_its_end() -> None:
    ring, output = make(0.5, frames=640)
    audio = [call(output, 10), call(output)]  # dry, for less than the fade takes
    ring.write(np.full((2048, 2), 0.5, np.float32))
    audio.append(call(output, 20))
    assert largest_step(np.concatenate(audio)) <= 0.5 / (FADE - 1) + 1e-6
