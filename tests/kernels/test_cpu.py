"""The compiled kernel, in each of its instruction sets, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synth import SIZES, WavekeysError, kernels
from synth.kernels import cpu
from synth.stream import Stream, sizes_of, weights_of

PROGRAM = """
import sys
import numpy as np
import jax
from flax import nnx
from synth import SIZES, WaveNet
from synth.kernels import cpu
import dataclasses

config = dataclasses.replace(SIZES["live"], layers=4, dilation_cycle=3, residual=32, skip=48, hop=64)
model = WaveNet(config, rngs=nnx.Rngs(1))
z = np.random.default_rng(0).normal(scale=0.5, size=(5, 4, 16)).astype(np.float32)
z[..., 0] = 0.5  # the level: -20 dBFS
audio = np.random.default_rng(1).normal(scale=0.1, size=(5, 256)).astype(np.float32)
pitch = np.linspace(100.0, 500.0, 5)

fast = model.stream(5, "cpu").score(audio, z, pitch_hz=pitch, block=100)
true = model.stream(5, "jax").score(audio, z, pitch_hz=pitch, block=100)
print(cpu.instruction_set(), float(np.abs(fast - true).max()))
"""


@pytest.mark.parametrize("instructions", ["avx512", "avx2", "portable"])
def test_every_instruction_set_computes_what_the_reference_does(instructions: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "WAVEKEYS_ISA": instructions},
        capture_output=True,
        text=True,
        check=True,
    )
    used, difference = done.stdout.split()
    # A processor without the one asked for takes the next best; on this project's machines all three exist.
    assert used in ("avx512", "avx2", "portable")
    assert float(difference) < 1e-5  # measured: 3e-7


def test_the_compiled_kernel_is_what_auto_takes() -> None:
    assert kernels.backend("auto").name == "cpu"
    assert kernels.available() == ("cpu", "jax")


def test_an_unknown_backend_is_refused_with_the_list() -> None:
    with pytest.raises(WavekeysError, match="unknown backend 'fpga'; one of auto, cpu, gpu, tpu, jax"):
        kernels.backend("fpga")


def test_widths_that_are_no_multiple_of_sixteen_are_refused(tiny_model) -> None:
    model = tiny_model("live")
    sizes = sizes_of(model.config)
    odd = type(sizes)(**{**sizes.__dict__, "residual": 20})
    with pytest.raises(WavekeysError, match="multiples of 16, not 20 and 32"):
        cpu.prepare(odd, weights_of(model))


def test_weights_that_disagree_with_the_sizes_are_refused_before_anything_runs(tiny_model) -> None:
    stream = Stream(tiny_model("live"), voices=1, backend="cpu")
    stream.weights = stream.weights._replace(mix=stream.weights.mix[:-1])
    with pytest.raises(Exception, match="`mix` disagrees with the sizes"):
        stream.generate(np.zeros((1, 2, 16), np.float32), pitch_hz=220.0)


def test_the_state_is_updated_in_place(tiny_model) -> None:
    stream = Stream(tiny_model("live"), voices=2, backend="cpu")
    stream.generate(np.zeros((2, 2, 16), np.float32), pitch_hz=220.0)
    before = stream.state.cache.unsafe_buffer_pointer()
    stream.generate(np.zeros((2, 2, 16), np.float32), pitch_hz=220.0)
    assert stream.state.cache.unsafe_buffer_pointer() == before


def test_threefry_is_that_of_jax() -> None:
    from synth.kernels.sampling import threefry

    counters = jnp.arange(1000, dtype=jnp.uint32)
    ours = jnp.stack(threefry(jnp.full(1000, 42, jnp.uint32), counters))
    key = jnp.array([42, 0], jnp.uint32)
    theirs = jax.extend.random.threefry_2x32(key, jnp.concatenate([counters, jnp.zeros_like(counters)]))
    assert (ours.reshape(-1) == theirs).all()


def test_the_paper_size_needs_sixty_million_multiply_adds_a_sample() -> None:
    # facts of the paper's arithmetic: 59.8 M weights less conditioning and biases
    assert sizes_of(SIZES["paper"]).multiply_adds == 3 * 512 + 512 * 256 + 30 * 512 * (3 * 1024 + 512 + 256) + 256 * 512
