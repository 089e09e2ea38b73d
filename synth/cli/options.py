"""Options that several verbs have."""

from __future__ import annotations

import click

from synth.cli.numbers import FloatRange

BACKENDS = ("auto", "cpu", "gpu", "tpu", "jax")
PRECISIONS = ("auto", "fp32", "bf16", "int8", "int16")

backend_option = click.option("--backend", type=click.Choice(BACKENDS), default="auto", show_default=True)
precision_option = click.option("--precision", type=click.Choice(PRECISIONS), default="auto", show_default=True)
block_option = click.option(
    "--block",
    type=click.IntRange(16, 2048),
    default=48,
    show_default=True,
    metavar="N",
    help="Samples rendered at a time, at the model's rate. Smaller answers sooner and costs more.",
)
spare_option = click.option(
    "--spare",
    type=FloatRange(0.5, 32),
    default=1.33,
    show_default=True,
    metavar="N",
    help="Blocks rendered ahead. More bridges a busy machine, each adds a block to the latency.",
)
