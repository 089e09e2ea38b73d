"""The compiled kernel, in each of its instruction sets and precisions, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from synth import SIZES, WavekeysError, WaveNet, kernels
from synth.errors import UsageError
from synth.kernels import Block, cpu, initial_state, sampling
from synth.kernels.cpu.packing import panel_widths
from synth.stream import Stream, sizes_of, weights_of
from synth.wavenet.decoder import linear_prediction

from .conftest import INSTRUCTION_SETS, instruction_sets_here

PROGRAM = """
import dataclasses, json, sys
from pathlib import Path
import numpy as np
from flax import nnx
from synth import SIZES, WaveNet
from synth.kernels import cpu
from synth.stream import Stream

worst = {}
for size, changes in {
    "live": dict(layers=4, dilation_cycle=3, residual=32, skip=48, hop=64),
    "paper": dict(layers=4, dilation_cycle=3, residual=48, skip=80, hop=64, encoder_layers=1, encoder_width=8),
}.items():
    model = WaveNet(dataclasses.replace(SIZES[size], **changes), rngs=nnx.Rngs(1))
    z = np.random.default_rng(0).normal(scale=0.5, size=(11, 4, 16)).astype(np.float32)
    z[..., 0] = 0.5  # the level: -20 dBFS
    audio = np.random.default_rng(1).normal(scale=0.1, size=(11, 256)).astype(np.float32)
    pitch = np.linspace(100.0, 500.0, 11) if size == "live" else None
    path = Path(sys.argv[1]) / f"{size}.npy"
    if not path.exists():
        np.save(path, model.stream(11, "jax").score(audio, z, pitch_hz=pitch, block=100))
    true = np.load(path)
    for precision in cpu.precisions():
        stream = Stream(model, voices=11, backend="cpu", precision=precision)
        error = float(np.abs(stream.score(audio, z, pitch_hz=pitch, block=100) - true).max() / true.max())
        worst[precision] = float(np.maximum(worst.get(precision, 0.0), error))  # which keeps NaN
print(json.dumps([cpu.instruction_set(), worst]))
"""
# Of the largest probability; measured: 4e-6, 2e-2, 4e-2, 1e-3.
TOLERANCE = {"fp32": 1e-5, "bf16": 4e-2, "int8": 8e-2, "int16": 4e-3}


@pytest.fixture(scope="module")
def reference_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first of the programs leaves what the reference computes, for the others."""
    return tmp_path_factory.mktemp("reference")


@pytest.mark.parametrize("instructions", instruction_sets_here())
def test_every_instruction_set_and_precision_computes_what_the_reference_does(
    instructions: str, reference_folder: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(reference_folder)]
    environment = {**os.environ, "WAVEKEYS_ISA": instructions}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    used, worst = json.loads(done.stdout)
    assert used == instructions
    assert "fp32" in worst
    for precision, error in worst.items():
        assert error < TOLERANCE[precision], precision


@pytest.mark.parametrize("instructions", sorted(INSTRUCTION_SETS.keys() - set(instruction_sets_here())))
def test_a_processor_without_the_instructions_asked_for_takes_some_that_it_has(instructions: str) -> None:
    command = [sys.executable, "-c", "from synth.kernels import cpu; print(cpu.instruction_set())"]
    environment = {**os.environ, "WAVEKEYS_ISA": instructions}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in instruction_sets_here()


@pytest.mark.parametrize("kind", ["live", "paper"])
def test_blocks_are_generated_and_scored_as_by_the_reference(kind: str, tiny_problem) -> None:
    """Voices that begin at any sample and go on in the next block; partials off the clock's multiples."""
    problem = tiny_problem(kind)
    cpu.load()
    packed = cpu.prepare(problem.sizes, problem.weights)
    outputs, prediction = problem.score(cpu.score, packed)
    np.testing.assert_allclose(outputs, problem.outputs, atol=2e-4)
    np.testing.assert_allclose(prediction, problem.prediction, atol=1e-4)
    audio, state = problem.generate(cpu.generate, packed)
    np.testing.assert_allclose(audio, problem.audio, rtol=0, atol=2e-6)
    assert np.abs(audio).max() > 5e-3
    turned = np.asarray(state.strayed - problem.state.strayed).astype(np.int32)
    assert np.abs(turned).max(initial=0) < 2**15  # of 2**32 a turn: roundings of 48 samples


