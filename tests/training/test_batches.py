"""Crops as Grain feeds them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from synth.training.batches import batches
from synth.training.config import OptimizerConfig
from synth.training.crops import Crop, NoteSet
from synth.wavenet import SIZES, WaveNetConfig

CONFIG: WaveNetConfig = dataclasses.replace(SIZES["live"], hop=16)
TRAINING = OptimizerConfig(batch=4, frames=2, more_notes=2)


@pytest.fixture
def notes() -> NoteSet:
    """Seven notes of noise; note i has the pitch 60 + i."""
    rng, n, t, f = np.random.default_rng(0), 7, 160, 10
    signal = rng.normal(size=(n, t)).astype(np.float32)
    return NoteSet(
        names=("hiss",),
        instrument=np.zeros(n, int),
        pitch=60 + np.arange(n),
        velocity=np.full(n, 100),
        held_out=np.zeros(n, bool),
        audio=signal,
        rest=signal,
        noise=rng.normal(size=(n, 4, t)).astype(np.float16),
        phase=np.zeros((n, t), np.uint32),
        amplitudes=np.zeros((n, f, 2), np.float32),
        levels=np.ones((n, f), np.float32),
        mel=np.zeros((n, f, 3), np.float32),
        rest_levels=np.ones((n, f), np.float32),
        rest_mel=np.zeros((n, f, 3), np.float32),
    )


def first(stream: Iterator[Crop], count: int) -> list[Crop]:
    return list(itertools.islice(stream, count))


def own_pitches(crop: Crop) -> np.ndarray:
    """MIDI numbers [B]."""
    return np.round(69 + 12 * np.log2(crop.notes.pitch_hz[:, 0] / 440.0))


def assert_same(expected: list[Crop], found: list[Crop]) -> None:
    for one, other in zip(expected, found, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_every_note_comes_once_before_any_comes_again_and_each_time_in_another_order(notes: NoteSet) -> None:
    crops = first(batches(notes, np.arange(7), CONFIG, TRAINING), 7)
    pitches = np.concatenate([own_pitches(crop) for crop in crops]).reshape(4, 7)
    np.testing.assert_array_equal(np.sort(pitches, axis=1), np.tile(60 + np.arange(7), (4, 1)))
    assert len({tuple(row) for row in pitches}) == 4
    chosen = first(batches(notes, np.array([2, 5]), CONFIG, TRAINING), 3)
    assert {float(pitch) for crop in chosen for pitch in own_pitches(crop)} == {62, 65}


def test_beside_each_crop_are_notes_of_those_to_learn_from(notes: NoteSet) -> None:
    crops = first(batches(notes, np.array([2, 5, 6]), CONFIG, TRAINING), 6)
    pitches = np.concatenate([crop.notes.pitch_hz for crop in crops])
    assert pitches.shape == (24, 3)
    for column in pitches.T:
        assert set(np.round(69 + 12 * np.log2(column / 440.0))) == {62, 65, 66}


def test_a_crop_is_as_long_as_asked_and_noisy_within_the_range(notes: NoteSet) -> None:
    (crop,) = first(batches(notes, np.arange(7), CONFIG, dataclasses.replace(TRAINING, history_noise=(0.5, 0.5))), 1)
    assert crop.audio.shape == crop.noise.shape == crop.clock.shape == (4, 32)
    assert crop.audio.dtype == crop.noise.dtype == np.float32
    assert crop.first_frame.max() <= 8
    assert np.std(crop.noise) == pytest.approx(0.5, rel=0.2)


def test_a_resumed_stream_goes_on_with_the_very_crops(notes: NoteSet) -> None:
    whole = first(batches(notes, np.arange(7), CONFIG, TRAINING), 9)
    assert_same(whole[5:], first(batches(notes, np.arange(7), CONFIG, TRAINING, first_step=5), 4))


def test_two_processes_together_take_what_one_alone_takes(notes: NoteSet, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = first(batches(notes, np.arange(7), CONFIG, TRAINING), 3)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    parts = []
    for process in range(2):
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        parts.append(first(batches(notes, np.arange(7), CONFIG, TRAINING, first_step=1), 2))
    together = [jax.tree.map(lambda *rows: np.concatenate(rows), *pair) for pair in zip(*parts, strict=True)]
    assert_same(whole[1:], together)
