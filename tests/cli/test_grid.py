"""`wavekeys grid` as a user runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile

from synth.analysis import level_db, median_cents
from synth.pitch import midi_to_hertz
from synth.training.soundfont import render_notes


def test_a_grid_is_a_folder_of_notes_and_an_instrument_and_goes_on_where_it_was(
    wavekeys, tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "grid"
    options = ("--corners", "bell,pipe,pipe,bell", "--steps", 2, "--pitches", "60-64/4", "--held", 0.5, "--batch", 4)
    grid = ("grid", tiny_folder, "-o", out, *options, "--backend", "jax", "--precision", "fp32")
    code, said, complaint = wavekeys(*grid)
    assert code == 0, complaint
    assert "8 notes" in said
    names = sorted(path.name for path in (out / "wav").iterdir())
    assert (len(names), names[0]) == (8, "x00-y00-060-100.wav")
    assert set(re.findall(r"sample=(\S+)", (out / "tiny.sfz").read_text())) == set(names)
    first = (out / "wav" / names[0]).read_bytes()
    assert soundfile.info(out / "wav" / names[0]).frames == (16 + 31) * 32
    (out / "wav" / names[0]).unlink()
    assert "1 note, 7 kept" in wavekeys(*grid, "--resume")[1]
    assert (out / "wav" / names[0]).read_bytes() == first
    (out / "tiny.sfz").unlink()
    assert "0 notes, 8 kept" in wavekeys(*grid, "--resume")[1]
    assert (out / "tiny.sfz").is_file()
    code, _, complaint = wavekeys(*grid, "--resume", "--seed", 1)
    assert code == 2
    assert "the files there are of other settings" in complaint
    assert (out / "wav" / names[0]).read_bytes() == first
    assert wavekeys(*grid, "--corners", "bell,pipe,pipe,harp")[0] == 2  # what is typed wrong costs nothing
    assert (out / "wav" / names[0]).read_bytes() == first


def test_no_name_of_a_preset_leads_out_of_the_folder(wavekeys, tiny_folder: Path, tmp_path: Path) -> None:
    preset = shutil.copytree(tiny_folder, tmp_path / "preset") / "preset.toml"
    preset.write_text(re.sub(r"(?m)^name = .*$", 'name = "../../escaped"', preset.read_text()))
    grid = ("--corners", "bell,pipe,pipe,bell", "--steps", 2, "--pitches", "60", "--held", 0.1)
    assert wavekeys("grid", preset.parent, "-o", tmp_path / "x" / "out", *grid, "--backend", "jax")[0] == 1
    assert not list(tmp_path.rglob("*.sfz"))


def test_what_was_typed_wrong_is_said(wavekeys, tiny_folder: Path, tmp_path: Path) -> None:
    for options, complaint in (
        ((), "four corners, not 2"),
        (("--corners", "bell,pipe"), "four corners, not 2"),
        (("--corners", "bell,pipe,pipe,harp"), "unknown instrument 'harp'"),
        (("--corners", "bell,pipe,pipe,bell", "--pitches", "1"), "60 to 64"),
        (("--pitches", "C4"), "neither 48,60,72"),
    ):
        code, _, said = wavekeys("grid", tiny_folder, "-o", tmp_path / "grid", *options)
        assert (code, said.count("\n")) == (2, 1)
        assert complaint in said


def test_a_sampler_loads_the_instrument_and_plays_it_in_tune(wavekeys, tmp_path: Path) -> None:
    for program in ("polyphone", "fluidsynth"):
        if shutil.which(program) is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed")
    out = tmp_path / "grid"
    code, _, complaint = wavekeys("grid", "factory", "-o", out, "--steps", 1, "--pitches", "57,69", "--batch", 2)
    assert code == 0, complaint
    subprocess.run(
        ["polyphone", "-1", "-i", out / "factory.sfz", "-d", tmp_path, "-o", "sampler"],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        check=True,
        timeout=60,
        capture_output=True,
    )
    keys = [55, 57, 60, 69]  # some have a sample of their own, others a neighbour's
    for key, sound in zip(keys, render_notes(tmp_path / "sampler.sf2", 0, keys, 100), strict=True):
        held = sound[4000:44_000]
        assert level_db(held) > -60.0
        assert abs(median_cents(held, midi_to_hertz(key), 16_000)) < 20  # measured: 2
