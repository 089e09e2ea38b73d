"""The weights as the C++ reads them: panels, in the precision asked for. `Matrix` in problem.h is the definition."""

from __future__ import annotations

from typing import NamedTuple

import ml_dtypes
import numpy as np

from synth.errors import WavekeysError
from synth.kernels.spec import Sizes, Weights, finite

STRIP = 16  # columns of the widest vector
PANEL = 4  # strips that lie side by side, at most
DTYPES = {
    "fp32": np.dtype(np.float32),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "int8": np.dtype(np.int8),
    "int16": np.dtype(np.int16),
}
LARGEST_INT16_ACTIVATION = 4095  # `Int16::kLargest` in product.inc


class Matrix(NamedTuple):
    """A packed matrix, flat; scale [columns] is empty but for integers, offset [columns] but for int8."""

    words: np.ndarray
    scale: np.ndarray
    offset: np.ndarray


class Packed(NamedTuple):
    """Everything that the handler takes, in its order; see `Weights` in problem.h."""

    start: np.ndarray
    start_bias: np.ndarray
    skip_start: np.ndarray
    layers: Matrix
    past: Matrix
    residual_bias: np.ndarray
    skip: Matrix
    skip_bias: np.ndarray
    out1: Matrix
    logits: np.ndarray
    logits_bias: np.ndarray


def pack(sizes: Sizes, weights: Weights, precision: str) -> Packed:
    """Lay the weights out for the C++. Raises WavekeysError for a weight that is not a number."""
    w = finite(weights)
    s = sizes.skip
    for name, width in (("residual", sizes.residual), ("skip", s)):
        if width % STRIP:
            raise WavekeysError(f"the CPU kernel takes {name} widths that are multiples of {STRIP}, not {width}")
    dtype = DTYPES[precision]
    fp32 = DTYPES["fp32"]
    layers = [
        _pack(part, dtype) for taps, residual in zip(w.taps, w.residual, strict=True) for part in (taps[-1], residual)
    ]
    past = [_pack(tap, dtype) for taps in w.taps for tap in taps[:-1]]
    padding = -sizes.outputs % STRIP
    return Packed(
        start=_pack(np.concatenate([w.start, w.clock]), fp32).words,
        start_bias=w.start_bias,
        skip_start=_pack(w.skip_start, fp32).words,
        layers=_join(layers),
        past=_join(past),
        residual_bias=w.residual_bias,
        skip=_pack(w.skip.reshape(-1, s), dtype),
        skip_bias=w.skip_bias,
        out1=_pack(w.out1, dtype),
        logits=_pack(np.pad(w.logits, ((0, 0), (0, padding))), fp32).words,
        logits_bias=np.pad(w.logits_bias, (0, padding)),
    )


def panel_widths(columns: int) -> list[int]:
    """Columns of each panel: as equal as can be, at most `PANEL` strips."""
    left = columns // STRIP
    widths = []
    while left:
        width = -(-left // -(-left // PANEL))
        widths.append(width * STRIP)
        left -= width
    return widths


def _pack(matrix: np.ndarray, dtype: np.dtype) -> Matrix:
    """One matrix [K, N]; K is a multiple of the rows that a word of 32 bits holds."""
    scale, offset = np.zeros(0, np.float32), np.zeros(0, np.int32)
    if dtype == np.int8:
        scale = np.maximum(np.abs(matrix).max(axis=0), 1e-20).astype(np.float32) / np.float32(127)
        matrix = np.rint(matrix / scale)
        offset = (128 * matrix.sum(axis=0)).astype(np.int32)
    elif dtype == np.int16:
        # As fine as 16 bits allow, and no finer than that a sum of the largest activations stays within 32.
        room = (2**31 - 1 - LARGEST_INT16_ACTIVATION * len(matrix)) / LARGEST_INT16_ACTIVATION  # rounding taken off
        limits = np.abs(matrix).max(axis=0) / 32767, np.abs(matrix).sum(axis=0) / room
        scale = np.maximum(np.maximum(*limits), 1e-20).astype(np.float32)
        matrix = np.rint(matrix / scale)
    words = matrix.astype(dtype).reshape(-1, 4 // dtype.itemsize, matrix.shape[1])  # [K / rows, rows, N]
    ends = np.cumsum(panel_widths(matrix.shape[1]))[:-1]
    panels = [panel.swapaxes(1, 2).reshape(-1) for panel in np.split(words, ends, axis=2)]
    return Matrix(np.concatenate(panels), scale, offset)


def _join(matrices: list[Matrix]) -> Matrix:
    return Matrix(*(np.concatenate(parts) for parts in zip(*matrices, strict=True)))
