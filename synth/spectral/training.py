"""Training the baseline: Adam on whole notes' spectra, the error weighted towards low frequencies."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from synth.errors import WavekeysError
from synth.spectral.config import BaselineConfig
from synth.spectral.model import Baseline
from synth.spectral.spectrum import analyse
from synth.training.checkpoints import Checkpoints, refuse_non_finite, saved_at_the_end
from synth.training.interrupts import interrupts

LOW_WEIGHT, FLAT_FROM_HZ = 10.0, 4000.0  # the error counts so much at 0 Hz, falling linearly to 1 there
REPORT_STEPS = 25


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineTraining:
    """How to train. The defaults are the paper's, but for the number of steps."""

    steps: int
    batch: int = 8
    learning_rate: float = 1e-4
    beta1: float = 0.5
    decay_share: float = 0.0  # of the steps, at the end; the rate falls to a hundredth
    seed: int = 0
    checkpoint_minutes: float = 5.0


class BaselineState(NamedTuple):
    """All that a run carries from step to step."""

    params: Any
    statistics: Any  # of the batch normalisations
    optimizer: optax.OptState
    step: Array  # [] int32


class BaselineProgress(NamedTuple):
    """What a report says, over the last `REPORT_STEPS` steps."""

    step: int
    loss: float  # mean over the steps
    notes_per_second: float
    seconds_left: float


def frequency_weights(config: BaselineConfig) -> np.ndarray:
    """What the error at each bin counts: [bins]."""
    hertz = np.arange(config.bins) * config.sample_rate_hz / config.fft
    share = np.minimum(hertz / FLAT_FROM_HZ, 1.0)
    return (LOW_WEIGHT + share * (1.0 - LOW_WEIGHT)).astype(np.float32)


def spectra_of(config: BaselineConfig, audio: np.ndarray) -> np.ndarray:
    """The spectra of notes [N, T], as `analyse` gives them, one by one: [N, bins, frames]."""
    return np.concatenate([np.asarray(analyse(config, note[None, : config.samples])[0]) for note in audio])


class BaselineTrainer:
    """One run on notes [N, T] of MIDI pitches [N], and its folder of `baseline.safetensors` and checkpoints."""

    def __init__(
        self,
        config: BaselineConfig,
        training: BaselineTraining,
        *,
        audio: np.ndarray,
        pitch: np.ndarray,
        output: Path,
        resume: bool = False,
    ) -> None:
        self.training, self.output = training, output
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WavekeysError(f"cannot write to the output folder {output}: {error.strerror}") from None
        self._checkpoints = Checkpoints(output / "checkpoints", resume=resume)
        self._spectra, self._pitch = spectra_of(config, audio), np.asarray(pitch, np.int32)
        model = Baseline(config, rngs=nnx.Rngs(training.seed))
        # The type of `split` tells a filter too few.
        self._graph, params, statistics, self._rest = cast(tuple, nnx.split(model, nnx.Param, nnx.BatchStat, ...))
        fall = max(round(training.steps * training.decay_share), 1)
        rate = optax.linear_schedule(
            training.learning_rate,
            training.learning_rate / 100 if training.decay_share else training.learning_rate,
            fall,
            training.steps - fall,
        )
        optimizer = optax.adam(rate, b1=training.beta1)
        self.state = BaselineState(params, statistics, optimizer.init(params), jnp.int32(0))
        self._step = self._compiled(optimizer, frequency_weights(config))
        if resume:
            self.state = self._checkpoints.restore(self.state)

    @property
    def model(self) -> Baseline:
        return nnx.merge(self._graph, self.state.params, self.state.statistics, self._rest, copy=True)

    def checkpoint(self) -> None:
        """Save the state. Raises WavekeysError where it is no number any more; the last good one stays then."""
        refuse_non_finite((self.state.params, self.state.statistics), self.state.step, self.output)
        self._checkpoints.save(self.state)
        self.model.save(self.output / "baseline.safetensors")

    def run(self, report: Callable[[BaselineProgress], None]) -> None:
        """Take the remaining steps. Whatever ends it (the last step, an error), the state so far is saved.

        An interrupt ends it after a step, and is raised as KeyboardInterrupt once that is saved.
        """
        losses: list[Array] = []
        first = int(self.state.step)
        reported = saved = time.monotonic()
        with interrupts() as asked, saved_at_the_end(self):
            for index in range(first, self.training.steps):
                # Drawn from (seed, step), so that a resumed run takes the steps that the unbroken one would.
                random = np.random.default_rng((self.training.seed, index))
                which = random.integers(len(self._spectra), size=self.training.batch)
                self.state, loss = self._step(self.state, self._spectra[which], self._pitch[which])
                if losses:
                    losses[-1].block_until_ready()  # to be one step ahead is enough, and ends soon
                losses.append(loss)
                now = time.monotonic()
                if len(losses) == REPORT_STEPS or index + 1 == self.training.steps:
                    rate = len(losses) / (now - reported)
                    left = (self.training.steps - index - 1) / rate
                    mean = float(jnp.mean(jnp.stack(losses)))
                    report(BaselineProgress(index + 1, mean, rate * self.training.batch, left))
                    losses, reported = [], now
                if now - saved > self.training.checkpoint_minutes * 60:
                    self.checkpoint()
                    saved = now
                if asked():
                    break
        if asked():
            raise KeyboardInterrupt

    def _compiled(
        self, optimizer: optax.GradientTransformation, weights: np.ndarray
    ) -> Callable[[BaselineState, np.ndarray, np.ndarray], tuple[BaselineState, Array]]:
        """(state, spectra [B, bins, frames], pitches [B]) -> (state, loss)."""

        def step(state: BaselineState, spectra: Array, pitch: Array) -> tuple[BaselineState, Array]:
            def loss_of(params: Any) -> tuple[Array, Any]:
                model = nnx.merge(self._graph, params, state.statistics, self._rest, copy=True)
                found = model.spectra(model.embed(spectra, training=True), pitch, training=True)
                loss = jnp.mean(jnp.square(found - spectra) * weights[:, None])
                return loss, nnx.state(model, nnx.BatchStat)

            (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
            updates, opt_state = optimizer.update(gradients, state.optimizer, state.params)
            params = optax.apply_updates(state.params, updates)
            return BaselineState(params, statistics, opt_state, state.step + 1), loss

        return jax.jit(step, donate_argnums=0)
