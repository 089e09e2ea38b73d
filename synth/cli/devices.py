"""`wavekeys devices`: what can be played on and with."""

from __future__ import annotations

import json

import click


@click.command("devices")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(as_json: bool) -> None:
    """List audio outputs and MIDI inputs, by the index and names that `play` takes."""
    from synth.host import list_input_names, list_outputs

    outputs = list_outputs()
    inputs = list_input_names()
    if as_json:
        audio = [
            {
                "index": device.index,
                "name": device.name,
                "host_api": device.host_api,
                "default": device.default,
                "rate_hz": device.rate_hz,
                "channels": device.channels,
            }
            for device in outputs
        ]
        click.echo(json.dumps({"audio": audio, "midi_inputs": inputs}, indent=2))
        return
    click.echo("audio outputs (* is the default)" if outputs else "audio outputs: none")
    for device in outputs:
        mark = "*" if device.default else " "
        click.echo(f"{mark} {device.index:3d}  {device.name} ({device.host_api}), {device.rate_hz} Hz")
    click.echo("MIDI inputs" if inputs else "MIDI inputs: none")
    for name in inputs:
        click.echo(f"       {name}")
