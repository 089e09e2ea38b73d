"""The baseline as a whole: encode, decode, reconstruct, save, load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from synth.atomic import replacing
from synth.errors import WavekeysError
from synth.spectral.comb import COMB_CHANNELS, comb
from synth.spectral.config import BaselineConfig, Layer
from synth.spectral.spectrum import ITERATIONS, analyse, synthesise
from synth.spectral.upwards import Upwards

PITCHES = 128  # MIDI numbers
NORM_EPSILON, LEAK = 1e-3, 0.1


class _Block(nnx.Module):
    """A convolution, batch normalisation, and a leaky rectifier where `bends`: [B, bins, frames, C] to another such."""

    def __init__(
        self, layer: Layer, channels: int, *, norm_decay: float, transposed: bool, bends: bool, rngs: nnx.Rngs
    ) -> None:
        strides = (layer.bins, layer.frames)
        # Without biases: the normalisation has one of its own.
        self.conv = (
            Upwards(channels, layer.width, layer.taps, strides, rngs=rngs)
            if transposed
            else nnx.Conv(channels, layer.width, (layer.taps, layer.taps), strides, use_bias=False, rngs=rngs)
        )
        self.norm = nnx.BatchNorm(layer.width, momentum=norm_decay, epsilon=NORM_EPSILON, rngs=rngs)
        self.bends = bends

    def __call__(self, x: Array, *, training: bool) -> Array:
        y = self.norm(self.conv(x), use_running_average=not training)
        return nnx.leaky_relu(y, LEAK) if self.bends else y


class Baseline(nnx.Module):
    """The NSynth paper's spectral autoencoder, at any size. Arrays: B notes, T samples, E numbers a note."""

    def __init__(self, config: BaselineConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config

        def chain(layers: tuple[Layer, ...], channels: int, *, transposed: bool, last_bends: bool) -> nnx.List:
            widths = [channels, *(layer.width for layer in layers)]
            return nnx.List(
                _Block(
                    layer,
                    width,
                    norm_decay=config.norm_decay,
                    transposed=transposed,
                    bends=last_bends or index + 1 < len(layers),
                    rngs=rngs,
                )
                for index, (layer, width) in enumerate(zip(layers, widths, strict=False))
            )

        bottleneck = (*config.encoder, Layer(config.embedding, 1, 1, 1))
        self.encoder = chain(bottleneck, 1, transposed=False, last_bends=False)
        self.pitch = nnx.Embed(PITCHES, config.pitch_embedding, rngs=rngs)
        told = config.embedding + config.pitch_embedding
        self.decoder = chain(config.decoder, told, transposed=True, last_bends=True)
        width = config.decoder[-1].width
        self.combed = nnx.Conv(width + COMB_CHANNELS, config.comb_head, (1, 1), rngs=rngs) if config.comb_head else None
        self.magnitude = nnx.Conv(config.comb_head or width, 1, (1, 1), rngs=rngs)

    def embed(self, spectra: Array, *, training: bool = False) -> Array:
        """[B, bins, frames] -> [B, E]."""
        x = spectra[..., None]
        for block in self.encoder:
            x = block(x, training=training)
        return x[:, 0, 0]

    def spectra(self, z: Array, pitch: Array, *, training: bool = False) -> Array:
        """[B, E] and MIDI numbers [B] int32 -> [B, bins, frames] in [0, 1]."""
        x = jnp.concatenate([z, self.pitch(pitch)], axis=-1)[:, None, None]
        for block in self.decoder:
            x = block(x, training=training)
        if self.combed is not None:
            told = comb(self.config, pitch)[:, :, None]
            x = jnp.concatenate([x, jnp.broadcast_to(told, (*x.shape[:3], COMB_CHANNELS))], axis=-1)
            x = nnx.leaky_relu(self.combed(x), LEAK)
        return nnx.sigmoid(self.magnitude(x))[..., 0]

    def encode(self, audio: ArrayLike) -> tuple[Array, Array]:
        """Embeddings [B, E] of notes [B, T], and each one's loudest power [B], which the embedding does not tell."""
        audio = jnp.asarray(audio, jnp.float32)
        if audio.ndim != 2 or audio.shape[1] > self.config.samples:
            raise ValueError(f"audio must be [B, at most {self.config.samples}], not {list(audio.shape)}")
        spectra, loudest = analyse(self.config, audio)
        return _embed(self, spectra), loudest

    def decode(
        self, z: ArrayLike, pitch: ArrayLike, loudest: ArrayLike | None = None, *, iterations: int = ITERATIONS
    ) -> Array:
        """Notes [B, config.samples] of embeddings [B, E] and MIDI numbers [B].

        Without their loudest powers [B] they peak at full scale, as NSynth's did. Raises ValueError for a number that
        is none of MIDI's.
        """
        if not np.all((np.asarray(pitch) >= 0) & (np.asarray(pitch) < PITCHES)):
            raise ValueError(f"pitches are from 0 to {PITCHES - 1}, not {pitch}")
        spectra = _spectra(self, jnp.asarray(z, jnp.float32), jnp.asarray(pitch, jnp.int32))
        powers = jnp.ones(len(spectra)) if loudest is None else loudest
        audio = synthesise(self.config, spectra, powers, iterations)
        if loudest is None:
            audio = audio / jnp.maximum(jnp.abs(audio).max(axis=1, keepdims=True), 1e-9)
        return audio

    def reconstruct(self, audio: ArrayLike, pitch: ArrayLike, *, iterations: int = ITERATIONS) -> Array:
        """Notes [B, T] through the embedding and back, as loud as before: [B, T]."""
        z, loudest = self.encode(audio)
        return self.decode(z, pitch, loudest, iterations=iterations)[:, : np.shape(audio)[1]]

    def tensors(self) -> dict[str, np.ndarray]:
        """Weights and batch statistics by name, such as `encoder/0/conv/kernel`."""
        return {_name(path): np.asarray(variable[...]) for path, variable in _variables(self)}

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; the config travels in its metadata."""
        with replacing(Path(path)) as partial:
            content = safetensors.numpy.save(self.tensors(), {"wavekeys-baseline": self.config.to_json()})
            partial.write_bytes(content)


def load_baseline(path: str | Path) -> Baseline:
    """Read a baseline that `Baseline.save` wrote. Raises WavekeysError, naming the file and what is wrong with it."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = (file.metadata() or {}).get("wavekeys-baseline")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise WavekeysError(f"no baseline at {path}") from None
    except (OSError, safetensors.SafetensorError, TypeError, AttributeError) as error:
        # The latter two for types of numbers that NumPy does not have.
        raise WavekeysError(f"{path}: not a readable safetensors file ({error})") from None
    if metadata is None:
        raise WavekeysError(f"{path}: not a baseline (no config of one in its metadata)")
    config = BaselineConfig.from_json(metadata, where=str(path))
    graph, state = nnx.split(nnx.eval_shape(lambda: Baseline(config, rngs=nnx.Rngs(0))))
    leaves = []
    for place, variable in nnx.to_flat_state(state):
        if not isinstance(variable, nnx.Param | nnx.BatchStat):
            leaves.append((place, variable))
            continue
        tensor = tensors.pop(_name(place), None)
        if tensor is None or tensor.shape != variable.shape or tensor.dtype != np.float32:
            found = "missing" if tensor is None else f"{tensor.dtype}{list(tensor.shape)}"
            raise WavekeysError(f"{path}: tensor {_name(place)!r} is {found}, not float32{list(variable.shape)}")
        if not np.isfinite(tensor).all():
            raise WavekeysError(f"{path}: tensor {_name(place)!r} holds numbers that are not finite")
        leaves.append((place, variable.replace(jnp.asarray(tensor))))
    if tensors:
        raise WavekeysError(f"{path}: unknown tensor {min(tensors)!r}")
    return nnx.merge(graph, nnx.from_flat_state(leaves))


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(map(str, path))


def _variables(model: Baseline) -> list[tuple[tuple[Any, ...], nnx.Variable]]:
    return list(nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat))))


@nnx.jit
def _embed(model: Baseline, spectra: Array) -> Array:
    return model.embed(spectra)


@nnx.jit
def _spectra(model: Baseline, z: Array, pitch: Array) -> Array:
    return model.spectra(z, pitch)
