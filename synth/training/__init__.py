"""Training: notes read or rendered, random crops of them, the loss, and the loop. Needs the extra `train`.

Stands beside the instrument: imports `synth.wavenet`, and nothing of the instrument imports it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth.training.config import TrainConfig, read_config
    from synth.training.progress import Progress
    from synth.training.trainer import Trainer

__all__ = ["Progress", "TrainConfig", "Trainer", "read_config"]

# Loaded when they are first asked for: the processes that analyse notes need no JAX.
_HOMES = {"TrainConfig": "config", "read_config": "config", "Progress": "progress", "Trainer": "trainer"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'synth.training' has no attribute {name!r}")
    return getattr(importlib.import_module(f"synth.training.{_HOMES[name]}"), name)
