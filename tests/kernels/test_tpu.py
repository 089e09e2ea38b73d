"""The TPU kernel computes, in Pallas' interpreter, what the reference does; what it should cost is worked out."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from synth import SIZES, WavekeysError
from synth.kernels import tpu
from synth.kernels.tpu.estimate import CHIPS, estimate, padded_bytes, vmem_bytes
from synth.stream import sizes_of

GENERATE = functools.partial(tpu.generate, interpret=True)
SCORE = functools.partial(tpu.score, interpret=True)
TOLERANCE = {"fp32": 1e-5, "bf16": 1e-2}  # of the largest output; measured: 2e-7, 4e-3


@pytest.mark.parametrize("kind", ["paper", "live"])
def test_the_same_samples_are_drawn_as_by_the_reference(kind: str, tiny_problem) -> None:
    problem = tiny_problem(kind)
    audio, state = problem.generate(GENERATE, tpu.prepare(problem.sizes, problem.weights))
    assert np.abs(problem.audio).max() > 5e-3
    np.testing.assert_allclose(audio, problem.audio, rtol=0, atol=1e-6)  # measured: 0 paper, 2e-9 live
    np.testing.assert_array_equal(state.age, problem.state.age)
    np.testing.assert_array_equal(state.step, problem.state.step)
    np.testing.assert_array_equal(state.strayed, problem.state.strayed)
    np.testing.assert_allclose(state.cache, problem.state.cache, rtol=0, atol=1e-5)  # measured: 5e-7


@pytest.mark.parametrize(("kind", "precision"), [("paper", "fp32"), ("live", "fp32"), ("live", "bf16")])
def test_samples_are_scored_as_by_the_reference(kind: str, precision: str, tiny_problem) -> None:
    problem = tiny_problem(kind)
    outputs, prediction = problem.score(SCORE, tpu.prepare(problem.sizes, problem.weights, precision))
    allowed = TOLERANCE[precision] * np.abs(problem.outputs).max()
    np.testing.assert_allclose(outputs, problem.outputs, rtol=0, atol=allowed)
    np.testing.assert_allclose(prediction, problem.prediction, rtol=0, atol=1e-6)  # measured: 2e-8


def test_what_is_not_a_number_is_heard_as_such(tiny_problem) -> None:
    problem = tiny_problem("live").broken()
    audio, _ = problem.generate(GENERATE, tpu.prepare(problem.sizes, problem.weights))
    assert np.isnan(audio[problem.heard]).all()


def test_a_machine_without_a_tpu_is_told_so() -> None:
    with pytest.raises(WavekeysError, match="JAX sees no TPU here"):
        tpu.load()


def test_arrays_in_vmem_are_padded_to_whole_tiles() -> None:
    assert padded_bytes(1, 1) == 8 * 128 * 4
    assert padded_bytes(48, 96) == 48 * 128 * 4
    assert padded_bytes(9, 129, 2) == 16 * 256 * 2


def test_the_estimate_of_vmem_is_near_what_the_compiler_counts() -> None:
    # Mosaic, ahead of time for a v5e: 113.94 MiB for 64 voices of the large size, 205.3 for 8 of the paper's.
    large, paper = (vmem_bytes(sizes_of(SIZES[size]), "bf16", count) for size, count in (("large", 64), ("paper", 8)))
    assert large / 2**20 == pytest.approx(113.9, rel=0.03)
    assert paper / 2**20 == pytest.approx(205.3, rel=0.1)


def test_more_voices_cost_no_more_products_until_they_fill_the_matrix_unit() -> None:
    sizes = sizes_of(SIZES["live"])
    one, many, too_many = (estimate(CHIPS[0], sizes, "bf16", count) for count in (1, 64, 512))
    assert one.matrix_us == many.matrix_us
    assert too_many.matrix_us == 4 * one.matrix_us
    assert one.hbm_us * 64 == pytest.approx(many.hbm_us)
    assert one.step_us == one.matrix_us + one.chain_us


def test_a_matrix_unit_takes_weights_at_its_clock() -> None:
    # 128 * 128 multiply-adds a cycle in each of 4 units: 1.5 GHz for the 197 TFLOP/s of a v5e
    assert CHIPS[0].clock_hz == pytest.approx(1.5e9, rel=0.01)
