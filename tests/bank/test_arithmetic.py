"""Embeddings are mixed, faded, stretched, looped, spliced and steered, and keep their shape and their ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth import UsageError
from synth.bank import Bank, Preset, arithmetic
from synth.bank.arithmetic import SafeRange


def note(frames: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 16)).astype(np.float32)


A, B = note(), note(seed=1)


def test_a_mix_is_the_weighted_mean_and_a_short_note_waits_for_a_long_one() -> None:
    np.testing.assert_allclose(arithmetic.mix([A, B]), (A + B) / 2, atol=1e-6)
    np.testing.assert_allclose(arithmetic.mix([A, B], [3.0, 1.0]), 0.75 * A + 0.25 * B, atol=1e-6)
    long = arithmetic.mix([A[:10], B])
    np.testing.assert_allclose(long[10:], (A[9] + B[10:]) / 2, atol=1e-6)


def test_an_interpolation_goes_from_one_end_to_the_other_in_even_steps() -> None:
    steps = arithmetic.interpolate(A, B, 5)
    np.testing.assert_array_equal(steps[0], A)
    np.testing.assert_array_equal(steps[-1], B)
    np.testing.assert_allclose(np.diff(steps, axis=0), np.broadcast_to((B - A) / 4, (4, 40, 16)), atol=1e-6)


def test_a_crossfade_begins_as_the_one_and_ends_as_the_other() -> None:
    z = arithmetic.crossfade(A, B, start=10, end=30)
    np.testing.assert_array_equal(z[:11], A[:11])
    np.testing.assert_allclose(z[30:], B[30:], atol=1e-6)
    np.testing.assert_allclose(z[20], (A[20] + B[20]) / 2, atol=1e-6)


def test_a_fade_ends_in_silence_and_leaves_alone_what_is_not_the_level() -> None:
    silence = np.full(16, -1.0, np.float32)
    np.testing.assert_allclose(arithmetic.fade(A, silence, "out")[-1], silence, atol=1e-6)
    np.testing.assert_allclose(arithmetic.fade(A, silence, "in")[0], silence, atol=1e-6)
    level = arithmetic.fade(A, silence, "out", channels=[0])
    assert level[-1, 0] == pytest.approx(-1.0, abs=1e-6)
    np.testing.assert_array_equal(level[:, 1:], A[:, 1:])


@given(frames=st.integers(1, 80), factor=st.floats(0.25, 4.0))
def test_a_stretched_note_has_its_length_and_invents_no_value(frames: int, factor: float) -> None:
    z = note(frames)
    long = arithmetic.stretch(z, factor)
    assert long.shape == (max(1, round(frames * factor)), 16)
    assert (long.min(axis=0) >= z.min(axis=0)).all()
    assert (long.max(axis=0) <= z.max(axis=0)).all()


def test_a_stretched_course_is_the_same_course() -> None:
    ramp = np.repeat(np.linspace(0, 1, 41, dtype=np.float32)[:, None], 16, axis=1)
    np.testing.assert_array_equal(arithmetic.stretch(ramp, 1.0), ramp)
    there_and_back = arithmetic.stretch(arithmetic.stretch(ramp, 4.0), 0.25)
    np.testing.assert_allclose(there_and_back[1:-1], ramp[1:-1], atol=1e-6)
    for factor in (0.2, 4.1):
        with pytest.raises(UsageError, match=r"0\.25 to 4"):
            arithmetic.stretch(ramp, factor)


@given(first=st.integers(0, 30), length=st.integers(1, 8), more=st.integers(0, 200))
def test_a_looped_note_never_jumps_and_keeps_its_beginning_and_its_end(first: int, length: int, more: int) -> None:
    z = np.repeat(np.arange(40, dtype=np.float32)[:, None], 16, axis=1)
    last = first + length
    held = arithmetic.loop(z, first=first, last=last, frames=40 + more)[:, 0]
    assert len(held) == 40 + more
    np.testing.assert_array_equal(held[: first + 1], np.arange(first + 1))
    np.testing.assert_array_equal(held[len(held) - (40 - last) :], np.arange(last, 40))
    middle = held[first : len(held) - (39 - last)]
    assert (middle.min(), middle.max()) == (first, last)
    # At most twice as slow or fast as the note; the seams are part of it.
    assert np.abs(np.diff(held)).max() <= 2.0


def test_a_loop_as_long_as_the_note_is_the_note() -> None:
    np.testing.assert_array_equal(arithmetic.loop(A, first=10, last=20, frames=40), A)


def test_a_splice_holds_each_part_and_shares_the_seams() -> None:
    joined = arithmetic.splice([A, B, A[:10]], overlap=2)
    assert joined.shape == (40 + 40 + 10 - 4, 16)
    np.testing.assert_array_equal(joined[:38], A[:38])
    np.testing.assert_array_equal(joined[40:76], B[2:38])
    np.testing.assert_allclose(joined[38], A[38] + (B[0] - A[38]) / 3, atol=1e-6)
    assert len(arithmetic.splice([A, B], overlap=0)) == 80


def test_scaled_channels_stay_within_what_the_bank_has_seen(tiny_preset: Preset) -> None:
    bank: Bank = tiny_preset.bank
    safe = SafeRange.of(bank)
    z = bank.embeddings[0, 0, 0]
    np.testing.assert_array_equal(safe.scale(z, {}), z)
    np.testing.assert_allclose(safe.scale(z, {3: 1.0}), z, atol=1e-6)
    wild = safe.scale(z, {3: 50.0, 5: -1.0})
    assert wild[:, 3].min() == pytest.approx(min(safe.low[3], z[:, 3].min()))
    assert wild[:, 3].max() == pytest.approx(max(safe.high[3], z[:, 3].max()))
    np.testing.assert_array_equal(np.delete(wild, [3, 5], axis=1), np.delete(z, [3, 5], axis=1))
    alone = safe.only(z, [4])
    np.testing.assert_array_equal(alone[:, 4], z[:, 4])
    np.testing.assert_allclose(np.delete(alone, 4, axis=1), np.broadcast_to(np.delete(safe.middle, 4), (20, 15)))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (lambda: arithmetic.mix([A, B], [1.0]), "as many weights"),
        (lambda: arithmetic.mix([A, B], [0.0, 0.0]), "as many weights"),
        (lambda: arithmetic.mix([A, B], [1.0, float("nan")]), "as many weights"),
        (lambda: arithmetic.mix([A, A[:, :8]]), "8 and 16 channels"),
        (lambda: arithmetic.crossfade(A, B, start=30, end=20), "not from 30 to 20"),
        (lambda: arithmetic.crossfade(A, B, end=40), "at most 39"),
        (lambda: arithmetic.loop(A, first=5, last=5, frames=99), "not 5 and 5"),
        (lambda: arithmetic.loop(A, first=5, last=9, frames=39), "at least 40 frames"),
        (lambda: arithmetic.splice([A, B], overlap=41), "41 are to overlap"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        wrong()
