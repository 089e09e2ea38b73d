"""A musician's own notes: a preset from a folder of them, and the shipped model made to know them."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
import tomli_w

from synth.analysis import log_mel_distance, median_cents
from synth.bank import Preset, list_presets, load_preset
from synth.cli.main import main
from synth.instrument import Instrument
from synth.training.config import DataConfig
from synth.training.soundfont import render_notes
from synth.wavenet import WaveNet

OBOE = 68  # of General MIDI; the factory model never heard one
RATE = 16_000


def wavekeys(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def oboe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six notes of an oboe, in stereo at 44.1 kHz, with half a second of silence before each, and a broken file."""
    folder = tmp_path_factory.mktemp("my_samples")
    for velocity in (60, 110):
        notes = render_notes(Path(DataConfig().soundfont), OBOE, [55, 60, 64], velocity, sample_rate_hz=44_100)
        for name, note in zip(("G3", "C4", "E4"), notes, strict=True):
            late = np.pad(note, (22_050, 0))
            soundfile.write(folder / f"oboe_{name}_v{velocity}.wav", np.stack([late, late], axis=1), 44_100)
    (folder / "oboe_A4.wav").write_text("lost")
    return folder


def play(preset: Preset, pitch: int) -> np.ndarray:
    instrument = Instrument(preset, voices=1, seed=0)
    messages = [mido.Message("note_on", note=pitch, velocity=110, time=0.0)]
    return instrument(messages, duration=3.0, sample_rate=RATE)[:, 0]


@pytest.mark.usefixtures("home")
def test_a_folder_of_notes_becomes_a_preset_that_plays_in_tune(
    oboe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.wavekeys"
    assert wavekeys("bank", "build", oboe, "-o", mine) == 0
    said = capsys.readouterr()
    assert said.out == f"{mine}: 1 instruments, 3 pitches, 2 velocities\n"
    assert said.err.startswith("wavekeys: left out oboe_A4.wav: not a readable sound file")
    preset = load_preset(mine)
    assert (preset.info.name, preset.bank.instruments) == ("mine", ("oboe",))
    assert list(preset.bank.pitches) == [55, 60, 64]
    sound = play(preset, 60)
    assert abs(median_cents(sound[8000:20_000], 261.63, RATE)) < 20  # measured: 0.7
    source = render_notes(Path(DataConfig().soundfont), OBOE, [60], 110)[0]
    assert log_mel_distance(source[: len(sound)], sound, RATE) < 8  # measured: 6.1
    assert wavekeys("bank", "build", oboe, "-o", mine) == 1
    assert "overwrite it with --force" in capsys.readouterr().err
    assert wavekeys("bank", "build", oboe, "-o", tmp_path / "mine.wav") == 2
    assert "what is written is a folder, or a file that ends in .wavekeys" in capsys.readouterr().err
    assert wavekeys("bank", "build", oboe, "-o", oboe) == 2
    assert "is where the notes are" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_noises_that_the_model_cannot_know_are_told_and_do_not_stop_the_others(
    oboe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(64_000)
    soundfile.write(oboe / "noise_C2.wav", noise, RATE)
    mine = tmp_path / "mine.WAVEKEYS"
    assert wavekeys("bank", "build", oboe, "-o", mine, "--no-refine") == 0
    assert mine.is_file()
    assert "noise, pitch 36, velocity 100 is unlike all that the model has learnt" in capsys.readouterr().err
    bank = load_preset(mine).bank
    assert bank.instruments == ("noise", "oboe")
    assert np.abs(bank.embeddings).max() < 32


@pytest.mark.usefixtures("home")
def test_what_cannot_be_written_is_told_before_the_work(
    oboe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.wavekeys").mkdir()
    monkeypatch.setattr("synth.cli.bank._bank", None)
    assert wavekeys("bank", "build", oboe, "-o", tmp_path / "mine.wavekeys", "--force") == 1
    assert "cannot write" in capsys.readouterr().err
    (tmp_path / "plain").write_text("of another kind")
    assert wavekeys("bank", "build", oboe, "-o", tmp_path / "plain", "--force") == 1
    assert "it is a file; give a folder's name" in capsys.readouterr().err
    run = tmp_path / "run"  # of `wavekeys train`: its model is no preset's to overwrite
    run.mkdir()
    (run / "model.safetensors").write_text("of a night's work")
    assert wavekeys("bank", "build", oboe, "-o", run) == 1
    assert "is there already" in capsys.readouterr().err
    assert wavekeys("bank", "build", oboe, "-o", run, "--force") == 1
    assert "holds a model that is no preset's" in capsys.readouterr().err
    assert (run / "model.safetensors").read_text() == "of a night's work"


@pytest.mark.usefixtures("home")
def test_a_preset_that_is_not_written_whole_leaves_the_former_as_it_was(
    oboe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("bank", "build", oboe, "-o", tmp_path / "mine", "--no-refine", "--force", "--pitches")
    assert wavekeys(*command, "60") == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("synth.cli.bank.shutil.copyfile", full)
    assert wavekeys(*command, "64") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before


@pytest.mark.usefixtures("home")
def test_the_shipped_model_learns_the_notes_of_a_folder(oboe: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    document = {
        "output": str(tmp_path / "run"),
        "data": {"notes": str(oboe)},
        "training": {"start_from": "factory", "steps": 12, "frames": 2, "warm_up_steps": 2, "learning_rate": 3e-4},
        "validation": {"every": 2, "steps": 2, "crops": 6},
    }
    config.write_text(tomli_w.dumps(document))
    assert wavekeys("train", config) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["validation_notes"] < lines[0]["validation_notes"]
    learnt = tmp_path / "run" / "model.safetensors"
    assert wavekeys("bank", "build", config, "--model", learnt, "-o", tmp_path / "mine") == 0
    shipped = {info.model_sha256 for info in list_presets()}
    assert load_preset(tmp_path / "mine").info.model_sha256 not in shipped


@pytest.mark.usefixtures("home")
def test_a_soundfonts_instruments_are_taken_by_name_or_by_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    font, output = DataConfig().soundfont, tmp_path / "winds"
    options = ("--pitches", "60-61", "--velocities", "100", "-o", output)
    assert wavekeys("bank", "build", font, "--instruments", "bassoon,horn=60", *options) == 0
    assert load_preset(output).bank.embeddings.shape[:3] == (2, 2, 1)
    assert wavekeys("bank", "build", font, "--instruments", "oboe", *options) == 1  # not over what is there
    assert "is there already" in capsys.readouterr().err
    for wrong, complaint in (
        ((), "choose by --instruments"),
        (("--instruments", "=5"), "--instruments: an instrument cannot be called ''"),
        (("--instruments", "theremin"), "no instrument 'theremin'; give theremin=PROGRAM, or one of"),
        (("--instruments", "oboe", "--pitches", "61-60"), "--pitches: '61-60' are from high to low"),
        (("--instruments", "oboe", "--pitches", "x"), "--pitches: 'x,x' are not numbers from 0 to 127"),
    ):
        assert wavekeys("bank", "build", font, "-o", tmp_path / "others", *wrong) == 2
        assert complaint in capsys.readouterr().err


def test_a_model_of_other_frames_is_refused(
    tiny_model: Callable[[str], WaveNet], oboe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.safetensors"
    tiny_model("live").save(path)
    assert wavekeys("bank", "build", oboe, "--model", path, "-o", tmp_path / "mine") == 1
    assert "a bank has 31.25 frames a second, this model " in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()
