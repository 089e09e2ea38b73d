"""`wavekeys import-checkpoint`: turn a released NSynth checkpoint into a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click


@click.command()
@click.argument("prefix", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="MODEL.safetensors")
@click.option(
    "--weights",
    type=click.Choice(["raw", "ema"]),
    default="raw",
    show_default=True,
    help="raw: as Magenta's own programs generate; ema: averaged over the training.",
)
def command(prefix: Path, output: Path, weights: Literal["raw", "ema"]) -> None:
    """Read PREFIX, a TensorFlow checkpoint of NSynth's WaveNet such as wavenet-ckpt/model.ckpt-200000."""
    from synth.cli.output import expect_suffix
    from synth.wavenet.checkpoint import import_checkpoint

    expect_suffix(output, ".safetensors")
    model = import_checkpoint(prefix, weights)
    model.save(output)
    config, tensors = model.config, model.tensors()
    receptive_ms = 1000 * config.receptive_field / config.sample_rate_hz
    click.echo(
        f"{output}: size {config.name}, {weights} weights, {len(tensors)} tensors, "
        f"{sum(tensor.size for tensor in tensors.values()):,} parameters, {output.stat().st_size / 1e6:.1f} MB, "
        f"receptive field {config.receptive_field} samples ({receptive_ms:.0f} ms)"
    )
