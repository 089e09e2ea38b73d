"""`wavekeys bank build`: a preset from notes and a model."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.errors import UsageError, WavekeysError

if TYPE_CHECKING:
    from synth.bank import PresetInfo


@click.group("bank", short_help="Build a preset's embeddings from notes.")
def command() -> None:
    """Build banks of embeddings."""


@command.command("build")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--model", "model_path", type=click.Path(path_type=Path), required=True, help="A model.safetensors.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="The preset.")
@click.option("--name", help="The preset's name; by default its folder's.")
def build(source: Path, model_path: Path, output: Path, name: str | None) -> None:
    """Encode every note that SOURCE names into a new preset folder.

    SOURCE is a training config (TOML) whose [data] names a SoundFont, its instruments, pitches and velocities.
    """
    import numpy as np

    from synth.bank import build_bank
    from synth.bank.library import preset_text
    from synth.training.config import read_config
    from synth.training.soundfont import render_notes
    from synth.wavenet import load_model

    if source.suffix != ".toml":
        raise UsageError(f"{source}: give a training config (TOML) whose [data] names the notes")
    data = read_config(source).data
    model = load_model(model_path)
    pitches = list(range(data.pitch_low, data.pitch_high + 1))
    audio = np.stack(
        [
            np.stack([render_notes(Path(data.soundfont), program, pitches, v) for v in data.velocities], axis=1)
            for program in data.instruments.values()
        ]
    )
    bank = build_bank(
        model,
        audio,
        instruments=tuple(data.instruments),
        pitches=np.array(pitches),
        velocities=np.array(data.velocities),
    )
    digest = hashlib.sha256(model_path.read_bytes()).hexdigest()
    try:
        output.mkdir(parents=True, exist_ok=True)
        bank.save(output / "bank.safetensors")
        shutil.copyfile(model_path, output / "model.safetensors")
        info = _info(name or output.name, data.instruments, digest, output)
        (output / "preset.toml").write_text(preset_text(info), encoding="utf-8")
    except OSError as error:
        raise WavekeysError(f"cannot write the preset to {output}: {error.strerror}") from None
    click.echo(
        f"{output}: {len(bank.instruments)} instruments, {len(pitches)} pitches, {len(data.velocities)} velocities"
    )


def _info(name: str, instruments: dict[str, int], model_sha256: str, folder: Path) -> PresetInfo:
    from synth.bank import PresetInfo

    return PresetInfo(
        name=name,
        author="wavekeys",
        licence="Trained on notes of FluidR3 GM by Frank Wen (MIT licence); this preset: MIT",
        tags=("factory",),
        description=f"{', '.join(instruments).capitalize()}, learnt from FluidR3 GM, to be played alone or blended.",
        blend={next(iter(instruments)): 1.0},
        parameters={},
        model_sha256=model_sha256,
        folder=folder,
        factory=False,
    )
