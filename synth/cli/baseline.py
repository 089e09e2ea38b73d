"""`wavekeys baseline`: the NSynth paper's spectral autoencoder, to be compared with the WaveNet."""

from __future__ import annotations

import dataclasses
import datetime
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.files import Skipped, left_out, plan, remaining, resume_option
from synth.cli.model import require_pitch
from synth.cli.numbers import FloatRange
from synth.errors import UsageError, WavekeysError
from synth.sounds import SUFFIXES

if TYPE_CHECKING:
    from synth.spectral import BaselineConfig
    from synth.spectral.training import BaselineProgress

_model = click.option(
    "--model", "model_path", type=click.Path(path_type=Path), required=True, help="A baseline.safetensors."
)


@click.group("baseline", short_help="Train and run the paper's spectral autoencoder.")
def command() -> None:
    """The spectral autoencoder of the NSynth paper: a note's magnitudes in, one embedding a note, Griffin-Lim out."""


@command.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Of the run.")
@click.option("--size", default="small", show_default=True, help="small (for a CPU) or paper.")
@click.option("--steps", type=click.IntRange(1), default=3000, show_default=True)
@click.option("--batch", type=click.IntRange(2, 1024), default=8, show_default=True, help="Notes a step.")
@click.option(
    "--learning-rate", type=FloatRange(0, 1, min_open=True), help="[0.004 for small, as in the paper for paper.]"
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the output folder.")
def train(
    config: Path, output: Path, size: str, steps: int, batch: int, learning_rate: float | None, seed: int, resume: bool
) -> None:
    """Train on the notes that CONFIG names, the TOML file of a WaveNet's training, but for those that it holds out."""
    import numpy as np

    from synth.spectral import SIZES
    from synth.spectral.training import BaselineTrainer, BaselineTraining
    from synth.training import read_config
    from synth.training.data import good_notes, open_notes
    from synth.training.validation import Labels, roles

    if size not in SIZES:
        raise UsageError(f"unknown size {size!r}; one of {', '.join(SIZES)}")
    # A run in the background is ended by SIGTERM (a shell makes it ignore Ctrl-C): both save the state.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    wanted = read_config(config)
    click.echo(f"reading the notes of {config}")
    source = open_notes(wanted.data, SIZES[size].sample_rate_hz)
    notes = list(good_notes(source, left_out))
    notes = [notes[number] for number in roles(Labels.of(notes), wanted.validation)["train"]]
    small = BaselineTraining(steps=steps, batch=batch, seed=seed, learning_rate=4e-3, decay_share=0.5)
    training = small if size == "small" else BaselineTraining(steps=steps, batch=batch, seed=seed)
    if learning_rate is not None:
        training = dataclasses.replace(training, learning_rate=learning_rate)
    audio, pitch = np.stack([note.audio for note in notes]), np.array([note.pitch for note in notes])
    trainer = BaselineTrainer(SIZES[size], training, audio=audio, pitch=pitch, output=output, resume=resume)
    click.echo(f"{len(notes)} notes; training into {output}")
    trainer.run(_print)
    click.echo(f"done: {output / 'baseline.safetensors'}")


@command.command()
@click.argument("sounds", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IN.wav…")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR_OR_NPY")
@_model
@resume_option
def encode(sounds: tuple[Path, ...], output: Path, model_path: Path, resume: bool) -> None:
    """Encode notes of up to 4.1 s, each to one embedding: [1984] float32 at the paper's size."""
    import numpy as np

    from synth.cli.input import read_sound
    from synth.cli.output import progress_bar, write_embeddings
    from synth.spectral import load_baseline

    every = plan(sounds, output, taken=SUFFIXES, suffix=".npy")
    model, skipped = load_baseline(model_path), Skipped(len(every))
    jobs = remaining(every, resume=resume)
    with progress_bar("encoding", len(jobs)) as progress:
        for done, job in enumerate(jobs, start=1):
            try:
                audio = read_sound(job.source, model.config.sample_rate_hz)
                _check_length(job.source, len(audio), model.config)
                write_embeddings(job.target, np.asarray(model.encode(audio[None])[0])[0])
            except WavekeysError as error:
                skipped.add(error)
            progress(done)
    click.echo(f"{output}: {len(jobs) - skipped.count} encoded")
    skipped.finish()


@command.command()
@click.argument("sounds", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IN.wav…")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR_OR_WAV")
@_model
@click.option(
    "--pitch", type=click.IntRange(0, 127), help="MIDI pitch [what names such as flute-060-100 and flute_C4 tell]."
)
@click.option("--iterations", type=click.IntRange(1), default=1000, show_default=True, help="Of Griffin and Lim.")
@resume_option
def reconstruct(
    sounds: tuple[Path, ...], output: Path, model_path: Path, pitch: int | None, iterations: int, resume: bool
) -> None:
    """Send notes of up to 4.1 s through the embedding and back, each as loud and as long as before."""
    import numpy as np

    from synth.cli.input import read_sound
    from synth.cli.output import progress_bar, write_wav
    from synth.spectral import load_baseline

    every = plan(sounds, output, taken=SUFFIXES, suffix=".wav")
    model, skipped = load_baseline(model_path), Skipped(len(every))
    rate_hz = model.config.sample_rate_hz
    jobs = remaining(every, resume=resume)
    with progress_bar("reconstructing", len(jobs)) as progress:
        for done, job in enumerate(jobs, start=1):
            try:
                midi = np.array([round(require_pitch(job.source, pitch))])
                audio = read_sound(job.source, rate_hz)
                _check_length(job.source, len(audio), model.config)
                sound = np.asarray(model.reconstruct(audio[None], midi, iterations=iterations))[0]
                write_wav(job.target, sound[:, None], rate_hz=rate_hz, wanted_hz=rate_hz)
            except WavekeysError as error:
                skipped.add(error)
            progress(done)
    click.echo(f"{output}: {len(jobs) - skipped.count} reconstructed")
    skipped.finish()


def _check_length(path: Path, samples: int, config: BaselineConfig) -> None:
    if not config.hop <= samples <= config.samples:
        raise WavekeysError(
            f"{path}: {samples} samples at {config.sample_rate_hz} Hz; the baseline takes whole notes of {config.hop} "
            f"(a frame) to {config.samples}"
        )


def _print(progress: BaselineProgress) -> None:
    left = datetime.timedelta(seconds=round(progress.seconds_left))
    click.echo(f"step {progress.step}  loss {progress.loss:.5f}  {progress.notes_per_second:.1f} notes/s  {left} left")
