"""Takes: valid at every moment, never overwritten, and no danger to playing."""

from __future__ import annotations

import errno
import wave
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile

from synth import WavekeysError
from synth.host import recorder as recorder_module
from synth.host.midi_take import Performer
from synth.host.recorder import Recorder
from synth.host.wav import pcm24

RATE_HZ = 48_000


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).uniform(-1, 1, (frames, 2)).astype(np.float32)


def read(path: Path) -> bytes:
    with wave.open(str(path)) as take:
        assert (take.getnchannels(), take.getsampwidth(), take.getframerate()) == (2, 3, RATE_HZ)
        return take.readframes(take.getnframes())


def make(path: Path, messages: list[str] | None = None, **options: Any) -> Recorder:
    report = (messages if messages is not None else []).append
    return Recorder(path, sample_rate_hz=RATE_HZ, channels=2, report=report, **options)


def test_a_take_holds_every_block_in_order(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    take = make(path)
    take.start()
    blocks = [noise(count) for count in (192, 176, 177, 1, 5000)]
    for block in blocks:
        take.push(block)
    take.close()
    assert read(path) == pcm24(np.concatenate(blocks))
    assert take.recorded_s == sum(map(len, blocks)) / RATE_HZ


def test_a_full_disk_ends_the_take_with_one_message_and_keeps_whole_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "take.wav"
    messages: list[str] = []
    take = make(path, messages)
    file = take._writers[0]._file

    class FullDisk:
        """Takes 1000 bytes in the middle of a frame, then nothing more."""

        room = 1000

        def __getattr__(self, name: str) -> object:
            return getattr(file, name)

        def write(self, data: memoryview) -> int:
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            count = file.write(data[: self.room])
            self.room -= count
            return count

    monkeypatch.setattr(take._writers[0], "_file", FullDisk())
    audio = noise(4800)
    take.push(audio)
    take.start()
    take._thread.join()
    take.push(audio)  # playing goes on
    take.close()
    assert read(path) == pcm24(audio[:166])
    assert path.stat().st_size == 80 + 166 * 6  # the header has room for 64-bit sizes
    assert len(messages) == 1
    assert "No space left on device" in messages[0]
    assert take.failure == "No space left on device"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_disk_that_is_full_from_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WavekeysError, match="cannot record to /dev/full: it is no file, but a device or a pipe"):
        make(Path("/dev/full"))
    monkeypatch.setattr(recorder_module, "refuse_unwritable", lambda _path: None)
    with pytest.raises(WavekeysError, match="cannot record to /dev/full: No space left on device"):
        make(Path("/dev/full"))


def test_a_disk_that_stalls_ends_the_take_instead_of_leaving_a_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "BUFFER_S", 0.1)
    path = tmp_path / "take.wav"
    messages: list[str] = []
    take = make(path, messages)
    audio = noise(8192)
    take.push(audio)  # fills the buffer
    take.push(noise(100))
    take.start()
    take.close()
    assert read(path) == pcm24(audio)
    assert len(messages) == 1


def test_an_earlier_take_is_set_aside_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    for number in range(3):
        take = make(path)
        take.push(np.full((10, 2), number / 4, np.float32))
        take.start()
        take.close()
    kept = [read(tmp_path / name) for name in ("take-earlier1.wav", "take-earlier2.wav", "take.wav")]
    assert kept == [pcm24(np.full((10, 2), number / 4, np.float32)) for number in range(3)]


@pytest.mark.parametrize(("name", "why"), [("", "it is a folder"), ("nowhere/take.wav", "there is no folder")])
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(WavekeysError, match=why):
        make(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_stems_are_in_step_with_the_mix_and_named_after_their_instruments(tmp_path: Path) -> None:
    take = make(tmp_path / "take.wav", stems=("piano", "organ/2"))
    take.start()
    stems = [noise(3000), noise(3001)[:3000]]
    for start in range(0, 3000, 177):
        block = [stem[start : start + 177] / 2 for stem in stems]
        take.push(block[0] + block[1], block)
    take.close()
    names = ["take.wav", "take-piano.wav", "take-organ_2.wav"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    mix, *parts = (soundfile.read(tmp_path / name, dtype="float32")[0] for name in names)
    assert len(mix) == 3000
    np.testing.assert_allclose(parts, np.array(stems) / 2, atol=2.0**-24, rtol=0)
    np.testing.assert_allclose(mix, sum(parts), atol=2.0**-22, rtol=0)  # three roundings of half a step


def test_a_disk_that_is_full_for_one_file_ends_all_of_them_at_the_same_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    take = make(tmp_path / "take.wav", messages, stems=("piano", "organ"), performer=Performer(rate_hz=16_000))
    append, room = take._writers[1].append, [2]

    def fail_at_the_third_call(audio: np.ndarray) -> None:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= 1
        append(audio)

    monkeypatch.setattr(take._writers[1], "append", fail_at_the_third_call)
    audio = noise(4800)
    for _ in range(3):
        take.push_events([(0, mido.Message("note_on", note=60))], 1600)
        take.push(audio, [audio, audio])
        take._drain() if room[0] else take._run()
    take.close()
    for name in ("take.wav", "take-piano.wav", "take-organ.wav"):
        assert read(tmp_path / name) == pcm24(np.concatenate([audio, audio]))
    assert len(messages) == 1
    assert "No space left on device; the 0.2 s until here are kept, playing goes on" in messages[0]
    assert take.farewell == messages[0]
    midi = mido.MidiFile(tmp_path / "take.mid")
    assert len([message for message in midi if message.type == "note_on"]) == 2
    assert midi.length == pytest.approx(0.2)


def test_all_files_of_an_earlier_take_are_set_aside_under_one_number(tmp_path: Path) -> None:
    (tmp_path / "take-piano-earlier1.wav").write_bytes(b"older")
    for _ in range(2):
        take = make(tmp_path / "take.wav", stems=("piano",), performer=Performer(rate_hz=16_000))
        take.start()
        take.close()
    assert take.set_aside == tmp_path / "take-earlier2.wav"
    names = {"take.wav", "take-piano.wav", "take.mid"}
    aside = {"take-earlier2.wav", "take-piano-earlier2.wav", "take-earlier2.mid"}
    assert {path.name for path in tmp_path.iterdir()} == names | aside | {"take-piano-earlier1.wav"}


def test_stems_of_an_earlier_take_do_not_stay_beside_one_without(tmp_path: Path) -> None:
    make(tmp_path / "take.wav", stems=("piano", "organ")).close()
    (tmp_path / "take-harp.wav").write_bytes(b"another take's")
    make(tmp_path / "take.wav", former_stems=("piano", "organ", "flute")).close()
    names = {"take.wav", "take-earlier1.wav", "take-piano-earlier1.wav", "take-organ-earlier1.wav", "take-harp.wav"}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize(
    ("name", "stems", "complaint"),
    [
        ("take.mid", (), "would be take.mid; end it in .wav"),
        ("take.wav", ("a/b", "a:b"), "would be take-a_b.wav; rename an instrument"),
    ],
)
def test_files_that_would_share_a_name_are_refused(
    tmp_path: Path, name: str, stems: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(WavekeysError, match=complaint):
        make(tmp_path / name, stems=stems, performer=Performer(rate_hz=16_000))
    assert list(tmp_path.iterdir()) == []
