"""Mu-law companding is NSynth's, bit for bit, except where NSynth makes an invalid label."""

from __future__ import annotations

import numpy as np
import pytest

from synth.wavenet import mulaw

CODES = np.arange(-128, 128)


def test_a_code_survives_decoding_and_encoding() -> None:
    np.testing.assert_array_equal(mulaw.encode(mulaw.decode(CODES)), CODES)


@pytest.mark.parametrize(
    ("sample", "code"), [(1.0, 127), (-1.0, -128), (1.5, 127), (-7.0, -128), (0.0, 0), (-1e-12, 0)]
)
def test_full_scale_and_beyond_are_clipped_to_valid_codes(sample: float, code: int) -> None:
    # NSynth's own formula gives +1 the code 128, label 256. In float32, 1 + 255e-12 is 1: code 0, as there.
    assert int(mulaw.encode(sample)) == code


def test_every_16_bit_sample_gets_the_code_of_the_formula() -> None:
    audio = np.arange(-32768, 32768) / 32768
    formula = np.floor(128 * np.sign(audio) * np.log(1 + 255 * np.abs(audio)) / np.log(256))
    np.testing.assert_array_equal(mulaw.encode(audio.astype(np.float32)), np.minimum(formula, 127))


def test_code_zero_is_silence_and_the_rest_are_centres_of_bins() -> None:
    samples = np.asarray(mulaw.decode(CODES))
    assert samples[128] == 0.0
    edges = np.asarray(mulaw.edges())
    assert np.all(np.diff(samples) > 0)
    assert np.all((samples[:-1] < edges) & (edges <= samples[1:]))
    np.testing.assert_allclose([samples[0], samples[-1]], [-0.978488, 0.978488], rtol=0, atol=1e-6)  # measured: 1.5e-7
