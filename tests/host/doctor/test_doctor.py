"""What the doctor finds, on a machine that is pretended."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from synth.bank import Preset, Zone
from synth.bank.preset import preset_text
from synth.cli.main import main
from synth.errors import WavekeysError
from synth.host.doctor import Finding, check_machine, check_surroundings, machine, measure_loads, surroundings
from synth.host.doctor.loop import AUDIBLE, _Ears, _latency_ms
from synth.host.output import Output
from synth.host.ring import Ring

RATE_HZ, PERIOD = 48_000, 256


def found(findings: list[Finding], what: str) -> Finding:
    return next(finding for finding in findings if finding.what == what)


def raising(message: str) -> Callable[..., object]:
    def refuse(*_: object, **__: object) -> object:
        raise WavekeysError(message)

    return refuse


def test_the_machine_is_described_by_its_software_kernel_and_priority() -> None:
    findings = list(check_machine())
    assert "jax " in found(findings, "software").said
    assert {"CPU kernel", "JAX devices", "priority"} <= {finding.what for finding in findings}


def test_without_a_compiled_kernel_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.kernels.cpu.load", raising("the CPU kernel was not built"))
    kernel = found(list(check_machine()), "CPU kernel")
    assert (kernel.state, "not built" in kernel.said) == ("note", True)
    assert "apt install g++" in kernel.remedy


def test_a_clock_that_saves_power_is_worth_a_note(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    governor = tmp_path / "governor"
    monkeypatch.setattr(machine, "_GOVERNOR", governor)
    governor.write_text("powersave\n")
    assert found(list(check_machine()), "clock").state == "note"
    governor.write_text("performance\n")
    assert found(list(check_machine()), "clock").state == "well"


def test_missing_devices_and_damaged_files_are_faults_with_what_they_say(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(surroundings, "choose_output", raising("no audio device was found"))
    monkeypatch.setattr(surroundings, "plan_inputs", raising("no MIDI system was found"))
    monkeypatch.setattr(surroundings, "load_controllers", raising("settings.toml is damaged"))
    broken = home / "data" / "presets" / "broken"
    broken.mkdir(parents=True)
    (broken / "preset.toml").write_text("name = ")
    findings = list(check_surroundings())
    faults = [finding.what for finding in findings if finding.state == "fault"]
    assert faults == ["audio", "MIDI", "presets", "settings"]
    assert "broken" in [finding.said for finding in findings if finding.what == "presets"][1]


@pytest.mark.parametrize(
    ("parameters", "zones"),
    [
        ({}, (Zone(),)),
        ({"mode": "legato", "unison": 4.0}, (Zone(velocity_low=100, key_low=90), Zone(key_high=5))),
    ],
)
def test_loads_are_measured_for_more_and_more_voices_whatever_the_preset(
    tiny_preset: Preset, parameters: dict[str, float | str], zones: tuple[Zone, ...]
) -> None:
    info = dataclasses.replace(tiny_preset.info, parameters=parameters, zones=zones)
    instrument, loads = measure_loads(dataclasses.replace(tiny_preset, info=info), (1, 3), block_frames=64)
    assert [load.voices for load in loads] == [1, 3]
    assert all(load.share > 0 for load in loads)
    assert (instrument.edited, instrument.sounding) == (False, 0)


def test_a_preset_whose_parameters_are_none_is_a_fault(home: Path, tiny_preset: Preset) -> None:
    folder = home / "data" / "presets" / "strange"
    folder.mkdir(parents=True)
    info = dataclasses.replace(tiny_preset.info, name="strange", parameters={"sparkle": 3})
    (folder / "preset.toml").write_text(preset_text(info))
    faults = [finding.said for finding in check_surroundings() if finding.state == "fault"]
    assert any("preset 'strange': unknown parameter 'sparkle'" in said for said in faults)


def hear(delay_ms: float, *, pressed_ms: float, before: float = 0.0) -> float | None:
    """The latency that is found where the sound begins `delay_ms` after the key; `before` sounds all the time."""
    now_s = itertools.count(start=100 * PERIOD, step=PERIOD)
    ears = _Ears(Output(Ring(capacity_frames=1024, channels=2), rate_hz=RATE_HZ), rate_hz=RATE_HZ, seconds=1.0)
    clock = pytest.MonkeyPatch()
    clock.setattr("synth.host.doctor.loop.time.perf_counter", lambda: next(now_s) / RATE_HZ)
    # The first call, at 100 periods, brings what was at the input from 99 periods on.
    sound = np.full(RATE_HZ, before, np.float32)
    pressed_s = 99 * PERIOD / RATE_HZ + pressed_ms / 1e3
    sound[round((pressed_ms + delay_ms) * RATE_HZ / 1e3) :] = 2 * AUDIBLE
    with clock.context():
        for start in range(0, RATE_HZ - PERIOD, PERIOD):
            ears(sound[start : start + PERIOD, None], np.zeros((PERIOD, 2), np.float32), PERIOD, None, None)
    clock.undo()
    return _latency_ms(ears, pressed_s)


@pytest.mark.parametrize("pressed_ms", [20.0, 21.3, 24.9])
def test_a_note_is_dated_to_the_sample_wherever_in_a_period_it_falls(pressed_ms: float) -> None:
    assert hear(13.5, pressed_ms=pressed_ms) == pytest.approx(13.5, abs=1e3 / RATE_HZ)


def test_what_never_comes_back_and_what_sounded_before_is_no_latency() -> None:
    assert hear(900.0, pressed_ms=20.0) is None
    assert hear(13.5, pressed_ms=20.0, before=2 * AUDIBLE) is None


def run(*arguments: str) -> Result:
    return CliRunner().invoke(click.Command("wavekeys", callback=lambda: main(list(arguments))), [])


def test_the_verb_reports_checks_and_loads_as_json(tiny_folder: Path) -> None:
    result = run("doctor", str(tiny_folder), "--no-loop", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report.keys() == {"checks", "loads", "latency"}
    assert {"software", "audio", "MIDI", "presets", "speed"} <= {check["what"] for check in report["checks"]}
    assert [load["voices"] for load in report["loads"]] == [1, 4, 8, 16]


def test_the_verb_says_a_line_a_finding_with_its_remedy_below(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synth.host.audio.choose_output", raising("no audio device was found"))
    result = run("doctor", str(tiny_folder))
    assert result.exit_code == 0, result.output
    assert "FAIL  latency      not measured: no audio device was found" in result.output
