"""`wavekeys experiments`: the NSynth paper's experiments, as a report."""

from __future__ import annotations

from pathlib import Path

import click

from synth.cli.files import left_out, make_folder
from synth.errors import UsageError, WavekeysError


@click.command("experiments", short_help="Repeat the paper's experiments, as a report.")
@click.argument("preset", default="factory")
@click.option("--sources", type=click.Path(path_type=Path), required=True, help="The training config that names notes.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FOLDER")
@click.option("--baseline", "baseline_path", type=click.Path(path_type=Path), help="A baseline.safetensors.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this experiment; may be given again.")
@click.option(
    "--every", type=click.IntRange(1), default=4, show_default=True, metavar="N", help="Reconstruct every N-th pitch."
)
@click.option("--steps", type=click.IntRange(2, 17), default=5, show_default=True, help="Of interpolations.")
@click.option("--iterations", type=click.IntRange(1), default=1000, show_default=True, help="Of Griffin and Lim.")
@click.option("--force", is_flag=True, help="Overwrite a report that is there.")
@click.option("--batch", type=click.IntRange(1, 256), default=16, show_default=True, help="Notes decoded together.")
def command(
    preset: str,
    sources: Path,
    output: Path,
    baseline_path: Path | None,
    only: tuple[str, ...],
    every: int,
    steps: int,
    iterations: int,
    force: bool,
    batch: int,
) -> None:
    """Measure PRESET's model and a baseline on notes; FOLDER/report.md has the tables, pictures and sounds.

    The experiments: reconstruction and pitch, interpolation in sound and in embedding, dynamics between velocities,
    notes longer than training, sequences of notes.
    """
    from synth.bank import load_preset
    from synth.cli.output import progress_bar, write_text
    from synth.experiments.bench import Bench, Note
    from synth.experiments.paper import EXPERIMENTS, report
    from synth.instrument.parameters import initial_values
    from synth.spectral import load_baseline
    from synth.stream import BatchDecoder
    from synth.training import read_config
    from synth.training.data import good_notes, open_notes

    unknown = [name for name in only if name not in EXPERIMENTS]
    if unknown:
        raise UsageError(f"unknown experiment {unknown[0]!r}; one of {', '.join(EXPERIMENTS)}")
    loaded = load_preset(preset)
    baseline = load_baseline(baseline_path) if baseline_path else None
    written = output / "report.md"
    if written.exists() and not force:
        raise WavekeysError(f"{written} is there already; choose another folder, or overwrite it with --force")
    make_folder(output)
    source = open_notes(read_config(sources).data, loaded.model.config.sample_rate_hz)
    notes = tuple(
        Note(instrument=note.instrument, pitch=note.pitch, velocity=note.velocity, audio=note.audio)
        for note in good_notes(source, left_out)
    )
    bench = Bench(
        model=loaded.model,
        decoder=BatchDecoder(loaded.model, voices=batch),
        temperature=float(initial_values(loaded.info.parameters)["temperature"]),
        baseline=baseline,
        notes=notes,
        every=every,
        folder=output,
        iterations=iterations,
        steps=steps,
    )
    compared = "no baseline" if baseline is None else f"the baseline of size {baseline.config.name}"
    head = (
        f"# The NSynth paper's experiments: {loaded.info.name}\n\n"
        f"The WaveNet of size {loaded.model.config.name} ({loaded.info.model_sha256[:16]}), at temperature "
        f"{bench.temperature:g}, and {compared}; {len(notes)} notes of {', '.join(bench.instruments)}."
    )
    names = [name for name in EXPERIMENTS if not only or name in only]
    with progress_bar("experimenting", len(names)) as progress:
        for done, text in enumerate(report(bench, head, names), 1):
            write_text(written, text)  # whatever becomes of the next one
            progress(done)
    click.echo(f"{written}: {len(names)} experiments on {len(notes)} notes")
