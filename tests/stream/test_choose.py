"""`auto` takes the fastest backend that can play the model, and says why."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from synth import WavekeysError, kernels
from synth.kernels import backends
from synth.stream import choose as choosing
from synth.stream.stream import Stream


def test_without_an_accelerator_nothing_is_measured(tiny_model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "available", lambda: ("cpu", "jax"))
    monkeypatch.setattr(choosing, "step_us", lambda _: pytest.fail("measured"))
    stream = Stream(tiny_model("live"), voices=1, backend="auto")
    assert (stream.backend, stream.why) == ("cpu", "cpu: there is no accelerator")


@pytest.mark.parametrize(("gpu_us", "chosen"), [(5.0, "gpu"), (90.0, "cpu")])
def test_the_faster_one_plays(gpu_us: float, chosen: str, tiny_model, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = backends.backend("cpu")
    monkeypatch.setitem(backends._MAKERS, "gpu", lambda: cpu._replace(name="gpu"))
    monkeypatch.setattr(choosing, "step_us", lambda player: {"gpu": gpu_us, "cpu": 20.0}[player.backend])
    stream = Stream(tiny_model("live"), voices=1, backend="auto")
    assert stream.backend == chosen
    assert stream.why == f"{chosen}: gpu {gpu_us} µs a step, cpu 20.0 µs a step; real time is 62.5"


@pytest.mark.parametrize("kind", [WavekeysError, ValueError])  # ours, and one of those that Mosaic raises
def test_an_accelerator_that_cannot_is_named_and_the_next_best_plays(kind, tiny_model, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise kind("too little memory")

    cpu = backends.backend("cpu")
    monkeypatch.setitem(backends._MAKERS, "gpu", lambda: cpu._replace(name="gpu", prepare=refuse))
    stream = Stream(tiny_model("live"), voices=1, backend="auto")
    assert stream.backend == "cpu"
    assert stream.why.startswith("cpu: gpu cannot: too little memory, cpu ")


def test_after_an_accelerator_has_failed_nothing_is_made_on_it(tiny_model, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA_ERROR_LAUNCH_FAILED\nunspecified launch failure")

    cpu = backends.backend("cpu")
    monkeypatch.setitem(backends._MAKERS, "gpu", lambda: cpu._replace(name="gpu", generate=fail))
    try:
        stream = Stream(tiny_model("live"), voices=1, backend="auto")
        assert stream.why.startswith("cpu: gpu cannot: CUDA_ERROR_LAUNCH_FAILED, cpu ")
        assert jax.config.jax_default_device == jax.devices("cpu")[0]
        audio = stream.generate(np.zeros((1, 1, 16)), pitch_hz=[220.0])
        assert audio.devices() == {jax.devices("cpu")[0]}
    finally:
        jax.config.update("jax_default_device", None)


def test_a_backend_that_was_asked_for_is_taken(tiny_model) -> None:
    stream = Stream(tiny_model("paper"), voices=1, backend="jax")
    assert (stream.backend, stream.why) == ("jax", "jax: as asked for")
