"""From a model to what the kernels compute with: sizes, folded weights, and tables of conditioning."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jax import Array

from synth.kernels import Sizes, Weights
from synth.wavenet import WaveNet, WaveNetConfig


def sizes_of(config: WaveNetConfig) -> Sizes:
    return Sizes(
        dilations=config.dilations,
        filter_width=config.filter_width,
        residual=config.residual,
        skip=config.skip,
        outputs=config.outputs,
        input_taps=config.input_taps,
        clock_harmonics=config.clock_harmonics,
        hop=config.hop,
        smooth=config.smooth_conditioning,
        mixtures=config.mixtures,
        prediction_order=config.prediction_order,
        periods=config.periods,
    )


def weights_of(model: WaveNet) -> Weights:
    """The decoder's weights with biases folded; `taps` and `out1` leave theirs to the conditioning."""
    config, decoder = model.config, model.decoder
    start_bias = decoder.startconv.biases[...]
    clock = jnp.zeros((0, config.residual))
    if config.clock_harmonics:
        clock = decoder.clock.W[0, 0]
        start_bias = start_bias + decoder.clock.biases[...]
    period = decoder.period.W[0, 0] if config.periods else jnp.zeros((0, config.residual))
    if config.periods:
        start_bias = start_bias + decoder.period.biases[...]
    return Weights(
        start=decoder.startconv.W[0, :, 0],
        start_bias=start_bias,
        clock=clock,
        period=period,
        skip_start=decoder.skip_start.W[0, 0],
        taps=jnp.stack([conv.W[0] for conv in decoder.dilatedconv]),
        residual=jnp.stack([conv.W[0, 0] for conv in decoder.res]),
        residual_bias=jnp.stack([conv.biases[...] for conv in decoder.res]),
        skip=jnp.stack([conv.W[0, 0] for conv in decoder.skip]),
        skip_bias=decoder.skip_start.biases[...] + sum(conv.biases[...] for conv in decoder.skip),
        out1=decoder.out1.W[0, 0],
        logits=decoder.logits.W[0, 0],
        logits_bias=decoder.logits.biases[...],
    )


@nnx.jit
def conditioning_of(model: WaveNet, z: Array, pitch_hz: Array | None) -> Array:
    """Conditioning frames for the kernels: [V, F, 16], [V] -> [V, F, columns]; see `Sizes.conditioning`."""
    decoder = model.decoder
    frames = decoder.frame_conditioning(z, pitch_hz)
    columns = [cond(frames) + _biases(conv, frames) for cond, conv in zip(decoder.cond_map, decoder.dilatedconv, strict=True)]
    columns.append(decoder.cond_map_out1(frames) + _biases(decoder.out1, frames))
    if model.config.head == "logistics":
        frame = decoder.frame_prediction(frames)
        columns += [frame.coefficients, frame.scale[..., None], frame.gain[..., None]]
    return jnp.concatenate(columns, axis=-1)


def _biases(layer: nnx.Module, frames: Array) -> Array:
    return jnp.broadcast_to(layer.biases[...], (*frames.shape[:-1], layer.biases.shape[0]))
