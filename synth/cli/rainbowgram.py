"""`wavekeys rainbowgram`: pictures of notes, as the NSynth paper draws them."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("rainbowgram", short_help="Draw notes as rainbowgrams.")
@click.argument("wavs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IN.wav…")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT.png")
@click.option("--columns", type=click.IntRange(1, 16), default=4, show_default=True, help="Pictures a row.")
def command(wavs: tuple[Path, ...], output: Path, columns: int) -> None:
    """Draw each IN.wav (any rate, any channels) into OUT.png or OUT.svg."""
    from synth.analysis.rainbowgram import RATE_HZ, draw
    from synth.cli.input import read_sound

    draw([(path.stem, read_sound(path, RATE_HZ)) for path in wavs], output, columns=columns)
    click.echo(f"{output}: {len(wavs)} rainbowgrams")
