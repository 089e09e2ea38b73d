"""`wavekeys render`, `demo`, `presets`, `bench` and `evaluate` as a user runs them, with the factory preset."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import wave
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from synth.analysis import median_cents
from synth.host.limiter import CEILING
from synth.host.midi_take import MidiTake, Performer
from synth.instrument import Instrument, Set, command_text, header_text

WAVEKEYS = (sys.executable, "-c", "from synth.cli.main import main; main()")


def wavekeys(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*WAVEKEYS, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A4 for a second and a half."""
    path = tmp_path_factory.mktemp("songs") / "a4.mid"
    track = mido.MidiTrack(
        [mido.Message("note_on", note=69, velocity=100), mido.Message("note_off", note=69, time=1440)]
    )
    mido.MidiFile(tracks=[track]).save(path)
    return path


def test_a_song_becomes_a_wav_in_tune_and_the_same_seed_gives_the_same_file(song: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "one.wav", tmp_path / "two.wav"
    done = wavekeys("render", song, "-o", first, "--blend", "flute=1", "--seed", "5", "--sample-rate", "44100")
    assert (done.returncode, done.stderr) == (0, "")
    assert "faster than real time" in done.stdout
    wavekeys("render", song, "-o", second, "--blend", "flute=1", "--seed", "5", "--sample-rate", "44100")
    assert first.read_bytes() == second.read_bytes()
    audio, rate = soundfile.read(first, dtype="float32")
    assert (rate, audio.shape[1]) == (44_100, 2)
    assert abs(median_cents(audio[8000:60_000, 0], 440.0, rate)) < 20  # measured: 1 cent
    with wave.open(str(first)) as file:
        assert file.getsampwidth() == 3


def test_a_take_is_rendered_as_it_was_played(tmp_path: Path) -> None:
    instrument = Instrument("flute", voices=2, seed=5)
    instrument.set("gain_db", -3)
    instrument.warm_up(64)
    header = functools.partial(header_text, instrument, block_frames=64)
    take = MidiTake(tmp_path / "take.mid", Performer(rate_hz=16_000, header=header, as_text=command_text))
    events = {
        3: [(7, mido.Message("note_on", note=60)), (9, Set("brightness", 3.5))],
        50: [(0, mido.Message("pitchwheel", pitch=3000)), (63, mido.Message("note_off", note=60))],
    }
    played = []
    for number in range(100):
        take.push(events.get(number, []), 64)
        played.append(instrument.process(events.get(number, []), 64))
    take.close()
    done = wavekeys("render", tmp_path / "take.mid", "-o", tmp_path / "out.wav", "--sample-rate", "16000")
    assert (done.returncode, done.stderr) == (0, "")
    audio = soundfile.read(tmp_path / "out.wav", dtype="float32")[0][:6400]
    assert np.abs(audio).max() > 0.01
    np.testing.assert_allclose(audio, np.concatenate(played), atol=2.0**-22, rtol=0)  # 24 bits
    for recording in ("take.wav", "take-flute.wav"):
        (tmp_path / recording).write_bytes(b"as it was played")
        refused = wavekeys("render", tmp_path / "take.mid", "-o", tmp_path / recording)
        assert (refused.returncode, (tmp_path / recording).read_bytes()) == (2, b"as it was played")
        assert f"{recording} is this take's recording" in refused.stderr


def test_what_is_too_loud_is_turned_down_and_not_cut_off(tmp_path: Path) -> None:
    instrument = Instrument("flute", voices=1)
    instrument.set("gain_db", 24)
    header = functools.partial(header_text, instrument, block_frames=64)
    take = MidiTake(tmp_path / "take.mid", Performer(rate_hz=16_000, header=header, as_text=command_text))
    take.push(
        [
            (0, mido.Message("control_change", control=7, value=127)),
            (0, mido.Message("note_on", note=69, velocity=127)),
        ],
        64,
    )
    for _ in range(250):
        take.push([], 64)
    take.close()
    done = wavekeys("render", tmp_path / "take.mid", "-o", tmp_path / "out.wav", "--sample-rate", "16000")
    assert done.returncode == 0
    assert done.stderr.endswith("s were too loud and were turned down; lower the gain\n")
    audio = soundfile.read(tmp_path / "out.wav")[0][4000:, 0]
    assert np.abs(audio).max() <= CEILING
    assert np.mean(np.abs(audio) > 0.999 * CEILING) < 0.02  # clipped it would be 0.3


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("nowhere.mid", "-o", "out.wav"), 1, "no MIDI file at nowhere.mid"),
        (("SONG", "-o", "/nowhere/out.wav"), 1, "cannot write /nowhere/out.wav"),
        (("SONG", "-o", "out.wav", "--preset", "nope"), 2, "unknown preset 'nope'"),
        (("SONG", "-o", "out.wav", "--blend", "kazoo=1"), 2, "unknown instrument 'kazoo'"),
        (("SONG", "-o", "out.wav", "--blend", "flute"), 2, "'flute' is not NAME=WEIGHT"),
        (("SONG", "-o", "out.wav", "--blend", "flute=1e308"), 2, "0 to 1000000"),
        (("SONG", "-o", "out.wav", "--preset", ""), 2, "unknown preset ''"),
        (("SONG", "-o", "SONG"), 2, "is the song itself"),
        (("SONG", "-o", "out.npy"), 2, "what is written is .wav; name it out.wav"),
        (("SONG",), 2, "Missing option '-o'"),
        (("SONG", "-o", "out.wav", "--seed", "-1"), 2, "--seed"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_one_line(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = song.read_bytes()
    done = wavekeys("render", *(song if argument == "SONG" else argument for argument in arguments))
    assert song.read_bytes() == before
    assert done.returncode == code
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.wav").exists()


def test_a_full_disk_is_one_line_and_the_older_file_stays(song: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.wav"
    output.write_bytes(b"older")
    # A file size limit of 100 blocks of 512 bytes stands in for a full disk.
    command = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *WAVEKEYS, "render", str(song), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"wavekeys: cannot write {output}: File too large\n"
    assert done.stderr.count("\n") == 1
    assert output.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_that_cannot_be_written_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*WAVEKEYS, "presets", "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "wavekeys: No space left on device\n")


def test_the_demo_is_a_piece_that_is_heard_and_does_not_clip(tmp_path: Path) -> None:
    output = tmp_path / "demo.wav"
    done = wavekeys("demo", "-o", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert "faster than real time" in done.stdout
    audio, rate = soundfile.read(output)
    assert rate == 48_000
    assert len(audio) > 10 * rate
    assert 0.05 < np.abs(audio).max() < 1.0


def test_presets_are_listed_and_shown_as_json() -> None:
    rows = json.loads(wavekeys("presets", "list", "--json").stdout)
    factory = next(row for row in rows if row["name"] == "factory")
    assert {"name", "factory", "tags", "instruments", "pitch_low", "pitch_high"} <= factory.keys()
    assert factory["factory"] is True
    assert json.loads(wavekeys("presets", "show", "factory", "--json").stdout)["licence"]


def test_bench_reports_each_backend_beside_the_measured_peak() -> None:
    report = json.loads(wavekeys("bench", "--voices", "1", "--backend", "cpu", "--json").stdout)
    assert report["peak_gflops_fp32_per_core"] > 1
    (row,) = report["results"]
    assert {"backend", "size", "precision", "voices", "us_per_step", "realtime_factor", "gflops"} <= row.keys()
    assert row["realtime_factor"] == pytest.approx(62.5 / row["us_per_step"])


@pytest.mark.parametrize("soak", [(), ("--soak", "1")])
def test_bench_refuses_a_precision_that_is_not_here(soak: tuple[str, ...]) -> None:
    done = wavekeys("bench", "--voices", "1", "--backend", "jax", "--precision", "int8", *soak)
    assert done.returncode == 2
    assert done.stderr == "wavekeys: --precision int8: not on this machine; jax has fp32\n"


def test_bench_soaks_the_backend_that_it_was_told() -> None:
    report = json.loads(wavekeys("bench", "--voices", "1", "--backend", "jax", "--soak", "1", "--json").stdout)
    (row,) = report["soak"]
    assert (row["backend"], row["voices"]) == ("jax", 1)
    assert row["blocks"] == 250


@pytest.mark.parametrize("arguments", [("bench", "--voices", "x"), ("bench", "--size", "huge"), ("nonsense",), ()])
def test_a_wrong_command_line_exits_with_two(arguments: tuple[str, ...]) -> None:
    assert wavekeys(*arguments).returncode == 2
