"""The incremental decoder: a model's weights packed for the kernels, and the voices that they advance.

Imports `synth.wavenet` and `synth.kernels`; nothing here knows of banks, instruments or devices.
"""

from synth.stream.batch import BatchDecoder
from synth.stream.pack import conditioning, conditioning_weights_of, sizes_of, weights_of
from synth.stream.player import Player, PlayerBlock, Point, last_point
from synth.stream.stream import MOST_VOICES, Stream

__all__ = [
    "MOST_VOICES",
    "BatchDecoder",
    "Player",
    "PlayerBlock",
    "Point",
    "Stream",
    "conditioning",
    "conditioning_weights_of",
    "last_point",
    "sizes_of",
    "weights_of",
]