@pytest.mark.parametrize("name", ["jax", "cpu"])
def test_a_burst_rings_down_however_sharp_the_linear_prediction(name: str, tiny_model) -> None:
    """Clipped to what is heard, this filter would swing from end to end for ever."""
    model, kernel = tiny_model("live"), kernels.backend(name)
    sizes = sizes_of(model.config, cpu.GRANULE)
    order, harmonics = sizes.prediction_order, sizes.harmonics
    reflection = np.zeros(order, np.float32)
    reflection[:4] = 0.9, -0.98, 0.6, -0.9
    frames = np.zeros((1, 2, sizes.conditioning), np.float32)
    first = sizes.conditioning - order - 2 * harmonics - 3
    frames[..., first : first + order] = linear_prediction(jnp.asarray(reflection))
    frames[..., -3:] = 1e-3, 1.0, 1.0  # scale, rest, gain
    samples, zeros = 4000, jnp.zeros(1, jnp.int32)
    block = Block(
        conditioning=jnp.asarray(frames),
        position=zeros,
        clock=jnp.zeros((1, samples), jnp.uint32),
        begin=zeros,
        fresh=zeros,
        seed=jnp.zeros(1, jnp.uint32),
        temperature=jnp.ones((1, samples)),
    )
    state = initial_state(sizes, 1)
    burst = 8.0 * np.sign(np.random.default_rng(0).standard_normal(state.history.shape))
    state = state._replace(history=jnp.asarray(burst, jnp.float32), age=jnp.full(1, 1000, jnp.uint32))
    weights = kernel.prepare(sizes, weights_of(model, sizes), "fp32")
    audio = np.asarray(kernel.generate(sizes, weights, state, block)[0])
    assert np.abs(audio[0, :100]).max() == sampling.LARGEST
    assert np.abs(audio[0, -500:]).max() < 1.0


@pytest.mark.parametrize(
    ("columns", "widths"),
    [(16, [16]), (48, [48]), (96, [48, 48]), (144, [48, 48, 48]), (80, [48, 32]), (128, [64, 64])],
)
def test_panels_are_of_nearly_equal_width(columns: int, widths: list[int]) -> None:
    assert panel_widths(columns) == widths


def test_the_compiled_kernel_is_what_auto_takes() -> None:
    assert kernels.backend("auto").name == "cpu"
    assert kernels.available()[-2:] == ("cpu", "jax")


def test_an_unknown_backend_is_refused_with_the_list() -> None:
    with pytest.raises(WavekeysError, match="unknown backend 'fpga'; one of auto, cpu, gpu, tpu, jax"):
        kernels.backend("fpga")


