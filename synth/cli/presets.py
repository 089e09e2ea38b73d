"""`wavekeys presets`: what there is to play, and what is done with it. The work itself is `synth.bank`'s."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.cli.blend import blend_option
from synth.errors import UsageError, WavekeysError

if TYPE_CHECKING:
    from synth.bank import PresetInfo

_json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
_file = click.Path(path_type=Path)


@click.group("presets", short_help="List, save, rename, export and import presets.")
def command() -> None:
    """List, save, rename, export and import presets. Those that come with wavekeys are read-only."""


class Setting(click.ParamType):
    """`PARAMETER=VALUE`; the value is a number, or the name of a choice."""

    name = "PARAMETER=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        from synth.instrument.parameters import parameter_named

        name, equals, text = str(value).partition("=")
        if not (name and equals and text):
            self.fail(f"{value!r} is not PARAMETER=VALUE, as in release_ms=300 or mode=legato", param, ctx)
        try:
            given: float | str = float(text)
        except ValueError:
            given = text
        try:
            return name, parameter_named(name).checked(given)
        except WavekeysError as error:
            raise UsageError(str(error)) from None


def _warn(error: WavekeysError) -> None:
    click.echo(f"wavekeys: {' '.join(str(error).split())}", err=True)


def _description(info: PresetInfo, favourites: frozenset[str]) -> dict[str, Any]:
    from synth.bank.preset import fitting_bank

    bank = fitting_bank(info)
    return {
        "name": info.name,
        "factory": info.factory,
        "favourite": info.name in favourites,
        "tags": list(info.tags),
        "instruments": list(bank.instruments),
        "plays": list(info.plays),
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


def _favourites() -> frozenset[str]:
    """A damaged list of favourites is told, and nobody is kept from the presets by it."""
    from synth.bank import read_favourites

    try:
        return read_favourites()
    except WavekeysError as error:
        _warn(error)
        return frozenset()


@command.command("list")
@click.option("--search", "text", default="", metavar="TEXT", help="Words in name, tags, description or instruments.")
@click.option("--tag", "tags", multiple=True, help="Only with this tag; may be given again for another.")
@click.option("--favourites", "only_favourites", is_flag=True, help="Only favourites.")
@_json_option
def list_command(text: str, tags: tuple[str, ...], only_favourites: bool, as_json: bool) -> None:
    """List all presets, or those that were asked for; * marks favourites."""
    from synth.bank import list_presets, search

    favourites = _favourites()
    rows = []
    for info in list_presets(damaged=_warn):
        if only_favourites and info.name not in favourites:
            continue
        try:
            rows += [_description(found, favourites) for found in search([info], text, tags=tags)]
        except WavekeysError as error:
            _warn(error)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("wavekeys: no preset is like that", err=True)
    for row in rows:
        mark = "*" if row["favourite"] else " "
        click.echo(f"{mark} {row['name']:20} {', '.join(row['plays']):40} {', '.join(row['tags'])}")


@command.command("show")
@click.argument("preset")
@_json_option
def show_command(preset: str, as_json: bool) -> None:
    """Show one preset: its instruments, blend, parameters, author and licence."""
    from synth.bank import check_files, find_preset
    from synth.bank.preset import read_info
    from synth.instrument.parameters import check_parameters

    info = read_info(find_preset(preset))
    check_files(info)
    check_parameters(info)
    row = _description(info, _favourites())
    if as_json:
        click.echo(json.dumps(row, indent=2))
        return
    for key, value in row.items():
        click.echo(f"{key:14} {_said(value)}")


def _said(value: Any) -> str:
    """A value as a person says it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
        case dict():
            return ", ".join(f"{key}={_said(own)}" for key, own in value.items()) or "none"
        case float():
            return f"{value:g}"
        case _:
            return str(value) or "none"


@command.command("save")
@click.argument("source")
@click.argument("name")
@blend_option
@click.option("--set", "settings", type=Setting(), multiple=True, help="A parameter's value; docs/midi.md lists them.")
@click.option("--author")
@click.option("--licence")
@click.option("--tag", "tags", multiple=True, help="In place of the source's tags; may be given again for another.")
@click.option("--description")
@click.option("--force", is_flag=True, help="Overwrite a preset of that name.")
def save_command(
    source: str,
    name: str,
    blend: dict[str, float] | None,
    settings: tuple[tuple[str, float], ...],
    author: str | None,
    licence: str | None,
    tags: tuple[str, ...],
    description: str | None,
    force: bool,
) -> None:
    """Save the preset SOURCE as NAME, with changes; SOURCE stays as it is unless it is NAME."""
    from synth.bank import find_preset, save_preset
    from synth.bank.preset import read_info
    from synth.instrument.parameters import initial_values, stored_values

    info = read_info(find_preset(source))
    if blend is not None:
        info = info.blended(blend)
    values = initial_values({**info.parameters, **dict(settings)})
    given = {"author": author, "licence": licence, "tags": tags or None, "description": description}
    texts: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    saved = save_preset(
        dataclasses.replace(info, parameters=stored_values(values), **texts), name=name, overwrite=force
    )
    click.echo(f"{saved.name}: saved in {saved.folder}")


@command.command("rename")
@click.argument("old")
@click.argument("new")
def rename_command(old: str, new: str) -> None:
    """Give a preset of your own another name."""
    from synth.bank import rename_preset

    click.echo(f"{old} is {rename_preset(old, new).name} now")


@command.command("delete")
@click.argument("name")
def delete_command(name: str) -> None:
    """Delete a preset of your own."""
    from synth.bank import delete_preset

    delete_preset(name)
    click.echo(f"{name}: deleted")


@command.command("export")
@click.argument("preset")
@click.option("-o", "--output", type=_file, metavar="FILE.wavekeys", help="By default named as the preset is.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def export_command(preset: str, output: Path | None, force: bool) -> None:
    """Write a preset as one file, with its bank and its model, for another machine."""
    from synth.bank import export_preset, find_preset
    from synth.bank.preset import read_info
    from synth.instrument.parameters import check_parameters

    name = read_info(find_preset(preset)).name
    path = output or Path(f"{Path(name).name}.wavekeys")
    info = export_preset(preset, path, overwrite=force, check=check_parameters)
    click.echo(f"{path}: {info.name}, by {info.author or 'nobody named'}, licence: {info.licence or 'none given'}")


@command.command("import")
@click.argument("file", type=_file)
@click.option("--name", help="Its name here; by default the one that the file gives.")
@click.option("--force", is_flag=True, help="Overwrite a preset of that name.")
def import_command(file: Path, name: str | None, force: bool) -> None:
    """Take a preset's file among your own presets."""
    from synth.bank import import_preset
    from synth.instrument.parameters import check_parameters

    info = import_preset(file, name=name, overwrite=force, check=check_parameters)
    click.echo(f"{info.name}: imported, by {info.author or 'nobody named'}, licence: {info.licence or 'none given'}")


@command.command("favourite")
@click.argument("name")
@click.option("--off", is_flag=True, help="It is none any more.")
def favourite_command(name: str, off: bool) -> None:
    """Put a preset among the favourites, or take it out."""
    from synth.bank import list_presets, mark_favourite, read_favourites

    known = {info.name for info in list_presets(damaged=_warn)}
    if name not in (known | read_favourites() if off else known):
        raise UsageError(f"unknown preset {name!r}; there are {', '.join(sorted(known))}")
    mark_favourite(name, on=not off)
    click.echo(f"{name}: {'no favourite any more' if off else 'a favourite'}")
