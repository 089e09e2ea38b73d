"""`wavekeys doctor`: whether this machine can play, how many voices, and how late a note is heard."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from synth.cli.options import block_option, spare_option

if TYPE_CHECKING:
    from synth.host.doctor import Finding, Load
    from synth.instrument import Instrument

VOICES = (1, 4, 8, 16)
SAFE_LOAD = 0.7  # of real time, so that a busy moment is not heard
MARKS = {"well": "ok  ", "note": "note", "fault": "FAIL"}


@click.command("doctor")
@click.argument("preset", required=False)
@click.option("--audio", metavar="DEVICE", help="The output to measure; by default the one that `play` takes.")
@click.option("--input", "wanted_input", metavar="DEVICE", help="The input that hears it; by default the output's own.")
@block_option
@spare_option
@click.option("--loop/--no-loop", default=True, help="Play some notes and listen for them at an input.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(
    *,
    preset: str | None,
    audio: str | None,
    wanted_input: str | None,
    block: int,
    spare: float,
    loop: bool,
    as_json: bool,
) -> None:
    """Look at everything that playing needs, and measure the speed of PRESET (by default the factory one) and its
    latency: from a key to the first sample that comes back, where an output is connected to an input."""
    from synth.bank import load_preset
    from synth.host.doctor import check_machine, check_surroundings, measure_loads
    from synth.instrument.parameters import PARAMETERS

    findings = [*check_machine(), *check_surroundings()]
    instrument, loads = measure_loads(load_preset(preset) if preset else load_preset(), VOICES, block_frames=block)
    findings.append(_speed(instrument, loads))
    latency: dict[str, Any] = {}
    if loop:
        for name in ("attack_ms", "release_ms"):  # a slow preset's key is no later than another's
            instrument.set(name, PARAMETERS[name].low)
        instrument.reset()
        finding, latency = _latency(instrument, audio, wanted_input, block, spare)
        findings.append(finding)
    if as_json:
        report = {
            "checks": [dataclasses.asdict(finding) for finding in findings],
            "loads": [dataclasses.asdict(load) for load in loads],
            "latency": latency,
        }
        click.echo(json.dumps(report, indent=1))
        return
    for finding in findings:
        click.echo(f"{MARKS[finding.state]}  {finding.what:12} {finding.said}")
        if finding.remedy:
            click.echo(f"      {'':12} {finding.remedy}")


def _speed(instrument: Instrument, loads: list[Load]) -> Finding:
    from synth.host.doctor import Finding

    shares = ", ".join(f"{load.voices}: {load.share:.0%}" for load in loads)
    safe = [load.voices for load in loads if load.share <= SAFE_LOAD]
    said = f"of real time by voices at once, {shares} ({instrument.backend}, {instrument.precision})"
    if not loads:
        return Finding(what="speed", state="fault", said="not measured: no key of this preset sounds")
    if not safe:
        remedy = "`wavekeys render` needs no real time; larger blocks (--block 128) save some"
        return Finding(what="speed", state="fault", said=said, remedy=remedy)
    return Finding(what="speed", state="well", said=f"{said}; {max(safe)} voices play safely: --voices {max(safe)}")


def _latency(
    instrument: Instrument, audio: str | None, wanted_input: str | None, block: int, spare: float
) -> tuple[Finding, dict[str, Any]]:
    from synth.errors import UsageError, WavekeysError
    from synth.host.audio import choose_input, choose_output
    from synth.host.doctor import Finding, listen

    try:
        device = choose_output(audio)
        source = choose_input(wanted_input, device)
        if source is None:
            said = f"not measured: {device.name} has no input to hear it by"
            return Finding(what="latency", state="note", said=said, remedy="name one with --input"), {}
        heard = listen(instrument, device, input_index=source, block_frames=block, spare_blocks=spare)
    except UsageError:
        raise
    except WavekeysError as error:
        return Finding(what="latency", state="fault", said=f"not measured: {error}"), {}
    parts = dataclasses.asdict(heard.expected)
    report: dict[str, Any] = {"expected_ms": heard.expected.total_ms, "parts_ms": parts, "underruns": heard.underruns}
    if not heard.latencies_ms:
        said = f"expected {heard.expected}; not measured: nothing came back at the input"
        remedy = "connect an output to an input, with a cable or in the JACK graph"
        return Finding(what="latency", state="note", said=said, remedy=remedy), report
    report |= {"measured_ms": heard.median_ms, "notes": heard.notes, "notes_ms": list(heard.latencies_ms)}
    said = (
        f"{heard.median_ms:.1f} ms from a key to its first audible sample, in the median of {len(heard.latencies_ms)} "
        f"notes ({min(heard.latencies_ms):.1f} to {max(heard.latencies_ms):.1f}); expected {heard.expected}"
    )
    return Finding(what="latency", state="well" if not heard.underruns else "note", said=said), report
