"""The guard before the device and the take."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from synth.host.limiter import CEILING, Limiter

RATE_HZ = 48_000


@given(
    st.lists(
        hnp.arrays(np.float32, st.tuples(st.integers(0, 40), st.just(2)), elements=st.floats(width=32)), max_size=5
    )
)
def test_whatever_comes_in_nothing_above_full_scale_and_nothing_but_numbers_goes_out(blocks: list[np.ndarray]) -> None:
    limiter = Limiter(rate_hz=RATE_HZ)
    for block in blocks:
        out = limiter.process(block)
        assert np.isfinite(out).all()
        assert np.max(np.abs(out), initial=0.0) <= np.float32(CEILING)


def test_a_block_below_the_ceiling_passes_bit_for_bit() -> None:
    block = np.random.default_rng(0).uniform(-0.98, 0.98, (192, 2)).astype(np.float32)
    np.testing.assert_array_equal(Limiter(rate_hz=RATE_HZ).process(block.copy()), block)


def test_after_a_loud_block_the_gain_comes_back_without_a_jump() -> None:
    limiter = Limiter(rate_hz=RATE_HZ)
    limiter.process(np.full((192, 2), 4.0, np.float32))
    quiet = np.concatenate([limiter.process(np.full((192, 2), 0.1, np.float32)) for _ in range(100)])
    assert np.max(np.abs(np.diff(quiet[:, 0]))) < 1e-4
    assert quiet[-1, 0] == np.float32(0.1)
    assert limiter.limited_blocks == 1
