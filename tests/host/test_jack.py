"""End to end: `wavekeys play` as its own process, real JACK MIDI in, real JACK audio out."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest

from synth.testing.jack_rig import ENVIRONMENT, RATE_HZ, SERVER, Listener, Player, launch, serve, wait_until

Play = Callable[..., Player]
AUDIBLE = 1e-3


def on(note: int) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=100)


def off(note: int) -> mido.Message:
    return mido.Message("note_off", note=note)


def hz(note: int) -> float:
    return 440.0 * 2 ** ((note - 69) / 12)


def peak(audio: np.ndarray) -> float:
    return float(np.max(np.abs(audio), initial=0.0))


def wait_for_silence(listener: Listener) -> None:
    wait_until(lambda: peak(listener.listen(0.2)) == 0.0, "silence")


def hear(listener: Listener, start: int) -> None:
    wait_until(lambda: peak(listener.since(start)) > AUDIBLE, "the note")


def spectrum(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and magnitudes, normalised to the largest."""
    windowed = audio[:, 0] * np.hanning(len(audio))
    magnitude = np.abs(np.fft.rfft(windowed, 4 * len(audio)))
    return np.fft.rfftfreq(4 * len(audio), 1 / RATE_HZ), magnitude / magnitude.max()


def read_take(path: Path) -> np.ndarray:
    """A recording through the standard library, [T, C] in -1..1."""
    with wave.open(str(path)) as take:
        assert (take.getframerate(), take.getsampwidth(), take.getnchannels()) == (RATE_HZ, 3, 2)
        raw = np.frombuffer(take.readframes(take.getnframes()), np.uint8).reshape(-1, 2, 3)
    padded = np.zeros((*raw.shape[:2], 4), np.uint8)
    padded[..., 1:] = raw
    return padded.view("<i4")[..., 0] / 2.0**31


def share_found(heard: np.ndarray, take: np.ndarray, window_frames: int = 1024) -> float:
    """The share of sounding windows of `heard` that are in `take`, sample for sample."""
    mono = take[:, 0]
    energy = np.concatenate([[0.0], np.cumsum(mono**2)])
    energy = energy[window_frames:] - energy[:-window_frames]
    size = 1 << int(len(mono) + window_frames).bit_length()
    transformed = np.fft.rfft(mono, size)
    found = []
    for start in range(0, len(heard) - window_frames, window_frames):
        window = heard[start : start + window_frames, 0].astype(np.float64)
        if peak(window) < AUDIBLE:
            continue
        products = np.fft.irfft(transformed * np.conj(np.fft.rfft(window, size)), size)[: len(energy)]
        best = int(np.argmin(energy - 2 * products))
        found.append(bool(np.max(np.abs(mono[best : best + window_frames] - window)) < 2.0**-22))
    assert found, "nothing sounded"
    return float(np.mean(found))


def test_a_note_is_heard_at_its_pitch_and_falls_silent_after_note_off(play: Play, listener: Listener) -> None:
    player = play()
    wait_for_silence(listener)
    start = listener.position
    listener.send(on(69))
    hear(listener, start)
    frequencies, magnitude = spectrum(listener.listen(0.5))
    assert abs(1200 * np.log2(frequencies[np.argmax(magnitude)] / hz(69))) < 5.0  # measured: 0.3 cents
    listener.send(off(69))
    wait_for_silence(listener)
    assert listener.pauses(start)  # what was silent before the note is none
    assert player.end(signal.SIGINT) == 0
    assert player.said("notes      1")


def test_notes_beyond_the_voices_steal_and_none_is_stuck(play: Play, listener: Listener) -> None:
    play("--voices", "4")
    notes = [48, 52, 55, 59, 62, 66, 69, 73]
    start = listener.position
    for note in notes:
        listener.send(on(note))
    hear(listener, start)
    listener.listen(0.2)
    frequencies, magnitude = spectrum(listener.listen(0.5))
    heard = [note for note in notes if magnitude[np.argmin(np.abs(frequencies - hz(note)))] > 0.3]
    assert heard == notes[4:]
    for note in notes:
        listener.send(off(note))
    wait_for_silence(listener)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_take_holds_what_was_heard_and_a_signal_ends_it_cleanly(
    play: Play, listener: Listener, tmp_path: Path, number: signal.Signals
) -> None:
    take = tmp_path / "take.wav"
    player = play("--record", take)
    start = listener.position
    for note in (57, 64, 71):
        listener.send(on(note))
        listener.listen(0.3)
    heard = listener.since(start)
    assert player.end(number) == 0
    assert player.said("underruns")
    # Measured on an idle machine: 1.0. A period that JACK skips on a busy one spoils the window it falls into.
    assert share_found(heard, read_take(take)) >= 0.5


