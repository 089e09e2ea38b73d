"""Batches of crops, by Grain: shuffled, drawn by threads ahead of the step that takes them, shared among processes.

A crop depends on the seed and its number alone, and step i takes the numbers i * batch to (i + 1) * batch. So a run may
be resumed at any step, and several processes together take the very crops that one alone would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import grain
import jax
import numpy as np

from synth.training.config import OptimizerConfig
from synth.training.crops import Crop, NoteSet, draw
from synth.wavenet import WaveNetConfig

THREADS, BATCHES_AHEAD = 2, 8


def batches(
    notes: NoteSet, chosen: np.ndarray, config: WaveNetConfig, training: OptimizerConfig, *, first_step: int = 0
) -> Iterator[Crop]:
    """This process's part of each step's batch; `chosen` are the numbers of the notes to learn from.

    Every note comes once before any comes again.
    """

    def crop_of(note: int, rng: np.random.Generator) -> Crop:
        others = rng.choice(chosen, training.more_notes)
        return draw(
            notes, config, note, rng, frames=training.frames, history_noise=training.history_noise, others=others
        )

    dataset = (
        grain.MapDataset.source(chosen)
        .seed(training.seed)
        .shuffle()
        .repeat(training.steps * training.batch // len(chosen) + 1)
        .random_map(crop_of)
        .batch(training.batch // jax.process_count(), batch_fn=stacked)
    )
    own = dataset[jax.process_index() :: jax.process_count()][first_step:]
    return iter(own.to_iter_dataset(grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=BATCHES_AHEAD)))


def stacked(crops: Sequence[Crop]) -> Crop:
    """Single crops as a batch."""
    return jax.tree.map(lambda *parts: np.stack(parts), *crops)
