"""A musician's folder of notes: their names, a table, or their sound tell the pitch."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from synth import UsageError, WavekeysError
from synth.pitch import note_number
from synth.training.config import WHOLE, DataConfig
from synth.training.data import BadNote, Note, good_notes, open_notes
from synth.training.data.folder import heard_pitch, label_of
from synth.training.soundfont import render_notes

from .conftest import tone

SOUNDFONT = Path(DataConfig().soundfont)


def read(folder: Path, **asked: object) -> tuple[list[Note], list[BadNote]]:
    bad: list[BadNote] = []
    notes = list(good_notes(open_notes(DataConfig(**{**WHOLE, "notes": str(folder), **asked}), 16_000), bad.append))
    return notes, bad


@pytest.mark.parametrize(
    ("stem", "label"),
    [
        ("flute_C4_v100", ("flute", 60, 100)),
        ("flute-060-090", ("flute", 60, 90)),
        ("bass_synthetic_033-022-025", ("bass_synthetic_033", 22, 25)),
        ("Grand Piano F#3", ("grand piano", 54, 100)),
        ("v64 Bb-1", ("folder", 10, 64)),
        ("A4", ("folder", 69, 100)),
        ("B3_organ_72_vel12", ("b3_organ_72_vel12", None, 100)),
        ("whistle", ("whistle", None, 100)),
        ("piano_C4_64", ("piano", 60, 64)),
        ("piano_C4_64_02", ("piano", 60, 64)),
        ("violin_A3_025_forte_arco-normal", ("violin", 57, 100)),
        ("Strings, warm=1 C4", ("strings warm 1", 60, 100)),
        ("Track 02", ("track", None, 100)),
        ("rec001", ("rec", None, 100)),
        ("take 1", ("take", None, 100)),
        ("007", ("folder", None, 100)),
        ("flute 62", ("flute", 62, 100)),
        ("2024-03-12 14-05-33", ("folder", None, 100)),
        ("Oboe 2024-03-12", ("oboe", None, 100)),
        ("oboe_20240312_140533", ("oboe", None, 100)),
        ("oboe 2024-03-12 C4", ("oboe", 60, 100)),
        ("Track 10 11", ("track 10", None, 100)),
        ("Guitar-E2-01", ("guitar", 40, 100)),
        ("Flute_C4_02_90", ("flute", 60, 90)),
        ("bass_synthetic_033-009-050", ("bass_synthetic_033", 9, 50)),
        ("flo\N{COMBINING DIAERESIS}te C4", ("fl\N{LATIN SMALL LETTER O WITH DIAERESIS}te", 60, 100)),
    ],
)
def test_a_files_name_tells_instrument_pitch_and_velocity(stem: str, label: tuple[str, int | None, int]) -> None:
    if stem.startswith("B3"):  # a note's name goes before numbers
        label = ("folder", 59, 12)
    assert label_of(stem, "folder") == label


@pytest.mark.parametrize(
    ("text", "number"), [("C-1", 0), ("g9", 127), ("Db4", 61), ("64", 64), ("128", None), ("H4", None), ("", None)]
)
def test_pitches_are_read_as_people_write_them(text: str, number: int | None) -> None:
    assert note_number(text) == number


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_any_rate_and_channels_become_four_seconds_of_mono_from_the_onset(tmp_path: Path, rate_hz: int) -> None:
    silence = np.zeros(rate_hz // 4, np.float32)
    sound = np.concatenate([silence, tone(60, 5.0, rate_hz)])
    soundfile.write(tmp_path / "pipe_C4.wav", np.stack([sound, sound], axis=1), rate_hz)
    ((pipe,), bad) = read(tmp_path)
    assert (pipe.instrument, pipe.pitch, pipe.velocity, pipe.audio.shape) == ("pipe", 60, 100, (64_000,))
    assert not bad
    onset = int(np.argmax(np.abs(pipe.audio) > 0.02))
    assert onset < 0.01 * 16_000
    assert np.corrcoef(pipe.audio[onset + 100 : 60_000], tone(60)[100 : 60_000 - onset])[0, 1] > 0.98
    assert np.abs(pipe.audio[-10:]).max() < 1e-3  # it went on, and is faded


@pytest.mark.parametrize(("noise", "offset"), [(0.0, 0.0), (3e-3, 0.0), (0.0, 3e-3), (1e-2, 1e-2)])
def test_a_noisy_room_and_an_offset_before_the_note_are_no_part_of_it(
    tmp_path: Path, noise: float, offset: float
) -> None:
    sound = np.concatenate([np.zeros(16_000), tone(60)])
    sound += noise * np.random.default_rng(0).standard_normal(len(sound)) + offset
    soundfile.write(tmp_path / "pipe_C4.wav", sound, 16_000, subtype="FLOAT")
    ((pipe,), _) = read(tmp_path)
    assert np.argmax(np.abs(pipe.audio - offset) > 0.06) < 0.015 * 16_000


def test_a_slow_attack_without_silence_before_it_is_kept(tmp_path: Path) -> None:
    swell = tone(60) * np.minimum(np.arange(len(tone(60))) / 8000, 1.0)
    soundfile.write(tmp_path / "pipe_C4.wav", swell, 16_000, subtype="FLOAT")
    ((pipe,), _) = read(tmp_path)
    assert np.corrcoef(pipe.audio[:60_000], swell[:60_000])[0, 1] > 0.99


def test_what_is_silent_once_resampled_is_bad(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "pipe_C4.wav", np.ones(1), 44_100)
    soundfile.write(tmp_path / "pipe_D4.wav", tone(62), 16_000)
    _, (bad,) = read(tmp_path)
    assert bad == ("pipe_C4.wav", "silent")


def test_a_folder_given_as_a_dot_names_the_instrument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "Pipe"
    folder.mkdir()
    soundfile.write(folder / "C4.wav", tone(60), 16_000)
    monkeypatch.chdir(folder)
    ((note,), _) = read(Path())
    assert note.instrument == "pipe"


def test_an_instrument_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    for name in ("flute_C4", "oboe_C4"):
        soundfile.write(tmp_path / f"{name}.wav", tone(60), 16_000)
    with pytest.raises(UsageError, match="no instrument 'obeo'; there are: flute, oboe"):
        read(tmp_path, only=["flute", "obeo"])


def test_bad_files_are_listed_with_the_reason(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "pipe_C4.wav", tone(60), 16_000)
    soundfile.write(tmp_path / "pipe_D4.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "pipe_E4.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "hiss.wav", 0.1 * np.random.default_rng(0).normal(size=32_000), 16_000)
    (tmp_path / "pipe_F4.wav").write_text("no sound")
    (tmp_path / "notes.txt").write_text("not meant")
    soundfile.write(tmp_path / "pipe_A4.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "pipe_C5.wav", tone(72)[1000:1200], 16_000)
    soundfile.write(tmp_path / "pipe_B4.wav", 1e20 * tone(71), 16_000, subtype="FLOAT")
    os.mkfifo(tmp_path / "pipe_G4.wav")  # nobody will ever write to it
    notes, bad = read(tmp_path)
    assert [note.pitch for note in notes] == [60]
    assert {note.name: note.reason.split(" (")[0].split(",")[0] for note in bad} == {
        "hiss.wav": "no pitch in its name",
        "pipe_A4.wav": "empty",
        "pipe_B4.wav": "holds numbers that are not finite",
        "pipe_C5.wav": "only 12 ms long",
        "pipe_D4.wav": "silent",
        "pipe_E4.wav": "holds numbers that are not finite",
        "pipe_F4.wav": "not a readable sound file",
    }


def test_channels_of_opposite_signs_do_not_cancel(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "pipe_C4.wav", np.stack([tone(60), -tone(60)], axis=1), 16_000)
    ((note,), bad) = read(tmp_path)
    assert not bad
    assert np.abs(note.audio).max() == pytest.approx(np.abs(tone(60)).max(), rel=0.01)


def test_a_table_goes_before_the_names(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", tone(61), 16_000)
    soundfile.write(tmp_path / "two_C4.wav", tone(62), 16_000)
    (tmp_path / "notes.csv").write_text(
        "file,pitch,velocity,instrument\none.wav,C#4,50,Pipe\ntwo_C4.wav,62,,\nmissing.wav,63,,\none.wav,X,,\n"
        'one.wav,61,,"Pi\npe"\n'
    )
    notes, bad = read(tmp_path)
    assert [note[:3] for note in notes] == [("pipe", 61, 50), (tmp_path.name.lower(), 62, 100)]
    assert [note.name for note in bad] == ["missing.wav", "one.wav", "one.wav"]
    assert "a name in one line" in bad[-1].reason
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "notes.csv").write_text(f"file,pitch\n{tmp_path / 'one.wav'},61\n")
    ((far,), _) = read(tmp_path / "elsewhere")
    assert far.pitch == 61
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(WavekeysError, match="columns headed file and pitch"):
        read(tmp_path)


def test_the_pitch_of_real_notes_is_heard(tmp_path: Path) -> None:
    pitches = [45, 60, 79]
    for number, audio in enumerate(render_notes(SOUNDFONT, 68, pitches, 100)):  # an oboe
        soundfile.write(tmp_path / f"oboe {number}.wav", audio[:24_000], 16_000)
    notes, _ = read(tmp_path)
    assert [note.pitch for note in notes] == pitches


def test_the_room_after_a_short_note_is_not_its_pitch() -> None:
    rng = np.random.default_rng(1)
    pitches = [72, 84, 96]
    for pitch, audio in zip(pitches, render_notes(SOUNDFONT, 13, pitches, 100), strict=True):  # a xylophone
        noise = rng.standard_normal(len(audio)) * np.abs(audio).max() * 10 ** (-50 / 20)
        assert heard_pitch((audio + noise).astype(np.float32), 16_000) == pitch


def test_a_path_without_notes_is_refused_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(WavekeysError, match=r"no sound files in it \(\.aif, "):
        read(tmp_path)
    with pytest.raises(UsageError, match=r"give a folder of notes, .* it is not there"):
        read(tmp_path / "none")
    (tmp_path / "song.mid").write_text("")
    with pytest.raises(UsageError, match="it is none of them"):
        read(tmp_path / "song.mid")


@pytest.mark.parametrize(
    ("names", "velocities"),
    [
        (("gtr_C4_v1", "gtr_C4_v2", "gtr_E4_rr1_v3"), (42, 85, 127)),
        (("gtr_C4_v1", "gtr_E4"), (100, 100)),
        (("gtr_C4_v1", "gtr_E4_v64"), (1, 64)),
    ],
)
def test_numbers_of_layers_are_no_velocities(
    tmp_path: Path, names: tuple[str, ...], velocities: tuple[int, ...]
) -> None:
    for name in names:
        soundfile.write(tmp_path / f"{name}.wav", tone(60), 16_000)
    notes, bad = read(tmp_path)
    assert (tuple(note.velocity for note in notes), bad) == (velocities, [])


def test_spaces_around_what_a_table_says_mean_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(60), 16_000)
    (tmp_path / "notes.csv").write_text("file,pitch,velocity,instrument\n a.wav ,60, 90, Zither\n")
    ((note,), bad) = read(tmp_path)
    assert (note.instrument, note.velocity, bad) == ("zither", 90, [])
