"""The MIDI of a take: valid at every moment, whole, and the same performance when it is rendered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth import WavekeysError
from synth.host.midi_take import MAX_DELTA, MAX_WAITING, MidiTake, Performer, ticks_of

RATE_HZ = 16_000
PERFORMER = Performer(rate_hz=RATE_HZ, name="Träumerei", header=lambda: "what plays")


def positions(path: Path) -> list[tuple[int, mido.Message]]:
    """Every message with its frame, empty texts left out, the track's end at its end alone."""
    (track,) = mido.MidiFile(path).tracks
    frame, found = 0, []
    for message in track:
        frame += message.time
        if not (message.type == "text" and not message.text):
            found.append((frame, message.copy(time=0)))
    assert [message.type for _, message in found].count("end_of_track") == 1
    assert found[-1][1].type == "end_of_track"
    return found


def channel_messages(path: Path) -> list[tuple[int, mido.Message]]:
    return [(frame, message) for frame, message in positions(path) if not message.is_meta]


def number(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


CHANNEL, DATA = number(0, 15), number(0, 127)
MESSAGES = st.one_of(
    st.builds(mido.Message, st.just("note_on"), channel=CHANNEL, note=DATA, velocity=DATA),
    st.builds(mido.Message, st.just("note_off"), channel=CHANNEL, note=DATA, velocity=DATA),
    st.builds(mido.Message, st.just("control_change"), channel=CHANNEL, control=DATA, value=DATA),
    st.builds(mido.Message, st.just("pitchwheel"), channel=CHANNEL, pitch=number(-8192, 8191)),
    st.builds(mido.Message, st.just("aftertouch"), channel=CHANNEL, value=DATA),
    st.builds(mido.Message, st.just("polytouch"), channel=CHANNEL, note=DATA, value=DATA),
    st.builds(mido.Message, st.just("program_change"), channel=CHANNEL, program=DATA),
)


def test_the_header_tells_what_plays_when_the_first_block_begins(tmp_path: Path) -> None:
    told = ["while the file is made"]
    take = MidiTake(tmp_path / "take.mid", Performer(rate_hz=RATE_HZ, header=lambda: told[-1]))
    told.append("at the first block")
    take.push([(3, mido.Message("note_on", note=60))], 64)
    told.append("later")
    take.push([], 64)
    take.close()
    events = positions(tmp_path / "take.mid")
    assert [(frame, message.text) for frame, message in events if message.type == "text"] == [(0, told[1])]


@given(steps=st.lists(st.tuples(number(0, 50_000), MESSAGES, st.booleans()), max_size=20))
def test_every_message_is_there_at_its_frame(tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    path = tmp_path_factory.mktemp("take") / "take.mid"
    take = MidiTake(path, PERFORMER)
    at, expected = 0, []
    for frames, message, flush in steps:
        offset = frames // 2
        expected.append((at + offset, message))
        take.push([(offset, message)], frames + 1)
        at += frames + 1
        if flush:
            take.flush()
    take.close()
    assert channel_messages(path) == expected
    assert positions(path)[-1][0] == at
    _, (_, name), *rest = positions(path)
    assert name.name == "Träumerei"
    assert not steps or (rest[0][0], rest[0][1].text) == (0, "what plays")


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000])
def test_a_tick_is_one_sample(rate_hz: int) -> None:
    division, tempo_us = ticks_of(rate_hz)
    assert division < 2**15
    assert division * 1_000_000 == rate_hz * tempo_us


def test_a_rate_for_which_no_tempo_fits_is_refused_before_a_file_is_made() -> None:
    with pytest.raises(WavekeysError, match="at 44101 Hz"):
        Performer(rate_hz=44_101)


def test_what_plays_nothing_is_left_out_and_commands_are_texts(tmp_path: Path) -> None:
    performer = Performer(rate_hz=RATE_HZ, as_text=lambda event: None if event == "secret" else f"do {event}")
    take = MidiTake(tmp_path / "take.mid", performer)
    silent = [mido.Message("sysex", data=[1, 2]), mido.Message("clock"), mido.Message("reset"), "secret"]
    take.push([(number, event) for number, event in enumerate([*silent, 7])], 100)
    take.close()
    text, end = positions(tmp_path / "take.mid")[1:]
    assert (text[0], text[1].text, end[0]) == (4, "do 7", 100)


def test_a_blocks_events_are_put_in_order_and_those_of_one_frame_keep_theirs(tmp_path: Path) -> None:
    take = MidiTake(tmp_path / "take.mid", PERFORMER)
    notes = [mido.Message("note_on", note=note) for note in (60, 61, 62, 63)]
    take.push(list(zip((9, 0, 9, 3), notes, strict=True)), 10)
    take.close()
    assert channel_messages(tmp_path / "take.mid") == [(0, notes[1]), (3, notes[3]), (9, notes[0]), (9, notes[2])]


def test_hours_without_an_event_keep_the_time(tmp_path: Path) -> None:
    take = MidiTake(tmp_path / "take.mid", PERFORMER)
    note = mido.Message("note_on", note=60)
    far = 2 * MAX_DELTA + 5  # nine hours
    take.push([], far)
    take.push([(3, note)], MAX_DELTA + 10)
    take.close()
    assert channel_messages(tmp_path / "take.mid") == [(far + 3, note)]
    assert positions(tmp_path / "take.mid")[-1][0] == far + MAX_DELTA + 10


