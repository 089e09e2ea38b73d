"""`wavekeys play` and `wavekeys devices`: the command line, without devices."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pedalboard
import pytest
from click.testing import CliRunner, Result

from synth import UsageError, WavekeysError
from synth.bank import load_preset
from synth.bank.preset import preset_text
from synth.cli.blend import Blend
from synth.cli.main import main
from synth.cli.play import EffectType, Seat, SeatType, _programs
from synth.host import audio, midi
from synth.host.audio import OutputDevice, choose_output
from synth.host.midi import InputPlan, Source, plan_inputs
from synth.instrument import Instrument

Machine = Callable[[list[OutputDevice], list[Source]], None]


def device(index: int, name: str, *, default: bool = False) -> OutputDevice:
    return OutputDevice(index=index, name=name, host_api="ALSA", default=default, rate_hz=48_000, channels=2)


DEVICES = [device(0, "HDMI"), device(3, "USB Audio", default=True), device(4, "USB Audio: rear")]
SOURCES = [
    Source(name="Midi Through:Midi Through Port-0 14:0", api=2),
    Source(name="Keystation 49:Keystation 49 20:0", api=2),
]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pretends that this machine has these devices and ports."""

    def pretend(devices: list[OutputDevice], sources: list[Source]) -> None:
        monkeypatch.setattr(audio, "list_outputs", lambda: devices)
        monkeypatch.setattr("synth.host.list_outputs", lambda: devices)
        monkeypatch.setattr(midi, "_list_sources", lambda: sources)
        monkeypatch.setattr(midi, "_systems", lambda: {2: None})

    return pretend


def run(*arguments: str) -> Result:
    return CliRunner().invoke(click.Command("wavekeys", callback=lambda: main(list(arguments))), [])


@pytest.mark.parametrize(("wanted", "index"), [(None, 3), ("0", 0), ("hdmi", 0), ("USB Audio", 3), ("rear", 4)])
def test_a_device_is_found_by_index_name_or_part_of_it(machine: Machine, wanted: str | None, index: int) -> None:
    machine(DEVICES, [])
    assert choose_output(wanted).index == index


@pytest.mark.parametrize(("wanted", "text"), [("usb", "several devices"), ("Scarlett", "no such"), ("9", "no such")])
def test_a_device_that_is_not_clear_is_refused_with_the_list(machine: Machine, wanted: str, text: str) -> None:
    machine(DEVICES, [])
    with pytest.raises(UsageError, match=text) as refusal:
        choose_output(wanted)
    assert "3 'USB Audio' (ALSA)" in str(refusal.value)


def test_a_recording_has_no_other_kind_of_files_name(machine: Machine) -> None:
    machine([], SOURCES)
    result = run("play", "--record", "take.mp3")
    assert result.exit_code == 2
    assert "take.mp3: what is written is .wav; name it take.wav" in result.stderr


def test_without_an_audio_device_play_says_what_to_do(machine: Machine) -> None:
    machine([], SOURCES)
    result = run("play")
    assert result.exit_code == 1
    assert result.stderr.startswith("wavekeys: no audio device was found: connect one")
    assert result.stderr.count("\n") == 1


def test_a_missing_portaudio_is_named_with_its_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    audio._portaudio.cache_clear()
    result = run("devices")
    assert result.exit_code == 1
    assert "apt install libportaudio2" in result.stderr
    assert result.stderr.count("\n") == 1


def test_all_means_keyboards_and_not_what_echoes(machine: Machine) -> None:
    machine(DEVICES, SOURCES)
    assert plan_inputs("all") == InputPlan(wanted="all", sources=(SOURCES[1],), virtual=False)


def test_without_a_keyboard_all_falls_back_to_a_virtual_port_and_says_so(machine: Machine) -> None:
    machine(DEVICES, SOURCES[:1])
    plan = plan_inputs("all")
    assert plan == InputPlan(wanted="all", sources=(), virtual=True, remark=plan.remark)
    assert plan.remark.startswith("no MIDI input was found: opening a virtual port instead")


