"""The evaluation: every note measured, and sums that count what cannot be measured as wrong."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest

from synth.analysis.compiled import librosa
from synth.bank import Preset, build_bank, load_preset
from synth.cli.evaluate import chosen_notes
from synth.errors import UsageError
from synth.pitch import midi_to_hertz
from synth.training.crops import analyse
from synth.training.evaluation import compare_precisions, contact_sheet, evaluate, held_out_nats, precision, summarise
from synth.training.evaluation.blends import between, pairs_of
from synth.training.evaluation.precision import HeldOut


def one_pitch(preset: Preset) -> Preset:
    bank = preset.bank
    small = dataclasses.replace(
        bank,
        pitches=bank.pitches[:1],
        velocities=bank.velocities[:1],
        embeddings=bank.embeddings[:, :1, :1],
        loops=bank.loops[:, :1, :1],
        vibrato=bank.vibrato[:, :1, :1],
        stretch=bank.stretch[:, :1, :1],
        tuning=bank.tuning[:, :1, :1],
        tones=bank.tones[:, :1, :1],
    )
    return dataclasses.replace(preset, bank=small)


@pytest.fixture
def coarse_pitch(monkeypatch: pytest.MonkeyPatch) -> None:
    """In steps of 20 cents instead of 2, tracking takes a hundredth of the time."""
    fine = librosa.pyin
    monkeypatch.setattr(librosa, "pyin", lambda audio, **options: fine(audio, **{**options, "resolution": 0.2}))


@pytest.mark.usefixtures("coarse_pitch")
def test_every_note_of_a_preset_is_measured_and_its_blends_too(tiny_preset: Preset) -> None:
    preset = one_pitch(tiny_preset)
    source = np.random.default_rng(0).normal(scale=0.05, size=64_000).astype(np.float32)
    result = evaluate(preset, {("bell", 60, 50): source})
    assert [(row["instrument"], row["pitch"], row["velocity"]) for row in result["notes"]] == [
        ("bell", 60, 50),
        ("pipe", 60, 50),
    ]
    bell, pipe = result["notes"]
    alone = {
        "cents",
        "noise_db",
        "crackle_db",
        "clicks",
        "tail_db",
        "drift_cents",
        "ripple_db",
        "long_clicks",
        "long_cents",
        "spectral_cents",
    }
    paired = {
        "source_cents",
        "cents_from_source",
        "comb_cents_from_source",
        "level_error_db",
        "loudness_error_db",
        "attack_error_ms",
        "noise_error_db",
        "crackle_error_db",
        "log_mel_db",
        "multi_scale",
    }
    assert alone | paired <= bell.keys()
    assert alone <= pipe.keys()
    assert not paired & pipe.keys()
    assert bell["tail_db"] < -100  # nothing sounds half a second after the release
    (blend,) = result["blends"]
    assert (blend["blend"], blend["shares"]) == (["bell", "pipe"], [0.0, 0.25, 0.5, 0.75, 1.0])
    assert len(blend["cents"]) == len(blend["centroid_hz"]) == 5
    assert [bend["semitones"] for bend in result["bends"]] == 2 * [-2.0, -1.0, 0.5, 2.0]
    assert {"within_20_cents", "within_50_cents", "mean_log_mel_db", "blends_between_the_ends"} <= result[
        "summary"
    ].keys()


def test_processes_of_their_own_measure_what_one_does(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for whole in ("measure_blends", "measure_bends"):  # one process measures them always
        monkeypatch.setattr(importlib.import_module("synth.training.evaluation.evaluate"), whole, lambda *_: [])
    one_pitch(load_preset(tiny_folder)).bank.save(tiny_folder / "bank.safetensors")
    preset = load_preset(tiny_folder)
    alone, shared = (evaluate(preset, {}, long_seconds=0.0, jobs=jobs) for jobs in (1, 2))
    assert len(alone["notes"]) == 2
    assert repr(shared["notes"]) == repr(alone["notes"])  # not a number equals itself so


def test_a_note_without_a_pitch_counts_as_out_of_tune() -> None:
    rows = [{"cents": cents, "clicks": 0, "tail_db": -120.0} for cents in (1.0, -30.0, float("nan"))]
    summary = summarise(rows)
    assert (summary["within_20_cents"], summary["within_50_cents"]) == (1 / 3, 2 / 3)


def test_a_source_without_a_pitch_is_left_out_of_the_comparison_and_a_lost_pitch_is_not() -> None:
    nan = float("nan")
    pairs = [(2.0, 1.0), (40.0, 1.0), (nan, 0.0), (5.0, nan)]  # played, source
    rows = [
        {"cents": cents, "source_cents": source, "cents_from_source": cents - source, "clicks": 0, "tail_db": -120.0}
        for cents, source in pairs
    ]
    assert summarise(rows)["within_20_cents_of_source"] == 1 / 3


def test_a_second_tracker_has_shares_of_its_own() -> None:
    rows = [
        {"cents": 0.0, "source_cents": 28.0, "cents_from_source": -28.0, "comb_cents_from_source": comb}
        | {"clicks": 0, "tail_db": -120.0}
        for comb in (0.5, -30.0)
    ]
    summary = summarise(rows)
    assert (summary["within_20_cents_of_source"], summary["within_20_cents_of_source_by_comb"]) == (0.0, 0.5)


def test_a_note_crackles_whose_source_does_not() -> None:
    rows = [{"cents": 0.0, "clicks": 0, "tail_db": -120.0, "crackle_error_db": error} for error in (-9.0, 1.0, 8.0)]
    summary = summarise(rows)
    assert (summary["notes_that_crackle"], summary["mean_crackle_error_db"]) == (1, 6.0)


def test_ten_pairs_are_spread_over_many_instruments() -> None:
    names = [str(number) for number in range(16)]
    pairs = pairs_of(names)
    assert len(set(pairs)) == 10
    assert len({name for pair in pairs for name in pair}) > 10
    assert pairs_of(names[:3]) == [("0", "1"), ("0", "2"), ("1", "2")]


@pytest.mark.parametrize(
    ("centroids", "expected"),
    [((500, 600, 700, 800, 1000), [True, True, True]), ((1000, 1500, 700, 400, 500), [False, True, False])],
)
def test_a_blends_centroid_is_between_its_ends_or_not(centroids: tuple[float, ...], expected: list[bool]) -> None:
    assert between({"centroid_hz": centroids}) == expected


@pytest.fixture(scope="module")
def held(tiny_preset: Preset) -> HeldOut:
    """Four notes of one instrument, as training sees them and as a bank."""
    config, pitches = tiny_preset.model.config, np.array([60, 61, 62, 64])
    t = np.arange(config.sample_rate_hz // 4) / config.sample_rate_hz
    rng = np.random.default_rng(0)
    audio = 0.2 * np.sin(2 * np.pi * midi_to_hertz(pitches)[:, None] * t) + 0.01 * rng.standard_normal((4, len(t)))
    audio = audio.astype(np.float32)
    notes = analyse(
        config,
        tiny_preset.model.spectral,
        names=("bell",),
        instrument=np.zeros(4, np.int64),
        pitch=pitches,
        velocity=np.full(4, 80),
        audio=audio,
    )
    bank = build_bank(
        tiny_preset.model,
        np.pad(audio, ((0, 0), (0, 64_000 - len(t))))[None, :, None],
        instruments=("bell",),
        pitches=pitches,
        velocities=np.array([80]),
    )
    return HeldOut(notes=notes, bank=bank)


def test_notes_are_as_likely_in_any_company(
    tiny_preset: Preset, held: HeldOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = held_out_nats(tiny_preset.model, held.notes)
    assert np.isfinite(together)
    monkeypatch.setattr(precision, "NOTES_TOGETHER", 2)
    assert held_out_nats(tiny_preset.model, held.notes) == pytest.approx(together, rel=1e-5)


@pytest.mark.usefixtures("coarse_pitch")
def test_precisions_are_compared_with_fp32(tiny_preset: Preset, held: HeldOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "NOTES_TOGETHER", 2)
    exact, rounded = compare_precisions(tiny_preset, held, ("fp32", "int16"))
    assert (exact["worst_logit_error"], exact["nats_change"]) == (0.0, 0.0)
    assert exact["nats"] == pytest.approx(held_out_nats(tiny_preset.model, held.notes))
    assert 0.0 < rounded["rms_logit_error"] < rounded["worst_logit_error"] < 0.1
    assert abs(rounded["nats_change"]) < 0.01


def test_a_contact_sheet_is_drawn(tiny_preset: Preset, tmp_path: Path) -> None:
    notes = [("bell", 60, 100), ("pipe", 60, 50)]
    sources = {notes[0]: np.random.default_rng(0).normal(scale=0.05, size=64_000).astype(np.float32)}
    contact_sheet(one_pitch(tiny_preset), sources, notes, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("60", [("bell", 60, 100), ("pipe", 60, 100)]),
        ("62-50", [("bell", 62, 50), ("pipe", 62, 50)]),
        ("pipe-61, bell-60-50", [("pipe", 61, 100), ("bell", 60, 50)]),
    ],
)
def test_notes_for_the_sheet_are_named_as_files_are(
    tiny_preset: Preset, listed: str, expected: list[tuple[str, int, int]]
) -> None:
    assert chosen_notes(tiny_preset, listed) == expected


@pytest.mark.parametrize("listed", ["", "bell", "bell-", "60-128", "harp-60", "C4"])
def test_what_is_no_note_for_the_sheet_is_named(tiny_preset: Preset, listed: str) -> None:
    with pytest.raises(UsageError, match="--sheet-notes: "):
        chosen_notes(tiny_preset, listed)