def test_the_file_is_valid_after_every_byte_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "take.mid"
    take = MidiTake(path, PERFORMER)
    file, write_at, seen = take._file, os.pwrite, []

    def look() -> None:
        data = path.read_bytes()
        length = int.from_bytes(data[18:22], "big")
        assert data[22 + length - 3 : 22 + length] == b"\xff\x2f\x00"
        messages = mido.MidiFile(path).merged_track
        seen.append(sum(message.type == "note_on" for message in messages))

    class SlowFile:
        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

        def write(self, data: memoryview) -> int:
            count: int = file.write(data[:1])
            look()
            return count

    def pwrite(descriptor: int, data: bytes, at: int) -> int:
        count = write_at(descriptor, data, at)
        look()
        return count

    monkeypatch.setattr(take, "_file", SlowFile())
    monkeypatch.setattr(os, "pwrite", pwrite)
    for note in range(60, 65):
        take.push([(100, mido.Message("note_on", note=note)), (200, mido.Message("note_off", note=note))], 20_000)
        take.flush()
        take.flush()  # nothing new: nothing is written
    take.close()
    assert seen == sorted(seen)
    assert set(seen) == set(range(6))


def test_a_flush_that_failed_can_be_repeated_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "take.mid"
    take = MidiTake(path, PERFORMER)
    notes = [mido.Message("note_on", note=note) for note in (60, 61, 62)]
    take.push([(5, notes[0])], 100)
    take.flush()
    file = take._file

    class FullDisk:
        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

        def write(self, data: memoryview) -> int:
            if len(data) < 5:
                raise OSError(28, "No space left on device")
            return int(file.write(data[:3]))

    take.push([(5, notes[1])], 100)
    monkeypatch.setattr(take, "_file", FullDisk())
    with pytest.raises(OSError, match="No space"):
        take.flush()
    assert [frame for frame, _ in channel_messages(path)] == [5]
    monkeypatch.setattr(take, "_file", file)
    take.push([(5, notes[2])], 100)
    take.close()
    assert channel_messages(path) == [(5, notes[0]), (105, notes[1]), (205, notes[2])]


def test_events_that_nobody_writes_do_not_fill_the_memory(tmp_path: Path) -> None:
    take = MidiTake(tmp_path / "take.mid", PERFORMER)
    block = [(0, mido.Message("aftertouch", value=1))] * 1000
    for _ in range(MAX_WAITING // 1000 + 10):
        take.push(block, 64)
    assert take.overflowed
    assert len(take._waiting) <= MAX_WAITING
    take.close()


PLAYING = """
import sys, time
from pathlib import Path
import mido
import numpy as np
from synth.host.midi_take import Performer
from synth.host.recorder import Recorder
take = Recorder(
    Path(sys.argv[1]), sample_rate_hz=48_000, channels=2, report=lambda line: print(line, file=sys.stderr),
    stems=["one"],
    encoding=sys.argv[2], performer=Performer(rate_hz=16_000, header=lambda: "header"),
)
take.start()
block = np.full((480, 2), 0.25, np.float32)
for number in range(int(sys.argv[3])):
    take.push_events([(7, mido.Message("note_on", note=number % 128))], 160)
    take.push(block, [block])
    print(number + 1, flush=True)
    time.sleep(0.01)
take.close()
"""


@pytest.mark.parametrize("encoding", ["pcm16", "pcm24"])
def test_a_killed_process_loses_less_than_a_second_of_sound_and_midi(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "take.wav"
    command = [sys.executable, "-c", PLAYING, str(path), encoding, "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "150\n":
                break
        process.send_signal(signal.SIGKILL)
        blocks = 150 + len(process.stdout.readlines())
        assert process.wait() == -signal.SIGKILL
    played_s = blocks / 100
    for name in ("take.wav", "take-one.wav"):
        with wave.open(str(tmp_path / name)) as take:
            assert played_s - 1 < take.getnframes() / 48_000 <= played_s + 0.01  # measured: 0.1 s lost
    messages = channel_messages(tmp_path / "take.mid")
    assert (played_s - 1) * 100 < len(messages) <= blocks + 1
    assert [frame for frame, _ in messages] == [160 * number + 7 for number in range(len(messages))]


def test_a_disk_that_fills_up_ends_the_take_with_one_message_and_the_player_goes_on(tmp_path: Path) -> None:
    # The largest file that the process may write stands for the disk.
    limited = "import resource, signal\nresource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n" + PLAYING
    command = [sys.executable, "-c", limited, str(tmp_path / "take.wav"), "pcm24", "200"]
    began_s = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began_s > 2
    (message,) = done.stderr.splitlines()
    assert message.startswith(f"recording stopped: {tmp_path / 'take.wav'}: File too large; the ")
    assert "until here are kept, playing goes on" in message
    assert "200" in done.stdout.splitlines()
    lengths = set()
    for name in ("take.wav", "take-one.wav"):
        with wave.open(str(tmp_path / name)) as take:
            lengths.add(take.getnframes())
            assert take.readframes(take.getnframes()) == 2 * take.getnframes() * b"\x00\x00\x20"
    (frames,) = lengths
    assert 24_000 < frames <= (300_000 - 80) // 6  # measured: 47,040; what one file did not take, none keeps
    assert 90 < len(channel_messages(tmp_path / "take.mid")) < 200
