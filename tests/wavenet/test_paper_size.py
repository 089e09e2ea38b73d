"""The size `paper` is NSynth's h512_bo16 (Engel et al. 2017; magenta/models/nsynth/wavenet/h512_bo16.py)."""

from __future__ import annotations

import numpy as np
from flax import nnx

from synth import SIZES, WaveNet
from synth.wavenet import parameter_count
from synth.wavenet.model import tensor_name

ONCE = {
    "ae_startconv": (1, 3, 1, 128),
    "ae_bottleneck": (1, 1, 128, 16),
    "startconv": (1, 3, 1, 512),
    "skip_start": (1, 1, 512, 256),
    "out1": (1, 1, 256, 256),
    "cond_map_out1": (1, 1, 16, 256),
    "logits": (1, 1, 256, 256),
}
EVERY_LAYER = {
    "ae_dilatedconv": (1, 3, 128, 128),
    "ae_res": (1, 1, 128, 128),
    "dilatedconv": (1, 3, 512, 1024),
    "cond_map": (1, 1, 16, 1024),
    "res": (1, 1, 512, 512),
    "skip": (1, 1, 512, 256),
}


def shapes_of_paper() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the model's weights, without allocating them (247 MB)."""
    model = nnx.eval_shape(lambda: WaveNet(SIZES["paper"], rngs=nnx.Rngs(0)))
    return {tensor_name(path): leaf.shape for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))}


def test_the_paper_size_has_nsynths_names_and_shapes() -> None:
    kernels = ONCE | {f"{name}_{i}": shape for name, shape in EVERY_LAYER.items() for i in range(1, 31)}
    wanted = {f"{name}/W": shape for name, shape in kernels.items()}
    wanted |= {f"{name}/biases": shape[-1:] for name, shape in kernels.items()}
    assert len(wanted) == 374
    assert shapes_of_paper() == wanted


def test_the_paper_size_has_nsynths_number_of_parameters() -> None:
    assert parameter_count(SIZES["paper"]) == 61_804_048
    encoder = sum(int(np.prod(shape)) for name, shape in shapes_of_paper().items() if name.startswith("ae_"))
    assert encoder == 1_976_336


def test_the_paper_size_hears_6141_samples() -> None:
    assert SIZES["paper"].receptive_field == 6141
