"""`wavekeys embeddings`: what NSynth's notebook did with embeddings, file by file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from synth.cli.files import EMBEDDINGS, Skipped, make_folder, plan, spare
from synth.cli.model import chosen_model, model_option
from synth.cli.numbers import FloatRange
from synth.errors import UsageError, WavekeysError

if TYPE_CHECKING:
    import numpy as np

CHANNELS = 16

_one = click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="Z.npy")
_many = click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR_OR_NPY")
_file = click.Path(path_type=Path)
_files = click.argument("files", nargs=-1, required=True, type=_file, metavar="Z.npy…")
_pair = (
    click.argument("first", type=_file, metavar="A.npy"),
    click.argument("second", type=_file, metavar="B.npy"),
)
_start = click.option("--start", type=FloatRange(0), default=0.0, show_default=True, help="Seconds.")
_end = click.option("--end", type=FloatRange(0), help="Seconds [the end].")


LARGEST_FACTOR = 1e6


class _Factors(click.ParamType):
    """`CHANNEL=FACTOR`, as a pair of numbers."""

    name = "CHANNEL=FACTOR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, float]:
        channel, _, factor = str(value).partition("=")
        try:
            pair = int(channel), float(factor)
        except ValueError:
            pair = 0, math.nan
        if not abs(pair[1]) <= LARGEST_FACTOR:
            self.fail(f"{value!r} is not CHANNEL=FACTOR, as in 3=1.5", param, ctx)
        return pair


@click.group("embeddings", short_help="Mix, fade, stretch, loop and splice embeddings.")
def command() -> None:
    """Arithmetic on embeddings, .npy files of [frames, 16]; a second has 31.25 frames.

    `wavekeys encode` makes them and `wavekeys decode` makes sound of them.
    """


@command.command()
@_files
@_one
@click.option("--weights", metavar="W,W…", help="One a file [all the same].")
def mix(files: tuple[Path, ...], output: Path, weights: str | None) -> None:
    """The weighted mean of all files; shorter ones stay at their last frame."""
    from synth.bank import arithmetic

    try:
        shares = [float(weight) for weight in weights.split(",")] if weights else None
    except ValueError:
        raise UsageError(f"--weights {weights}: give numbers with commas between them, such as 1,0.5") from None
    spare([output], files)
    _save(output, arithmetic.mix([_read(path) for path in files], shares))


@command.command()
@_pair[0]
@_pair[1]
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option("--steps", type=click.IntRange(2, 1000), default=5, show_default=True, help="Files, A and B included.")
def interpolate(first: Path, second: Path, output: Path, steps: int) -> None:
    """From A to B in even steps, a file each, such as 000-flute-060-100-organ-060-100.npy.

    The names end as B's does, so that `decode` finds a pitch there.
    """
    from synth.bank import arithmetic

    row = arithmetic.interpolate(_read(first), _read(second), steps)
    targets = [output / f"{number:03}-{first.stem}-{second.stem}.npy" for number in range(steps)]
    others = set(output.glob("*.npy")) - {*targets}
    if others:
        raise UsageError(
            f"{output}: {min(others).name} is there already, and is none of these steps: give a new folder"
        )
    make_folder(output)
    for target, z in zip(targets, row, strict=True):
        _save(target, z)


@command.command()
@_pair[0]
@_pair[1]
@_one
@_start
@_end
def crossfade(first: Path, second: Path, output: Path, start: float, end: float | None) -> None:
    """A becomes B as time goes on, along a raised cosine."""
    from synth.bank import arithmetic

    spare([output], (first, second))
    z = arithmetic.crossfade(
        _read(first), _read(second), start=_frames(start), end=None if end is None else _frames(end)
    )
    _save(output, z)


@command.command()
@click.argument("direction", type=click.Choice(["in", "out"]))
@_files
@_many
@_start
@_end
@click.option("--zeros", is_flag=True, help="Fade to zeros, as NSynth's notebook did, instead of to silence.")
@model_option
def fade(
    direction: Literal["in", "out"],
    files: tuple[Path, ...],
    output: Path,
    start: float,
    end: float | None,
    zeros: bool,
    model_name: str,
) -> None:
    """Out of silence, or into it, along a raised cosine. Silence is what the model embeds it as."""
    import numpy as np

    from synth.bank import arithmetic

    silence, channels = np.zeros(CHANNELS, np.float32), None
    if not zeros:
        model = chosen_model(model_name)
        seconds = 1  # its middle is far from the edges, which an encoder sees too
        still = np.zeros((1, seconds * model.config.sample_rate_hz), np.float32)
        frames = np.asarray(model.encode(still))[0]
        silence = frames[len(frames) // 2]
        channels = (0,) if model.config.head == "logistics" else None  # channel 0 is the level
    last = None if end is None else _frames(end)
    _each(
        files,
        output,
        lambda z: arithmetic.fade(z, silence, direction, start=_frames(start), end=last, channels=channels),
    )


@command.command()
@click.argument("factor", type=FloatRange(0.25, 4.0))
@_files
@_many
def stretch(factor: float, files: tuple[Path, ...], output: Path) -> None:
    """Make it FACTOR times as long, 0.25 to 4, at the same pitch."""
    from synth.bank import arithmetic

    _each(files, output, lambda z: arithmetic.stretch(z, factor))


@command.command()
@click.argument("seconds", type=FloatRange(0, 3600))
@_files
@_many
@click.option("--start", type=FloatRange(0), help="Of the loop, in seconds [a quarter of the note].")
@click.option("--end", type=FloatRange(0), help="Of the loop, in seconds [half of the note].")
def loop(seconds: float, files: tuple[Path, ...], output: Path, start: float | None, end: float | None) -> None:
    """Make it SECONDS long: its middle goes to and fro, its beginning and its end stay."""
    from synth.bank import arithmetic

    def held(z: np.ndarray) -> np.ndarray:
        first = len(z) // 4 if start is None else _frames(start)
        last = len(z) // 2 if end is None else _frames(end)
        return arithmetic.loop(z, first=first, last=last, frames=_frames(seconds))

    _each(files, output, held)


@command.command()
@_files
@_one
@click.option("--overlap", type=FloatRange(0), default=0.064, show_default=True, help="Seconds of crossfade.")
def splice(files: tuple[Path, ...], output: Path, overlap: float) -> None:
    """One file after the other."""
    from synth.bank import arithmetic

    spare([output], files)
    _save(output, arithmetic.splice([_read(path) for path in files], overlap=_frames(overlap)))


@command.command()
@_files
@_many
@click.option("--channel", "factors", type=_Factors(), multiple=True, help="Scale this channel around its middle.")
@click.option("--only", type=click.IntRange(0, CHANNELS - 1), multiple=True, help="Let only this channel move.")
@click.option("--preset", default="factory", show_default=True, help="Whose bank tells what is safe.")
def scale(
    files: tuple[Path, ...], output: Path, factors: tuple[tuple[int, float], ...], only: tuple[int, ...], preset: str
) -> None:
    """Scale single channels, within the range that a preset's embeddings have: beyond it, decoders give noise."""
    from synth.bank import find_preset
    from synth.bank.arithmetic import SafeRange
    from synth.bank.preset import bank_of, read_info

    if not factors and not only:
        raise UsageError("nothing to do: give --channel, such as --channel 3=1.5, or --only, such as --only 3")
    safe = SafeRange.of(bank_of(read_info(find_preset(preset))))

    def steer(z: np.ndarray) -> np.ndarray:
        return safe.scale(safe.only(z, only) if only else z, dict(factors))

    _each(files, output, steer)


def _each(files: tuple[Path, ...], output: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change file by file, under their own names."""
    jobs = plan(files, output, taken=EMBEDDINGS, suffix=".npy")
    skipped = Skipped(len(jobs))
    for job in jobs:
        try:
            z = _read(job.source)
        except WavekeysError as error:
            skipped.add(error)
            continue
        try:
            changed = change(z)
        except UsageError as error:  # as another file's length may be too short for what is asked
            skipped.add(UsageError(f"{job.source}: {error}"))
        else:
            _save(job.target, changed)
    skipped.finish()


def _read(path: Path) -> np.ndarray:
    from synth.cli.input import read_embeddings

    return read_embeddings(path, CHANNELS)


def _save(path: Path, z: np.ndarray) -> None:
    from synth.cli.output import expect_suffix, write_embeddings

    expect_suffix(path, ".npy")
    write_embeddings(path, z)
    click.echo(f"{path}: {len(z)} frames")


def _frames(seconds: float) -> int:
    from synth.bank.bank import FRAMES_PER_SECOND

    return round(seconds * FRAMES_PER_SECOND)
