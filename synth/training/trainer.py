"""The training loop: Adam on random crops, an average of the weights, and checkpoints that resume to the bit.

Everything random of step i is drawn from (seed, i), so that a resumed run takes the steps that the unbroken one would.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors.numpy
from flax import nnx
from jax import Array

from synth.errors import WavekeysError
from synth.training.batches import batches
from synth.training.config import DataConfig, OptimizerConfig, TrainConfig
from synth.training.crops import Crop, analyse
from synth.training.data import BadNote, good_notes, open_notes
from synth.training.loss import crop_loss
from synth.wavenet import WaveNet

REPORT_STEPS = 250


class TrainState(NamedTuple):
    """All that a run carries from step to step. The parameters are nnx states."""

    params: Any
    average: Any
    optimizer: optax.OptState
    step: Array  # [] int32


class Progress(NamedTuple):
    """What a report says, over the last `REPORT_STEPS` steps."""

    step: int
    loss: float  # median over the steps, nats a sample
    samples_per_second: float
    seconds_left: float


def read_dataset(data: DataConfig, rate_hz: int, bad: Callable[[BadNote], None]) -> dict[str, Any]:
    """The notes that the config asks for, as keyword arguments of `analyse`."""
    notes = list(good_notes(open_notes(data, rate_hz), bad))
    names = tuple(dict.fromkeys(note.instrument for note in notes))
    return {
        "names": names,
        "instrument": np.array([names.index(note.instrument) for note in notes]),
        "pitch": np.array([note.pitch for note in notes]),
        "velocity": np.array([note.velocity for note in notes]),
        "audio": np.stack([note.audio for note in notes]),
    }


def learning_rate(config: OptimizerConfig) -> optax.Schedule:
    """Warm-up, plateau, linear fall: the end may be moved while the plateau lasts, without spoiling the run."""
    fall = round(config.steps * config.decay_share)
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, config.learning_rate, config.warm_up_steps),
            optax.constant_schedule(config.learning_rate),
            optax.linear_schedule(config.learning_rate, config.learning_rate / 100, max(fall, 1)),
        ],
        [config.warm_up_steps, config.steps - fall],
    )


def make_step(
    model: WaveNet, config: OptimizerConfig
) -> tuple[TrainState, Callable[[TrainState, Crop], tuple[TrainState, Array]]]:
    """The state before the first step, and the compiled step: (state, crop) -> (state, loss in nats)."""
    graph, params = nnx.split(model, nnx.Param)
    optimizer = optax.apply_if_finite(
        optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.adam(learning_rate(config))),
        max_consecutive_errors=100,
    )

    def step(state: TrainState, crop: Crop) -> tuple[TrainState, Array]:
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)

        def loss_of(params: Any) -> Array:
            return crop_loss(nnx.merge(graph, params), crop, embedding_noise=config.embedding_noise, key=key)

        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        updates, opt_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        count = state.step.astype(jnp.float32)
        decay = jnp.minimum(config.average_decay, (1.0 + count) / (10.0 + count))
        average = jax.tree.map(lambda old, new: old * decay + new * (1.0 - decay), state.average, params)
        return TrainState(params, average, opt_state, state.step + 1), loss

    start = TrainState(params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.int32(0))
    return start, jax.jit(step, donate_argnums=0)


def save_state(state: TrainState, path: Path) -> None:
    """Write a checkpoint, atomically."""
    leaves = {f"{index:05d}": np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(state))}
    partial = path.with_suffix(".partial")
    safetensors.numpy.save_file(leaves, partial)
    partial.replace(path)


def restore_state(like: TrainState, path: Path) -> TrainState:
    """Read a checkpoint of a run with the same model and optimizer."""
    try:
        leaves = [jnp.asarray(leaf) for _, leaf in sorted(safetensors.numpy.load_file(path).items())]
    except FileNotFoundError:
        raise WavekeysError(f"nothing to resume: there is no {path}; run without --resume") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise WavekeysError(f"{path}: not a readable checkpoint ({error})") from None
    expected, structure = jax.tree.flatten(like)
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in expected]:
        raise WavekeysError(f"{path}: a checkpoint of another model; use its config, or run without --resume")
    return jax.tree.unflatten(structure, leaves)


class Trainer:
    """One run: its notes, its state, and its folder of `model.safetensors`, `state.safetensors`, `metrics.jsonl`."""

    def __init__(
        self, config: TrainConfig, *, resume: bool = False, bad: Callable[[BadNote], None] = lambda _: None
    ) -> None:
        self.config = config
        try:
            config.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WavekeysError(f"cannot write to the output folder {config.output}: {error.strerror}") from None
        model = WaveNet(config.model, rngs=nnx.Rngs(config.training.seed))
        self.notes = analyse(config.model, model.encoder, **read_dataset(config.data, config.model.sample_rate_hz, bad))
        self.state, self._step = make_step(model, config.training)
        self._graph = nnx.graphdef(model)
        if resume:
            self.state = restore_state(self.state, self._path("state.safetensors"))

    def _path(self, name: str) -> Path:
        return self.config.output / name

    @property
    def model(self) -> WaveNet:
        """The model with the averaged weights."""
        return nnx.merge(self._graph, self.state.average)

    def checkpoint(self) -> None:
        save_state(self.state, self._path("state.safetensors"))
        self.model.save(self._path("model.safetensors"))

    def run(self, report: Callable[[Progress], None]) -> None:
        """Take the remaining steps. Whatever ends it (the last step, an interrupt), the state so far is saved."""
        config = self.config.training
        losses: list[Array] = []
        everything = np.arange(len(self.notes.pitch))
        reported = saved = time.monotonic()
        try:
            crops = batches(self.notes, everything, self.config.model, config, first_step=int(self.state.step))
            for index in range(int(self.state.step), config.steps):
                self.state, loss = self._step(self.state, next(crops))
                losses.append(loss)
                now = time.monotonic()
                if len(losses) == REPORT_STEPS or index + 1 == config.steps:
                    rate = len(losses) / (now - reported)
                    samples = config.batch * config.frames * self.config.model.hop
                    progress = Progress(
                        index + 1,
                        float(np.median(np.array(losses))),
                        rate * samples,
                        (config.steps - index - 1) / rate,
                    )
                    with self._path("metrics.jsonl").open("a", encoding="utf-8") as file:
                        file.write(json.dumps(progress._asdict()) + "\n")
                    report(progress)
                    losses, reported = [], now
                if now - saved > config.checkpoint_minutes * 60:
                    self.checkpoint()
                    saved = now
        finally:
            self.checkpoint()