@pytest.mark.parametrize("kind", ["paper", "live"])
def test_widths_that_are_no_multiple_of_sixteen_are_padded(kind: str, tiny_model) -> None:
    config = dataclasses.replace(tiny_model(kind).config, residual=20, skip=37, harmonics=10 if kind == "live" else 0)
    model = WaveNet(config, rngs=nnx.Rngs(2))
    z = np.full((2, 4, 16), 0.3, np.float32)  # a live level of -28 dBFS; a new model's rest is 26 dB below its level
    audio = np.random.default_rng(1).normal(scale=0.01, size=(2, 128)).astype(np.float32)
    pitch = np.array([100.0, 300.0]) if kind == "live" else None
    fast = model.stream(2, "cpu").score(audio, z, pitch_hz=pitch)
    true = model.stream(2, "jax").score(audio, z, pitch_hz=pitch)
    np.testing.assert_allclose(fast, true, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_not_a_number_is_heard_as_such(precision: str, tiny_problem) -> None:
    problem = tiny_problem("live").broken()
    if precision not in cpu.precisions():
        pytest.skip("not on this processor")
    audio, _ = problem.generate(cpu.generate, cpu.prepare(problem.sizes, problem.weights, precision))
    assert np.isnan(audio[problem.heard]).all()
    assert not audio[~problem.heard].any()


def test_scores_before_a_voice_begins_are_zero(tiny_problem) -> None:
    problem = tiny_problem("live")
    packed, state = cpu.prepare(problem.sizes, problem.weights), initial_state(problem.sizes, len(problem.forced))
    for block, heard in zip(problem.blocks, np.split(problem.heard, 2, axis=1), strict=True):
        outputs, prediction, state = cpu.score(problem.sizes, packed, state, block, np.ones(heard.shape, np.float32))
        assert not np.asarray(outputs)[~heard].any()
        assert not np.asarray(prediction)[~heard].any()


@pytest.mark.parametrize(("variable", "value"), [("WAVEKEYS_ISA", "AVX2"), ("WAVEKEYS_THREADS", "two")])
def test_an_environment_that_asks_for_nothing_known_is_refused(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    cpu.load.cache_clear()
    try:
        for ask in (kernels.backend, kernels.available):
            with pytest.raises(UsageError, match=f"{variable}={value}: "):
                ask()
    finally:
        cpu.load.cache_clear()


def test_weights_that_are_not_finite_are_refused_by_name(tiny_model) -> None:
    sizes = sizes_of(tiny_model("live").config)
    weights = weights_of(tiny_model("live"), sizes)
    broken = weights._replace(residual=weights.residual.at[1, 2, 3].set(np.nan))
    with pytest.raises(WavekeysError, match="'residual' are not all finite"):
        cpu.prepare(sizes, broken)


def test_weights_that_disagree_with_the_sizes_are_refused_before_anything_runs(tiny_model) -> None:
    stream = Stream(tiny_model("live"), voices=1, backend="cpu")
    stream.weights = stream.weights._replace(skip_start=stream.weights.skip_start[:-1])
    with pytest.raises(Exception, match="`skip_start` disagrees with the sizes"):
        stream.generate(np.zeros((1, 2, 16), np.float32), pitch_hz=220.0)


def test_the_state_is_updated_in_place(tiny_model) -> None:
    stream = Stream(tiny_model("live"), voices=2, backend="cpu")
    stream.generate(np.zeros((2, 2, 16), np.float32), pitch_hz=220.0)
    before = stream.state.cache.unsafe_buffer_pointer()
    stream.generate(np.zeros((2, 2, 16), np.float32), pitch_hz=220.0)
    assert stream.state.cache.unsafe_buffer_pointer() == before


def test_threefry_is_that_of_jax() -> None:
    counters = jnp.arange(1000, dtype=jnp.uint32)
    ours = jnp.stack(sampling.threefry(jnp.full(1000, 42, jnp.uint32), counters))
    key = jnp.array([42, 0], jnp.uint32)
    theirs = jax.extend.random.threefry_2x32(key, jnp.concatenate([counters, jnp.zeros_like(counters)]))
    assert (ours.reshape(-1) == theirs).all()


def test_the_largest_random_number_draws_a_bin_that_there_is() -> None:
    """NSynth compared it with a sum that rounding had left below 1, drew bin 256 and clicked."""
    random = np.random.default_rng(0)
    logits = random.normal(scale=4.0, size=(4096, 256)).astype(np.float32)
    logits[:, 255] -= 40.0  # whoever draws this one has gone too far
    largest = sampling.uniform(jnp.full(4096, 0xFFFFFFFF, jnp.uint32))
    assert float(largest[0]) < 1.0
    bins = sampling.categorical(jnp.asarray(logits), largest, jnp.ones(4096))
    assert int(bins.max()) <= 254
    sums = np.cumsum(np.asarray(jax.nn.softmax(logits)), axis=1)[:, -1]
    assert (sums < np.asarray(largest)).any()  # so NSynth's way would have clicked here


def test_the_paper_size_needs_sixty_million_multiply_adds_a_sample() -> None:
    # facts of the paper's arithmetic: 59.8 M weights less conditioning, biases and the last layer's residual
    assert (
        sizes_of(SIZES["paper"]).multiply_adds
        == 3 * 512 + 512 * 256 + 30 * 512 * (3 * 1024 + 512 + 256) - 512 * 512 + 256 * 512
    )
