"""`wavekeys decode`: embeddings back to sound, as NSynth's `nsynth_generate` did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.files import EMBEDDINGS, Job, Skipped, plan, remaining, resume_option
from synth.cli.model import chosen_model, model_option, require_pitch
from synth.cli.numbers import FloatRange
from synth.cli.options import backend_option, precision_option
from synth.errors import WavekeysError
from synth.sounds import SUFFIXES

if TYPE_CHECKING:
    import numpy as np


@click.command("decode", short_help="Turn embeddings into sound.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="Z.npy…")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR_OR_WAV")
@model_option
@click.option(
    "--pitch",
    type=FloatRange(0, 127),
    help="MIDI pitch, for models with a pitch clock [what names such as flute-060-100 and flute_C4 tell].",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="File i uses seed + i.")
@click.option("--temperature", type=FloatRange(0, 4), default=1.0, show_default=True)
@click.option("--batch", type=click.IntRange(1, 256), default=16, show_default=True, help="Files decoded together.")
@click.option(
    "--like", type=click.Path(path_type=Path), help="Cut to the length of this sound, or of its namesake here."
)
@backend_option
@precision_option
@resume_option
def command(
    files: tuple[Path, ...],
    output: Path,
    model_name: str,
    pitch: float | None,
    seed: int,
    temperature: float,
    batch: int,
    like: Path | None,
    backend: str,
    precision: str,
    resume: bool,
) -> None:
    """Decode embeddings, [frames, 16] float32 in .npy files and folders of them, to 24-bit WAV files of the same names.

    Every file gets its own length: frames times the model's hop. A file that cannot be read is named and skipped.
    """
    from synth.cli.input import read_embeddings
    from synth.cli.output import Stopwatch, progress_bar, tell_limited, write_wav
    from synth.stream import BatchDecoder

    every = plan(files, output, taken=EMBEDDINGS, suffix=".wav")
    model = chosen_model(model_name)
    config = model.config
    skipped = Skipped(len(every))
    embeddings: dict[Job, np.ndarray] = {}
    pitches: dict[Job, float | None] = dict.fromkeys(every)
    for job in remaining(every, resume=resume):
        try:
            if config.clock_harmonics:
                pitches[job] = require_pitch(job.source, pitch)
            embeddings[job] = read_embeddings(job.source, config.embedding_channels)
        except WavekeysError as error:
            skipped.add(error)
    rate_hz = config.sample_rate_hz
    samples: dict[Job, int] = {}
    for job, z in embeddings.items():
        try:
            samples[job] = _samples(job, len(z) * config.hop, output, like, rate_hz)
        except WavekeysError as error:
            skipped.add(error)

    watch, over, total = Stopwatch(), 0, sum(samples.values()) / rate_hz
    jobs = list(samples)
    # As many voices as for all of them, though fewer may be left: with others pure JAX rounds in another way.
    decoder = BatchDecoder(model, voices=min(batch, len(every)), backend=backend, precision=precision)
    del model  # as large again as the weights that the stream has packed
    with progress_bar("decoding", total) as progress:
        for place, sound in decoder.each(
            [embeddings[job] for job in jobs],
            pitches=[pitches[job] for job in jobs],
            seeds=[seed + job.number for job in jobs],
            temperature=temperature,
            progress=lambda done: progress(done / rate_hz),
        ):
            job = jobs[place]
            over += write_wav(job.target, sound[: samples[job], None], rate_hz=rate_hz, wanted_hz=rate_hz)
    kept = f", {len(every) - len(jobs) - skipped.count} kept" if resume else ""
    count = f"{len(jobs)} file{'s' * (len(jobs) != 1)}"
    click.echo(
        f"{output}: {count}{kept}, {watch.summary(total)} ({decoder.stream.backend}, {decoder.stream.precision})"
    )
    tell_limited(over)
    skipped.finish()


def _samples(job: Job, most: int, output: Path, like: Path | None, rate_hz: int) -> int:
    """How many samples of `most` to write: as many as the sound has that the embeddings were made of, if it is told."""
    from synth.cli.input import sound_seconds

    if like is None:
        return most
    if like.is_dir():
        place = job.target.relative_to(output).with_suffix("") if job.target != output else Path(job.source.stem)
        name = place.name.removesuffix("_embeddings")  # as the original's own programs named them
        beside = (like / place).parent
        sounds = sorted(file for file in beside.glob("*") if file.stem == name and file.suffix.lower() in SUFFIXES)
        like = sounds[0] if sounds else beside / f"{name}.wav"
    seconds = sound_seconds(like)
    if not seconds:
        raise WavekeysError(f"{like}: no sound there whose length {job.target.name} could have")
    return min(most, round(seconds * rate_hz))
