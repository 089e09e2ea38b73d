"""`wavekeys rainbowgram` as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from synth import WaveNet
from synth.analysis import rainbowgram

RATE_HZ = 16_000


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder of two notes, one of them at another rate and in stereo."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, rate_hz, channels in (("bell-060-100", RATE_HZ, 1), ("pipe-060-100", 44_100, 2)):
        tone = 0.3 * np.sin(2 * np.pi * 261.6 * np.arange(rate_hz // 2) / rate_hz)
        soundfile.write(folder / f"{name}.wav", np.stack([tone] * channels, axis=1), rate_hz)
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, list]:
    """What is drawn is noted and not drawn: drawing takes seconds, and has tests of its own."""
    seen: dict[str, list] = {}

    def note(notes, path, *, columns, row_names) -> None:
        seen.update(notes=notes, path=path, columns=columns, row_names=row_names)

    monkeypatch.setattr(rainbowgram, "draw", note)
    return seen


def test_a_folder_is_drawn_in_rows_that_have_names(wavekeys, notes: Path, tmp_path: Path, drawn) -> None:
    code, said, _ = wavekeys("rainbowgram", notes, "-o", tmp_path / "a.png", "--columns", 1, "--rows", "one,two")
    assert code == 0
    assert "2 rainbowgrams" in said
    assert [(name, len(audio)) for name, audio in drawn["notes"]] == [("bell-060-100", 8000), ("pipe-060-100", 8000)]
    assert (drawn["columns"], drawn["row_names"]) == (1, ["one", "two"])


def test_an_interpolation_has_sounds_mixed_above_and_embeddings_mixed_below(
    wavekeys, notes: Path, tmp_path: Path, drawn, tiny_model: Callable[[str], WaveNet]
) -> None:
    tiny_model("live").save(tmp_path / "model.safetensors")
    options = ("--interpolate", 3, "--model", tmp_path / "model.safetensors")
    code, _, complaint = wavekeys("rainbowgram", notes, "-o", tmp_path / "a.svg", *options)
    assert code == 0, complaint
    names = [name for name, _ in drawn["notes"]]
    assert names == 2 * ["bell-060-100", "50 : 50", "pipe-060-100"]
    assert all(len(audio) == 8000 for _, audio in drawn["notes"])
    sounds = [audio for _, audio in drawn["notes"]]
    np.testing.assert_allclose(sounds[1], (sounds[0] + sounds[2]) / 2, atol=1e-6)
    assert drawn["row_names"] == ["sounds mixed", "embeddings mixed"]


@pytest.mark.usefixtures("drawn")
def test_what_cannot_be_drawn_is_said(wavekeys, notes: Path, tmp_path: Path) -> None:
    (notes / "noise.wav").write_text("no sound")
    code, said, complaint = wavekeys("rainbowgram", notes, "-o", tmp_path / "a.png")
    assert code == 1
    assert "2 rainbowgrams" in said
    assert "noise.wav: not a readable sound file" in complaint
    one = notes / "bell-060-100.wav"
    code, _, complaint = wavekeys("rainbowgram", one, "-o", tmp_path / "a.png", "--interpolate", 3)
    assert code == 2
    assert "between two notes, not 1" in complaint
    (tmp_path / "folder.png").mkdir()
    code, _, complaint = wavekeys("rainbowgram", one, "-o", tmp_path / "folder.png")
    assert code == 1
    assert "it is a folder" in complaint
    for name in ("a", "a.bmp"):
        code, _, complaint = wavekeys("rainbowgram", one, "-o", tmp_path / name)
        assert code == 2
        assert "ends with .png or .svg" in complaint
    code, _, complaint = wavekeys("rainbowgram", one, "-o", tmp_path / "a.png", "--rows", "bell,horn")
    assert code == 2
    assert "--rows bell,horn: 2 names for 1 rows" in complaint
    code, _, complaint = wavekeys(
        "rainbowgram", one, notes / "noise.wav", "-o", tmp_path / "a.png", "--interpolate", 3, "--pitch", 60
    )
    assert code == 1
    assert "noise.wav: not a readable sound file" in complaint


@pytest.mark.usefixtures("drawn")
def test_what_decodes_nothing_or_two_pitches_is_refused(
    wavekeys, notes: Path, tmp_path: Path, tiny_model: Callable[[str], WaveNet]
) -> None:
    code, _, complaint = wavekeys("rainbowgram", notes, "-o", tmp_path / "a.png", "--pitch", 60)
    assert code == 2
    assert "--pitch and --temperature are of what --interpolate decodes" in complaint
    tiny_model("live").save(tmp_path / "model.safetensors")
    (notes / "pipe-060-100.wav").rename(notes / "pipe-067-100.wav")
    command = ("rainbowgram", notes, "-o", tmp_path / "a.png", "--interpolate", 3)
    code, _, complaint = wavekeys(*command, "--model", tmp_path / "model.safetensors")
    assert code == 2
    assert "have two pitches; choose the one to decode by --pitch" in complaint
    assert wavekeys(*command, "--model", tmp_path / "model.safetensors", "--pitch", 60)[0] == 0


def test_a_file_that_is_skipped_leaves_its_place_empty(wavekeys, notes: Path, tmp_path: Path, drawn) -> None:
    (tmp_path / "noise.wav").write_text("no sound")
    assert wavekeys("rainbowgram", tmp_path / "noise.wav", notes, "-o", tmp_path / "a.png", "--columns", 1)[0] == 1
    assert [name for name, _ in drawn["notes"]] == ["", "bell-060-100", "pipe-060-100"]
    assert drawn["notes"][0][1] is None
