"""The training loop: steps on batches of crops, validation, checkpoints, and a folder that holds what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import jax
import numpy as np
from flax import nnx
from jax import Array

from synth.bank import model_file
from synth.errors import WavekeysError
from synth.training.batches import batches
from synth.training.cache import analysed_notes
from synth.training.checkpoints import Checkpoints, refuse_non_finite, saved_at_the_end
from synth.training.config import TrainConfig
from synth.training.data import BadNote
from synth.training.devices import Devices
from synth.training.interrupts import interrupts
from synth.training.metrics import MetricsLog
from synth.training.progress import Pace, Progress
from synth.training.steps import make_step
from synth.training.validation import Validation, roles
from synth.wavenet import WaveNet, load_model

REPORT_STEPS = 250
AGREE_STEPS = 10  # every so many, several processes agree on whether to stop or to save, which all must do at once


class Trainer:
    """One run: its notes, its state, and its folder."""

    def __init__(
        self, config: TrainConfig, *, resume: bool = False, bad: Callable[[BadNote], None] = lambda _: None
    ) -> None:
        self.config = config
        training = config.training
        try:
            config.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WavekeysError(f"cannot write to the output folder {config.output}: {error.strerror}") from None
        self.checkpoints = Checkpoints(config.output / "checkpoints", resume=resume)
        self.devices = Devices(training.batch)
        if training.start_from:
            model = load_model(model_file(training.start_from))
        else:
            model = WaveNet(config.model, rngs=nnx.Rngs(training.seed))
        start, step = make_step(model, training)
        self.state = self.devices.replicate(start)
        self._step = jax.jit(step, donate_argnums=0, out_shardings=self.devices.everywhere)
        self._graph = nnx.graphdef(model)
        if resume:  # before the notes: to analyse them may take hours
            self.state = self.checkpoints.restore(self.state)
            self._save_model()  # it may be older: what is written second can be missing
        self.notes = analysed_notes(model, config.data, config.output / "notes", bad)
        self.roles = roles(self.notes, config.validation)

    @property
    def model(self) -> WaveNet:
        """The model with the averaged weights."""
        return nnx.merge(self._graph, self.state.average)

    def checkpoint(self) -> None:
        """Save the state. Raises WavekeysError where it is no number any more; the last good one stays then."""
        refuse_non_finite(self.state.average, self.state.step, self.config.output)
        self.checkpoints.save(self.state)
        self._save_model()

    def _save_model(self) -> None:
        if jax.process_index() == 0:
            self.model.save(self.config.output / "model.safetensors")

    def run(self, report: Callable[[Progress], None]) -> None:
        """Take the remaining steps. Whatever ends it (the last step, an error), the state so far is saved.

        An interrupt ends it after a step, and is raised as KeyboardInterrupt once that is saved. Of several processes
        the first alone reports and writes metrics, and all end after the same step.
        """
        config, settings = self.config.training, self.config.validation
        held_out = {role: chosen for role, chosen in self.roles.items() if role != "train"}
        validation = Validation(self.notes, held_out, self.config, self.devices)
        first = int(self.state.step)
        crops = batches(self.notes, self.roles["train"], self.config.model, config, first_step=first)
        log = MetricsLog(self.config.output, first) if jax.process_index() == 0 else None
        losses: list[Array] = []
        saved = time.monotonic()
        stopped = False
        if first < config.steps:
            crop = self.devices.divide(next(crops))
            step = self._step.lower(self.state, crop).compile()
            flops = cast(dict, step.cost_analysis())["flops"]
            pace = Pace(first, config.steps, slower_from=config.frames_first)
        with interrupts() as asked, saved_at_the_end(self):
            for done in range(first + 1, config.steps + 1):
                self.state, loss = step(self.state, crop)
                if losses:
                    losses[-1].block_until_ready()  # to be one step ahead of the devices is enough
                losses.append(loss)
                is_due = done % settings.steps == 0 or done == config.steps
                measured = validation(self._graph, self.state.average) if is_due else {}
                if len(losses) == REPORT_STEPS or done == config.steps or measured:
                    progress = pace.report(
                        done,
                        float(np.median(np.array(losses))),
                        samples=config.batch * config.frames * self.config.model.hop,
                        flops=flops,
                        peak_flops=self.devices.peak_flops(config.precision),
                        validation=measured,
                    )
                    losses = []
                    if log is not None:
                        log.write(done, progress.numbers())
                        report(progress)
                if done % AGREE_STEPS == 0 or jax.process_count() == 1:
                    due = time.monotonic() >= saved + 60 * config.checkpoint_minutes
                    stopped, due = self.devices.agree(asked(), due)
                    if stopped:
                        break
                    if due:
                        self.checkpoint()
                        saved = time.monotonic()
                if done < config.steps:
                    began = time.monotonic()
                    crop = self.devices.divide(next(crops))
                    pace.waits(time.monotonic() - began)
        if stopped:
            raise KeyboardInterrupt