def test_a_killed_player_leaves_a_readable_take(play: Play, listener: Listener, tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    player = play("--record", take)
    start = listener.position
    listener.send(on(60))
    hear(listener, start)
    listener.listen(2.0)
    player.end(signal.SIGKILL)
    heard = read_take(take)
    assert len(heard) > RATE_HZ
    assert peak(heard) > AUDIBLE


def test_playing_goes_on_when_the_take_finds_no_room(play: Play, listener: Listener, tmp_path: Path) -> None:
    take = tmp_path / "take.wav"
    # The shell's file size limit (400 blocks of 512 bytes) stands in for a full disk: writing fails half-way.
    player = play("--record", take, prefix=("sh", "-c", 'ulimit -f 400; exec "$@"', "sh"))
    wait_until(lambda: player.said("recording stopped"), "the recording to stop")
    start = listener.position
    listener.send(on(60))
    hear(listener, start)
    assert player.end(signal.SIGTERM) == 1
    assert player.err[-1].startswith("wavekeys: the take is not whole")
    assert len(read_take(take)) == (400 * 512 - 80) // 6  # 80: the header, with room for sizes above 4 GiB


@pytest.mark.usefixtures("jack_server")
def test_a_server_that_dies_twice_is_waited_for_and_playing_goes_on_where_it_comes_back(tmp_path: Path) -> None:
    take, own = tmp_path / "take.wav", f"{SERVER}-own"
    with contextlib.ExitStack() as stack:
        with serve(tmp_path / "first.log", name=own) as server:
            player = launch("--midi", "virtual", "--record", take, server=own)
            stack.enter_context(contextlib.closing(player))
            server.kill()
            wait_until(lambda: player.said("is lost: waiting for it"), "the loss to be seen")
        with wave.open(str(take)) as growing:
            before = growing.getnframes()
        with serve(tmp_path / "other.log", name=own, rate_hz=44_100) as other:
            wait_until(lambda: player.said("runs at 44100 Hz now"), "a server of another rate to be refused")
            other.kill()
        with serve(tmp_path / "second.log", name=own) as second:
            wait_until(lambda: player.said("is back"), "the device to be opened again")
            second.kill()
            wait_until(lambda: player.said("is lost: waiting for it", times=2), "the second loss to be seen")
        stack.enter_context(serve(tmp_path / "third.log", name=own))
        wait_until(lambda: player.said("is back", times=2), "the device to be opened once more")
        listener = stack.enter_context(contextlib.closing(Listener(server=own)))
        listener.connect()
        start = listener.position
        listener.send(on(69))
        hear(listener, start)
        frequencies, magnitude = spectrum(listener.listen(0.5))
        assert frequencies[np.argmax(magnitude)] == pytest.approx(440.0, abs=2.0)  # measured: 440.0
        assert player.end(signal.SIGTERM) == 0
    assert len(read_take(take)) > before + RATE_HZ // 2  # it went on while there was no device


def test_all_opens_the_ports_of_other_programs(listener: Listener) -> None:
    with contextlib.closing(launch("--midi", "all")) as player:
        assert player.said("listener:midi")
        listener.connect_audio()
        start = listener.position
        listener.send(on(60))
        hear(listener, start)


def test_a_keyboard_that_is_plugged_in_and_pulled_is_heard_and_nothing_else_falls_silent(listener: Listener) -> None:
    def longest_silence_s(start: int) -> float:
        sounds = np.flatnonzero(np.abs(listener.since(start)).max(axis=1) > 0.0)
        return float(np.max(np.diff(sounds), initial=0)) / RATE_HZ

    with contextlib.closing(launch("--midi", "all")) as player:
        listener.connect_audio()
        start = listener.position
        listener.send(on(60))
        hear(listener, start)
        start = listener.position
        for times in (1, 2):
            with contextlib.closing(Listener(name="keyboard")) as keyboard:
                wait_until(lambda times=times: player.said("keyboard:midi is there", times=times), "it to be seen")
                keyboard.send(on(64))
            wait_until(lambda times=times: player.said("keyboard:midi was pulled", times=times), "it to be missed")
        listener.listen(0.5)
        assert longest_silence_s(start) < 0.25  # the graph would wait for half a second for an input that is made now
        listener.send(off(60))
        wait_for_silence(listener)  # the key that was down when the keyboard was pulled is let go
        assert player.end(signal.SIGTERM) == 0
        assert player.said("notes      3")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_devices_lists_the_jack_device_and_the_midi_ports(listener: Listener) -> None:  # noqa: ARG001
    result = run("-c", "from synth.cli.main import main; main()", "devices", "--json")
    listing = json.loads(result.stdout)
    default = next(device for device in listing["audio"] if device["default"])
    assert (default["name"], default["host_api"]) == ("system", "JACK Audio Connection Kit")
    assert {"index", "name", "host_api", "default"} <= default.keys()
    assert listing["midi_inputs"] == ["listener:midi"]


@pytest.mark.usefixtures("jack_server")
def test_the_doctor_hears_its_own_notes_over_a_loop_and_no_sooner_than_they_can_be_there(tiny_folder: Path) -> None:
    result = run("-c", "from synth.cli.main import main; main()", "doctor", str(tiny_folder), "--json")
    assert result.returncode == 0, result.stderr
    latency = json.loads(result.stdout)["latency"]
    assert len(latency["notes_ms"]) >= latency["notes"] / 2  # measured on an idle machine: all
    assert latency["measured_ms"] > latency["expected_ms"] - 1.0  # the engine gives every note the same lead


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--midi", "nanoKEY"), 2, "--midi nanoKEY: no such port; there are: 'listener:midi'"),
        (("--audio", "Scarlett"), 2, "--audio Scarlett: no such output"),
        (("--audio", "7"), 2, "--audio 7: no such output"),
        (("--record", "/nowhere/take.wav"), 1, "there is no folder /nowhere"),
        (("--block", "1"), 2, "--block"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(
    listener: Listener,  # noqa: ARG001
    arguments: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    result = run("-m", "synth.testing.play_sine", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert text in result.stderr
    assert result.stderr.count("\n") == 1
