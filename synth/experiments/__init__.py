"""The NSynth paper's experiments on the notes at hand: a WaveNet beside the baseline. Needs the extra `train`.

Stands beside training and analysis, above the bank, the stream and the spectral baseline.
"""

from synth.experiments.between import between

__all__ = ["between"]