def test_without_a_midi_system_another_keyboard_plays(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(DEVICES, [])
    monkeypatch.setattr(midi, "_systems", dict)
    plan = plan_inputs("all", needed=False)
    assert (plan.sources, plan.virtual) == ((), False)
    assert plan.remark.startswith("no MIDI system was found")
    for wanted, needed in (("all", True), ("nano", False)):
        with pytest.raises(WavekeysError, match="no MIDI system was found"):
            plan_inputs(wanted, needed=needed)


def test_a_port_that_does_not_exist_is_refused_with_the_list(machine: Machine) -> None:
    machine(DEVICES, SOURCES)
    result = run("play", "--midi", "nanoKEY")
    assert result.exit_code == 2
    assert "--midi nanoKEY: no such port; there are: 'Midi Through:" in result.stderr
    assert result.stderr.count("\n") == 1


def test_devices_as_json_has_the_promised_fields(machine: Machine) -> None:
    machine(DEVICES, SOURCES)
    listing = json.loads(run("devices", "--json").stdout)
    assert [entry["index"] for entry in listing["audio"] if entry["default"]] == [3]
    assert all({"index", "name", "host_api", "default"} <= entry.keys() for entry in listing["audio"])
    assert listing["midi_inputs"] == [source.name for source in SOURCES]


def test_a_blend_is_names_and_weights() -> None:
    assert Blend().convert("Flute=1, organ=0.5", None, None) == {"flute": 1.0, "organ": 0.5}


@pytest.mark.parametrize(
    "text", ["", "flute", "flute=", "=1", "flute=x", "flute=-1", "flute=nan", "flute=0", "a=1,a=2"]
)
def test_a_blend_that_makes_no_sense_is_refused(text: str) -> None:
    result = run("play", "--blend", text)
    assert result.exit_code == 2
    assert "--blend" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_seat_is_a_preset_and_perhaps_a_channel() -> None:
    kind = SeatType()
    assert kind.convert("flute", None, None) == Seat(preset="flute")
    assert kind.convert("flute@2", None, None) == Seat(preset="flute", channel=1)
    assert kind.convert("a@b/flute@16", None, None) == Seat(preset="a@b/flute", channel=15)


@pytest.mark.parametrize("name", ["me@work", "me@2"])
def test_a_preset_with_an_at_in_its_path_is_taken_whole(tiny_folder: Path, tmp_path: Path, name: str) -> None:
    path = str(shutil.copytree(tiny_folder, tmp_path / name))
    kind = SeatType()
    assert kind.convert(path, None, None) == Seat(preset=path)
    assert kind.convert(f"{path}@3", None, None) == Seat(preset=path, channel=2)


@pytest.mark.parametrize("text", ["flute@", "flute@0", "flute@17", "flute@x", "@2"])
def test_a_channel_that_does_not_exist_is_refused(text: str) -> None:
    result = run("play", "--add", text)
    assert result.exit_code == 2
    assert "a channel from 1 to 16" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["Kazoo", "Reverb:mix=1", "Reverb:wet_level=much", "Reverb:wet_level=9", "Plugin", "x.vst3"]
)
def test_an_effect_that_does_not_exist_is_refused_in_one_line(text: str) -> None:
    result = run("play", "--effect", text)
    assert result.exit_code == 2
    assert "--effect" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_unknown_setting_of_an_effect_is_named_with_those_there_are() -> None:
    said = run("play", "--effect", "Reverb:wet=1").stderr
    assert "Reverb has no setting 'wet'; it has room_size, damping, wet_level" in said


def test_an_effect_of_pedalboard_is_made_with_its_settings() -> None:
    effect = EffectType().convert("Reverb:wet_level=0.25,room_size=0.5", None, None)
    assert isinstance(effect, pedalboard.Reverb)
    assert (effect.wet_level, effect.room_size) == (0.25, 0.5)


def test_a_preset_that_no_instrument_takes_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.bank.preset.user_folder", lambda: tmp_path)
    duo = load_preset("duo")
    for name, parameters in (("mine", {"gain_db": -6.0}), ("strange", {"sparkle": 3.0})):
        (tmp_path / name).mkdir()
        info = dataclasses.replace(duo.info, name=name, parameters=parameters)
        (tmp_path / name / "preset.toml").write_text(preset_text(info))
    programs = _programs(duo)
    assert [programs[number].info.name for number in programs if number >= 128] == ["mine"]
    assert Instrument(duo, backend="cpu", programs=programs).programs.keys() == programs.keys()
