"""Banks: lookup, blending, holding, and files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from synth import UsageError, WavekeysError
from synth.bank import Bank, HeldNote, Preset, load_bank
from synth.bank.build import find_loops
from synth.tones import COLUMNS, tone_amplitudes


def frames_of(bank: Bank, pitch: int, velocity: int) -> np.ndarray:
    return bank.note(pitch, velocity, has_level=False).frames


def test_a_note_has_every_instruments_embedding(tiny_preset: Preset) -> None:
    bank = tiny_preset.bank
    np.testing.assert_array_equal(frames_of(bank, 62, 100), bank.embeddings[:, 2, 1])


def test_a_blends_weights_add_up_to_one(tiny_preset: Preset) -> None:
    for size in (1.0, 3e5, 1e-40):
        weights = tiny_preset.bank.weights({"bell": size, "pipe": 3.0 * size})
        np.testing.assert_allclose(weights, np.float32([0.25, 0.75]), rtol=1e-7)


def test_velocities_are_interpolated_and_held_beyond_the_layers(tiny_preset: Preset) -> None:
    bank = tiny_preset.bank
    np.testing.assert_allclose(frames_of(bank, 60, 75), bank.embeddings[:, 0].mean(axis=1), atol=1e-6)
    np.testing.assert_array_equal(frames_of(bank, 60, 127), bank.embeddings[:, 0, 1])
    np.testing.assert_array_equal(frames_of(bank, 60, 1), bank.embeddings[:, 0, 0])


def test_a_pitch_beyond_the_bank_takes_the_nearest(tiny_preset: Preset) -> None:
    bank = tiny_preset.bank
    np.testing.assert_array_equal(frames_of(bank, 90, 100), bank.embeddings[:, 4, 1])


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
    note = HeldNote.of(frames[None], np.array([[8, 12]]), 15, decays=np.array([True]))
    heard = note.at(np.arange(26))[0, :, 1]
    assert heard.tolist() == [*range(13), 11, 10, 9, 8, 9, 10, 11, 12, 11, 10, 9, 8, 9]
    frozen = note.at(np.arange(26), freeze=True)[0, :, 1]
    assert frozen.tolist() == [*range(9), *[8] * 17]
    backward = note.at(np.arange(26), backward=True)[0, :, 1]
    assert backward.tolist() == [*range(12, -1, -1), *range(1, 13), 11]
    released = note.after_release(np.arange(8), np.zeros(1))[0, :, 1]
    assert released.tolist() == [15, 16, 17, 18, 19, 19, 19, 19]


def test_a_decaying_note_goes_on_decaying_and_a_steady_one_does_not() -> None:
    frames = np.zeros((20, 16), np.float32)
    frames[:, 0] = 0.5 - 0.01 * np.arange(20)  # 12.5 dB a second
    loops = np.array([[8, 16]])
    levels = HeldNote.of(frames[None], loops, 17, decays=np.array([True])).at(np.arange(300))[0, :, 0]
    np.testing.assert_allclose(levels, 0.5 - 0.01 * np.arange(300), atol=1e-5)
    steady = HeldNote.of(np.full((1, 20, 16), 0.5, np.float32), loops, 17, decays=np.array([True]))
    assert (steady.at(np.arange(300))[0, :, 0] == 0.5).all()


def test_a_note_that_wavers_or_fades_by_chance_is_held_level() -> None:
    """Two instruments of ten notes. All of the first fall, some noisily; of the second only the first does."""
    embeddings = np.full((2, 10, 1, 20, 16), 0.5, np.float32)
    embeddings[0, ..., 0] -= 0.01 * np.arange(20, dtype=np.float32)
    embeddings[0, 3, 0, 8:17, 0] += np.tile([0.1, -0.1], 5)[:9].astype(np.float32)
    embeddings[1, 0, ..., 0] -= 0.01 * np.arange(20, dtype=np.float32)
    embeddings[1, 1, ..., 0] = -1.0  # silent
    bank = Bank(
        instruments=("guitar", "horn"),
        pitches=np.arange(60, 70),
        velocities=np.array([100]),
        embeddings=embeddings,
        loops=np.broadcast_to(np.array([8, 16]), (2, 10, 1, 2)),
        vibrato=np.zeros((2, 10, 1, 3), np.float32),
        stretch=np.zeros((2, 10, 1, 1), np.float32),
        tuning=np.zeros((2, 10, 1), np.float32),
        tones=np.zeros((2, 10, 1, 0, COLUMNS), np.float32),
        release=17,
    )
    assert bank.decays.tolist() == [True, False]
    later = [bank.note(pitch, 100, has_level=True).at(np.array([300]))[:, 0, 0] for pitch in (60, 63)]
    assert later[0][0] < -2.0
    assert later[0][1] == pytest.approx(0.38, abs=0.05)
    assert later[1].min() > 0.2
    assert bank.note(60, 100, has_level=False).slopes.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "lacking"), [("vibrato", (2, 5, 2, 3)), ("stretch", (2, 5, 2, 1)), ("tones", (2, 5, 2, 0, COLUMNS))]
)
def test_a_bank_keeps_what_is_a_notes_own_and_one_of_former_days_has_none(
    tiny_preset: Preset, tmp_path: Path, name: str, lacking: tuple[int, ...]
) -> None:
    path = tmp_path / "bank.safetensors"
    assert getattr(tiny_preset.bank, name).any()
    tiny_preset.bank.save(path)
    np.testing.assert_array_equal(getattr(load_bank(path), name), getattr(tiny_preset.bank, name))
    tensors = safetensors.numpy.load_file(path)
    del tensors[name]
    safetensors.numpy.save_file(tensors, path, {"instruments": "bell\npipe"})
    np.testing.assert_array_equal(getattr(load_bank(path), name), np.zeros(lacking))
    assert getattr(load_bank(path), name).shape == lacking


def test_a_note_of_some_instruments_is_theirs_of_all(tiny_preset: Preset) -> None:
    whole, part = (
        tiny_preset.bank.note(61, 80, has_level=True, instruments=chosen) for chosen in (None, np.array([1]))
    )
    for name in ("frames", "loops", "slopes", "vibrato", "stretch", "tuning", "tones"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[1:])


def test_a_notes_tones_are_those_of_its_velocity_and_have_its_time(tiny_preset: Preset) -> None:
    rows = np.zeros((2, 5, 2, 1, COLUMNS), np.float32)
    rows[..., 0] = 1.5
    rows[..., 0, :, 1:], rows[..., 1, :, 1:] = -40.0, np.linspace(0.0, -60.0, COLUMNS - 1)
    bank = dataclasses.replace(tiny_preset.bank, tones=rows)
    soft, loud = (bank.note(60, int(velocity), has_level=True) for velocity in bank.velocities)
    np.testing.assert_allclose(soft.tones_at(np.arange(3)), 0.01, rtol=1e-5)
    (first, last), release = loud.loops[0], bank.release

    def told(*frames: int) -> np.ndarray:
        return np.broadcast_to(tone_amplitudes(rows[0, 0, 1], np.array(frames)), (2, len(frames), 1))

    assert not np.array_equal(told(first), told(last))
    np.testing.assert_array_equal(loud.tones_at(np.array([0, last, last + 1])), told(0, last, last - 1))
    np.testing.assert_array_equal(loud.tones_at(np.array([0, 1]), backward=True), told(last, last - 1))
    np.testing.assert_array_equal(loud.tones_at(np.array([0, last + 100]), freeze=True), told(0, first))
    np.testing.assert_array_equal(loud.tones_after_release(np.array([0, 1])), told(release, release + 1))


def test_after_the_key_is_let_go_the_level_falls_from_where_it_was() -> None:
    frames = np.zeros((1, 20, 16), np.float32)
    frames[0, :, 0] = 0.5
    frames[0, 17:, 0] = [0.4, 0.3, 0.2]
    note = HeldNote.of(frames, np.array([[8, 16]]), 17, decays=np.array([True]))
    np.testing.assert_allclose(note.after_release(np.arange(3), np.array([0.1]))[0, :, 0], [0.1, 0.0, -0.1], atol=1e-6)


def test_a_sustain_is_found_where_the_attack_is_over() -> None:
    rng = np.random.default_rng(1)
    frames = 0.01 * rng.normal(size=(3, 125, 16))
    frames[1, :40] += np.linspace(2, 0, 40)[:, None] ** 2  # settles slowly
    frames[2] += np.linspace(1, 0, 125)[:, None]  # falls in a straight line all the time
    loops = find_loops(frames.astype(np.float32), 94)
    assert (loops[:, 1] == 89).all()
    assert loops[0, 0] < 15
    assert 25 < loops[1, 0] < 50
    assert loops[2, 0] < 15


def test_a_bank_survives_its_file(tiny_preset: Preset, tmp_path: Path) -> None:
    tiny_preset.bank.save(tmp_path / "bank.safetensors")
    read = load_bank(tmp_path / "bank.safetensors")
    np.testing.assert_array_equal(read.embeddings, tiny_preset.bank.embeddings)
    assert (read.instruments, read.release) == (tiny_preset.bank.instruments, tiny_preset.bank.release)
    np.testing.assert_array_equal(read.loops, tiny_preset.bank.loops)


def test_an_embedding_that_its_file_cannot_hold_is_refused(tiny_preset: Preset, tmp_path: Path) -> None:
    bank = dataclasses.replace(tiny_preset.bank, embeddings=tiny_preset.bank.embeddings * np.float32(1e6))
    with pytest.raises(WavekeysError, match="beyond what float16 can say"):
        bank.save(tmp_path / "bank.safetensors")


DAMAGES = (
    *("nan", "missing", "shape", "loop", "release", "names", "truncated"),
    *("fractions", "axes", "release type"),
)


def damaged_file(bank: Bank, path: Path, damage: str) -> None:
    tensors = {
        "embeddings": bank.embeddings.copy(),
        "pitches": bank.pitches.astype(np.int32),
        "velocities": bank.velocities.astype(np.int32),
        "loops": bank.loops.astype(np.int32),
        "release": np.array([bank.release], np.int32),
    }
    metadata = {"instruments": "bell\npipe"}
    if damage == "nan":
        tensors["embeddings"][0, 0, 0, 0, 0] = np.nan
    elif damage == "missing":
        del tensors["pitches"]
    elif damage == "shape":
        tensors["velocities"] = np.arange(3, dtype=np.int32)
    elif damage == "loop":
        tensors["loops"][0, 0, 0] = [5, 999]
    elif damage == "release":
        tensors["release"] = np.array([20], np.int32)
    elif damage == "fractions":
        tensors["pitches"] = tensors["pitches"].astype(np.float32)
    elif damage == "axes":
        tensors["pitches"] = tensors["pitches"][:, None]
    elif damage == "release type":
        tensors["release"] = np.array([np.nan], np.float32)
    elif damage == "names":
        metadata = {}
    safetensors.numpy.save_file(tensors, path, metadata=metadata)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", DAMAGES)
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
