"""What is held out, and the loss on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synth import WavekeysError
from synth.training.config import ValidationConfig
from synth.training.crops import NoteSet
from synth.training.validation import roles

EMPTY = np.zeros((10, 0), np.float32)
NOTES = NoteSet(
    names=("bell", "pipe", "reed"),
    instrument=np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2]),
    pitch=60 + np.arange(10),
    velocity=np.full(10, 100),
    held_out=np.zeros(10, bool),
    audio=EMPTY,
    rest=EMPTY,
    noise=EMPTY,
    phase=EMPTY,
    amplitudes=EMPTY,
    levels=EMPTY,
    mel=EMPTY,
    rest_levels=EMPTY,
    rest_mel=EMPTY,
)


def lists(found: dict[str, np.ndarray]) -> dict[str, list[int]]:
    return {role: list(chosen) for role, chosen in found.items()}


def test_nothing_is_held_out_unless_asked() -> None:
    assert lists(roles(NOTES, ValidationConfig())) == {"train": list(range(10)), "notes": [], "instruments": []}


def test_every_third_note_and_an_instrument_can_be_held_out() -> None:
    found = roles(NOTES, ValidationConfig(every=3, instruments=["pipe"]))
    assert lists(found) == {"train": [0, 2, 3, 8, 9], "notes": [1, 4], "instruments": [5, 6, 7]}


def test_of_few_notes_one_is_held_out_and_a_single_one_never() -> None:
    assert lists(roles(NOTES, ValidationConfig(every=1000)))["notes"] == [5]
    alone = dataclasses.replace(NOTES, held_out=np.arange(10) > 0)
    assert lists(roles(alone, ValidationConfig(every=1000)))["train"] == [0]


def test_the_sets_own_validation_instruments_are_held_out() -> None:
    notes = dataclasses.replace(NOTES, held_out=NOTES.instrument == 2)
    assert lists(roles(notes, ValidationConfig())) == {"train": list(range(8)), "notes": [], "instruments": [8, 9]}


def test_what_cannot_be_held_out_is_refused() -> None:
    with pytest.raises(WavekeysError, match="no notes of 'harp'; there are bell, pipe, reed"):
        roles(NOTES, ValidationConfig(instruments=["harp"]))
    with pytest.raises(WavekeysError, match="holds out all notes"):
        roles(NOTES, ValidationConfig(instruments=list(NOTES.names)))
