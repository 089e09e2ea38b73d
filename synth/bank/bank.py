"""A bank: precomputed embeddings of every instrument, pitch and velocity, and how to hold and blend them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from synth.errors import UsageError, WavekeysError
from synth.wavenet.encoder import LEVEL_DB_PER_UNIT

STEADY_DB_PER_SECOND = 1.5  # a sustain that falls more slowly than this is held level
FRAMES_PER_SECOND = 31.25


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bank:
    """Embeddings [I instruments, P pitches, V velocities, F frames, 16], and the frames that a held note loops in."""

    instruments: tuple[str, ...]
    pitches: np.ndarray  # [P] MIDI numbers, rising
    velocities: np.ndarray  # [V], rising
    embeddings: np.ndarray  # [I, P, V, F, 16] float32
    loop: tuple[int, int]  # first and last frame of the sustain

    def __post_init__(self) -> None:
        shape = (len(self.instruments), len(self.pitches), len(self.velocities))
        if self.embeddings.ndim != 5 or self.embeddings.shape[:3] != shape or 0 in self.embeddings.shape:
            raise WavekeysError(
                f"bank: embeddings {list(self.embeddings.shape)} do not fit {shape[0]} instruments, {shape[1]} pitches "
                f"and {shape[2]} velocities"
            )
        if self.embeddings.dtype != np.float32 or not np.isfinite(self.embeddings).all():
            raise WavekeysError("bank: embeddings must be finite float32 numbers")
        if not 0 <= self.loop[0] < self.loop[1] < self.embeddings.shape[3]:
            raise WavekeysError(f"bank: loop {self.loop} is not within {self.embeddings.shape[3]} frames")

    def weights(self, blend: Mapping[str, float]) -> np.ndarray:
        """A blend as weights [I] that sum to 1."""
        weights = np.zeros(len(self.instruments), np.float32)
        for name, weight in blend.items():
            if name not in self.instruments:
                raise UsageError(f"unknown instrument {name!r}; this preset has {', '.join(self.instruments)}")
            weights[self.instruments.index(name)] = weight
        if not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() <= 0:
            raise UsageError(f"blend weights must be at least 0, and one more than 0; got {dict(blend)}")
        return weights / weights.sum()

    def note(self, weights: np.ndarray, pitch: int, velocity: int) -> np.ndarray:
        """The blended embedding of the nearest pitch there is, its velocity interpolated: [F, 16]."""
        nearest = int(np.abs(self.pitches - pitch).argmin())
        position = np.interp(velocity, self.velocities, np.arange(len(self.velocities)))
        low = int(position)
        high = min(low + 1, len(self.velocities) - 1)
        layers = self.embeddings[:, nearest, low] + (position - low) * (
            self.embeddings[:, nearest, high] - self.embeddings[:, nearest, low]
        )
        return np.einsum("i,ifc->fc", weights, layers).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write one safetensors file; the names travel in its metadata."""
        tensors = {
            "embeddings": self.embeddings,
            "pitches": self.pitches.astype(np.int32),
            "velocities": self.velocities.astype(np.int32),
            "loop": np.array(self.loop, np.int32),
        }
        try:
            path.write_bytes(safetensors.numpy.save(tensors, {"instruments": "\n".join(self.instruments)}))
        except OSError as error:
            raise WavekeysError(f"cannot write the bank to {path}: {error.strerror}") from None


def load_bank(path: Path) -> Bank:
    """Read a bank; whatever is wrong with it is one line that names the file."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names = (file.metadata() or {}).get("instruments")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise WavekeysError(f"no bank at {path}") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise WavekeysError(f"{path}: not a readable safetensors file ({error})") from None
    expected = {"embeddings", "pitches", "velocities", "loop"}
    if not names or tensors.keys() != expected or tensors["loop"].shape != (2,):
        raise WavekeysError(f"{path}: not a bank (it needs instruments, {', '.join(sorted(expected))})")
    try:
        return Bank(
            instruments=tuple(names.split("\n")),
            pitches=tensors["pitches"],
            velocities=tensors["velocities"],
            embeddings=tensors["embeddings"],
            loop=(int(tensors["loop"][0]), int(tensors["loop"][1])),
        )
    except WavekeysError as error:
        raise WavekeysError(f"{path}: {error}") from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeldNote:
    """An embedding that can be held for as long as a key is: the attack as embedded, then the sustain to and fro.

    Timbre runs to and fro between the loop's ends. The level follows too, but around the straight line that it falls
    along, which goes on falling: a held piano note decays and a held organ note does not.
    """

    frames: np.ndarray  # [F, 16]
    loop: tuple[int, int]
    slope: float  # units of channel 0 a frame, at most 0

    @classmethod
    def of(cls, frames: np.ndarray, loop: tuple[int, int], *, has_level: bool) -> HeldNote:
        slope = 0.0
        if has_level:
            first, last = loop
            slope = float(np.polyfit(np.arange(first, last + 1), frames[first : last + 1, 0], 1)[0])
            if slope * LEVEL_DB_PER_UNIT * FRAMES_PER_SECOND > -STEADY_DB_PER_SECOND:
                slope = 0.0
        return cls(frames=frames, loop=loop, slope=slope)

    def window(self, first: int, count: int) -> np.ndarray:
        """Frames `first` to `first + count` of the endless note: [count, 16]."""
        index = np.arange(first, first + count)
        start, end = self.loop
        length = end - start
        phase = np.maximum(index - start, 0) % (2 * length)
        source = np.where(index <= end, index, start + np.where(phase <= length, phase, 2 * length - phase))
        source = np.clip(source, 0, len(self.frames) - 1)
        frames = self.frames[source].copy()
        frames[:, 0] += self.slope * (index - source)
        return frames
