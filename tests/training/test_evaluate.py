"""The evaluation: every note measured, and sums that count what cannot be measured as wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from synth.bank import Preset
from synth.training.evaluate import contact_sheet, evaluate, summarise


def one_pitch(preset: Preset) -> Preset:
    bank = preset.bank
    small = dataclasses.replace(
        bank,
        pitches=bank.pitches[:1],
        velocities=bank.velocities[:1],
        embeddings=bank.embeddings[:, :1, :1],
        loops=bank.loops[:, :1, :1],
    )
    return dataclasses.replace(preset, bank=small)


def test_every_note_of_a_preset_is_measured_and_its_blends_too(tiny_preset: Preset) -> None:
    preset = one_pitch(tiny_preset)
    source = np.random.default_rng(0).normal(scale=0.05, size=64_000).astype(np.float32)
    result = evaluate(preset, {("bell", 60, 50): source})
    assert [(row["instrument"], row["pitch"], row["velocity"]) for row in result["notes"]] == [
        ("bell", 60, 50),
        ("pipe", 60, 50),
    ]
    bell, pipe = result["notes"]
    assert {"cents", "clicks", "tail_db", "drift_cents", "log_mel_db", "source_cents"} <= bell.keys()
    assert "log_mel_db" not in pipe
    assert bell["tail_db"] < -100  # nothing sounds half a second after the release
    assert [blend["blend"] for blend in result["blends"]] == [["bell", "pipe"]]
    assert [bend["semitones"] for bend in result["bends"]] == 2 * [-2.0, -1.0, 0.5, 2.0]
    assert {"within_20_cents", "within_50_cents", "mean_log_mel_db"} <= result["summary"].keys()


def test_a_note_without_a_pitch_counts_as_out_of_tune() -> None:
    rows = [{"cents": cents, "clicks": 0, "tail_db": -120.0} for cents in (1.0, -30.0, float("nan"))]
    summary = summarise(rows)
    assert (summary["within_20_cents"], summary["within_50_cents"]) == (1 / 3, 2 / 3)


def test_a_contact_sheet_is_drawn(tiny_preset: Preset, tmp_path: Path) -> None:
    contact_sheet(one_pitch(tiny_preset), {}, 60, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
