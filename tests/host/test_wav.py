"""Growing WAV files: every encoding, valid at every moment, and beyond 4 GiB."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from synth import WavekeysError
from synth.host.wav import ENCODINGS, WavWriter, pcm16, pcm24

RATE_HZ = 48_000
SUBTYPES = {"pcm16": "PCM_16", "pcm24": "PCM_24", "float32": "FLOAT"}


def noise(frames: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(frames).uniform(-1, 1, (frames, channels)).astype(np.float32)


def read(path: Path) -> bytes:
    with wave.open(str(path)) as take:
        return take.readframes(take.getnframes())


@given(st.lists(st.floats(-2.0, 2.0, width=32), min_size=1, max_size=50))
def test_24_bits_hold_every_sample_to_half_of_the_last_bit(values: list[float]) -> None:
    audio = np.array(values, np.float32)[:, None]
    raw = np.frombuffer(pcm24(audio), np.uint8).reshape(-1, 3)
    back = np.concatenate([np.zeros((len(raw), 1), np.uint8), raw], axis=1).copy().view("<i4")[:, 0] / 2.0**31
    np.testing.assert_allclose(back, np.clip(audio[:, 0], -1.0, 1 - 2.0**-23), atol=2.0**-24, rtol=0)


def test_the_file_is_valid_after_every_append(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    writer = WavWriter(path, sample_rate_hz=RATE_HZ, channels=2)
    audio = noise(300)
    for start in range(0, 300, 100):
        assert read(path) == pcm24(audio[:start])
        writer.append(audio[start : start + 100])
    writer.close()
    assert read(path) == pcm24(audio)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_soundfile_reads_what_was_written(tmp_path: Path, encoding: str, channels: int) -> None:
    path = tmp_path / "take.wav"
    writer = WavWriter(path, sample_rate_hz=RATE_HZ, channels=channels, encoding=encoding)
    audio = np.concatenate([noise(1001, channels), [[1.0] * channels, [-1.0] * channels]]).astype(np.float32)
    writer.append(audio[:500])
    writer.append(audio[500:])
    writer.close()
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.frames) == ("WAV", SUBTYPES[encoding], 1003)
    back = soundfile.read(path, dtype="float32", always_2d=True)[0]
    # Half a step, with dither one and a half; 1.0 itself is a step beyond the largest value.
    atol = {"pcm16": 1.5 * 2.0**-15, "pcm24": 2.0**-23, "float32": 0.0}[encoding]
    np.testing.assert_allclose(back, audio, atol=atol, rtol=0)
    if encoding != "float32":
        with wave.open(str(path)) as take:
            assert (take.getnframes(), take.getsampwidth()) == (1003, ENCODINGS[encoding].sample_bytes)
    assert path.stat().st_size % 2 == 0


def test_16_bits_keep_a_tone_below_their_last_bit() -> None:
    times = np.arange(RATE_HZ)
    tone = (0.4 * 2.0**-15 * np.sin(2 * np.pi * 1000 * times / RATE_HZ)).astype(np.float32)[:, None]
    back = np.frombuffer(pcm16(tone, np.random.default_rng(0)), "<i2") * 2.0**-15
    spectrum = np.abs(np.fft.rfft(back)) / (RATE_HZ / 2)
    assert abs(spectrum[1000] / (0.4 * 2.0**-15) - 1) < 0.05  # measured: 0.001
    assert max(spectrum[2000], spectrum[3000]) < 0.02 * spectrum[1000]  # measured: 0.006; undithered there is nothing


def test_dither_is_the_same_for_the_same_audio_in_whatever_pieces_and_differs_between_files(tmp_path: Path) -> None:
    audio = noise(1000) * 0.001
    paths = [tmp_path / f"{name}.wav" for name in ("whole", "pieces", "other")]
    for path, size in zip(paths, (1000, 7, 1000), strict=True):
        seed = int(path.stem == "other")
        writer = WavWriter(path, sample_rate_hz=RATE_HZ, channels=2, encoding="pcm16", dither_seed=seed)
        for start in range(0, 1000, size):
            writer.append(audio[start : start + size])
        writer.close()
    whole, pieces, other = (path.read_bytes() for path in paths)
    assert whole == pieces
    assert whole != other


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_file_beyond_4_gib_is_an_rf64_without_loss(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "take.wav"
    writer = WavWriter(path, sample_rate_hz=RATE_HZ, channels=2, encoding=encoding)
    frame_bytes = 2 * ENCODINGS[encoding].sample_bytes
    last_small = (2**32 - 200) // frame_bytes
    first, before, after = noise(100), noise(101), noise(102)
    writer.append(first)
    # A hole that takes no room on the disk stands for the hours between.
    writer._file.seek(writer._header_bytes + (last_small - len(before)) * frame_bytes)
    writer.append(before)
    if encoding != "float32":
        with wave.open(str(path)) as take:
            assert take.getnframes() == last_small
    assert soundfile.info(path).format == "WAV"
    writer.append(after)
    writer.close()
    with soundfile.SoundFile(path) as file:
        assert (file.format, file.subtype, file.frames) == ("RF64", SUBTYPES[encoding], last_small + len(after))
        back = file.read(100, dtype="float32")
        file.seek(last_small - len(before))
        back = np.concatenate([back, file.read(dtype="float32")])
    atol = {"pcm16": 1.5 * 2.0**-15, "pcm24": 2.0**-23, "float32": 0.0}[encoding]
    np.testing.assert_allclose(back, np.concatenate([first, before, after]), atol=atol, rtol=0)
    path.unlink()


def test_an_unknown_encoding_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(WavekeysError, match="unknown WAV encoding 'mp3'; one of pcm16, pcm24, float32"):
        WavWriter(tmp_path / "take.wav", sample_rate_hz=RATE_HZ, channels=2, encoding="mp3")
    assert list(tmp_path.iterdir()) == []
