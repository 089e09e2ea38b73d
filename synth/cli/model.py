"""The option `--model`, shared by the verbs that need no preset but its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from synth.wavenet import WaveNet

model_option = click.option(
    "--model", "model_path", type=click.Path(path_type=Path), help="A model.safetensors [factory preset's]."
)


def chosen_model(path: Path | None) -> WaveNet:
    """The model of that file, or the factory preset's."""
    from synth.bank import load_preset
    from synth.wavenet import load_model

    return load_model(path) if path else load_preset().model
