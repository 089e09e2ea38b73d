"""How well a model does on notes that it never learnt from: other notes of its instruments, and other instruments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jax import Array

from synth.errors import WavekeysError
from synth.training.batches import stacked
from synth.training.config import TrainConfig, ValidationConfig
from synth.training.crops import Crop, NoteSet, draw
from synth.training.data import Note
from synth.training.devices import Devices
from synth.training.loss import crop_loss
from synth.training.steps import products_in


class Labels(NamedTuple):
    """Of which instrument each note is, as a `NoteSet` has it."""

    names: Sequence[str]
    instrument: np.ndarray  # [N] int, numbers of `names`
    held_out: np.ndarray  # [N] bool

    @classmethod
    def of(cls, notes: Sequence[Note]) -> Labels:
        names = list(dict.fromkeys(note.instrument for note in notes))
        numbers = np.array([names.index(note.instrument) for note in notes])
        return cls(names, numbers, np.array([note.held_out for note in notes]))


def roles(notes: NoteSet | Labels, config: ValidationConfig) -> dict[str, np.ndarray]:
    """The numbers of the notes to learn from, `train`, and of those held out, `notes` and `instruments`."""
    unknown = sorted(set(config.instruments) - set(notes.names))
    if unknown:
        raise WavekeysError(f"[validation] instruments: no notes of {unknown[0]!r}; there are {', '.join(notes.names)}")
    others = notes.held_out | np.isin(notes.instrument, [notes.names.index(name) for name in config.instruments])
    own = np.flatnonzero(~others)
    every = min(config.every, max(len(own), 2))  # of few notes one is held out, if any is to be
    among = np.arange(len(own)) % every == every // 2 if every else np.zeros(len(own), bool)
    found = {"train": own[~among], "notes": own[among], "instruments": np.flatnonzero(others)}
    if not len(found["train"]):
        raise WavekeysError("[validation] holds out all notes; leave some to learn from")
    return found


class Validation:
    """The loss of held-out notes in nats a sample, always on the same crops, with the noise of training."""

    def __init__(self, notes: NoteSet, held_out: dict[str, np.ndarray], config: TrainConfig, devices: Devices) -> None:
        self._crops = {
            f"validation_{role}": [devices.divide(crop) for crop in _fixed_crops(notes, chosen, config)]
            for role, chosen in held_out.items()
            if len(chosen)
        }
        precision = config.training.precision

        def loss(graph: Any, average: Any, crop: Crop) -> Array:
            with products_in(precision):
                return crop_loss(nnx.merge(graph, average), crop, embedding_noise=0.0, key=jax.random.key(0))

        self._loss = jax.jit(loss, static_argnums=0)

    def __call__(self, graph: Any, average: Any) -> dict[str, float]:
        """By name, for a model's graph and weights."""
        return {
            name: float(np.mean([np.asarray(self._loss(graph, average, crop)) for crop in crops]))
            for name, crops in self._crops.items()
        }


def _fixed_crops(notes: NoteSet, chosen: np.ndarray, config: TrainConfig) -> list[Crop]:
    """This process's rows of each batch."""
    training = config.training
    own = training.batch // jax.process_count()
    batches = []
    for first in range(0, config.validation.crops, training.batch):
        rows = first + jax.process_index() * own + np.arange(own)
        crops = [
            draw(
                notes,
                config.model,
                chosen[row % len(chosen)],
                np.random.default_rng((training.seed, row)),
                frames=training.frames,
                history_noise=training.history_noise,
            )
            for row in rows
        ]
        batches.append(stacked(crops))
    return batches
