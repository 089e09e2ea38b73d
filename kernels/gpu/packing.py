"""The weights as the GPU's kernels read them, column after column in words of 32 bits: `Matrix` in problem.h."""

from __future__ import annotations

from typing import NamedTuple

import ml_dtypes
import numpy as np

from synth.kernels.spec import Sizes, Weights, finite

GRANULE = 16  # widths are padded to multiples of this
CHUNK = 8  # weights that are read together, as kChunk in problem.h
DTYPES = {"fp32": np.dtype(np.float32), "bf16": np.dtype(ml_dtypes.bfloat16), "int8": np.dtype(np.int8)}


class Matrix(NamedTuple):
    """Words of 32 bits, flat, and what a weight of each column is worth."""

    words: np.ndarray  # uint32
    scale: np.ndarray  # [columns] float32: 1 but for int8


class Packed(NamedTuple):
    """Everything that the handler takes, in its order; see `Weights` in problem.h."""

    start: np.ndarray
    skip_start: Matrix
    current: Matrix
    past: Matrix
    residual: Matrix
    residual_bias: np.ndarray
    skip: Matrix
    skip_bias: np.ndarray
    out1: Matrix
    logits: Matrix
    logits_bias: np.ndarray
    fused: Matrix
    fused_bias: np.ndarray


def pack(sizes: Sizes, weights: Weights, precision: str) -> Packed:
    """Lay the weights out. Raises WavekeysError for a weight that is not a number."""
    w = finite(weights)
    dtype, fp32 = DTYPES[precision], DTYPES["fp32"]
    # Filter and gate by turns.
    turns = np.arange(2 * sizes.residual).reshape(2, sizes.residual).T.reshape(-1)
    taps = w.taps[..., turns]
    current, residual = taps[:, -1], w.residual
    before = np.concatenate([np.zeros_like(residual[:1]), residual[:-1]])
    bias_before = np.concatenate([np.zeros_like(w.residual_bias[:1]), w.residual_bias[:-1]])
    return Packed(
        start=w.start[::-1].copy(),
        skip_start=matrix(w.skip_start, fp32),
        current=matrix(current, dtype),
        past=matrix(taps[:, :-1], dtype),
        residual=matrix(residual, dtype),
        residual_bias=w.residual_bias,
        skip=matrix(w.skip, dtype),
        skip_bias=w.skip_bias,
        out1=matrix(w.out1, dtype),
        logits=matrix(w.logits, fp32),
        logits_bias=w.logits_bias,
        fused=matrix(before @ current, dtype),
        fused_bias=(bias_before[:, None] @ current)[:, 0],
    )


def matrix(columns_last: np.ndarray, dtype: np.dtype) -> Matrix:
    """Matrices [..., K, N], one after the other; K is a multiple of CHUNK."""
    columns = np.ascontiguousarray(columns_last.swapaxes(-1, -2)).reshape(-1, columns_last.shape[-2])
    scale = np.ones(len(columns), np.float32)
    if dtype == np.int8:
        scale = np.maximum(np.abs(columns).max(axis=1), 1e-20).astype(np.float32) / np.float32(127)
        columns = np.rint(columns / scale[:, None])
    chunks = columns.reshape(len(columns), CHUNK, -1).swapaxes(1, 2)  # each of every K / 8-th row
    return Matrix(chunks.astype(dtype, order="C").reshape(-1).view(np.uint32), scale)
