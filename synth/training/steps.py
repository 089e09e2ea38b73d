"""One step of training: Adam on a batch of crops, and an average of the weights. Weights and moments are float32."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from synth.training.config import OptimizerConfig
from synth.training.crops import Crop
from synth.training.loss import crop_loss
from synth.wavenet import WaveNet


class TrainState(NamedTuple):
    """All that a run carries from step to step. The parameters are nnx states."""

    params: Any
    average: Any
    optimizer: optax.OptState
    step: Array  # [] int32


def learning_rate(config: OptimizerConfig) -> optax.Schedule:
    """Warm-up, plateau, linear fall: the end may be moved while the plateau lasts, without spoiling the run."""
    fall = round(config.steps * config.decay_share)
    warm_up = min(config.warm_up_steps, config.steps - fall)
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, config.learning_rate, max(warm_up, 1)),
            optax.constant_schedule(config.learning_rate),
            optax.linear_schedule(config.learning_rate, config.learning_rate / 100, max(fall, 1)),
        ],
        [warm_up, config.steps - fall],
    )


def make_step(
    model: WaveNet, config: OptimizerConfig
) -> tuple[TrainState, Callable[[TrainState, Crop], tuple[TrainState, Array]]]:
    """The state before the first step, and the step to be jitted: (state, crop) -> (state, loss in nats)."""
    graph, params = nnx.split(model, nnx.Param)
    optimizer = optax.apply_if_finite(
        optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.adam(learning_rate(config))),
        max_consecutive_errors=100,
    )

    def step(state: TrainState, crop: Crop) -> tuple[TrainState, Array]:
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)

        def loss_of(params: Any) -> Array:
            with products_in(config.precision):
                return crop_loss(
                    nnx.merge(graph, params),
                    crop,
                    embedding_noise=config.embedding_noise,
                    key=key,
                    frames_alone=state.step < config.frames_first,
                )

        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        updates, opt_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        count = state.step.astype(jnp.float32)
        decay = jnp.minimum(config.average_decay, (1.0 + count) / (10.0 + count))
        average = jax.tree.map(lambda old, new: old * decay + new * (1.0 - decay), state.average, params)
        return TrainState(params, average, opt_state, state.step + 1), loss

    start = TrainState(params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.int32(0))
    return start, step


def products_in(precision: str) -> contextlib.AbstractContextManager[None]:
    """In "bf16", matrix products take their factors in bfloat16 and sum in float32, where the device can.

    Those are all the model's convolutions; the head, the likelihood and the optimizer stay in float32. A CPU goes on
    in float32.
    """
    return jax.default_matmul_precision("BF16_BF16_F32") if precision == "bf16" else contextlib.nullcontext()
