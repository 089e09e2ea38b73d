"""`wavekeys evaluate`: a preset measured note by note."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

    from synth.bank import Preset

HELD_OUT_VELOCITY, HELD_OUT_EVERY = 80, 6  # for --precisions: a velocity that training did not see, every sixth pitch


@click.command("evaluate", short_help="Measure a preset note by note against its sources.")
@click.argument("preset")
@click.option("--sources", type=click.Path(path_type=Path), help="The training config (TOML) that names the sources.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, every note.")
@click.option(
    "--sheet", type=click.Path(path_type=Path), help="Only draw rainbowgrams: sources above, renderings below."
)
@click.option("--precisions", is_flag=True, help="Only compare fp32, bf16 and int8, on held-out notes of --sources.")
@click.option("--sheet-pitch", type=click.IntRange(0, 127), default=60, show_default=True, help="MIDI pitch to draw.")
def command(
    preset: str, sources: Path | None, as_json: bool, sheet: Path | None, precisions: bool, sheet_pitch: int
) -> None:
    """Render every note of PRESET, held for 3 seconds, and measure pitch, log-mel distance, clicks, drift and tail."""
    from synth.bank import load_preset
    from synth.cli.output import progress_bar
    from synth.training.evaluate import contact_sheet, evaluate

    loaded = load_preset(preset)
    if precisions:
        _compare_precisions(loaded, sources, as_json)
        return
    notes = _sources(sources) if sources else {}
    if sheet is not None:
        contact_sheet(loaded, notes, sheet_pitch, sheet)
        click.echo(f"{sheet}: {len(loaded.bank.instruments)} instruments at pitch {sheet_pitch}")
        return
    with progress_bar("evaluating", 1.0) as progress:
        result = evaluate(loaded, notes, progress=progress)
    if as_json:
        click.echo(json.dumps(result, indent=1))
        return
    from synth.training.evaluate import summarise

    for name in loaded.bank.instruments:
        rows = [row for row in result["notes"] if row["instrument"] == name]
        click.echo(f"{name:12} {_line(summarise(rows))}")
    click.echo(f"{'all':12} {_line(result['summary'])}")


def _compare_precisions(preset: Preset, sources: Path | None, as_json: bool) -> None:
    from synth.errors import UsageError
    from synth.kernels import cpu
    from synth.training.config import read_config
    from synth.training.precision import compare_precisions, held_out

    if sources is None:
        raise UsageError("--precisions needs --sources, the training config that names the notes")
    held = held_out(preset.model, read_config(sources).data, velocity=HELD_OUT_VELOCITY, every=HELD_OUT_EVERY)
    rows = compare_precisions(preset, held, cpu.precisions())
    if as_json:
        click.echo(
            json.dumps({"preset": preset.info.name, "notes": len(held.notes.pitch), "precisions": rows}, indent=1)
        )
        return
    for row in rows:
        click.echo(f"{row.pop('precision'):5} {_line(row)}")


def _line(summary: dict[str, float]) -> str:
    return "  ".join(f"{key} {value:.4g}" for key, value in summary.items())


def _sources(config: Path) -> dict[tuple[str, int, int], np.ndarray]:
    from synth.training.config import read_config
    from synth.training.soundfont import render_notes

    data = read_config(config).data
    pitches = list(range(data.pitch_low, data.pitch_high + 1))
    return {
        (name, pitch, velocity): note
        for name, program in data.instruments.items()
        for velocity in data.velocities
        for pitch, note in zip(pitches, render_notes(Path(data.soundfont), program, pitches, velocity), strict=True)
    }
