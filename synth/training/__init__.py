"""Training: notes rendered or read, random crops of them, the loss, and the loop. Needs the extra `train`.

Stands beside the instrument: imports `synth.wavenet`, and nothing of the instrument imports it.
"""

from synth.training.config import TrainConfig, read_config
from synth.training.trainer import Progress, Trainer

__all__ = ["Progress", "TrainConfig", "Trainer", "read_config"]
