"""Many embeddings at once: each in its own length and place, and the same as alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from synth import WaveNet
from synth.stream import BatchDecoder


@pytest.mark.parametrize("kind", ["paper", "live"])
def test_a_sound_is_the_same_in_any_company(tiny_model: Callable[[str], WaveNet], kind: str) -> None:
    random = np.random.default_rng(0)
    embeddings = [random.normal(scale=0.3, size=(frames, 16)).astype(np.float32) for frames in (6, 2, 4, 2, 3)]
    decoder = BatchDecoder(tiny_model(kind), voices=2, backend="jax", precision="fp32")
    pitches, seeds = [60.0, 62.0, 64.0, 65.0, 67.0], [5, 6, 7, 8, 9]
    stretches = list(random.uniform(-0.5, 0.5, size=(5, 16)))
    together = decoder.all(embeddings, pitches=pitches, stretches=stretches, seeds=seeds)
    assert [len(sound) for sound in together] == [len(z) * 32 for z in embeddings]
    for place, sound in enumerate(together):
        own = {"pitches": [pitches[place]], "stretches": [stretches[place]], "seeds": [seeds[place]]}
        alone = decoder.all([embeddings[place]], **own)[0]
        np.testing.assert_array_equal(sound, alone)


def test_progress_is_told_within_a_batch_and_ends_with_all(tiny_model: Callable[[str], WaveNet]) -> None:
    embeddings = [np.zeros((frames, 16), np.float32) for frames in (40, 2, 50)]
    decoder = BatchDecoder(tiny_model("paper"), voices=2, backend="jax")
    told: list[int] = []
    decoder.all(embeddings, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 92 * 32
    assert len(set(told)) > 4  # blocks of 512 samples, not two batches


def test_an_embedding_without_frames_is_refused(tiny_model: Callable[[str], WaveNet]) -> None:
    decoder = BatchDecoder(tiny_model("paper"), voices=1, backend="jax")
    with pytest.raises(ValueError, match="embedding 1 has no frames"):
        decoder.all([np.zeros((frames, 16), np.float32) for frames in (6, 0)])


def test_the_short_ones_are_done_first(tiny_model: Callable[[str], WaveNet]) -> None:
    embeddings = [np.zeros((frames, 16), np.float32) for frames in (6, 2, 4)]
    decoder = BatchDecoder(tiny_model("paper"), voices=1, backend="jax")
    assert [place for place, _ in decoder.each(embeddings)] == [1, 2, 0]
