"""Which backend `auto` takes where there is an accelerator: the fastest, as measured here and now."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
from flax import nnx

from synth import kernels
from synth.errors import WavekeysError, first_line
from synth.stream.stream import Stream
from synth.wavenet import WaveNet

BLOCK = 64  # samples a call, as in playing


def choose(model: WaveNet, *, voices: int, precision: str) -> tuple[str, str]:
    """The backend's name, and one line that says why.

    Without an accelerator nothing is measured. One that cannot run this model says so in the line, and the next best
    plays.
    """
    names = kernels.available()
    if not {"gpu", "tpu"} & set(names):
        return names[0], f"{names[0]}: there is no accelerator"
    budget_us = 1e6 / model.config.sample_rate_hz
    taken, said = {}, []
    for name in names[:-1] if len(names) > 1 else names:  # the last is pure JAX: many times slower
        try:
            taken[name] = step_us(Stream(model, voices=voices, backend=name, precision=precision))
            said.append(f"{name} {taken[name]:.1f} µs a step")
        except (WavekeysError, RuntimeError) as error:
            if not isinstance(error, WavekeysError):
                # After some errors, such as a kernel that was ended, a GPU does nothing more for this process: what
                # plays now must not make its arrays there, in whatever thread.
                jax.config.update("jax_default_device", _processor())
            said.append(f"{name} cannot: {first_line(error)}")
    fastest = min(taken, key=taken.__getitem__, default=names[-1])
    return fastest, f"{fastest}: {', '.join(said)}; real time is {budget_us:.1f}"


def on_processor(model: WaveNet) -> WaveNet:
    """The model with its weights in the processor's memory: what lies in an accelerator's is lost when that fails."""
    graph, weights = nnx.split(model)
    return nnx.merge(graph, jax.device_put(weights, _processor()))


def _processor() -> jax.Device | None:
    try:
        return jax.devices("cpu")[0]
    except RuntimeError:  # JAX was told to leave it alone
        return None


def step_us(stream: Stream) -> float:
    """Microseconds for a sample of all voices, the second time that they play a frame."""
    z = jnp.zeros((stream.voices, 1, stream.config.embedding_channels))
    pitch = jnp.full(stream.voices, 220.0) if stream.config.clock_harmonics else None
    for _ in range(2):
        start = time.perf_counter()
        stream.generate(z, pitch_hz=pitch, block=BLOCK).block_until_ready()
    return (time.perf_counter() - start) / stream.sizes.hop * 1e6
