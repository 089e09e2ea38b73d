"""A transposed convolution, made of plain ones.

XLA computes the gradient of a transposed convolution's weights on a CPU fifty times slower than the rest. Every
`stride`-th output comes of the same taps, so that they together are a plain convolution of the input: as many of them
as strides, interleaved, are the same thing at a plain convolution's speed (measured: a training step of the small size
in a tenth of the time).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax


class Upwards(nnx.Module):
    """y[stride * i + tap - (taps - stride) // 2] += x[i] @ kernel[tap], in both directions, within stride * x's size.

    `kernel` is [taps, taps, C_in, C_out]. There are no biases.
    """

    def __init__(self, channels: int, width: int, taps: int, strides: tuple[int, int], *, rngs: nnx.Rngs) -> None:
        # As many of the taps as come to one output count for the variance.
        inputs = channels * taps * taps // (strides[0] * strides[1])
        scale = (1.0 / inputs) ** 0.5
        self.kernel = nnx.Param(scale * jax.random.normal(rngs.params(), (taps, taps, channels, width), jnp.float32))
        self.strides = strides

    def __call__(self, x: Array) -> Array:
        """[B, H, W, C_in] -> [B, stride * H, stride * W, C_out]."""
        rows = [
            jnp.stack([self._phase(x, (row, column)) for column in range(self.strides[1])], axis=3)
            for row in range(self.strides[0])
        ]
        y = jnp.stack(rows, axis=2)  # [B, H, stride, W, stride, C_out]
        batch, height, row, width, column, channels = y.shape
        return y.reshape(batch, height * row, width * column, channels)

    def _phase(self, x: Array, offsets: tuple[int, int]) -> Array:
        """The outputs at these offsets from each input, [B, H, W, C_out]."""
        taken, padding = [], []
        for offset, stride in zip(offsets, self.strides, strict=True):
            shifted = offset + (self.kernel.shape[0] - stride) // 2
            taps = range(shifted % stride, self.kernel.shape[0], stride)
            taken.append(slice(taps.start, None, stride))
            ahead = shifted // stride  # how many inputs after its own an output needs
            padding.append((len(taps) - 1 - ahead, ahead))
        kernel = self.kernel[tuple(taken)][::-1, ::-1]  # the first tap goes with the last input
        return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
