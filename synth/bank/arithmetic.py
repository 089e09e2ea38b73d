"""Arithmetic on embeddings: what NSynth's notebook did with them, and holding, splicing and steering them safely.

Pure functions of embeddings [F, C] (F frames of 512 samples, C channels), each of which gives new float32 ones. Where
two of different lengths meet, the shorter one stays at its last frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np

from synth.bank.bank import Bank
from synth.errors import UsageError

STRETCH = (0.25, 4.0)  # factors; beyond them attacks become steps, or last for seconds
SAFE_QUANTILES = (0.005, 0.995)  # of a channel over a bank: between them lies what the decoder has often seen


def mix(embeddings: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """The weighted mean of some [F, C]; the weights need not sum to 1."""
    if not len(embeddings):
        raise UsageError("nothing to mix: give one embedding or more")
    shares = np.ones(len(embeddings)) if weights is None else np.asarray(weights, np.float64)
    if shares.shape != (len(embeddings),) or not np.isfinite(shares).all() or shares.min() < 0 or not shares.any():
        raise UsageError(
            f"{len(embeddings)} embeddings need as many weights of at least 0, one of them more; got {weights}"
        )
    rows = np.stack(_same_length(embeddings))
    return np.tensordot(shares / shares.sum(), rows, axes=1).astype(np.float32)


def interpolate(first: np.ndarray, second: np.ndarray, steps: int) -> np.ndarray:
    """From one to the other in even steps, both included: [steps, F, C]."""
    if steps < 1:
        raise UsageError(f"an interpolation has one step or more, not {steps}")
    return np.stack([mix([first, second], [1.0 - t, t]) for t in np.linspace(0.0, 1.0, steps)])


def crossfade(first: np.ndarray, second: np.ndarray, *, start: int = 0, end: int | None = None) -> np.ndarray:
    """The first until frame `start`, the second from frame `end` (its own last) on, a raised cosine between them."""
    first, second = _same_length([first, second])
    share = _rise(len(first), start, len(first) - 1 if end is None else end)
    return (first + share * (second - first)).astype(np.float32)


def fade(
    z: np.ndarray,
    silence: np.ndarray,
    direction: Literal["in", "out"],
    *,
    start: int = 0,
    end: int | None = None,
    channels: Collection[int] | None = None,
) -> np.ndarray:
    """Along a raised cosine from frame `start` to `end` out of, or into, the embedding of silence [C].

    NSynth's notebook faded to zeros, which are the embedding of some sound or other. Where a channel of its own tells
    the level, only that one is to fade: `channels`.
    """
    still = np.broadcast_to(silence.astype(np.float32), z.shape)
    pair = (still, z) if direction == "in" else (z, still)
    faded = crossfade(*pair, start=start, end=end)
    if channels is not None:
        kept = [channel for channel in range(z.shape[1]) if channel not in channels]
        faded[:, kept] = z[:, kept]
    return faded


def stretch(z: np.ndarray, factor: float) -> np.ndarray:
    """The same course of timbre in `factor` times the time: [round(F * factor), C], linear between frames."""
    low, high = STRETCH
    if not low <= factor <= high:
        raise UsageError(f"embeddings are stretched {low} to {high} times, not {factor}")
    frames = max(1, round(len(z) * factor))
    # A frame stands for the time around its middle.
    places = (np.arange(frames) + 0.5) * len(z) / frames - 0.5
    return _between_frames(z, places).astype(np.float32)


def loop(z: np.ndarray, *, first: int, last: int, frames: int) -> np.ndarray:
    """A note made `frames` long: to and fro between frames `first` and `last` in its middle, its own end at the end.

    It goes a little slower or faster there than the note did, so that it comes to `last` when the end begins.
    """
    if not 0 <= first < last < len(z):
        raise UsageError(f"a loop is two different frames of 0 to {len(z) - 1} in their order, not {first} and {last}")
    if frames < len(z):
        raise UsageError(f"a loop makes a note longer: at least {len(z)} frames, not {frames}")
    span, tail = last - first, z[last + 1 :]
    steps = frames - len(tail) - first - 1
    ways = 2 * round((steps / span - 1) / 2) + 1  # there, and back and there again some times
    held = last - np.abs(span - np.linspace(0.0, ways * span, steps + 1) % (2 * span))
    return np.concatenate([z[:first], _between_frames(z, held), tail]).astype(np.float32)


def splice(parts: Sequence[np.ndarray], *, overlap: int = 2) -> np.ndarray:
    """One after the other, each crossfaded with the next over `overlap` frames, which they share."""
    if not parts:
        raise UsageError("nothing to splice: give one part or more")
    if not 0 <= overlap <= min(map(len, parts)):
        raise UsageError(f"{min(map(len, parts))} frames are the shortest part, {overlap} are to overlap")
    joined = np.asarray(parts[0], np.float32)
    for part in parts[1:]:
        keep = len(joined) - overlap
        share = ((np.arange(overlap) + 1.0) / (overlap + 1.0))[:, None]
        seam = joined[keep:] + share * (part[:overlap] - joined[keep:])
        joined = np.concatenate([joined[:keep], seam, part[overlap:]]).astype(np.float32)
    return joined


@dataclasses.dataclass(frozen=True, kw_only=True)
class SafeRange:
    """What each channel is like in a bank: where the decoder knows its way."""

    low: np.ndarray  # [C]
    middle: np.ndarray  # [C] the mean, from which a channel is scaled
    high: np.ndarray  # [C]

    @classmethod
    def of(cls, bank: Bank) -> SafeRange:
        frames = bank.embeddings.reshape(-1, bank.embeddings.shape[-1])
        low, high = np.quantile(frames, SAFE_QUANTILES, axis=0).astype(np.float32)
        return cls(low=low, middle=frames.mean(axis=0), high=high)

    def scale(self, z: np.ndarray, factors: Mapping[int, float]) -> np.ndarray:
        """Some channels' distances from their middle multiplied, by channel: 0 flattens one, -1 mirrors it.

        No channel leaves its range further than it did before.
        """
        wished = np.array(z, np.float32)
        for channel, factor in factors.items():
            if not (0 <= channel < z.shape[1] and np.isfinite(factor)):
                raise UsageError(f"channels are 0 to {z.shape[1] - 1} and factors finite, not {channel}={factor}")
            wished[:, channel] = self.middle[channel] + np.float32(factor) * (z[:, channel] - self.middle[channel])
        return np.clip(wished, np.minimum(self.low, z.min(axis=0)), np.maximum(self.high, z.max(axis=0)))

    def only(self, z: np.ndarray, channels: Collection[int]) -> np.ndarray:
        """These channels alone move; the others stand at their middle."""
        return self.scale(z, {channel: 0.0 for channel in range(z.shape[1]) if channel not in channels})


def _between_frames(z: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Linear between frames, at any places [N]: [N, C]."""
    return np.stack([np.interp(places, np.arange(len(z)), channel) for channel in z.T], axis=1)


def _same_length(embeddings: Sequence[np.ndarray]) -> list[np.ndarray]:
    channels = {z.shape[1] for z in embeddings}
    if len(channels) > 1:
        raise UsageError(f"embeddings of {' and '.join(map(str, sorted(channels)))} channels do not go together")
    longest = max(map(len, embeddings))
    return [np.pad(z, ((0, longest - len(z)), (0, 0)), mode="edge") for z in embeddings]


def _rise(frames: int, start: int, end: int) -> np.ndarray:
    """A raised cosine from 0 at frame `start` to 1 at frame `end`: [frames, 1]."""
    if not 0 <= start <= end < frames:
        raise UsageError(f"a fade goes up from frame 0 to at most {frames - 1}, not from {start} to {end}")
    turn = np.clip((np.arange(frames) - start) / max(end - start, 1), 0.0, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * turn))[:, None].astype(np.float32)
