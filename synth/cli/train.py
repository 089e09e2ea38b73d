"""`wavekeys train`: train a model on notes."""

from __future__ import annotations

import datetime
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from synth.training import Progress
    from synth.training.data import BadNote


@click.command(short_help="Train a model on notes.")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the output folder.")
def command(config: Path, resume: bool) -> None:
    """Train the model that CONFIG (a TOML file) describes; presets/factory.toml is an example."""
    from synth.training import Trainer, read_config

    # A run in the background is ended by SIGTERM (a shell makes it ignore Ctrl-C): both save the state.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    settings = read_config(config)
    click.echo(f"reading the notes of {settings.data.notes or ', '.join(settings.data.instruments)}")
    trainer = Trainer(settings, resume=resume, bad=_print_bad)
    click.echo(f"{len(trainer.notes.pitch)} notes; training into {settings.output}")
    trainer.run(_print)
    click.echo(f"done: {settings.output / 'model.safetensors'}")


def _print_bad(note: BadNote) -> None:
    click.echo(f"left out {note.name}: {note.reason}", err=True)


def _print(progress: Progress) -> None:
    left = datetime.timedelta(seconds=round(progress.seconds_left))
    click.echo(
        f"step {progress.step}  loss {progress.loss:.4f} nats  "
        f"{progress.samples_per_second:,.0f} samples/s  {left} left"
    )
