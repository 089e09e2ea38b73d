"""Analysed notes on disk."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from synth import WavekeysError, WaveNet
from synth.training import cache
from synth.training.analysis import NOISE_DRAWS
from synth.training.cache import analysed_notes
from synth.training.config import WHOLE, DataConfig
from synth.training.crops import analyse
from synth.training.data import BadNote

RATE = 16_000


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    """Two notes of a pipe and a file that is none."""
    folder = tmp_path / "notes"
    folder.mkdir()
    t = np.arange(2 * RATE) / RATE
    for name, hertz in (("C4", 261.63), ("E4", 329.63)):
        soundfile.write(folder / f"pipe_{name}.wav", 0.3 * np.sin(2 * np.pi * hertz * t), RATE)
    (folder / "pipe_G4.wav").write_text("none")
    return DataConfig(**WHOLE, notes=str(folder))


def test_notes_are_analysed_once_and_mapped_from_disk(
    data: DataConfig, tmp_path: Path, tiny_model: Callable[[str], WaveNet], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("live")
    bad: list[BadNote] = []
    notes = analysed_notes(model, data, tmp_path / "cache", bad.append)
    assert [note.name for note in bad] == ["pipe_G4.wav"]
    assert (notes.names, list(notes.pitch), list(notes.velocity)) == (("pipe",), [60, 64], [100, 100])
    expected = analyse(
        model.config,
        model.encoder,
        names=notes.names,
        instrument=notes.instrument,
        pitch=notes.pitch,
        velocity=notes.velocity,
        audio=np.asarray(notes.audio),
    )
    assert notes.noise.shape == (2, NOISE_DRAWS, 4 * RATE)
    for field in dataclasses.fields(notes):
        np.testing.assert_array_equal(getattr(expected, field.name), getattr(notes, field.name))
    for name in cache.ARRAYS:
        assert isinstance(getattr(notes, name), np.memmap)

    monkeypatch.setattr(cache, "open_notes", lambda *_: pytest.fail("read again"))
    again = analysed_notes(model, data, tmp_path / "cache", bad.append)
    np.testing.assert_array_equal(notes.rest, again.rest)


def test_a_full_disk_is_told_in_a_line(
    data: DataConfig, tmp_path: Path, tiny_model: Callable[[str], WaveNet], monkeypatch: pytest.MonkeyPatch
) -> None:
    allocate, left = os.posix_fallocate, [3_000_000]

    def allocate_some(file: int, offset: int, size: int) -> None:
        left[0] -= size
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        allocate(file, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", allocate_some)
    with pytest.raises(WavekeysError, match=r"cannot keep the analysed notes in .*: No space left"):
        analysed_notes(tiny_model("live"), data, tmp_path / "cache", lambda _: None)


def test_other_notes_are_analysed_anew(data: DataConfig, tmp_path: Path, tiny_model: Callable[[str], WaveNet]) -> None:
    model = tiny_model("live")
    analysed_notes(model, data, tmp_path / "cache", lambda _: None)
    assert len(analysed_notes(model, dataclasses.replace(data, pitch_low=62), tmp_path / "cache", print).pitch) == 1
    (Path(data.notes) / "pipe_C4.wav").rename(Path(data.notes) / "pipe_D4.wav")
    assert list(analysed_notes(model, data, tmp_path / "cache", lambda _: None).pitch) == [62, 64]


@pytest.mark.parametrize("damage", ["cut", "gone", "no summary"])
def test_damaged_arrays_are_made_anew(
    data: DataConfig, tmp_path: Path, tiny_model: Callable[[str], WaveNet], damage: str
) -> None:
    model = tiny_model("live")
    whole = np.array(analysed_notes(model, data, tmp_path / "cache", lambda _: None).audio)
    audio = tmp_path / "cache" / "audio.npy"
    if damage == "cut":
        audio.write_bytes(audio.read_bytes()[:1000])
    elif damage == "gone":
        audio.unlink()
    else:
        (tmp_path / "cache" / "notes.json").write_text("null")
    np.testing.assert_array_equal(analysed_notes(model, data, tmp_path / "cache", lambda _: None).audio, whole)


def test_a_recording_that_a_table_names_elsewhere_is_looked_at_too(
    data: DataConfig, tmp_path: Path, tiny_model: Callable[[str], WaveNet]
) -> None:
    model, table = tiny_model("live"), tmp_path / "table"
    table.mkdir()
    (table / "notes.csv").write_text("file,pitch\n../notes/pipe_C4.wav,60\n")
    listed = DataConfig(**WHOLE, notes=str(table))
    before = np.array(analysed_notes(model, listed, tmp_path / "cache", lambda _: None).audio)
    (Path(data.notes) / "pipe_E4.wav").rename(Path(data.notes) / "pipe_C4.wav")
    assert (analysed_notes(model, listed, tmp_path / "cache", lambda _: None).audio != before).any()


def test_a_temporal_size_needs_the_sound_alone(
    data: DataConfig, tmp_path: Path, tiny_model: Callable[[str], WaveNet]
) -> None:
    notes = analysed_notes(tiny_model("paper"), data, tmp_path / "cache", lambda _: None)
    assert notes.audio.shape == (2, 4 * RATE)
    assert notes.rest.shape == notes.noise.shape == notes.mel.shape == (2, 0)
