"""The two convolutions that every model here is made of."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array


class Conv(nnx.Module):
    """Weights of a one-dimensional convolution, named and shaped as in an NSynth checkpoint.

    `W` is [1, taps, C_in, C_out], tap 0 the oldest; `biases` is [C_out].
    """

    def __init__(self, taps: int, channels_in: int, channels_out: int, *, rngs: nnx.Rngs, scale: float = 1.0) -> None:
        # U(+-sqrt(3 / fan_in)), NSynth's uniform_unit_scaling_initializer.
        bound = scale * (3.0 / (taps * channels_in)) ** 0.5
        shape = (1, taps, channels_in, channels_out)
        self.W = nnx.Param(jax.random.uniform(rngs.params(), shape, jnp.float32, -bound, bound))
        self.biases = nnx.Param(jnp.zeros(channels_out))

    def __call__(self, x: Array) -> Array:
        """The 1x1 case: [..., C_in] -> [..., C_out]."""
        return x @ self.W[0, 0] + jnp.broadcast_to(self.biases[...], (*x.shape[:-1], self.W.shape[-1]))

    def causal(self, x: Array, dilation: int, extra: tuple[Array, Array] | None = None) -> Array:
        """y[t] from x[t], x[t - d], ...: [B, T, C_in] -> [B, T, C_out], zeros before the start.

        `extra` = (signal [B, T, C], matrix [C, C_out]) is added to the sum, in the same matrix product.
        """
        taps = self.W.shape[1]
        length = x.shape[1]
        columns = [
            jnp.pad(x, ((0, 0), (min(k * dilation, length), 0), (0, 0)))[:, :length] for k in reversed(range(taps))
        ]
        rows = [self.W[0, k] for k in range(taps)]
        if extra is not None:
            columns.append(extra[0])
            rows.append(extra[1])
        y = jnp.concatenate(columns, axis=-1) @ jnp.concatenate(rows, axis=0)
        return y + jnp.broadcast_to(self.biases[...], y.shape)

    def same(self, x: Array, dilation: int = 1) -> Array:
        """y[t] from x[t - d], x[t], x[t + d] for three taps: [B, T, C_in] -> [B, T, C_out], zeros outside."""
        taps = self.W.shape[1]
        reach = (taps - 1) * dilation // 2
        length = x.shape[1]
        padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
        columns = [padded[:, k * dilation : k * dilation + length] for k in range(taps)]
        y = jnp.concatenate(columns, axis=-1) @ self.W[0].reshape(-1, self.W.shape[-1])
        return y + jnp.broadcast_to(self.biases[...], y.shape)
