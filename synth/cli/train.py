"""`wavekeys train`: train a model on notes."""

from __future__ import annotations

import datetime
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.files import left_out
from synth.errors import UsageError

if TYPE_CHECKING:
    from synth.training import Progress


@click.command(short_help="Train a model on notes.")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the output folder.")
@click.option("--coordinator", metavar="HOST:PORT", help="Where the first of several processes is to be found.")
@click.option("--processes", type=click.IntRange(min=1), default=1, help="How many train together.")
@click.option("--process", type=click.IntRange(min=0), default=0, help="Which of them this is, from 0.")
def command(config: Path, resume: bool, coordinator: str | None, processes: int, process: int) -> None:
    """Train the model that CONFIG (a TOML file) describes; presets/factory.toml is an example.

    All devices of this machine share the work. Several processes, perhaps on several machines with a folder in common,
    are each started with the same --coordinator and --processes and a --process of their own.
    """
    from synth.training import Trainer, read_config
    from synth.training.devices import join

    if (coordinator is None) != (processes == 1) or (coordinator is None and process > 0):
        raise UsageError("several processes need --coordinator HOST:PORT, --processes N and --process I, all three")
    # A run in the background is ended by SIGTERM (a shell makes it ignore Ctrl-C): both save the state.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if coordinator is not None:
        join(coordinator, processes, process)
    settings = read_config(config)
    of = settings.data.notes or ", ".join(settings.data.instruments)
    if of:
        click.echo(f"reading the notes of {of}")
    trainer = Trainer(settings, resume=resume, bad=left_out)
    uses = ", ".join(f"{len(chosen)} notes to {_USES[role]}" for role, chosen in trainer.roles.items() if len(chosen))
    used = trainer.devices.used
    click.echo(f"{uses}; on {len(used)} x {used[0].device_kind}, into {settings.output}")
    trainer.run(_print)
    click.echo(f"done: {settings.output / 'model.safetensors'}")


_USES = {"train": "learn from", "notes": "validate", "instruments": "validate, of other instruments"}


def _print(progress: Progress) -> None:
    left = datetime.timedelta(seconds=round(progress.seconds_left))
    parts = [
        f"step {progress.step}  loss {progress.loss:.4f} nats",
        *(f"{name.replace('_', ' of ')} {nats:.4f}" for name, nats in progress.validation.items()),
        f"{progress.samples_per_second:,.0f} samples/s",
        *([f"{progress.peak_share:.1%} of peak"] if progress.peak_share is not None else []),
        f"{'more than ' * progress.slower_later}{left} left",
    ]
    click.echo("  ".join(parts))
