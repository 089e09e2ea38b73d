"""The experiments run on small notes and models, and their report shows what it links to."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from synth import bank
from synth.analysis.compiled import librosa
from synth.bank import Preset
from synth.experiments.bench import table
from synth.experiments.paper import EXPERIMENTS
from synth.spectral import Baseline
from synth.spectral.config import BaselineConfig, Layer
from synth.training import data
from synth.training.data import Note, NoteSource
from synth.wavenet.model import from_tensors

RATE_HZ = 16_000
SHALLOW = BaselineConfig(
    name="shallow",
    encoder=(Layer(4, 16, 16, 16), Layer(4, 16, 16, 16), Layer(4, 2, 2, 1)),
    embedding=8,
    pitch_embedding=4,
    decoder=(Layer(4, 2, 2, 1), Layer(4, 16, 16, 16), Layer(4, 16, 16, 16)),
)


def tone(pitch: int, level: float) -> np.ndarray:
    hertz = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
    t = np.arange(RATE_HZ) / RATE_HZ
    return (level * (np.sin(2 * np.pi * hertz * t) + 0.3 * np.sin(4 * np.pi * hertz * t))).astype(np.float32)


@pytest.fixture
def at_hand(tiny_preset: Preset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two instruments of a pitch and two velocities, a preset with frames of 512 samples, a baseline; its path."""
    config = dataclasses.replace(tiny_preset.model.config, hop=512)
    model = from_tensors(config, tiny_preset.model.tensors(), where="a tiny model")
    monkeypatch.setattr(bank, "load_preset", lambda _: dataclasses.replace(tiny_preset, model=model))
    labels = (("bell", 50, 0.05), ("bell", 100, 0.2), ("pipe", 50, 0.1), ("pipe", 100, 0.3))
    notes = [Note(name, 60, velocity, tone(60, level)) for name, velocity, level in labels]
    source = NoteSource(where="four tones", at_most=4, read=lambda: iter(notes))
    monkeypatch.setattr(data, "open_notes", lambda *_: source)
    fine = librosa.pyin
    # In steps of 20 cents instead of 2: tracking takes a hundredth of the time.
    monkeypatch.setattr(librosa, "pyin", lambda audio, **options: fine(audio, **{**options, "resolution": 0.2}))
    (tmp_path / "notes.toml").write_text("")
    path = tmp_path / "baseline.safetensors"
    Baseline(SHALLOW, rngs=nnx.Rngs(0)).save(path)
    return path


def test_the_report_has_every_experiment_and_all_that_it_links_to(wavekeys, at_hand: Path, tmp_path: Path) -> None:
    options = ("--sources", tmp_path / "notes.toml", "--baseline", at_hand, "--iterations", 2, "--steps", 3)
    code, said, complaint = wavekeys("experiments", "tiny", "-o", tmp_path / "out", *options, "--batch", 4)
    assert code == 0, complaint
    assert "5 experiments on 4 notes" in said
    text = (tmp_path / "out" / "report.md").read_text()
    heads = re.findall("^## (.*)$", text, re.MULTILINE)
    assert heads == [
        "Reconstruction and pitch",
        "Interpolation",
        "Dynamics",
        "Notes longer than training",
        "Sequences of notes",
    ]
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert sum(link.endswith(".png") for link in links) == 4
    for link in links:
        assert (tmp_path / "out" / link).is_file()
    original = next(line for line in text.splitlines() if line.startswith("| original"))
    assert original.split("|")[2:4] == [" 100 ", " 100 "]
    assert original.split("|")[5] == " 0 "


def test_some_experiments_can_be_left_out(wavekeys, at_hand: Path, tmp_path: Path) -> None:
    options = ("--sources", tmp_path / "notes.toml", "--only", "dynamics", "--steps", 2, "--batch", 2)
    assert wavekeys("experiments", "tiny", "-o", tmp_path / "out", *options)[0] == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "no baseline" in text
    assert "bell, dBFS" in text
    assert "## Interpolation" not in text
    code, _, said = wavekeys("experiments", "tiny", "-o", tmp_path, "--sources", "x.toml", "--only", "none")
    assert code == 2
    assert "one of reconstruction, interpolation" in said
    assert at_hand.is_file()


def test_a_report_is_kept_as_far_as_it_came_and_not_written_over(
    wavekeys, at_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_bench: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(EXPERIMENTS, "long-notes", broken)
    options = ("--sources", tmp_path / "notes.toml", "--steps", 2, "--batch", 2, "-o", tmp_path / "out")
    some = ("--only", "dynamics", "--only", "long-notes")
    assert wavekeys("experiments", "tiny", *options, *some)[0] == 130
    assert "## Dynamics" in (tmp_path / "out" / "report.md").read_text()
    code, _, complaint = wavekeys("experiments", "tiny", *options, "--only", "dynamics")
    assert code == 1
    assert "overwrite it with --force" in complaint
    assert wavekeys("experiments", "tiny", *options, "--only", "dynamics", "--force")[0] == 0
    assert at_hand.is_file()


def test_instruments_without_a_pitch_in_common_are_not_interpolated(
    wavekeys, at_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = [Note("bell", 60, 100, tone(60, 0.2)), Note("pipe", 62, 100, tone(62, 0.2))]
    monkeypatch.setattr(
        data, "open_notes", lambda *_: NoteSource(where="two tones", at_most=2, read=lambda: iter(notes))
    )
    options = ("--sources", tmp_path / "notes.toml", "--only", "interpolation", "-o", tmp_path / "out")
    assert wavekeys("experiments", "tiny", *options)[0] == 0
    assert "They have no pitch in common." in (tmp_path / "out" / "report.md").read_text()
    assert at_hand.is_file()


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [["x", 1.23456]]) == "| a | b |\n| --- | --- |\n| x | 1.23 |"
