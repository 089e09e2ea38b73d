"""`wavekeys decode` as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from synth.analysis import median_cents
from synth.bank import load_preset
from synth.cli.main import main
from synth.cli.output import write_wav
from synth.errors import WavekeysError

HOP, RATE_HZ = 512, 16_000


def header(shape: tuple[int, ...]) -> bytes:
    """Of a .npy file that says to be of this shape."""
    told = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(told).to_bytes(2, "little") + told.encode()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["decode", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def organ(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The factory organ's A4, 20 frames of it and 40, in two files."""
    bank = load_preset().bank
    note = bank.note(69, 100, has_level=True).frames[bank.instruments.index("organ")]
    folder = tmp_path_factory.mktemp("embeddings")
    np.save(folder / "short.note.npy", note[:20])
    np.save(folder / "long.npy", note[:40])
    return folder


def test_files_become_wavs_of_their_own_names_and_lengths_in_tune(run, organ: Path, tmp_path: Path) -> None:
    code, said, _ = run(organ / "long.npy", organ / "short.note.npy", "-o", tmp_path, "--pitch", "69")
    assert code == 0
    assert "2 files" in said
    long, rate = soundfile.read(tmp_path / "long.wav")
    short, _ = soundfile.read(tmp_path / "short.note.wav")
    assert (rate, long.shape, short.shape) == (RATE_HZ, (40 * HOP,), (20 * HOP,))
    assert abs(median_cents(long[RATE_HZ // 4 :].astype(np.float32), 440.0, RATE_HZ)) < 20  # measured: 1


def test_an_absurd_level_is_played_as_loud_as_sounds_can_be(run, organ: Path, tmp_path: Path) -> None:
    z = np.load(organ / "short.note.npy")
    z[:, 0] = 25.0
    np.save(tmp_path / "loud.npy", z)
    code, _, said = run(tmp_path / "loud.npy", "-o", tmp_path / "loud.wav", "--pitch", "69")
    assert (code, "samples were limited to full scale" in said) == (0, True)


def test_a_sound_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(WavekeysError, match=r"x\.wav: not written, since its sound is not finite"):
        write_wav(tmp_path / "x.wav", np.full((100, 1), np.nan), rate_hz=RATE_HZ, wanted_hz=RATE_HZ)
    assert not (tmp_path / "x.wav").exists()


def test_a_file_that_is_not_there_is_told_before_its_pitch_is_asked(run, tmp_path: Path) -> None:
    code, _, said = run(tmp_path / "none.npy", "-o", tmp_path / "x.wav")
    assert (code, f"no file {tmp_path / 'none.npy'}" in said) == (1, True)


def test_one_file_sounds_the_same_alone_and_in_company(run, organ: Path, tmp_path: Path) -> None:
    both = ("--pitch", "69", "--precision", "fp32")
    run(organ / "short.note.npy", "-o", tmp_path / "alone.wav", *both)
    run(organ / "short.note.npy", organ / "long.npy", "-o", tmp_path / "all", *both)
    alone, _ = soundfile.read(tmp_path / "alone.wav")
    together, _ = soundfile.read(tmp_path / "all" / "short.note.wav")
    np.testing.assert_array_equal(alone, together)


def test_a_file_that_cannot_be_decoded_is_named_and_skipped(run, organ: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.npy"
    np.save(bad, np.full((3, 16), np.nan, np.float32))
    code, said, complaint = run(bad, organ / "short.note.npy", "-o", tmp_path / "out", "--pitch", "69")
    assert code == 1
    assert "1 file," in said
    assert "bad.npy: embeddings must be numbers from -65504 to 65504" in complaint
    assert (tmp_path / "out" / "short.note.wav").is_file()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a readable .npy file"),
        (b"RIFF", "not a readable .npy file"),
        (np.zeros((1, 5, 16), np.float32), r"embeddings are [frames, 16] floats, not [1, 5, 16] float32"),
        (np.zeros((5, 8), np.float32), "not [5, 8]"),
        (np.zeros((0, 16), np.float32), "not [0, 16]"),
        (np.zeros((5, 16), np.int64), "not [5, 16] int64"),
    ],
)
def test_alone_it_is_an_error_of_one_line(run, tmp_path: Path, content, complaint: str) -> None:
    path = tmp_path / "z.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    code, _, said = run(path, "-o", tmp_path / "out.wav", "--pitch", "60")
    assert (code, said.count("\n")) == (1, 1)
    assert complaint in said


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 no zip",
        b"\x93NUMPY\x01\x00\x10\x00(((((((((((((((",
        header((10**12, 16)),
        header((10**22, 16)),
        header((5, 16)) + bytes(5 * 16 * 3),
    ],
    ids=["zip", "brackets", "terabytes", "beyond counting", "cut off"],
)
def test_a_damaged_file_is_named_and_the_others_are_decoded(run, organ: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "damaged.npy").write_bytes(content)
    code, said, complaint = run(tmp_path / "damaged.npy", organ / "short.note.npy", "-o", tmp_path, "--pitch", "69")
    assert code == 1
    assert "1 file," in said
    assert "damaged.npy: not a readable .npy file" in complaint


