"""`wavekeys encode`: sound to embeddings, as NSynth's `nsynth_save_embeddings` did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.files import Job, Skipped, plan, remaining, resume_option
from synth.cli.model import chosen_model, model_option
from synth.errors import WavekeysError
from synth.sounds import SUFFIXES

if TYPE_CHECKING:
    import numpy as np

    from synth.wavenet import WaveNetConfig


TOGETHER = 2**19  # samples encoded at once: 32 s, for which the paper's encoder needs 2 GB


@click.command("encode", short_help="Turn sound into embeddings.")
@click.argument("sounds", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IN.wav…")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR_OR_NPY")
@model_option
@click.option("--batch", type=click.IntRange(1, 256), default=8, show_default=True, help="Files encoded together.")
@resume_option
def command(sounds: tuple[Path, ...], output: Path, model_name: str, batch: int, resume: bool) -> None:
    """Encode sound files of any rate and channel count, and folders of them, to .npy files of the same names.

    Each holds [frames, 16] float32, as NSynth's own programs read and wrote them. A frame is 512 samples at 16 kHz; the
    last one is filled up with silence. A file that cannot be read is named and skipped.
    """
    import numpy as np

    from synth.cli.input import sound_seconds
    from synth.cli.output import Stopwatch, progress_bar, write_embeddings

    every = plan(sounds, output, taken=SUFFIXES, suffix=".npy")
    jobs = remaining(every, resume=resume)
    model, skipped = chosen_model(model_name), Skipped(len(every))
    seconds = {job: sound_seconds(job.source) for job in jobs}
    watch, done_seconds = Stopwatch(), 0.0
    with progress_bar("encoding", sum(seconds.values())) as progress:
        # Sounds of one length are one array, and what comes of a sound is the same in any company.
        by_length = sorted(jobs, key=lambda job: seconds[job])
        for start in range(0, len(jobs), batch):
            together = by_length[start : start + batch]
            for same_length, audio in _of_one_length(together, model.config, skipped):
                for job, z in zip(same_length, np.asarray(model.encode(audio)), strict=True):
                    if np.isfinite(z).all():
                        write_embeddings(job.target, z)
                    else:
                        skipped.add(WavekeysError(f"{job.source}: its embedding is not finite"))
            done_seconds += sum(seconds[job] for job in together)
            progress(done_seconds)
    kept = f", {len(every) - len(jobs)} kept" if resume else ""
    click.echo(f"{output}: {len(jobs) - skipped.count} encoded{kept}, {watch.summary(done_seconds)}")
    skipped.finish()


def _of_one_length(
    jobs: Sequence[Job], config: WaveNetConfig, skipped: Skipped
) -> Iterator[tuple[list[Job], np.ndarray]]:
    """Jobs whose sounds have the same number of frames, and those [B, frames * hop]; few at a time, to save memory."""
    import numpy as np

    from synth.cli.input import read_sound

    groups: dict[int, list[tuple[Job, np.ndarray]]] = {}
    for job in jobs:
        try:
            audio = read_sound(job.source, config.sample_rate_hz)
            if len(audio) < config.hop:
                raise WavekeysError(
                    f"{job.source}: {len(audio)} samples at {config.sample_rate_hz} Hz are shorter than a frame, "
                    f"{config.hop}"
                )
        except WavekeysError as error:
            skipped.add(error)
            continue
        padded = np.pad(audio, (0, -len(audio) % config.hop))
        groups.setdefault(len(padded), []).append((job, padded))
    for length, group in groups.items():
        count = max(TOGETHER // length, 1)
        for start in range(0, len(group), count):
            some = group[start : start + count]
            yield [job for job, _ in some], np.stack([audio for _, audio in some])
