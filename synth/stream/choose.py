"""Which backend `auto` takes where there is an accelerator: the fastest, as measured here and now."""

from __future__ import annotations

import time

import jax
import numpy as np
from flax import nnx

from synth import kernels
from synth.errors import first_line
from synth.stream.player import Player, PlayerBlock, Point, last_point
from synth.wavenet import WaveNet

BLOCK = 64  # samples a call, as in playing
BLOCKS = 16  # that are timed


def choose(model: WaveNet, *, voices: int, precision: str) -> tuple[str, str]:
    """The backend's name, and one line that says why.

    Without an accelerator nothing is measured. One that cannot run this model says so in the line, and the next best
    plays.
    """
    names = kernels.available()
    if not {"gpu", "tpu"} & set(names):
        return names[0], f"{names[0]}: there is no accelerator"
    budget_us = 1e6 / model.config.sample_rate_hz
    taken, said = {}, []
    for name in names[:-1] if len(names) > 1 else names:  # the last is pure JAX: many times slower
        try:
            taken[name] = step_us(Player(model, voices=voices, backend=name, precision=precision))
            said.append(f"{name} {taken[name]:.1f} µs a step")
        except Exception as error:  # of a compiler too, which has many of its own
            if isinstance(error, RuntimeError):
                # After some errors, such as a kernel that was ended, a GPU does nothing more for this process: what
                # plays now must not make its arrays there, in whatever thread.
                jax.config.update("jax_default_device", _processor())
            said.append(f"{name} cannot: {first_line(error)}")
    fastest = min(taken, key=taken.__getitem__, default=names[-1])
    return fastest, f"{fastest}: {', '.join(said)}; real time is {budget_us:.1f}"


def on_processor(model: WaveNet) -> WaveNet:
    """The model with its weights in the processor's memory: what lies in an accelerator's is lost when that fails."""
    graph, weights = nnx.split(model)
    return nnx.merge(graph, jax.device_put(weights, _processor()))


def _processor() -> jax.Device | None:
    try:
        return jax.devices("cpu")[0]
    except RuntimeError:  # JAX was told to leave it alone
        return None


def step_us(player: Player) -> float:
    """Microseconds for a sample of all voices, from their settings to audio on the host."""
    start, known = 0.0, 0
    for index in range(BLOCKS + 1):  # the first of which is compiled
        block = player.new_block(BLOCK)
        until = last_point(index * BLOCK, BLOCK, player.period) + 1
        due = [_still(block)] * (until - known)
        for voice in range(len(block.seed)):
            block.set(voice, due, age=index * BLOCK, seed=voice, temperature=1.0)
        player.advance(block)
        known = until
        if index == 0:
            start = time.perf_counter()
    return (time.perf_counter() - start) / (BLOCKS * BLOCK) * 1e6


def _still(block: PlayerBlock) -> Point:
    points = block.points
    none = np.zeros(points.stretch.shape[1:], np.float32)
    return Point(
        frames=np.zeros(points.frames.shape[1:], np.float32),
        fraction=0.0,
        pitch_hz=220.0,
        clock_hz=220.0,
        learnt_hz=220.0,
        brightness=0.0,
        stretch=none,
        tones=none,
    )