def test_what_float32_cannot_say_is_refused(run, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.full((3, 16), 1e300))
    code, _, complaint = run(tmp_path / "z.npy", "-o", tmp_path / "z.wav", "--pitch", "69")
    assert code == 1
    assert "must be numbers from" in complaint


def test_a_length_is_found_beside_any_namesake_and_what_has_none_is_skipped(run, organ: Path, tmp_path: Path) -> None:
    z, like = np.load(organ / "short.note.npy"), tmp_path / "like"
    like.mkdir()
    for name in ("a-069-100", "b-069-100_embeddings", "c-069-100"):
        np.save(tmp_path / f"{name}.npy", z)
    soundfile.write(like / "a-069-100.WAV", np.zeros(6000), RATE_HZ, format="WAV")
    soundfile.write(like / "b-069-100.flac", np.zeros(7000), RATE_HZ)
    code, said, complaint = run(*tmp_path.glob("*.npy"), "-o", tmp_path / "out", "--like", like)
    assert code == 1
    assert "2 files" in said
    assert "c-069-100.wav: no sound there" in complaint
    found = {path.name: soundfile.info(path).frames for path in (tmp_path / "out").iterdir()}
    assert found == {"a-069-100.wav": 6000, "b-069-100_embeddings.wav": 7000}


def test_what_was_typed_wrong_is_said(run, organ: Path, tmp_path: Path) -> None:
    two = (organ / "long.npy", organ / "short.note.npy")
    assert run(*two, "-o", tmp_path / "one.wav", "--pitch", "60")[0] == 2
    code, _, said = run(organ / "long.npy", "-o", tmp_path / "one.wav")
    assert code == 2
    assert "--pitch" in said
    code, _, said = run(tmp_path / "none.npy", "-o", tmp_path / "one.wav", "--pitch", "60")
    assert code == 1
    assert "no file" in said
    code, _, said = run(organ / "long.npy", "-o", tmp_path / "one.mp3", "--pitch", "60")
    assert code == 2
    assert "one.mp3: what is written is .wav; name it one.wav" in said
    assert not (tmp_path / "one.mp3").exists()


def test_the_pitch_is_taken_from_names_that_tell_one(run, organ: Path, tmp_path: Path) -> None:
    z = np.load(organ / "long.npy")
    for name in ("organ_electronic_001-057-100", "organ-069-100_embeddings"):
        np.save(tmp_path / f"{name}.npy", z)
    code, _, _ = run(tmp_path, "-o", tmp_path / "out")
    assert code == 0
    np.save(tmp_path / "nameless.npy", z)
    code, said, complaint = run(tmp_path, "-o", tmp_path / "out", "--resume")
    assert (code, "0 files, 2 kept" in said) == (1, True)
    assert "skipped: the name nameless.npy tells no pitch" in complaint
    low, _ = soundfile.read(tmp_path / "out" / "organ_electronic_001-057-100.wav", dtype="float32")
    high, _ = soundfile.read(tmp_path / "out" / "organ-069-100_embeddings.wav", dtype="float32")
    assert abs(median_cents(low[RATE_HZ // 4 :], 220.0, RATE_HZ)) < 20  # measured: 1
    assert abs(median_cents(high[RATE_HZ // 4 :], 440.0, RATE_HZ)) < 20  # measured: 1


def test_resumed_it_gives_what_it_would_have_given(run, organ: Path, tmp_path: Path) -> None:
    options = ("--pitch", "69", "--precision", "fp32", "--seed", "5")
    run(organ, "-o", tmp_path / "whole", *options)
    run(organ, "-o", tmp_path / "broken", *options)
    (tmp_path / "broken" / "short.note.wav").unlink()
    code, said, _ = run(organ, "-o", tmp_path / "broken", *options, "--resume")
    assert code == 0
    assert "1 file, 1 kept" in said
    for name in ("short.note.wav", "long.wav"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
