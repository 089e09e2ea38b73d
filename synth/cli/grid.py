"""`wavekeys grid`: every blend of four corners at every pitch, as WAV files and an SFZ instrument."""

from __future__ import annotations

import json
from pathlib import Path

import click

from synth.atomic import file_name
from synth.cli.files import make_folder, resume_option
from synth.cli.numbers import FloatRange
from synth.cli.options import backend_option, precision_option
from synth.errors import UsageError


class _Pitches(click.ParamType):
    """`48,60,72` or `48-72/4`."""

    name = "PITCHES"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        try:
            span, _, step = str(value).partition("/")
            low, dash, high = span.partition("-")
            numbers = range(int(low), int(high) + 1, int(step or 1)) if dash else map(int, span.split(","))
            return tuple(sorted(set(numbers)))
        except ValueError:
            self.fail(f"{value!r} is neither 48,60,72 nor 48-72/4 (every fourth)", param, ctx)


@click.command("grid", short_help="Render a grid of blends for a sampler.")
@click.argument("preset", default="factory")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FOLDER")
@click.option(
    "--corners",
    metavar="NAME,NAME,NAME,NAME",
    help="Instruments at bottom left, bottom right, top left, top right [the preset's pad, or its first four].",
)
@click.option("--steps", type=click.IntRange(1, 64), default=9, show_default=True, help="Cells in a row.")
@click.option("--pitches", type=_Pitches(), help="As 48,60,72 or 48-72/4 [every fourth that the preset has].")
@click.option("--velocity", type=click.IntRange(1, 127), default=100, show_default=True)
@click.option("--held", type=FloatRange(0.1, 60), default=3.0, show_default=True, help="Seconds of each note.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of all notes.")
@click.option("--batch", type=click.IntRange(1, 256), default=16, show_default=True, help="Notes at once.")
@backend_option
@precision_option
@resume_option
def command(
    preset: str,
    output: Path,
    corners: str | None,
    steps: int,
    pitches: tuple[int, ...] | None,
    velocity: int,
    held: float,
    seed: int,
    batch: int,
    backend: str,
    precision: str,
    resume: bool,
) -> None:
    """Render PRESET's blends as NSynth Super has them: FOLDER/wav, and FOLDER/PRESET.sfz, which a sampler loads.

    The pad is on controllers 16 (from left to right) and 17 (from the bottom to the top), as in `play`.
    """
    from synth.bank import load_preset
    from synth.bank.preset import CORNERS
    from synth.cli.output import Stopwatch, expect_folder, progress_bar, tell_limited, write_text, write_wav
    from synth.instrument.grid import Grid
    from synth.instrument.parameters import initial_values
    from synth.stream import BatchDecoder

    expect_folder(output)
    loaded = load_preset(preset)
    pad = loaded.info.pad or dict(zip(CORNERS, loaded.bank.instruments, strict=False))
    names = [name.strip() for name in corners.split(",")] if corners else [pad[corner] for corner in pad]
    if len(names) != len(CORNERS):
        known = ", ".join(loaded.bank.instruments)
        raise UsageError(f"a grid has four corners, not {len(names)}: give --corners with four of {known}")
    grid = Grid(
        preset=loaded,
        corners=dict(zip(CORNERS if corners else pad, names, strict=True)),
        steps=steps,
        pitches=tuple(map(int, loaded.bank.pitches[::4])) if pitches is None else pitches,
        velocity=velocity,
        held_seconds=held,
    )
    values = initial_values(loaded.info.parameters)
    temperature = float(values["temperature"])
    make_folder(output / "wav")
    if not resume:
        for cell in grid.cells:  # a run that is broken off must not leave those of other settings to the next one
            (output / "wav" / cell.name).unlink(missing_ok=True)
    _settle(
        output / "settings.json",
        {
            "model": loaded.info.model_sha256,
            "bank": loaded.info.bank_sha256,
            "corners": grid.corners,
            "steps": steps,
            "held": held,
            "seed": seed,
            "temperature": temperature,
            "own_stretch": values["own_stretch"],
            "own_tones": values["own_tones"],
            "backend": backend,
            "precision": precision,
        },
        resume=resume,
    )
    every = grid.cells
    cells = [cell for cell in every if not (resume and (output / "wav" / cell.name).is_file())]
    config, rate_hz = loaded.model.config, loaded.model.config.sample_rate_hz
    embeddings, (stretches, tones) = grid.embeddings(cells), grid.partials(cells)
    total = sum(map(len, embeddings)) * config.hop / rate_hz
    watch, over = Stopwatch(), 0
    # As many voices as for all of them, though fewer may be left: with others pure JAX rounds in another way.
    decoder = BatchDecoder(loaded.model, voices=min(batch, len(every)), backend=backend, precision=precision)
    with progress_bar("rendering", total) as progress:
        for place, sound in decoder.each(
            embeddings,
            pitches=[float(cell.pitch) for cell in cells],
            stretches=stretches,
            tones=tones,
            seeds=[seed] * len(cells),
            temperature=temperature,
            progress=lambda samples: progress(samples / rate_hz),
        ):
            over += write_wav(output / "wav" / cells[place].name, sound[:, None], rate_hz=rate_hz, wanted_hz=rate_hz)
    instrument = output / f"{file_name(loaded.info.name)}.sfz"
    write_text(instrument, grid.sfz("wav"))
    kept = f", {len(every) - len(cells)} kept" if resume else ""
    click.echo(f"{instrument}: {len(cells)} note{'s' * (len(cells) != 1)}{kept}, {watch.summary(total)}")
    tell_limited(over)


def _settle(path: Path, settings: dict[str, object], *, resume: bool) -> None:
    """Write down what the grid's files are made with. Refuses to go on with files of other settings."""
    from synth.cli.output import write_text

    text = json.dumps(settings, indent=1, sort_keys=True) + "\n"
    if resume and path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text:
        raise UsageError(
            f"the files there are of other settings ({path} has them): leave out --resume to make all anew"
        )
    write_text(path, text)
