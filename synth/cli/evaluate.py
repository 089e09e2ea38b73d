"""`wavekeys evaluate`: a preset measured note by note."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth import plain_json
from synth.cli.files import left_out
from synth.cli.numbers import FloatRange

if TYPE_CHECKING:
    import numpy as np

    from synth.bank import Preset
    from synth.training.evaluation import HeldOut

HELD_OUT_VELOCITY, HELD_OUT_EVERY = 80, 6  # a velocity that training did not see, every sixth of the pitches
_NOTE = re.compile(r"(?:(?P<name>(?!\d+-\d+$).+?)-)?(?P<pitch>\d{1,3})(?:-(?P<velocity>\d{1,3}))?")


@click.command("evaluate", short_help="Measure a preset note by note against its sources.")
@click.argument("preset")
@click.option("--sources", type=click.Path(path_type=Path), help="The training config (TOML) that names the sources.")
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Every N-th pitch only."
)
@click.option("--hold", type=FloatRange(6.0), default=10.0, show_default=True, help="Seconds of the long notes.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that share the work.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, every note.")
@click.option(
    "--sheet", type=click.Path(path_type=Path), help="Only draw rainbowgrams: sources above, renderings below."
)
@click.option("--precisions", is_flag=True, help="Only compare this processor's precisions, on notes held out.")
@click.option(
    "--sheet-notes",
    default="60",
    show_default=True,
    metavar="NOTE,…",
    help="What to draw: a MIDI pitch of every instrument, or notes such as flute-60 and flute-60-100.",
)
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
    sheet_notes: str,
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
        _compare_precisions(loaded, sources, every, as_json)
        return
    notes = _sources(sources, loaded.model.config.sample_rate_hz) if sources else {}
    if notes and not _playable(loaded) & notes.keys():
        click.echo(f"wavekeys: no note of {preset} is among those that {sources} names: none is compared", err=True)
    if sheet is not None:
        chosen = chosen_notes(loaded, sheet_notes)
        contact_sheet(loaded, notes, chosen, sheet)
        click.echo(f"{sheet}: {len(chosen)} notes")
        return
    held = _held_out(loaded, sources) if sources is not None else None
    nats = {} if held is None else {"held_out_nats": held_out_nats(loaded.model, held.notes)}
    with progress_bar("evaluating", 1.0) as progress:
        result = evaluate(loaded, notes, every=every, long_seconds=hold, jobs=jobs, progress=progress)
    result["summary"] |= nats
    if as_json:
        click.echo(plain_json.dumps(result, indent=1))
        return
    from synth.training.evaluation import summarise

    click.echo(" " * 12 + "".join(f"{heading:>10}" for heading, _, _ in _COLUMNS))
    for name in loaded.bank.instruments:
        _show_row(name, summarise([row for row in result["notes"] if row["instrument"] == name]))
    _show_row("all", result["summary"])
    shown = {key for _, key, _ in _COLUMNS}
    for key, value in result["summary"].items():
        if key not in shown:
            click.echo(f"{key.replace('_', ' '):42}{value:10.4g}")


_COLUMNS = (
    ("notes", "notes", 1.0),
    ("% in 20 c", "within_20_cents_of_source", 100.0),
    ("% in 50 c", "within_50_cents_of_source", 100.0),
    ("log-mel dB", "mean_log_mel_db", 1.0),
    ("attack ms", "mean_attack_error_ms", 1.0),
    ("level dB", "mean_level_error_db", 1.0),
    ("clicks", "notes_with_clicks", 1.0),
)
"""Heading, key of a summary, and what that is multiplied with; all else is told of all notes alone."""


def _show_row(name: str, summary: dict[str, float]) -> None:
    values = (f"{summary[key] * factor:.4g}" if key in summary else "-" for _, key, factor in _COLUMNS)
    click.echo(f"{name:12}" + "".join(f"{value:>10}" for value in values))


def chosen_notes(preset: Preset, listed: str) -> list[tuple[str, int, int]]:
    """Notes (instrument, pitch, velocity) from `--sheet-notes`; the loudest where no velocity is told."""
    from synth.errors import UsageError

    chosen = []
    for note in listed.split(","):
        match = _NOTE.fullmatch(note.strip())
        if not match or max(int(match["pitch"]), int(match["velocity"] or 0)) > 127:
            raise UsageError(f"--sheet-notes: {note.strip()!r} is neither a MIDI pitch nor a note such as flute-60-100")
        if match["name"] and match["name"] not in preset.bank.instruments:
            raise UsageError(
                f"--sheet-notes: no instrument {match['name']!r}; one of {', '.join(preset.bank.instruments)}"
            )
        names = [match["name"]] if match["name"] else preset.bank.instruments
        velocity = int(match["velocity"] or preset.bank.velocities[-1])
        chosen += [(name, int(match["pitch"]), velocity) for name in names]
    return chosen


def _compare_precisions(preset: Preset, sources: Path | None, every: int, as_json: bool) -> None:
    from synth.errors import UsageError
    from synth.kernels import cpu
    from synth.training.evaluation import compare_precisions

    held = _held_out(preset, sources, HELD_OUT_EVERY * every) if sources is not None else None
    if held is None:
        raise UsageError(
            f"--precisions needs --sources, a config of a SoundFont's notes that has no velocity {HELD_OUT_VELOCITY}"
        )
    rows = compare_precisions(preset, held, cpu.precisions())
    if as_json:
        click.echo(
            plain_json.dumps({"preset": preset.info.name, "notes": len(held.notes.pitch), "precisions": rows}, indent=1)
        )
        return
    for row in rows:
        click.echo(f"{row.pop('precision'):5} {_line(row)}")


def _held_out(preset: Preset, sources: Path, every: int = HELD_OUT_EVERY) -> HeldOut | None:
    """Notes of a velocity that was not trained on; None where no SoundFont can render them."""
    from synth.training.config import read_config
    from synth.training.evaluation import held_out

    data = read_config(sources).data
    if data.notes or HELD_OUT_VELOCITY in data.velocities:
        return None
    return held_out(preset.model, data, velocity=HELD_OUT_VELOCITY, every=every)


def _line(summary: dict[str, float]) -> str:
    return "  ".join(f"{key} {value:.4g}" for key, value in summary.items())


def _playable(preset: Preset) -> set[tuple[str, int, int]]:
    bank = preset.bank
    return set(itertools.product(bank.instruments, bank.pitches.tolist(), bank.velocities.tolist()))


def _sources(config: Path, rate_hz: int) -> dict[tuple[str, int, int], np.ndarray]:
    from synth.training.config import read_config
    from synth.training.data import good_notes, open_notes

    source = open_notes(read_config(config).data, rate_hz)
    notes: dict[tuple[str, int, int], np.ndarray] = {}
    for note in good_notes(source, left_out):
        notes.setdefault(note[:3], note.audio)  # the first of each, as in a bank
    return notes
