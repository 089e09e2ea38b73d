"""`wavekeys render`: a Standard MIDI File to WAV."""

from __future__ import annotations

from pathlib import Path

import click

from synth.cli.blend import blend_option
from synth.cli.options import PRECISIONS, backend_option
from synth.cli.tuning import read_tuning, tuning_options
from synth.errors import UsageError


@click.command("render", short_help="Render a Standard MIDI File to WAV.")
@click.argument("song", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT.wav")
@click.option("--preset", show_default="the take's, or factory", help="A preset's name, folder or .wavekeys file.")
@blend_option
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    show_default="the take's, or 0",
    help="Same seed, same audio.",
)
@click.option("--sample-rate", type=click.IntRange(8000, 192_000), default=48_000, show_default=True, metavar="HZ")
@click.option(
    "--voices",
    type=click.IntRange(1, 64),
    show_default="the take's, or 16",
    help="At a time; a note in unison takes several.",
)
@backend_option
@click.option("--precision", type=click.Choice(PRECISIONS), show_default="the take's, or auto")
@tuning_options
def command(
    song: Path,
    output: Path,
    preset: str | None,
    blend: dict[str, float] | None,
    seed: int | None,
    sample_rate: int,
    voices: int | None,
    backend: str,
    precision: str | None,
    scale: Path | None,
    keys: Path | None,
) -> None:
    """Render SONG (a Standard MIDI File) to OUT.wav, 24-bit stereo.

    A take that wavekeys recorded is played again as it was: by the same presets, but for what the options say.
    """
    from synth.cli.output import Stopwatch, check_writable, expect_suffix, progress_bar, write_wav
    from synth.host.limiter import limit
    from synth.instrument import Wishes, open_song, prepare, read_take_header, render
    from synth.instrument.offline import resampled

    opened = open_song(song)
    if output.exists() and output.samefile(song):
        raise UsageError(f"{output} is the song itself; give the sound another name")
    if read_take_header(opened) is not None and output.exists() and _is_recording(output, song):
        raise UsageError(f"{output} is this take's recording; give what is rendered another name")
    expect_suffix(output, ".wav")
    check_writable(output)
    wishes = Wishes(
        preset=preset,
        blend=blend,
        seed=seed,
        voices=voices,
        precision=precision,
        tuning=read_tuning(scale, keys),
        backend=backend,
    )
    performance = prepare(opened, wishes, warn=_warn)
    watch = Stopwatch()
    with progress_bar(f"rendering {song.name}", performance.end_seconds) as progress:
        audio = render(
            performance.rack,
            performance.timeline,
            end_seconds=performance.end_seconds,
            block_frames=performance.block_frames,
            progress=progress,
        )
    audio = resampled(audio, performance.rack.sample_rate_hz, sample_rate)
    too_loud_s = limit(audio, rate_hz=sample_rate)
    write_wav(output, audio, rate_hz=sample_rate, wanted_hz=sample_rate)
    summary = watch.summary(len(audio) / sample_rate)
    click.echo(f"{output}: {summary} ({performance.computed_by})")
    for line in performance.refused:
        _warn(f"a command of the take was not obeyed: {line}")
    if too_loud_s:
        _warn(f"{too_loud_s:.2f} s were too loud and were turned down; lower the gain")


def _is_recording(sound: Path, take: Path) -> bool:
    """Whether a file is the sound of a take, or of one of its parts, as it was played."""
    from synth.host.recorder import stem_path
    from synth.instrument.takes import former_parts

    whole = take.with_suffix(sound.suffix)
    recorded = (whole, *(stem_path(whole, part) for part in former_parts(take)))
    return sound.resolve() in {path.resolve() for path in recorded}


def _warn(line: str) -> None:
    click.echo(f"wavekeys: {line}", err=True)
