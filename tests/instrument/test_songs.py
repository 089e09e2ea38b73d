"""Standard MIDI Files in."""

from __future__ import annotations

from pathlib import Path

import mido
import pytest

from synth import WavekeysError
from synth.instrument import read_song


def song(path: Path, kind: int) -> Path:
    """Two tracks: a tempo change from 120 to 60 beats a minute after one beat, and two notes of a beat each."""
    tempo = mido.MidiTrack(
        [mido.MetaMessage("set_tempo", tempo=500_000), mido.MetaMessage("set_tempo", tempo=1_000_000, time=480)]
    )
    notes = mido.MidiTrack(
        [
            mido.Message("note_on", note=60, velocity=90),
            mido.Message("note_off", note=60, time=480),
            mido.Message("note_on", note=62, velocity=90),
            mido.Message("note_on", note=62, velocity=0, time=480),
        ]
    )
    tracks = [tempo, notes] if kind == 1 else [mido.merge_tracks([tempo, notes])]
    mido.MidiFile(type=kind, ticks_per_beat=480, tracks=tracks).save(path)
    return path


@pytest.mark.parametrize("kind", [0, 1])
def test_tempo_changes_in_any_track_move_the_notes(tmp_path: Path, kind: int) -> None:
    timeline = read_song(song(tmp_path / "song.mid", kind))
    assert [(seconds, message.note) for seconds, message in timeline] == [(0.0, 60), (0.5, 60), (0.5, 62), (1.5, 62)]


@pytest.mark.parametrize(("code", "frames_per_second"), [(24, 24.0), (25, 25.0), (29, 30_000 / 1001), (30, 30.0)])
def test_a_song_in_time_code_does_not_hear_tempo_changes(tmp_path: Path, code: int, frames_per_second: float) -> None:
    """MIDI 1.0, Standard MIDI Files: a negative division is minus the frames a second, then the ticks a frame."""
    content = bytearray(song(tmp_path / "song.mid", 1).read_bytes())
    content[12:14] = bytes([256 - code, 40])
    (tmp_path / "song.mid").write_bytes(content)
    beat = 480 / 40 / frames_per_second
    timeline = read_song(tmp_path / "song.mid")
    assert [message.note for _, message in timeline] == [60, 60, 62, 62]
    assert [seconds for seconds, _ in timeline] == pytest.approx([0.0, beat, beat, 2 * beat])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no MIDI file at"),
        (b"", "not a readable Standard MIDI File .it ends too early"),
        (b"RIFF....WAVE", "not a readable Standard MIDI File"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x80\xe0", "time code of 128 frames"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\xe8\x00", "time in no ticks"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x00\x00", "time in no ticks"),
        (b"MThd\x00\x00\x00\x06\x00\x02\x00\x00\x01\xe0", "type 2"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x01\xe0", "it holds no notes"),
    ],
)
def test_what_is_no_song_is_refused_in_one_line(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "song.mid"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WavekeysError, match=complaint) as refusal:
        read_song(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_around_and_between_a_songs_chunks_is_skipped(tmp_path: Path) -> None:
    """SMF 1.0: readers skip chunks that they do not know. RIFF's RMID is a song with a wrapping."""
    path = song(tmp_path / "song.mid", 1)
    known, whole = read_song(path), path.read_bytes()
    alien = b"XFIH" + (5).to_bytes(4, "big") + b"MTrk!"
    wrapped = b"RIFF" + (len(whole) + 12).to_bytes(4, "little") + b"RMIDdata" + len(whole).to_bytes(4, "little") + whole
    for content in (whole[:14] + alien + whole[14:], whole + alien, wrapped):
        path.write_bytes(content)
        assert read_song(path) == known


@pytest.mark.parametrize("told", [0, 1, 2, 3, 0xFFFF])
def test_the_tracks_that_there_are_are_played_whatever_the_header_tells(tmp_path: Path, told: int) -> None:
    path = song(tmp_path / "song.mid", 1)
    known, whole = read_song(path), path.read_bytes()
    path.write_bytes(whole[:10] + told.to_bytes(2, "big") + whole[12:])
    assert read_song(path) == known


def test_a_song_without_an_end_is_refused_before_it_is_played(tmp_path: Path) -> None:
    path = tmp_path / "long.mid"
    notes = [mido.Message("note_on", note=60), mido.Message("note_off", note=60, time=0x0FFFFFFF)]
    mido.MidiFile(tracks=[mido.MidiTrack(notes)]).save(path)
    with pytest.raises(WavekeysError, match="it lasts 78 hours; at most 6 can be played"):
        read_song(path)


def test_a_folder_is_no_song(tmp_path: Path) -> None:
    with pytest.raises(WavekeysError, match="a folder, not a MIDI file"):
        read_song(tmp_path)


def test_a_damaged_song_raises_nothing_but_the_projects_own_error(tmp_path: Path) -> None:
    whole = song(tmp_path / "song.mid", 1).read_bytes()
    path = tmp_path / "damaged.mid"
    for position in range(len(whole)):
        for value in (0x00, 0x7F, 0xFF):
            path.write_bytes(whole[:position] + bytes([value]) + whole[position + 1 :])
            try:
                read_song(path)
            except WavekeysError as error:
                assert "\n" not in str(error)
