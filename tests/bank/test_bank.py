"""Banks: lookup, blending, holding, and files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from synth import UsageError, WavekeysError
from synth.bank import Bank, HeldNote, Preset, load_bank


def test_an_instrument_alone_plays_its_own_embedding(tiny_preset: Preset) -> None:
    bank = tiny_preset.bank
    note = bank.note(bank.weights({"pipe": 2.0}), 62, 100)
    np.testing.assert_array_equal(note, bank.embeddings[1, 2, 1])


def test_a_blend_lies_between_its_instruments(tiny_preset: Preset) -> None:
    bank = tiny_preset.bank
    note = bank.note(bank.weights({"bell": 1.0, "pipe": 3.0}), 60, 50)
    np.testing.assert_allclose(note, 0.25 * bank.embeddings[0, 0, 0] + 0.75 * bank.embeddings[1, 0, 0], atol=1e-6)


def test_velocities_are_interpolated_and_held_beyond_the_layers(tiny_preset: Preset) -> None:
    bank = tiny_preset.bank
    weights = bank.weights({"bell": 1.0})
    np.testing.assert_allclose(bank.note(weights, 60, 75), bank.embeddings[0, 0].mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(bank.note(weights, 60, 127), bank.embeddings[0, 0, 1])
    np.testing.assert_array_equal(bank.note(weights, 60, 1), bank.embeddings[0, 0, 0])


def test_a_pitch_beyond_the_bank_takes_the_nearest(tiny_preset: Preset) -> None:
    bank = tiny_preset.bank
    np.testing.assert_array_equal(bank.note(bank.weights({"bell": 1}), 90, 100), bank.embeddings[0, 4, 1])


@pytest.mark.parametrize("blend", [{"bell": -1.0}, {"bell": 0.0}, {"bell": float("nan")}, {}])
def test_a_blend_without_positive_weights_is_refused(tiny_preset: Preset, blend: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="blend weights must be at least 0"):
        tiny_preset.bank.weights(blend)


def test_an_unknown_instrument_is_refused_with_those_there_are(tiny_preset: Preset) -> None:
    with pytest.raises(UsageError, match="unknown instrument 'flute'; this preset has bell, pipe"):
        tiny_preset.bank.weights({"flute": 1.0})


def test_a_held_note_plays_as_embedded_and_then_to_and_fro() -> None:
    frames = np.zeros((20, 16), np.float32)
    frames[:, 1] = np.arange(20)
    note = HeldNote.of(frames, (8, 12), has_level=True)
    heard = note.window(0, 26)[:, 1]
    assert heard.tolist() == [*range(13), 11, 10, 9, 8, 9, 10, 11, 12, 11, 10, 9, 8, 9]
    np.testing.assert_array_equal(note.window(7, 10), note.window(0, 26)[7:17])


def test_a_decaying_note_goes_on_decaying_and_a_steady_one_does_not() -> None:
    frames = np.zeros((20, 16), np.float32)
    frames[:, 0] = 0.5 - 0.01 * np.arange(20)  # 12.5 dB a second
    levels = HeldNote.of(frames, (8, 16), has_level=True).window(0, 300)[:, 0]
    np.testing.assert_allclose(levels, 0.5 - 0.01 * np.arange(300), atol=1e-5)
    steady = HeldNote.of(np.full((20, 16), 0.5, np.float32), (8, 16), has_level=True)
    assert (steady.window(0, 300) == 0.5).all()


def test_a_bank_survives_its_file(tiny_preset: Preset, tmp_path: Path) -> None:
    tiny_preset.bank.save(tmp_path / "bank.safetensors")
    read = load_bank(tmp_path / "bank.safetensors")
    np.testing.assert_array_equal(read.embeddings, tiny_preset.bank.embeddings)
    assert (read.instruments, read.loop) == (tiny_preset.bank.instruments, tiny_preset.bank.loop)


def damaged_file(bank: Bank, path: Path, damage: str) -> None:
    tensors = {
        "embeddings": bank.embeddings.copy(),
        "pitches": bank.pitches.astype(np.int32),
        "velocities": bank.velocities.astype(np.int32),
        "loop": np.array(bank.loop, np.int32),
    }
    metadata = {"instruments": "bell\npipe"}
    if damage == "nan":
        tensors["embeddings"][0, 0, 0, 0, 0] = np.nan
    elif damage == "missing":
        del tensors["pitches"]
    elif damage == "shape":
        tensors["velocities"] = np.arange(3, dtype=np.int32)
    elif damage == "loop":
        tensors["loop"] = np.array([5, 999], np.int32)
    elif damage == "names":
        metadata = {}
    safetensors.numpy.save_file(tensors, path, metadata=metadata)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", ["nan", "missing", "shape", "loop", "names", "truncated"])
def test_a_damaged_bank_is_refused_in_one_line_that_names_the_file(
    tiny_preset: Preset, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "bank.safetensors"
    damaged_file(tiny_preset.bank, path, damage)
    with pytest.raises(WavekeysError) as refusal:
        load_bank(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_embeddings_of_another_type_are_refused(tiny_preset: Preset) -> None:
    with pytest.raises(WavekeysError, match="finite float32"):
        dataclasses.replace(tiny_preset.bank, embeddings=tiny_preset.bank.embeddings.astype(np.float64))
