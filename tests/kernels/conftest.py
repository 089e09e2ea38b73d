"""A tiny problem of each kind for the accelerators' kernels, with what the reference makes of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synth.kernels import Block, Sizes, State, Weights, initial_state, reference
from synth.stream import conditioning, conditioning_weights_of, sizes_of, weights_of

INSTRUCTION_SETS = {"amx": "amx_tile", "avx512bf16": "avx512_bf16", "avx512": "avx512f", "avx2": "avx2", "portable": ""}
VOICES, SAMPLES, GIVEN = 5, 24, 16  # voices; samples a block; the granule of the widths


def instruction_sets_here() -> list[str]:
    """What this processor has, the best first; asked for others, the kernel takes some of these."""
    listed = Path("/proc/cpuinfo")
    known = {"", *listed.read_text().split()} if listed.is_file() else set(INSTRUCTION_SETS.values())
    return [name for name, flag in INSTRUCTION_SETS.items() if flag in known]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """Two blocks in a row: voices begin at the first sample, at the second, and in the second block."""

    sizes: Sizes
    weights: Weights
    blocks: tuple[Block, Block]
    forced: np.ndarray  # [V, 2T]
    heard: np.ndarray  # [V, 2T] bool
    audio: np.ndarray  # [V, 2T], the reference's
    outputs: np.ndarray  # [V, 2T, O], the reference's for `forced`
    prediction: np.ndarray  # [V, 2T]
    state: State  # after generating

    def generate(self, generate: Callable[..., Any], weights: Any) -> tuple[np.ndarray, State]:
        """Audio [V, 2T] and the last state of another backend."""
        return _generate(self.sizes, weights, self.blocks, generate)

    def broken(self) -> Problem:
        """With a gate that is not a number."""
        first, second = (
            block._replace(conditioning=block.conditioning.at[..., 0].set(np.nan)) for block in self.blocks
        )
        return dataclasses.replace(self, blocks=(first, second))

    def alone(self) -> Problem:
        """The second voice's part, for what is special about one."""

        def only(array: Any) -> Any:
            return array[1:2] if array.ndim else array

        state, first, second = jax.tree.map(only, (self.state, *self.blocks))
        arrays = {name: only(getattr(self, name)) for name in ("forced", "heard", "audio", "outputs", "prediction")}
        return dataclasses.replace(self, blocks=(first, second), state=state, **arrays)

    def score(self, score: Callable[..., Any], weights: Any) -> tuple[np.ndarray, np.ndarray]:
        """Outputs [V, 2T, O] and predictions [V, 2T] of another backend, where voices are heard."""
        outputs, prediction = _score(self.sizes, weights, self.blocks, self.forced, score)
        return np.where(self.heard[..., None], outputs, 0.0), np.where(self.heard, prediction, 0.0)


def _generate(sizes: Sizes, weights: Any, blocks: tuple[Block, ...], generate: Any) -> tuple[np.ndarray, State]:
    state, pieces = initial_state(sizes, len(blocks[0].seed)), []
    for block in blocks:
        audio, state = generate(sizes, weights, state, block)
        pieces.append(np.asarray(audio))
    return np.concatenate(pieces, axis=1), state


def _score(
    sizes: Sizes, weights: Any, blocks: tuple[Block, ...], forced: np.ndarray, score: Any
) -> tuple[np.ndarray, np.ndarray]:
    state, pieces = initial_state(sizes, len(forced)), []
    for number, block in enumerate(blocks):
        given = jnp.asarray(forced[:, number * SAMPLES : (number + 1) * SAMPLES])
        outputs, prediction, state = score(sizes, weights, state, block, given)
        pieces.append((np.asarray(outputs), np.asarray(prediction)))
    return tuple(np.concatenate(part, axis=1) for part in zip(*pieces, strict=True))


@pytest.fixture(scope="session")
def tiny_problem(tiny_model) -> Callable[[str], Problem]:
    """The problem of a tiny model of kind "paper" or "live"; widths are multiples of 16."""

    @functools.cache
    def make(kind: str) -> Problem:
        model = tiny_model(kind)
        sizes = sizes_of(model.config, GIVEN)
        weights = weights_of(model, sizes)
        rng = np.random.default_rng(0)
        z = rng.normal(scale=0.5, size=(VOICES, 5, 16)).astype(np.float32)
        z[..., 0] = 0.5  # the level: -20 dBFS
        pitch = jnp.linspace(100.0, 300.0, VOICES) if kind == "live" else None
        frames = conditioning(model.config, sizes, conditioning_weights_of(model, sizes), jnp.asarray(z), pitch)
        if sizes.mixtures:  # no model says it: partials off the clock's multiples
            detuning = rng.uniform(-0.4, 0.4, size=(*frames.shape[:2], sizes.harmonics))
            frames = frames.at[..., -3 - sizes.harmonics : -3].set(detuning)
        begins = np.array([0, 1, SAMPLES + 5, 0, SAMPLES])
        blocks = []
        for start in (0, SAMPLES):
            begin = np.clip(begins - start, 0, SAMPLES).astype(np.int32)
            blocks.append(
                Block(
                    conditioning=frames,
                    position=jnp.asarray(start - begins, jnp.int32),
                    clock=jnp.asarray(rng.integers(2**32, size=(VOICES, SAMPLES), dtype=np.uint32)),
                    begin=jnp.asarray(begin),
                    fresh=jnp.asarray((begins >= start) & (begins < start + SAMPLES), jnp.int32),
                    seed=jnp.arange(VOICES, dtype=jnp.uint32),
                    temperature=jnp.asarray(rng.uniform(0.3, 1.2, size=(VOICES, SAMPLES)), jnp.float32),
                )
            )
        forced = rng.normal(scale=0.3, size=(VOICES, 2 * SAMPLES)).astype(np.float32)
        heard = np.arange(2 * SAMPLES)[None] >= begins[:, None]
        audio, state = _generate(sizes, weights, (blocks[0], blocks[1]), reference.generate)
        outputs, prediction = _score(sizes, weights, (blocks[0], blocks[1]), forced, reference.score)
        return Problem(
            sizes=sizes,
            weights=weights,
            blocks=(blocks[0], blocks[1]),
            forced=forced,
            heard=heard,
            audio=audio,
            outputs=outputs * heard[..., None],
            prediction=prediction * heard,
            state=state,
        )

    return make
