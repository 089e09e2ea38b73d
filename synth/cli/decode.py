"""`wavekeys decode`: embeddings back to sound, as NSynth's `nsynth_generate` did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli.play import BACKENDS, PRECISIONS
from synth.errors import UsageError, WavekeysError

if TYPE_CHECKING:
    import numpy as np

    from synth.stream import Stream


@click.command("decode", short_help="Turn embeddings into sound.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="Z.npy…")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR_OR_WAV")
@click.option("--model", "model_path", type=click.Path(path_type=Path), help="A model.safetensors [factory preset's].")
@click.option("--pitch", type=click.FloatRange(0, 127), help="MIDI pitch, for models with a pitch clock.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="File i uses seed + i.")
@click.option("--temperature", type=click.FloatRange(0, 4), default=1.0, show_default=True)
@click.option("--batch", type=click.IntRange(1, 256), default=8, show_default=True, help="Files decoded together.")
@click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True)
@click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
def command(
    files: tuple[Path, ...],
    output: Path,
    model_path: Path | None,
    pitch: float | None,
    seed: int,
    temperature: float,
    batch: int,
    backend: str,
    precision: str,
) -> None:
    """Decode embeddings, [frames, 16] float32 in .npy files, to 24-bit WAV files of the same names.

    Every file gets its own length: frames times the model's hop. A file that cannot be read is named and skipped.
    """
    from synth.bank import load_preset
    from synth.cli.output import Stopwatch, progress_bar, write_wav
    from synth.stream import Stream
    from synth.wavenet import load_model

    single = output.suffix.lower() == ".wav"
    if single and len(files) > 1:
        raise UsageError(f"{len(files)} files cannot become one, {output}: give a folder")
    model = load_model(model_path) if model_path else load_preset().model
    config = model.config
    if config.clock_harmonics and pitch is None:
        raise UsageError(f"the model ({config.name}) has a pitch clock: give --pitch, such as --pitch 60")
    readable, embeddings, problems = [], [], []
    for path in files:
        try:
            embeddings.append(_read(path, config.embedding_channels))
            readable.append(path)
        except WavekeysError as error:
            problems.append(str(error))
            if len(files) > 1:
                click.echo(f"wavekeys: skipped: {error}", err=True)
    if not readable:
        raise WavekeysError(problems[0] if len(problems) == 1 else f"none of {len(files)} files can be decoded")
    targets = [output] if single else [output / f"{path.stem}.wav" for path in readable]
    for target in targets:
        if targets.count(target) > 1:
            raise UsageError(f"two of the files would become {target}: decode them into folders of their own")
    _make_folder(output.parent if single else output)

    watch, done_seconds = Stopwatch(), 0.0
    seconds = [len(z) * config.hop / config.sample_rate_hz for z in embeddings]
    voices = min(batch, len(readable))
    stream = Stream(model, voices=voices, backend=backend, precision=precision)
    del model  # as large again as the weights that the stream has packed
    # Files of similar length go together, since a batch lasts as long as its longest.
    order = sorted(range(len(readable)), key=lambda index: len(embeddings[index]))
    with progress_bar("decoding", sum(seconds)) as progress:
        for start in range(0, len(order), voices):
            together = order[start : start + voices]
            audio = _decode(stream, [embeddings[i] for i in together], [seed + i for i in together], temperature, pitch)
            for index, sound in zip(together, audio, strict=True):
                rate_hz = config.sample_rate_hz
                write_wav(targets[index], sound[:, None], rate_hz=rate_hz, wanted_hz=rate_hz)
                done_seconds += seconds[index]
                progress(done_seconds)
    count = f"{len(order)} file{'s' * (len(order) > 1)}"
    click.echo(f"{output}: {count}, {watch.summary(sum(seconds))} ({stream.backend}, {stream.precision})")
    if problems:
        raise WavekeysError(f"{len(problems)} of {len(files)} files were skipped: {'; '.join(problems)}")


def _read(path: Path, channels: int) -> np.ndarray:
    import numpy as np

    try:
        z = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise WavekeysError(f"no file {path}") from None
    except (OSError, ValueError, EOFError) as error:
        raise WavekeysError(f"{path}: not a readable .npy file ({error})") from None
    if z.ndim != 2 or z.shape[1] != channels or not len(z) or z.dtype.kind != "f":
        raise WavekeysError(f"{path}: embeddings are [frames, {channels}] floats, not {list(z.shape)} {z.dtype}")
    if not np.isfinite(z).all():
        raise WavekeysError(f"{path}: embeddings must be finite numbers")
    return z.astype(np.float32)


def _decode(
    stream: Stream, embeddings: list[np.ndarray], seeds: list[int], temperature: float, pitch: float | None
) -> list[np.ndarray]:
    """Each one's samples [frames * hop]; a batch that is not full is filled up with the last."""
    import numpy as np

    from synth.pitch import midi_to_hertz

    longest = max(map(len, embeddings))
    rows = [np.pad(z, ((0, longest - len(z)), (0, 0)), mode="edge") for z in embeddings]
    missing = stream.voices - len(rows)
    z = np.stack(rows + rows[-1:] * missing)
    hertz = None if pitch is None else midi_to_hertz(pitch)
    all_seeds = np.array(seeds + seeds[-1:] * missing, np.uint64).astype(np.uint32)
    audio = np.asarray(stream.generate(z, all_seeds, temperature, pitch_hz=hertz))
    return [sound[: len(own) * stream.sizes.hop] for sound, own in zip(audio, embeddings, strict=False)]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WavekeysError(f"cannot make the folder {folder}: {error.strerror}") from None
