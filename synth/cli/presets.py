"""`wavekeys presets`: what there is to play."""

from __future__ import annotations

import json

import click


@click.group("presets", short_help="List and show presets.")
def command() -> None:
    """List and show presets."""


def _description(name: str) -> dict[str, object]:
    from synth.bank import find_preset
    from synth.bank.preset import bank_of, read_info

    info = read_info(find_preset(name))
    bank = bank_of(info)
    return {
        "name": info.name,
        "factory": info.factory,
        "tags": list(info.tags),
        "instruments": list(bank.instruments),
        "pitch_low": int(bank.pitches[0]),
        "pitch_high": int(bank.pitches[-1]),
        "velocities": bank.velocities.tolist(),
        "author": info.author,
        "licence": info.licence,
        "description": info.description,
        "blend": info.blend,
        "parameters": info.parameters,
        "model_sha256": info.model_sha256,
    }


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def list_command(as_json: bool) -> None:
    """List all presets."""
    from synth.bank import list_presets

    rows = [_description(str(info.folder)) for info in list_presets()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['name']:20} {', '.join(row['instruments']):40} {', '.join(row['tags'])}")  # type: ignore[arg-type]


@command.command("show")
@click.argument("preset")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def show_command(preset: str, as_json: bool) -> None:
    """Show one preset: its instruments, blend, parameters, author and licence."""
    row = _description(preset)
    if as_json:
        click.echo(json.dumps(row, indent=2))
        return
    for key, value in row.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        click.echo(f"{key:14} {text}")
