"""The NSynth paper's experiments on the notes at hand. Needs the extra `analysis`.

Stands beside training and analysis, above the bank and the stream.
"""

from synth.experiments.between import between

__all__ = ["between"]
