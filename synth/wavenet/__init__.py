"""The model: NSynth's WaveNet autoencoder at every size, its files and its checkpoints.

`WaveNetConfig` holds the numbers, `WaveNet` the weights. Imports `synth.kernels` only; nothing here knows of streams,
banks or devices.
"""

from synth.wavenet.checkpoint import import_checkpoint
from synth.wavenet.config import SIZES, WaveNetConfig
from synth.wavenet.encoder import SpectralEncoder, TemporalEncoder
from synth.wavenet.model import WaveNet, load_model, parameter_count

__all__ = [
    "SIZES",
    "SpectralEncoder",
    "TemporalEncoder",
    "WaveNet",
    "WaveNetConfig",
    "import_checkpoint",
    "load_model",
    "parameter_count",
]
