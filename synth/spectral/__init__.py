"""The NSynth paper's baseline: a convolutional autoencoder of whole notes' spectra, and sound by Griffin and Lim.

Stands beside the WaveNet, to be compared with it. Its training needs the extra `train`, and `synth.training` for notes.
"""

from synth.spectral.config import SIZES, BaselineConfig
from synth.spectral.model import Baseline, load_baseline

__all__ = ["SIZES", "Baseline", "BaselineConfig", "load_baseline"]
