"""Takes: valid at every moment, never overwritten, and no danger to playing."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth import WavekeysError
from synth.host import recorder as recorder_module
from synth.host.recorder import Recorder
from synth.host.wav import WavWriter, pcm24

RATE_HZ = 48_000


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).uniform(-1, 1, (frames, 2)).astype(np.float32)


def read(path: Path) -> bytes:
    with wave.open(str(path)) as take:
        assert (take.getnchannels(), take.getsampwidth(), take.getframerate()) == (2, 3, RATE_HZ)
        return take.readframes(take.getnframes())


def make(path: Path, messages: list[str] | None = None, **options: int) -> Recorder:
    report = (messages if messages is not None else []).append
    return Recorder(path, sample_rate_hz=RATE_HZ, channels=2, report=report, **options)


@given(st.lists(st.floats(-2.0, 2.0, width=32), min_size=1, max_size=50))
def test_24_bits_hold_every_sample_to_half_of_the_last_bit(values: list[float]) -> None:
    audio = np.array(values, np.float32)[:, None]
    raw = np.frombuffer(pcm24(audio), np.uint8).reshape(-1, 3)
    back = np.concatenate([np.zeros((len(raw), 1), np.uint8), raw], axis=1).copy().view("<i4")[:, 0] / 2.0**31
    np.testing.assert_allclose(back, np.clip(audio[:, 0], -1.0, 1 - 2.0**-23), atol=2.0**-24, rtol=0)


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


def test_the_file_is_valid_after_every_append(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    writer = WavWriter(path, sample_rate_hz=RATE_HZ, channels=2)
    audio = noise(300)
    for start in range(0, 300, 100):
        assert read(path) == pcm24(audio[:start])
        writer.append(audio[start : start + 100])
    writer.close()
    assert read(path) == pcm24(audio)


def test_a_process_that_is_killed_leaves_a_readable_take(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    program = f"""
import os, signal, time
import numpy as np
from pathlib import Path
from synth.host.recorder import Recorder
take = Recorder(Path({str(path)!r}), sample_rate_hz={RATE_HZ}, channels=2, report=print)
take.start()
take.push(np.full((4800, 2), 0.25, np.float32))
while take.recorded_s < 0.1:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert read(path) == pcm24(np.full((4800, 2), 0.25, np.float32))


def test_a_full_disk_ends_the_take_with_one_message_and_keeps_whole_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "take.wav"
    messages: list[str] = []
    take = make(path, messages)
    file = take._writer._file

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

    monkeypatch.setattr(take._writer, "_file", FullDisk())
    audio = noise(4800)
    take.push(audio)
    take.start()
    take._thread.join()
    take.push(audio)  # playing goes on
    take.close()
    assert read(path) == pcm24(audio[:166])
    assert path.stat().st_size == 44 + 166 * 6
    assert len(messages) == 1
    assert "No space left on device" in messages[0]
    assert take.failure == "No space left on device"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_disk_that_is_full_from_the_start_is_refused() -> None:
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


def test_a_take_that_outgrows_a_wav_file_goes_on_in_the_next(tmp_path: Path) -> None:
    take = make(tmp_path / "take.wav", max_data_bytes=6 * 1000)
    audio = noise(2500)
    take.push(audio)
    take.start()
    take.close()
    parts = [read(tmp_path / name) for name in ("take.wav", "take-part2.wav", "take-part3.wav")]
    assert b"".join(parts) == pcm24(audio)
    assert take.recorded_s == 2500 / RATE_HZ


@pytest.mark.parametrize(("name", "why"), [("", "it is a folder"), ("nowhere/take.wav", "there is no folder")])
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(WavekeysError, match=why):
        make(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
