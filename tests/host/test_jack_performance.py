"""End to end with the trained model: what a player does beside notes, through real JACK, OSC and files.

One player serves all of it, a test after the other, as an evening does; each begins with everything at rest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
from pythonosc.osc_message import OscMessage
from pythonosc.udp_client import SimpleUDPClient

from synth.analysis import spectral_cents
from synth.host.osc.wire import MAX_DATAGRAM_BYTES
from synth.host.resampler import StreamResampler
from synth.instrument.channels import registered_controls
from synth.pitch import midi_to_hertz
from synth.testing.jack_rig import PATIENCE_S, PLAY_FACTORY, RATE_HZ, Listener, Player, launch, wait_until
from synth.testing.playing import control, off, on

AUDIBLE = 1e-2
CENTS = 15.0  # a flute's vibrato moves a short spectrum by some


class Surface:
    """An OSC client that asks and tells."""

    def __init__(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._client = SimpleUDPClient("127.0.0.1", self.port)
        self._client._sock.settimeout(PATIENCE_S)

    def close(self) -> None:
        self._client._sock.close()

    def tell(self, address: str, *values: Any) -> None:
        self._client.send_message(f"/wavekeys/{address}", list(values))

    def ask(self, address: str) -> list[Any]:
        """What an address shows; other answers, of an earlier question, are passed over."""
        self.tell(address)
        while True:
            message = OscMessage(self._client._sock.recv(MAX_DATAGRAM_BYTES))
            if message.address == f"/wavekeys/{address}":
                return message.params


@dataclasses.dataclass(frozen=True)
class Stage:
    """The player, its listener, its OSC surface and its take."""

    player: Player
    listener: Listener
    surface: Surface
    take: Path

    def send(self, *messages: mido.Message) -> None:
        self.listener.send(*messages)

    def sounding(self, *messages: mido.Message) -> None:
        """Send messages and wait until something is heard that comes after them."""
        start = self.listener.position
        self.send(*messages)
        wait_until(lambda: loudness(self.listener.since(start)) > AUDIBLE, f"the sound of {messages}")

    def silent(self) -> None:
        wait_until(lambda: loudness(self.listener.listen(0.2)) == 0.0, "silence")

    def cents(self, key: float) -> float:
        """How far what sounds is from a key, over a second of it."""
        return spectral_cents(self.listener.listen(1.0)[:, 0], float(midi_to_hertz(key)), RATE_HZ)


def loudness(audio: np.ndarray) -> float:
    return float(np.max(np.abs(audio), initial=0.0))


def centroid_hz(audio: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(audio[:, 0] * np.hanning(len(audio)))) ** 2
    return float(np.sum(np.fft.rfftfreq(len(audio), 1 / RATE_HZ) * power) / np.sum(power))


@pytest.fixture(scope="module")
def played(jack_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:  # noqa: ARG001
    take = tmp_path_factory.mktemp("performance") / "take.wav"
    arguments = ("flute", "--midi", "virtual", "--voices", "2", "--spare", "8", "--record", take, "--stems", "--osc")
    with (
        contextlib.closing(Surface()) as surface,
        contextlib.closing(launch(*arguments, str(surface.port), command=PLAY_FACTORY)) as player,
        contextlib.closing(Listener()) as listener,
    ):
        listener.connect()
        yield Stage(player, listener, surface, take)


@pytest.fixture
def stage(played: Stage) -> Stage:
    """Everything at rest."""
    played.send(*(control(number, 0, channel=channel) for channel in range(3) for number in (123, 121)))
    played.silent()
    return played


def test_the_sustain_pedal_holds_what_keys_let_go(stage: Stage) -> None:
    stage.send(control(64, 127))
    stage.sounding(on(69))
    stage.send(off(69))
    stage.listener.listen(0.6)
    assert loudness(stage.listener.listen(0.3)) > AUDIBLE
    stage.send(control(64, 0))
    stage.silent()


def test_sostenuto_holds_only_what_was_down_when_it_came(stage: Stage) -> None:
    stage.sounding(on(69))
    stage.send(control(66, 127), on(76), off(69), off(76))
    stage.listener.listen(0.8)
    assert abs(stage.cents(69)) < CENTS
    assert loudness(stage.listener.listen(0.1)) > AUDIBLE
    stage.send(control(66, 0))
    stage.silent()


@pytest.mark.parametrize("semitones", [2, 7])
def test_a_bend_goes_as_far_as_its_range_says(stage: Stage, semitones: int) -> None:
    stage.send(*(control(*pair) for pair in registered_controls(0, semitones << 7)))
    stage.sounding(mido.Message("pitchwheel", pitch=8191), on(69))
    stage.listener.listen(0.3)
    assert abs(stage.cents(69 + semitones)) < CENTS
    stage.send(*(control(*pair) for pair in registered_controls(0, 2 << 7)), off(69))


def test_volume_and_pan_are_heard_on_the_notes_that_sound(stage: Stage) -> None:
    stage.sounding(on(69))
    stage.send(control(10, 127))
    stage.listener.listen(0.3)
    left, right = np.abs(stage.listener.listen(0.2)).max(axis=0)
    assert right > AUDIBLE > 100 * left
    stage.send(control(10, 64), control(7, 0))
    stage.silent()
    stage.sounding(control(7, 100))


def test_all_sound_off_is_at_once(stage: Stage) -> None:
    stage.send(control(64, 127))
    stage.sounding(on(69), on(76))
    stage.send(control(120, 0))
    stage.silent()


def test_an_mpe_zone_bends_its_notes_one_by_one(stage: Stage) -> None:
    stage.send(*(control(*pair) for pair in registered_controls(6, 2 << 7)))
    stage.sounding(mido.Message("pitchwheel", channel=1, pitch=8192 * 5 // 48), on(60, channel=1), on(79, channel=2))
    stage.listener.listen(0.3)
    heard = stage.listener.listen(1.0)[:, 0]
    for key in (65, 79):  # the lower one five semitones up, the upper one as it is
        assert abs(spectral_cents(heard, float(midi_to_hertz(key)), RATE_HZ)) < CENTS
    stage.send(off(60, channel=1), off(79, channel=2), *(control(*pair) for pair in registered_controls(6, 0)))


def test_a_held_note_changes_over_to_another_blend_without_a_click(stage: Stage) -> None:
    [part] = stage.surface.ask("parts")
    stage.sounding(on(57))
    stage.listener.listen(0.5)
    flute = centroid_hz(stage.listener.listen(0.5))
    start = stage.listener.position
    stage.surface.tell(f"{part}/blend", "trumpet", 1.0)
    stage.listener.listen(1.0)
    changing = stage.listener.since(start)[:, 0]
    trumpet = centroid_hz(stage.listener.listen(0.5))
    assert trumpet > 1.5 * flute
    # No step is larger than the brightest tone of that loudness makes: a click of a tenth of it would be.
    assert np.abs(np.diff(changing, n=2)).max() < 0.1 * loudness(changing)
    assert stage.surface.ask(f"{part}/blend") == ["trumpet", 1.0]
    stage.surface.tell(f"{part}/reset_blend")


def test_a_program_change_brings_another_preset_and_osc_says_so(stage: Stage) -> None:
    [part] = stage.surface.ask("parts")
    names = stage.surface.ask("presets")
    assert stage.surface.ask(f"{part}/preset") == ["flute"]
    stage.send(mido.Message("program_change", program=names.index("clarinet")))
    wait_until(lambda: stage.surface.ask(f"{part}/preset") == ["clarinet"], "the preset")
    stage.sounding(on(60))
    stage.surface.tell(f"{part}/preset", "flute")
    wait_until(lambda: stage.surface.ask(f"{part}/preset") == ["flute"], "the preset from before")


def test_osc_plays_and_moves_parameters(stage: Stage) -> None:
    [part] = stage.surface.ask("parts")
    start = stage.listener.position
    stage.surface.tell("note", 69, 100)
    wait_until(lambda: loudness(stage.listener.since(start)) > AUDIBLE, "the note")
    before = loudness(stage.listener.listen(0.2))
    stage.surface.tell(f"{part}/gain_db", -40.0)
    stage.listener.listen(0.5)
    assert loudness(stage.listener.listen(0.2)) < 0.02 * before
    assert stage.surface.ask(f"{part}/gain_db") == [-40.0]
    stage.surface.tell(f"{part}/gain_db", 0.0)
    stage.surface.tell("note", 69, 0)


def test_mono_and_legato_lines_glide_from_key_to_key(stage: Stage) -> None:
    [part] = stage.surface.ask("parts")
    for name, value in (("mode", "legato"), ("glide_ms", 100.0)):
        stage.surface.tell(f"{part}/{name}", value)
    wait_until(lambda: stage.surface.ask(f"{part}/mode") == ["legato"], "the mode")
    stage.sounding(on(60))
    stage.send(on(72))
    stage.listener.listen(0.5)
    assert stage.surface.ask(f"{part}/sounding") == [1]
    assert abs(stage.cents(72)) < CENTS
    stage.send(off(72))
    stage.listener.listen(0.5)
    assert abs(stage.cents(60)) < CENTS
    stage.surface.tell(f"{part}/mode", "poly")
    stage.surface.tell(f"{part}/glide_ms", 0.0)


def test_the_take_and_its_stem_hold_it_all_and_its_midi_renders_to_the_same(stage: Stage, tmp_path: Path) -> None:
    assert stage.player.end(signal.SIGTERM) == 0
    take, rate = soundfile.read(stage.take)
    [stem] = stage.take.parent.glob("take-*.wav")
    alone, _ = soundfile.read(stem)
    np.testing.assert_allclose(take, alone, atol=2e-4)  # but for the limiter, of one part alone
    rendered = tmp_path / "again.wav"
    main = (*PLAY_FACTORY[:-1], "render", stage.take.with_suffix(".mid"), "-o", rendered, "--sample-rate", "16000")
    subprocess.run([*map(str, main)], check=True)
    resampler, played = StreamResampler(source_hz=16_000, target_hz=rate, block_frames=48), soundfile.read(rendered)[0]
    again = np.concatenate([resampler.process(played[start : start + 48]) for start in range(0, len(played), 48)])
    # The take begins a little later, by the engine's own delay; find it, and compare all that was played.
    shift = best_shift(take[:, 0], again[:, 0], RATE_HZ // 10)
    length = min(len(take) - shift, len(again))
    difference = take[shift : shift + length] - again[:length]
    assert np.sqrt(np.mean(difference**2)) < 1e-3 * np.sqrt(np.mean(take**2))


def best_shift(late: np.ndarray, early: np.ndarray, most: int) -> int:
    """By how many frames, fewer than `most`, `late` is behind `early`."""
    size = 1 << (len(late) + len(early)).bit_length()
    products = np.fft.irfft(np.fft.rfft(late, size) * np.conj(np.fft.rfft(early, size)), size)
    return int(np.argmax(products[:most]))
