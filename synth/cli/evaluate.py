"""`wavekeys evaluate`: a preset measured note by note."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.files import left_out

if TYPE_CHECKING:
    import numpy as np

    from synth.bank import Preset
    from synth.training.evaluation import HeldOut

HELD_OUT_VELOCITY, HELD_OUT_EVERY = 80, 6  # for --precisions: a velocity that training did not see, every sixth pitch


@click.command("evaluate", short_help="Measure a preset note by note against its sources.")
@click.argument("preset")
@click.option("--sources", type=click.Path(path_type=Path), help="The training config (TOML) that names the sources.")
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Every N-th pitch only."
)
@click.option("--hold", type=click.FloatRange(6.0), default=10.0, show_default=True, help="Seconds of the long notes.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that share the work.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, every note.")
@click.option(
    "--sheet", type=click.Path(path_type=Path), help="Only draw rainbowgrams: sources above, renderings below."
)
@click.option("--precisions", is_flag=True, help="Only compare fp32, bf16 and int8, on held-out notes of --sources.")
@click.option("--sheet-pitch", type=click.IntRange(0, 127), default=60, show_default=True, help="MIDI pitch to draw.")
def command(
    *,
    preset: str,
    sources: Path | None,
    every: int,
    hold: float,
    jobs: int,
    as_json: bool,
    sheet: Path | None,
    precisions: bool,
    sheet_pitch: int,
) -> None:
    """Render every note of PRESET, held for 3 seconds, and measure its pitch, its sound, and how far its source is.

    Then some notes for longer, blends of ten pairs of instruments, bends, and how well the model predicts notes of
    --sources that it did not learn from.
    """
    from synth.bank import load_preset
    from synth.cli.output import progress_bar
    from synth.training.evaluation import contact_sheet, evaluate, held_out_nats

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
        result = evaluate(loaded, notes, every=every, long_seconds=hold, jobs=jobs, progress=progress)
    if sources is not None:
        result["summary"]["held_out_nats"] = held_out_nats(loaded.model, _held_out(loaded, sources).notes)
    if as_json:
        click.echo(json.dumps(result, indent=1))
        return
    from synth.training.evaluation import summarise

    for name in loaded.bank.instruments:
        rows = [row for row in result["notes"] if row["instrument"] == name]
        click.echo(f"{name:12} {_line(summarise(rows))}")
    click.echo(f"{'all':12} {_line(result['summary'])}")


def _compare_precisions(preset: Preset, sources: Path | None, as_json: bool) -> None:
    from synth.errors import UsageError
    from synth.kernels import cpu
    from synth.training.evaluation import compare_precisions

    if sources is None:
        raise UsageError("--precisions needs --sources, the training config that names the notes")
    held = _held_out(preset, sources)
    rows = compare_precisions(preset, held, cpu.precisions())
    if as_json:
        click.echo(
            json.dumps({"preset": preset.info.name, "notes": len(held.notes.pitch), "precisions": rows}, indent=1)
        )
        return
    for row in rows:
        click.echo(f"{row.pop('precision'):5} {_line(row)}")


def _held_out(preset: Preset, sources: Path) -> HeldOut:
    from synth.training.config import read_config
    from synth.training.evaluation import held_out

    return held_out(preset.model, read_config(sources).data, velocity=HELD_OUT_VELOCITY, every=HELD_OUT_EVERY)


def _line(summary: dict[str, float]) -> str:
    return "  ".join(f"{key} {value:.4g}" for key, value in summary.items())


def _sources(config: Path) -> dict[tuple[str, int, int], np.ndarray]:
    from synth.training.config import read_config
    from synth.training.data import good_notes, open_notes

    settings = read_config(config)
    source = open_notes(settings.data, settings.model.sample_rate_hz)
    return {(note.instrument, note.pitch, note.velocity): note.audio for note in good_notes(source, left_out)}
