"""`wavekeys rainbowgram`: pictures of notes, as the NSynth paper draws them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.files import Skipped, sources
from synth.cli.model import chosen_model, model_option, require_pitch
from synth.cli.numbers import FloatRange
from synth.errors import UsageError, WavekeysError
from synth.sounds import SUFFIXES

if TYPE_CHECKING:
    import numpy as np

    from synth.analysis.rainbowgram import Cell

PICTURES = (".png", ".svg")


@click.command("rainbowgram", short_help="Draw notes as rainbowgrams.")
@click.argument("wavs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IN.wav…")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT.png")
@click.option("--columns", type=click.IntRange(1, 64), default=4, show_default=True, help="Pictures a row.")
@click.option("--rows", metavar="NAME,NAME…", help="What the rows are called, from above.")
@click.option(
    "--interpolate",
    "steps",
    type=click.IntRange(2, 64),
    help="Of two notes, draw what lies between them in so many steps: sounds mixed above, embeddings mixed below.",
)
@click.option("--pitch", type=FloatRange(0, 127), help="MIDI pitch of the two [what their names tell].")
@click.option("--temperature", type=FloatRange(0, 4), help="Of the decoder [1].")
@model_option
def command(
    wavs: tuple[Path, ...],
    output: Path,
    columns: int,
    rows: str | None,
    steps: int | None,
    pitch: float | None,
    temperature: float | None,
    model_name: str,
) -> None:
    """Draw each IN.wav (any rate, any channels; folders too) into OUT.png or OUT.svg.

    Row by row: for sources above, WaveNet and baseline below, give all sources first.
    """
    from synth.analysis.rainbowgram import RATE_HZ, draw
    from synth.cli.input import read_sound
    from synth.cli.output import check_writable

    if output.suffix.lower() not in PICTURES:
        raise UsageError(f"{output}: give the picture a name that ends with {' or '.join(PICTURES)}")
    if steps is None and (pitch is not None or temperature is not None):
        raise UsageError("--pitch and --temperature are of what --interpolate decodes; give it too")
    check_writable(output)
    paths = [path for path, _ in sources(wavs, taken=SUFFIXES)]
    skipped = Skipped(len(paths))
    notes: list[Cell] = []
    for path in paths:
        try:
            notes.append((path.stem, read_sound(path, RATE_HZ)))
        except WavekeysError as error:
            if steps is not None:
                raise
            skipped.add(error)
            notes.append(("", None))  # an empty place, so that the others keep theirs
    names = rows.split(",") if rows else []
    if steps is not None:
        if len(notes) != 2:
            raise UsageError(f"--interpolate draws what lies between two notes, not {len(notes)}")
        ends = [(name, audio) for name, audio in notes if audio is not None]
        notes = _between(ends, steps, paths, pitch, 1.0 if temperature is None else temperature, model_name)
        columns, names = steps, names or ["sounds mixed", "embeddings mixed"]
    if len(names) > (lines := -(-len(notes) // columns)):
        raise UsageError(f"--rows {rows}: {len(names)} names for {lines} rows")
    drawn = sum(audio is not None for _, audio in notes)
    if drawn:
        draw(notes, output, columns=columns, row_names=names)
        click.echo(f"{output}: {drawn} rainbowgrams")
    skipped.finish()


def _between(
    ends: list[tuple[str, np.ndarray]],
    steps: int,
    paths: list[Path],
    pitch: float | None,
    temperature: float,
    model_name: str,
) -> list[Cell]:
    from synth.analysis.rainbowgram import RATE_HZ
    from synth.experiments import between
    from synth.stream import BatchDecoder

    model = chosen_model(model_name)
    if model.config.clock_harmonics:
        pitches = {require_pitch(path, pitch) for path in paths}
        if len(pitches) > 1:
            raise UsageError(f"{paths[0]} and {paths[1]} have two pitches; choose the one to decode by --pitch")
        (pitch,) = pitches
    else:
        pitch = None
    if model.config.sample_rate_hz != RATE_HZ:
        raise WavekeysError(f"rainbowgrams are of {RATE_HZ} Hz, the model's sounds of {model.config.sample_rate_hz}")
    (first, a), (second, b) = ends
    decoder = BatchDecoder(model, voices=steps)
    mixed, decoded = between(model, decoder, a, b, steps=steps, pitch=pitch, temperature=temperature)
    shares = [round(100 * step / (steps - 1)) for step in range(steps)]
    titles = [first, *(f"{100 - share} : {share}" for share in shares[1:-1]), second]
    return list(zip(titles * 2, mixed + decoded, strict=True))
