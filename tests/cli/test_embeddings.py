"""`wavekeys embeddings` as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synth import WaveNet
from synth.cli.model import pitch_of


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two notes of 4 seconds, all 1 and all 3."""
    for name, value in (("a", 1.0), ("b", 3.0)):
        np.save(tmp_path / f"{name}.npy", np.full((125, 16), value, np.float32))
    return tmp_path / "a.npy", tmp_path / "b.npy"


def test_every_operation_writes_embeddings(wavekeys, pair: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.npy"

    def result(*arguments: str | Path | float) -> np.ndarray:
        code, _, complaint = wavekeys("embeddings", *arguments, "-o", out)
        assert code == 0, complaint
        z = np.load(out)
        assert (z.dtype, z.shape[1]) == (np.float32, 16)
        return z

    assert (result("mix", *pair) == 2.0).all()
    assert (result("mix", *pair, "--weights", "3,1") == 1.5).all()
    faded = result("crossfade", *pair, "--start", 1, "--end", 3)
    assert (faded[:31] == 1.0).all()
    assert (faded[95:] == 3.0).all()
    assert (result("fade", "out", pair[1], "--zeros")[-1] == 0.0).all()
    assert len(result("stretch", 1.5, pair[0])) == round(1.5 * 125)
    assert len(result("loop", 10, pair[0])) == round(10 * 31.25)
    assert len(result("splice", *pair)) == 248
    assert len(result("scale", pair[0], "--channel", "3=1.5", "--only", 3)) == 125


def test_an_interpolation_is_a_folder_of_steps(wavekeys, pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert wavekeys("embeddings", "interpolate", *pair, "-o", tmp_path / "steps", "--steps", 3)[0] == 0
    steps = {path.name: float(np.load(path)[0, 0]) for path in (tmp_path / "steps").iterdir()}
    assert steps == {"000-a-b.npy": 1.0, "001-a-b.npy": 2.0, "002-a-b.npy": 3.0}


@pytest.mark.parametrize(
    ("name", "pitch"),
    [
        ("flute-060-100.npy", 60.0),
        ("bass_synthetic_033-022-025_embeddings.npy", 22.0),
        ("Flute C#4 v100.npy", 61.0),
        ("030-flute_C4-organ_D4.npy", 62.0),
        ("030-flute-organ.npy", None),
        ("flute-200-100.npy", None),
    ],
)
def test_a_files_name_tells_the_pitch_to_decode_at(name: str, pitch: float | None) -> None:
    assert pitch_of(Path(name)) == pitch


def test_a_step_is_decoded_at_the_pitch_of_its_notes(wavekeys, pair: tuple[Path, Path], tmp_path: Path) -> None:
    notes = [path.rename(tmp_path / f"{name}-060-100.npy") for path, name in zip(pair, ("flute", "organ"), strict=True)]
    assert wavekeys("embeddings", "interpolate", *notes, "-o", tmp_path / "steps", "--steps", 9)[0] == 0
    assert {pitch_of(path) for path in (tmp_path / "steps").iterdir()} == {60.0}


def test_a_fade_goes_to_what_the_model_embeds_silence_as(
    wavekeys, pair: tuple[Path, Path], tmp_path: Path, tiny_model: Callable[[str], WaveNet]
) -> None:
    for kind in ("live", "paper"):
        tiny_model(kind).save(tmp_path / "model.safetensors")
        fade = ("fade", "out", pair[0], "--model", tmp_path / "model.safetensors")
        assert wavekeys("embeddings", *fade, "-o", tmp_path / f"{kind}.npy")[0] == 0
    live, paper = np.load(tmp_path / "live.npy"), np.load(tmp_path / "paper.npy")
    assert live[-1, 0] == pytest.approx(-1.0, abs=1e-5)  # the level's floor
    assert (live[:, 1:] == 1.0).all()
    silence = np.asarray(tiny_model("paper").encode(np.zeros((1, 3200), np.float32)))[0, 50]
    np.testing.assert_allclose(paper[-1], silence, atol=1e-5)


def test_folders_are_changed_file_by_file_and_bad_ones_named(wavekeys, pair, tmp_path: Path) -> None:
    folder = pair[0].parent
    np.save(folder / "flat.npy", np.zeros((5, 8), np.float32))
    code, _, complaint = wavekeys("embeddings", "stretch", 2, folder, "-o", tmp_path / "out")
    assert code == 1
    assert "flat.npy: embeddings are [frames, 16] floats" in complaint
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.npy", "b.npy"]


def test_a_file_too_short_for_what_is_asked_is_named_and_the_others_are_done(wavekeys, pair, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in pair:
        path.rename(folder / path.name)
    np.save(folder / "aaa.npy", np.zeros((1, 16), np.float32))
    for arguments in (("loop", 10), ("fade", "out", "--zeros", "--end", 1)):
        out = tmp_path / "out" / arguments[0]
        code, _, complaint = wavekeys("embeddings", *arguments, folder, "-o", out)
        assert code == 1
        assert "aaa.npy: " in complaint
        assert sorted(path.name for path in out.iterdir()) == ["a.npy", "b.npy"]
    assert wavekeys("embeddings", "loop", 10, folder / "aaa.npy", "-o", tmp_path / "one.npy")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("mix", "a.npy", "--weights", "one"), "numbers with commas"),
        (("stretch", "5", "a.npy"), "0.25<=x<=4"),
        (("scale", "a.npy"), "nothing to do"),
        (("scale", "a.npy", "--channel", "x=y"), "CHANNEL=FACTOR"),
        (("scale", "a.npy", "--channel", "16=2"), "channels are 0 to 15"),
        (("scale", "a.npy", "--channel", "3=1e300"), "CHANNEL=FACTOR"),
        (("loop", "1", "a.npy"), "at least 125 frames"),
        (("loop", "nan", "a.npy"), "'nan' is not a number"),
        (("loop", "1", "a.npy", "--start", "nan"), "'nan' is not a number"),
    ],
)
def test_what_was_typed_wrong_is_said(wavekeys, pair, tmp_path: Path, arguments, complaint: str) -> None:
    placed = [pair[0] if argument == "a.npy" else argument for argument in arguments]
    code, _, said = wavekeys("embeddings", *placed, "-o", tmp_path / "out.npy")
    assert (code, said.count("\n")) == (2, 1)
    assert complaint in said


