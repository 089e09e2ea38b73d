"""`wavekeys encode`: what `nsynth_save_embeddings` was for, without its traps."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from synth import WaveNet

RATE_HZ, HOP = 16_000, 32  # of the tiny models


def tone(seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def write(path: Path, audio: np.ndarray, rate_hz: int = RATE_HZ, subtype: str = "FLOAT") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate_hz, subtype=subtype)
    return path


@pytest.fixture
def model(tiny_model: Callable[[str], WaveNet], tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    tiny_model("paper").save(path)
    return path


def test_each_sound_of_a_batch_keeps_its_own_length_and_is_what_the_model_makes_of_it(
    wavekeys, model: Path, tmp_path: Path, tiny_model: Callable[[str], WaveNet]
) -> None:
    sounds = {"short": tone(0.1), "same": -tone(0.1), "long": tone(0.4)[:-5]}
    paths = [write(tmp_path / f"{name}.wav", audio) for name, audio in sounds.items()]
    assert wavekeys("encode", *paths, "-o", tmp_path / "z", "--model", model)[0] == 0
    for name, audio in sounds.items():
        z = np.load(tmp_path / "z" / f"{name}.npy")
        assert (z.dtype, z.shape) == (np.float32, (-(-len(audio) // HOP), 16))
        alone = np.asarray(tiny_model("paper").encode(audio[None]))[0]
        np.testing.assert_allclose(z, alone, atol=1e-5)  # measured: 6e-7


@pytest.mark.parametrize("kind", ["paper", "live"])
def test_a_long_sound_is_encoded_part_by_part_as_the_whole_would_be(
    tiny_model: Callable[[str], WaveNet], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    audio = np.random.default_rng(0).normal(scale=0.2, size=(2, 300 * HOP - 7)).astype(np.float32)
    whole = np.asarray(tiny_model(kind).encode(audio))
    monkeypatch.setattr("synth.wavenet.model.PART_FRAMES", 40)
    np.testing.assert_allclose(tiny_model(kind).encode(audio), whole, atol=1e-5)  # measured: 3e-6


def test_files_that_promise_more_than_they_hold_are_named_and_the_others_encoded(
    wavekeys, model: Path, tmp_path: Path
) -> None:
    good = write(tmp_path / "good.flac", tone(0.1), subtype="PCM_16")
    content = bytearray(good.read_bytes())
    content[21:26] = bytes([content[21] & 0xF0 | 0x0F, 255, 255, 255, 255])  # STREAMINFO: 2**36 - 1 samples
    (tmp_path / "promises.flac").write_bytes(content)
    (tmp_path / "plain.raw").write_bytes(bytes(4000))
    write(tmp_path / "loud.wav", np.full(2000, 1e38, np.float32))
    write(tmp_path / "louder.wav", np.full((2000, 2), 3e38, np.float32))
    files = [tmp_path / name for name in ("promises.flac", "plain.raw", "loud.wav", "louder.wav")]
    code, _, complaint = wavekeys("encode", good, *files, "-o", tmp_path / "z", "--model", model)
    assert code == 1
    for name in ("plain.raw: not a readable", "loud.wav: it holds numbers", "louder.wav: it holds numbers"):
        assert name in complaint
    assert {"good.npy"} <= {path.name for path in (tmp_path / "z").iterdir()} <= {"good.npy", "promises.npy"}


@pytest.mark.parametrize("name", ["vocal", "wav", "a.w.v", ".wav.v", "av. wa"])
def test_names_are_kept_whole(wavekeys, model: Path, tmp_path: Path, name: str) -> None:
    write(tmp_path / f"{name}.wav", tone(0.1))
    assert wavekeys("encode", tmp_path / f"{name}.wav", "-o", tmp_path / "z", "--model", model)[0] == 0
    assert [path.name for path in (tmp_path / "z").iterdir()] == [f"{name}.npy"]


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100, 96_000])
def test_a_sound_of_any_rate_and_channel_count_has_as_many_frames_as_it_lasts(
    wavekeys, model: Path, tmp_path: Path, rate_hz: int
) -> None:
    at_home = write(tmp_path / "home.wav", tone(0.4))
    abroad = write(tmp_path / "abroad.wav", np.stack([tone(0.4, rate_hz)] * 3, axis=1), rate_hz)
    wavekeys("encode", at_home, abroad, "-o", tmp_path / "z", "--model", model)
    home, away = np.load(tmp_path / "z" / "home.npy"), np.load(tmp_path / "z" / "abroad.npy")
    assert home.shape == away.shape == (0.4 * RATE_HZ / HOP, 16)
    # Mu-law bins differ in a few samples; at the ends, resampling has nothing to go by. Measured: at most 0.03 of 1.6.
    assert np.abs(home - away)[8:-8].max() < 0.1 * np.abs(home).max()


def test_folders_are_read_with_what_is_below_and_nothing_is_added(wavekeys, model: Path, tmp_path: Path) -> None:
    for name in ("a.wav", "b.flac", "low/a.WAV"):
        write(tmp_path / "in" / name, tone(0.1), subtype="PCM_16")
    (tmp_path / "in" / "readme.txt").write_text("no sound")
    code, said, _ = wavekeys("encode", tmp_path / "in", "-o", tmp_path / "z", "--model", model, "--batch", 2)
    assert code == 0
    assert "3 encoded" in said
    found = sorted(str(path.relative_to(tmp_path / "z")) for path in (tmp_path / "z").rglob("*") if path.is_file())
    assert found == ["a.npy", "b.npy", "low/a.npy"]


def test_embeddings_travel_to_the_original_and_back(wavekeys, model: Path, tmp_path: Path) -> None:
    note = write(tmp_path / "note.wav", tone(0.3))
    wavekeys("encode", note, "-o", tmp_path / "note.npy", "--model", model)
    z = np.load(tmp_path / "note.npy")
    assert z.flags.c_contiguous
    # The original's names, and what its notebook's arithmetic makes: float64, in any order.
    np.save(tmp_path / "note_embeddings.npy", np.asfortranarray(z.astype(np.float64)))
    for name in ("note", "note_embeddings"):
        wavekeys("decode", tmp_path / f"{name}.npy", "-o", tmp_path / f"{name}-back.wav", "--model", model)
    first, rate_hz = soundfile.read(tmp_path / "note-back.wav")
    second, _ = soundfile.read(tmp_path / "note_embeddings-back.wav")
    assert (rate_hz, len(first)) == (RATE_HZ, len(tone(0.3)))
    np.testing.assert_array_equal(first, second)


def test_a_sound_comes_back_in_its_own_length_whatever_its_rate(wavekeys, model: Path, tmp_path: Path) -> None:
    write(tmp_path / "in" / "x" / "odd.wav", tone(0.1234, 44_100), 44_100)
    write(tmp_path / "in" / "even.wav", tone(0.2))
    wavekeys("encode", tmp_path / "in", "-o", tmp_path / "z", "--model", model)
    code, _, _ = wavekeys("decode", tmp_path / "z", "-o", tmp_path / "out", "--model", model, "--like", tmp_path / "in")
    assert code == 0
    assert soundfile.info(tmp_path / "out" / "x" / "odd.wav").frames == round(0.1234 * RATE_HZ)
    assert soundfile.info(tmp_path / "out" / "even.wav").frames == 0.2 * RATE_HZ


def test_resumed_it_makes_only_what_is_missing(wavekeys, model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.wav", tone(0.1))
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "a.npy").write_bytes(b"made before")
    encode = ("encode", tmp_path / "in", "-o", tmp_path / "z", "--model", model)
    assert "1 encoded, 1 kept" in wavekeys(*encode, "--resume")[1]
    assert (tmp_path / "z" / "a.npy").read_bytes() == b"made before"
    assert "2 encoded" in wavekeys(*encode)[1]
    assert np.load(tmp_path / "z" / "a.npy").ndim == 2


def riff(rate_hz: int) -> bytes:
    """A WAV file of 1000 samples of silence that says to be at that rate."""
    data = bytes(2000)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form + struct.pack("<4sI", b"data", 2000) + data


BAD = {
    "text.wav": (b"not audio at all", "not a readable sound file"),
    "empty.wav": (b"", "not a readable sound file"),
    "nothing.wav": (np.zeros(0, np.float32), "it is empty"),
    "nan.wav": (np.full(1000, np.nan, np.float32), "not finite"),
    "still.wav": (riff(0), "not a readable sound file"),
    "slow.wav": (riff(1), "its rate is 1 Hz; 1000 to 1000000 can be read"),
    "blip.wav": (tone(0.1)[: HOP - 1], "31 samples at 16000 Hz are shorter than a frame, 32"),
}


@pytest.fixture
def bad(tmp_path: Path) -> list[Path]:
    for name, (content, _) in BAD.items():
        path = tmp_path / "bad" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else write(path, content)
    return [tmp_path / "bad" / name for name in BAD]


def test_in_a_batch_bad_files_are_named_and_skipped(wavekeys, model: Path, tmp_path: Path, bad: list[Path]) -> None:
    good = write(tmp_path / "good.wav", tone(0.1))
    code, said, complaints = wavekeys("encode", *bad, good, "-o", tmp_path / "z", "--model", model)
    assert code == 1
    assert "1 encoded" in said
    assert [path.name for path in (tmp_path / "z").iterdir()] == ["good.npy"]
    assert f"{len(BAD)} of {len(BAD) + 1} files were skipped" in complaints
    for name, (_, complaint) in BAD.items():
        line = next(line for line in complaints.splitlines() if name in line)
        assert complaint in line


def test_alone_a_bad_file_is_an_error_of_one_line(wavekeys, model: Path, tmp_path: Path, bad: list[Path]) -> None:
    for path in [*bad, tmp_path / "none.wav"]:
        code, _, complaint = wavekeys("encode", path, "-o", tmp_path / "z.npy", "--model", model)
        assert (code, complaint.count("\n")) == (1, 1)
        assert path.name in complaint
    assert not (tmp_path / "z.npy").exists()


def test_what_was_typed_wrong_is_said(wavekeys, model: Path, tmp_path: Path) -> None:
    two = [write(tmp_path / place / "a.wav", tone(0.1)) for place in ("x", "y")]
    code, _, said = wavekeys("encode", *two, "-o", tmp_path / "z", "--model", model)
    assert code == 2
    assert "would both become" in said
    code, _, said = wavekeys("encode", *two, "-o", tmp_path / "z.npy", "--model", model)
    assert code == 2
    assert "give a folder" in said
    (tmp_path / "bare").mkdir()
    assert wavekeys("encode", tmp_path / "bare", "-o", tmp_path / "z", "--model", model)[0] == 1
