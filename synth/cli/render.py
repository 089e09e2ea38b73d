"""`wavekeys render`: a Standard MIDI File to WAV."""

from __future__ import annotations

from pathlib import Path

import click

from synth.cli.blend import blend_option
from synth.cli.play import BACKENDS, PRECISIONS
from synth.cli.tuning import read_tuning, tuning_options


@click.command("render", short_help="Render a Standard MIDI File to WAV.")
@click.argument("song", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT.wav")
@click.option("--preset", default="factory", show_default=True, help="A preset's name or folder.")
@blend_option
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Same seed, same audio.")
@click.option("--sample-rate", type=click.IntRange(8000, 192_000), default=48_000, show_default=True, metavar="HZ")
@click.option("--voices", type=click.IntRange(1, 64), default=16, show_default=True, help="Notes at a time.")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True)
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
@tuning_options
def command(
    song: Path,
    output: Path,
    preset: str,
    blend: dict[str, float] | None,
    seed: int,
    sample_rate: int,
    voices: int,
    backend: str,
    precision: str,
    scale: Path | None,
    keys: Path | None,
) -> None:
    """Render SONG (a Standard MIDI File) to OUT.wav, 24-bit stereo."""
    from synth.bank import load_preset
    from synth.cli.output import Stopwatch, check_writable, progress_bar, write_wav
    from synth.instrument import Instrument, read_song, render
    from synth.instrument.offline import BLOCK_FRAMES

    timeline = read_song(song)
    check_writable(output)
    instrument = Instrument(
        load_preset(preset),
        voices=voices,
        backend=backend,
        precision=precision,
        blend=blend,
        seed=seed,
        tuning=read_tuning(scale, keys),
    )
    instrument.warm_up(BLOCK_FRAMES)
    watch = Stopwatch()
    with progress_bar(f"rendering {song.name}", timeline[-1][0]) as progress:
        audio = render(instrument, timeline, progress=progress)
    over = write_wav(output, audio, rate_hz=instrument.sample_rate_hz, wanted_hz=sample_rate)
    summary = watch.summary(len(audio) / instrument.sample_rate_hz)
    click.echo(f"{output}: {summary} ({instrument.backend}, {instrument.precision})")
    if over:
        click.echo(f"wavekeys: {over} samples were limited to full scale; lower the gain", err=True)
