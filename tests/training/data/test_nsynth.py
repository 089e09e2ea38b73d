"""NSynth's dataset, in both of the forms that it is released in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synth import WavekeysError
from synth.errors import UsageError
from synth.training.config import WHOLE, DataConfig
from synth.training.data import BadNote, Note, good_notes, open_notes
from synth.training.data.records import features, framed, read_records

from .conftest import ROWS, tone, write_split, write_tfrecord


def read(path: Path, **asked: object) -> tuple[list[Note], list[BadNote]]:
    bad: list[BadNote] = []
    source = open_notes(DataConfig(**{**WHOLE, "notes": str(path), **asked}), 16_000)
    notes = list(good_notes(source, bad.append))
    assert len(notes) + len(bad) <= source.at_most
    return notes, bad


def test_a_split_gives_its_notes_and_lists_the_ones_that_are_noise(nsynth_split: Path) -> None:
    notes, bad = read(nsynth_split)
    assert [(note.instrument, note.pitch, note.velocity) for note in notes] == [(r[0], r[2], r[3]) for r in ROWS[:3]]
    np.testing.assert_allclose(notes[1].audio, tone(60), atol=2**-15)
    assert [note.name for note in bad] == ["brass_acoustic_046-055-050"]
    assert "noise" in bad[0].reason


def test_the_tfrecord_holds_the_same_notes(nsynth_split: Path, tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "nsynth-test.tfrecord")
    for wav, record in zip(read(nsynth_split)[0], read(tmp_path / "nsynth-test.tfrecord")[0], strict=True):
        assert wav[:3] == record[:3]
        np.testing.assert_allclose(wav.audio, record.audio, atol=2**-15)


@pytest.mark.parametrize(
    ("asked", "pitches"),
    [
        ({"families": ["flute"]}, [70]),
        ({"origins": ["synthetic"]}, [22, 60]),
        ({"without": ["distortion"]}, [22, 70]),
        ({"pitch_low": 50, "velocities": [100, 127]}, [60, 70]),
        ({"only": ["bass_synthetic_033"]}, [22, 60]),
    ],
)
def test_a_part_of_it_can_be_asked_for(nsynth_split: Path, asked: dict[str, object], pitches: list[int]) -> None:
    assert [note.pitch for note in read(nsynth_split, **asked)[0]] == pitches


def test_the_valid_splits_instruments_are_held_out_and_the_test_split_is_not_read(nsynth_split: Path) -> None:
    root = nsynth_split.parent
    write_split(root / "nsynth-train", ROWS[:2])
    write_split(root / "nsynth-valid", ROWS[2:3])
    notes, bad = read(root)
    assert [(note.pitch, note.held_out) for note in notes] == [(22, False), (60, False), (70, True)]
    assert not bad


def test_damaged_notes_are_listed_and_skipped_and_an_error_only_if_all_are(nsynth_split: Path) -> None:
    audio = nsynth_split / "audio"
    (audio / "bass_synthetic_033-022-025.wav").write_bytes(b"RIFF but no more")
    (audio / "flute_acoustic_002-070-100.wav").unlink()
    notes, bad = read(nsynth_split)
    assert [note.pitch for note in notes] == [60]
    assert [note.reason.split(" (")[0] for note in bad[:2]] == ["not a readable sound file", "there is no such file"]
    with pytest.raises(WavekeysError, match="none of its notes can be used; bass_synthetic_033-022-025: not"):
        read(nsynth_split, velocities=[25])
    with pytest.raises(WavekeysError, match="no note there is asked for"):
        read(nsynth_split, velocities=[26])


def test_a_velocity_beyond_midis_makes_a_bad_note(nsynth_split: Path) -> None:
    path = nsynth_split / "examples.json"
    rows = json.loads(path.read_text())
    next(iter(rows.values()))["velocity"] = 1000
    path.write_text(json.dumps(rows))
    notes, bad = read(nsynth_split)
    assert len(notes) == len(rows) - 1 - sum("noise" in note.reason for note in bad)
    assert [note.reason for note in bad if "noise" not in note.reason] == ["pitch 22, velocity 1000: beyond MIDI's"]


def test_an_unknown_family_is_refused_with_those_there_are(nsynth_split: Path) -> None:
    with pytest.raises(WavekeysError, match=r"families: 'strings' is none of NSynth's bass, .*, vocal"):
        read(nsynth_split, families=["strings"])


def test_an_instrument_that_no_split_has_is_refused(nsynth_split: Path, tmp_path: Path) -> None:
    root = nsynth_split.parent
    write_split(root / "nsynth-train", ROWS[:2])
    write_split(root / "nsynth-valid", ROWS[2:3])
    assert [note.pitch for note in read(root, only=["flute_acoustic_002"])[0]] == [70]
    write_tfrecord(tmp_path / "nsynth-test.tfrecord")
    for place in (root, nsynth_split, tmp_path / "nsynth-test.tfrecord"):
        with pytest.raises(UsageError, match=r"no instrument 'flute_acoustic_003'; there are [23], such as bass_synth"):
            read(place, only=["flute_acoustic_002", "flute_acoustic_003"])


@pytest.mark.parametrize("asked", [{"instruments": {"flute": 73}}, {"instruments": {"flute": 73}, "only": ["flute"]}])
def test_what_chooses_from_another_kind_of_source_is_refused(nsynth_split: Path, asked: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"instruments: of NSynth's dataset \(.*\) one asks by only"):
        read(nsynth_split, **asked)


def test_a_folder_whose_list_is_none_is_refused(nsynth_split: Path) -> None:
    (nsynth_split / "examples.json").write_text("[1]")
    with pytest.raises(WavekeysError, match="not NSynth's list of notes"):
        read(nsynth_split)


def test_an_example_is_read_as_tensorflow_writes_it() -> None:
    # By hand from protobuf.dev/programming-guides/encoding: pitch = int64_list [60, 61], packed.
    numbers = b"\x0a\x02\x3c\x3d"
    feature = b"\x1a" + bytes([len(numbers)]) + numbers
    entry = b"\x0a\x05pitch\x12" + bytes([len(feature)]) + feature
    body = b"\x0a" + bytes([len(entry)]) + entry
    assert list(features(b"\x0a" + bytes([len(body)]) + body)["pitch"]) == [60, 61]


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.tfrecord"
    whole = framed(b"123456789")
    assert whole[-4:] == (((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")
    path.write_bytes(whole)
    assert list(read_records(path)) == [b"123456789"]
    for damaged in (whole[:-3], whole[:14] + b"x" + whole[15:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged or cut short"):
            list(read_records(path))
    for content in (whole[:-3], framed(b"\xff")):
        path.write_bytes(content)
        with pytest.raises(WavekeysError, match="not NSynth's notes as TFRecord"):
            read(path)