def test_a_recording_is_not_overwritten_by_embeddings(wavekeys, pair, tmp_path: Path) -> None:
    (tmp_path / "take.wav").write_bytes(b"sound")
    code, _, said = wavekeys("embeddings", "splice", pair[0], "-o", tmp_path / "take.wav")
    assert (code, (tmp_path / "take.wav").read_bytes()) == (2, b"sound")
    assert "name it take.npy" in said


def test_what_is_read_is_not_overwritten(wavekeys, pair: tuple[Path, Path], tmp_path: Path) -> None:
    before = pair[0].read_bytes()
    alone = tmp_path / "alone" / "only.npy"
    alone.parent.mkdir()
    pair[1].rename(alone)
    pair = (pair[0], alone)
    assert wavekeys("embeddings", "stretch", "1.5", alone.parent, "-o", alone)[0] == 2
    for arguments in (("stretch", "1.5", tmp_path, "-o", tmp_path), ("mix", *pair, "-o", pair[0])):
        code, _, said = wavekeys("embeddings", *arguments)
        assert (code, pair[0].read_bytes()) == (2, before)
        assert "is what is read" in said


def test_steps_do_not_come_among_those_of_another_row(wavekeys, pair: tuple[Path, Path], tmp_path: Path) -> None:
    row = ("embeddings", "interpolate", *pair, "-o", tmp_path / "steps", "--steps")
    assert [wavekeys(*row, steps)[0] for steps in (5, 5, 3)] == [0, 0, 2]
    assert len([*(tmp_path / "steps").iterdir()]) == 5


def test_embeddings_beyond_what_a_bank_can_hold_are_refused(wavekeys, tmp_path: Path) -> None:
    np.save(tmp_path / "wild.npy", np.full((3, 16), 1e30, np.float32))
    code, _, said = wavekeys("embeddings", "splice", tmp_path / "wild.npy", "-o", tmp_path / "out.npy")
    assert code == 1
    assert "must be numbers from -65504 to 65504" in said
