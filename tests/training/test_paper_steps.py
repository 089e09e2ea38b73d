"""The paper's kind of model trains: a few steps agree with the same steps written out in float64."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

from synth import WaveNet, WaveNetConfig
from synth.training.config import OptimizerConfig
from synth.training.crops import Crop, Notes
from synth.training.steps import learning_rate, make_step
from synth.wavenet import mulaw

STEPS, BATCH, FRAMES = 4, 2, 6
TRAINING = OptimizerConfig(steps=100, batch=BATCH, frames=FRAMES, warm_up_steps=1, learning_rate=2e-3)
Tensors = dict[str, Array]


def reference_loss(tensors: Tensors, codes: Array, config: WaveNetConfig) -> Array:
    """NSynth's cross-entropy (magenta h512_bo16.py) of codes [B, T] from -128 to 127."""

    def conv(name: str, x: Array, dilation: int = 1, *, causal: bool = True) -> Array:
        kernel = tensors[f"{name}/W"][0]
        reach = (kernel.shape[0] - 1) * dilation
        pads = (reach, 0) if causal else (reach // 2, reach // 2)
        y = lax.conv_general_dilated(
            x, kernel, (1,), [pads], rhs_dilation=(dilation,), dimension_numbers=("NWC", "WIO", "NWC")
        )
        return y + tensors[f"{name}/biases"]

    def relu(x: Array) -> Array:
        return jnp.maximum(x, 0.0)

    inputs = codes[..., None] / 128.0
    x = conv("ae_startconv", inputs, causal=False)
    for i in range(config.encoder_layers):
        inner = conv(f"ae_dilatedconv_{i + 1}", relu(x), 2 ** (i % config.dilation_cycle), causal=False)
        x = x + conv(f"ae_res_{i + 1}", relu(inner))
    z = conv("ae_bottleneck", x)
    z = z.reshape(z.shape[0], -1, config.hop, z.shape[-1]).mean(axis=2)
    z = jnp.repeat(z, config.hop, axis=1)

    x = conv("startconv", jnp.pad(inputs, ((0, 0), (1, 0), (0, 0)))[:, :-1])
    skips = conv("skip_start", x)
    for i, dilation in enumerate(config.dilations):
        gates = conv(f"dilatedconv_{i + 1}", x, dilation) + conv(f"cond_map_{i + 1}", z)
        half = config.residual
        gated = jnp.tanh(gates[..., half:]) / (1.0 + jnp.exp(-gates[..., :half]))
        skips = skips + conv(f"skip_{i + 1}", gated)
        x = x + conv(f"res_{i + 1}", gated)
    logits = conv("logits", relu(conv("out1", relu(skips)) + conv("cond_map_out1", z)))
    log_sums = jax.nn.logsumexp(logits, axis=-1)
    return (log_sums - jnp.take_along_axis(logits, (codes + 128)[..., None], axis=-1)[..., 0]).mean()


def reference_run(tensors: dict[str, np.ndarray], batches: np.ndarray, config: WaveNetConfig) -> tuple[Tensors, list]:
    """Adam (Kingma and Ba 2015, algorithm 1) on gradients clipped by their norm, all in float64."""
    now = {name: jnp.asarray(tensor, jnp.float64) for name, tensor in tensors.items()}
    means = {name: jnp.zeros_like(tensor) for name, tensor in now.items()}
    squares = dict(means)
    compute = jax.jit(jax.value_and_grad(lambda tensors, codes: reference_loss(tensors, codes, config)))
    losses = []
    for count, codes in enumerate(batches):
        loss, gradients = compute(now, jnp.asarray(codes))
        losses.append(float(loss))
        norm = np.sqrt(sum(float(jnp.sum(gradient**2)) for gradient in gradients.values()))
        rate = float(learning_rate(TRAINING)(count))
        for name, gradient in gradients.items():
            clipped = gradient * min(1.0, TRAINING.clip_norm / norm)
            means[name] = 0.9 * means[name] + 0.1 * clipped
            squares[name] = 0.999 * squares[name] + 0.001 * clipped**2
            mean, square = means[name] / (1 - 0.9 ** (count + 1)), squares[name] / (1 - 0.999 ** (count + 1))
            now[name] = now[name] - rate * mean / (jnp.sqrt(square) + 1e-8)
    return now, losses


def test_a_few_steps_of_the_papers_kind_agree_with_float64(tiny_model: Callable[[str], WaveNet]) -> None:
    model = tiny_model("paper")
    config, start = model.config, model.tensors()
    codes = np.random.default_rng(0).normal(scale=30, size=(STEPS, BATCH, FRAMES * config.hop)).round()
    codes = codes.clip(-128, 127).astype(np.int32)
    audio = np.asarray(mulaw.decode(jnp.asarray(codes)), np.float32)
    empty = np.zeros((BATCH, 0), np.float32)

    state, step = make_step(model, TRAINING)
    step, losses = jax.jit(step), []
    for crop in audio:
        first = np.zeros(BATCH, np.int32)
        notes = Notes(*[empty[:, None]] * 5, pitch_hz=np.full((BATCH, 1), 220.0))
        state, loss = step(state, Crop(crop, empty, first, empty, notes))
        losses.append(float(loss))
    found = nnx.merge(nnx.graphdef(model), state.params).tensors()

    with jax.enable_x64(True):
        expected, expected_losses = reference_run(start, codes, config)
        np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
        for name, tensor in expected.items():  # the last `res` is not used, and does not move
            moved = np.sqrt(np.mean((np.asarray(tensor) - start[name]) ** 2))
            error = np.sqrt(np.mean((found[name] - np.asarray(tensor)) ** 2))
            assert error < 1e-4 * moved + 1e-9, name  # measured: 1e-5 of it, float32's own rounding
