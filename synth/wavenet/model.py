"""The WaveNet autoencoder as a whole: encode, teacher-force, stream, save, load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from synth.atomic import replacing
from synth.errors import WavekeysError
from synth.wavenet.config import WaveNetConfig
from synth.wavenet.decoder import Decoder, steady_clock
from synth.wavenet.encoder import SpectralEncoder, TemporalEncoder

if TYPE_CHECKING:
    from synth.stream import Stream


PART_FRAMES = 480  # of a long sound, encoded at once: 15 s


class WaveNet(nnx.Module):
    """NSynth's autoencoder, at any size. Arrays: B notes, T samples, F frames of `config.hop` samples, V voices."""

    def __init__(self, config: WaveNetConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        encoder = SpectralEncoder if config.encoder == "spectral" else TemporalEncoder
        self.encoder: TemporalEncoder | SpectralEncoder = encoder(config, rngs=rngs)
        self.decoder = Decoder(config, rngs=rngs)

    @property
    def spectral(self) -> SpectralEncoder:
        """The encoder, of a size whose encoder is spectral."""
        assert isinstance(self.encoder, SpectralEncoder)
        return self.encoder

    def encode(self, audio: ArrayLike) -> Array:
        """Embeddings [B, F, 16] of notes [B, T]; the last frame is padded with silence.

        Long sounds are encoded part by part, each with as much around it as the encoder hears, so that memory is
        bounded (the paper's encoder needs 65 MB for a second).
        """
        audio = jnp.asarray(audio)
        if audio.ndim != 2 or not audio.size or not jnp.issubdtype(audio.dtype, jnp.floating):
            raise ValueError(f"audio must be [B, samples] of floating point, not {audio.dtype} {list(audio.shape)}")
        audio = audio.astype(jnp.float32)
        if not isinstance(audio, jax.core.Tracer) and not jnp.isfinite(audio).all():
            raise ValueError("audio must be finite")
        hop, reach = self.config.hop, self.encoder.reach
        audio = jnp.pad(audio, ((0, 0), (0, -audio.shape[1] % hop)))
        frames, part = audio.shape[1] // hop, PART_FRAMES + 2 * reach
        if frames <= part:
            return _encode(self, audio)
        pieces, done = [], 0
        while done < frames:
            begin = min(max(done - reach, 0), frames - part)  # all parts are of one length, hence compiled once
            end = frames if begin + part == frames else begin + part - reach
            z = _encode(self, audio[:, begin * hop : (begin + part) * hop])
            pieces.append(z[:, done - begin : end - begin])
            done = end
        return jnp.concatenate(pieces, axis=1)

    def logits(self, audio: ArrayLike, z: ArrayLike, pitch_hz: ArrayLike | None = None) -> Array:
        """Teacher-forced log probabilities, up to a constant, of each sample's mu-law bin: [B, T, 256].

        Args:
          audio: [B, T] samples in [-1, 1]; T at most F * hop.
          z: [B, F, 16] embeddings.
          pitch_hz: [B] hertz; needed where the size has a pitch clock, which then starts at phase 0.
        """
        audio, z = jnp.asarray(audio, jnp.float32), jnp.asarray(z, jnp.float32)
        channels = self.config.embedding_channels
        if audio.ndim != 2 or z.ndim != 3 or z.shape[::2] != (len(audio), channels):
            shapes = f"{list(audio.shape)} and {list(z.shape)}"
            raise ValueError(f"audio must be [B, samples] and z [B, frames, {channels}], not {shapes}")
        samples, total = audio.shape[1], z.shape[1] * self.config.hop
        if samples > total:
            raise ValueError(
                f"{samples} samples need at least {-(-samples // self.config.hop)} frames, got {z.shape[1]}"
            )
        pitch = require_pitch(self.config, pitch_hz, z.shape[0])
        return _logits(self, jnp.pad(audio, ((0, 0), (0, total - samples))), z, pitch)[:, :samples]

    def stream(self, voices: int = 1, backend: str = "auto") -> Stream:
        """An incremental decoder for `voices` notes at once; backends: "auto", "cpu", "gpu", "tpu", "jax"."""
        from synth.stream import Stream

        return Stream(self, voices=voices, backend=backend)

    def tensors(self) -> dict[str, np.ndarray]:
        """The weights by NSynth's names, such as `dilatedconv_7/W`, in its shapes."""
        return {tensor_name(path): np.asarray(value) for path, value in _flat_params(self)}

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; the config travels in its metadata."""
        with replacing(Path(path)) as partial:
            partial.write_bytes(safetensors.numpy.save(self.tensors(), {"wavekeys": self.config.to_json()}))


def load_model(path: str | Path) -> WaveNet:
    """Read a model that `WaveNet.save` wrote. Raises WavekeysError, naming the file and what is wrong with it."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = (file.metadata() or {}).get("wavekeys")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise WavekeysError(f"no model at {path}") from None
    except (OSError, safetensors.SafetensorError, TypeError, AttributeError) as error:
        # The latter two for types of numbers that NumPy does not have.
        raise WavekeysError(f"{path}: not a readable safetensors file ({error})") from None
    if metadata is None:
        raise WavekeysError(f"{path}: not a wavekeys model (no config in its metadata)")
    return from_tensors(WaveNetConfig.from_json(metadata, where=str(path)), tensors, where=str(path))


def from_tensors(config: WaveNetConfig, tensors: dict[str, np.ndarray], *, where: str) -> WaveNet:
    """A model of these weights, by NSynth's names. Missing, unknown, misshapen or non-finite tensors are refused."""
    model = nnx.eval_shape(lambda: WaveNet(config, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(model)
    flat = nnx.to_flat_state(state)
    expected = {tensor_name(path): variable.shape for path, variable in flat}
    unknown = sorted(tensors.keys() - expected.keys())
    missing = sorted(expected.keys() - tensors.keys())
    if unknown or missing:
        what, name = ("unknown", unknown[0]) if unknown else ("missing", missing[0])
        raise WavekeysError(
            f"{where}: not a {config.name!r} model: {what} tensor {name!r} ({len(unknown) + len(missing)} differ)"
        )
    for name, shape in expected.items():
        tensor = tensors[name]
        if tensor.shape != shape or tensor.dtype != np.float32:
            raise WavekeysError(
                f"{where}: tensor {name!r} is {tensor.dtype}{list(tensor.shape)}, not float32{list(shape)}"
            )
        if not np.isfinite(tensor).all():
            raise WavekeysError(f"{where}: tensor {name!r} holds numbers that are not finite")
    leaves = [(path, variable.replace(jnp.asarray(tensors[tensor_name(path)]))) for path, variable in flat]
    return nnx.merge(graph, nnx.from_flat_state(leaves))


def tensor_name(path: tuple[Any, ...]) -> str:
    """NSynth's name for a weight: ("decoder", "dilatedconv", 0, "W") -> "dilatedconv_1/W"."""
    _, layer, *rest = path
    return f"{layer}_{int(rest[0]) + 1}/{rest[1]}" if len(rest) == 2 else f"{layer}/{rest[0]}"


def require_pitch(config: WaveNetConfig, pitch_hz: ArrayLike | None, count: int) -> Array | None:
    """Pitches as [count] float32 where the size has a clock, else None; complains if they are missing."""
    if not config.clock_harmonics:
        return None
    if pitch_hz is None:
        raise ValueError(f"model size {config.name!r} has a pitch clock: pass pitch_hz of shape [{count}]")
    if np.shape(pitch_hz) not in ((), (1,), (count,)):
        raise ValueError(f"pitch_hz must be [{count}], not {list(np.shape(pitch_hz))}")
    return jnp.broadcast_to(jnp.asarray(pitch_hz, jnp.float32), (count,))


def _flat_params(model: WaveNet) -> list[tuple[tuple[Any, ...], Array]]:
    return [(path, variable[...]) for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param))]


@nnx.jit
def _encode(model: WaveNet, audio: Array) -> Array:
    return model.encoder(audio)


@nnx.jit
def _logits(model: WaveNet, audio: Array, z: Array, pitch_hz: Array | None) -> Array:
    clock = None
    if pitch_hz is not None:
        clock = steady_clock(pitch_hz, audio.shape[1], model.config.sample_rate_hz)
    return model.decoder.logits_of_audio(audio, z, clock, pitch_hz)


def parameter_count(config: WaveNetConfig) -> int:
    """Weights in a model of this size."""
    state = nnx.state(nnx.eval_shape(lambda: WaveNet(config, rngs=nnx.Rngs(0))), nnx.Param)
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state))
