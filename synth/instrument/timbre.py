"""An embedded note and the blend of its instruments: what of it the decoder is told, frame by frame.

Everything that is blended lies side by side in *layers*, [C + 2 + 2H] a frame: the embedding [C], cents of vibrato and
of tuning, then of each of the model's H partials how far it is off its multiple, and the amplitude of a tone in its
place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from synth.bank import HeldNote
from synth.instrument.blend import Blend
from synth.instrument.ramp import mixture
from synth.tones import SEATED, Seats

KNOWN_FRAMES = 32  # of a note, blended at once; a second


@dataclasses.dataclass(frozen=True, kw_only=True)
class Let:
    """A key that was let go, while its source's own release goes on."""

    number: int  # of the embedding's frame then
    level: np.ndarray  # channel 0 then, of every instrument


@dataclasses.dataclass(kw_only=True, eq=False)
class Timbre:
    """What a note is made of. Frames are numbered from its beginning, 512 samples each."""

    held: HeldNote  # of the blend's I instruments alone
    blend: Blend
    pitches: tuple[float, float]  # lowest and highest of the bank
    sources: dict[str, float]  # those of its modulations that do not move, 0 to 1
    stretch: np.ndarray  # [I, H] as `Bank.stretch`, of all partials that the model has, and of tones in their places
    seats: Seats  # of the tones
    backward: bool = False
    freeze: bool = False  # in the sustain, instead of going to and fro
    let: Let | None = None  # once its key was let go, if its source's release is to be heard
    # Layers that were blended ahead, the number of the first, and for what they hold.
    _known: np.ndarray = dataclasses.field(init=False, default_factory=lambda: np.zeros((0, 0)))
    _first: int = dataclasses.field(init=False, default=0)
    _key: tuple[float, ...] = dataclasses.field(init=False, default=())

    @property
    def channels(self) -> int:
        """C, of the embedding."""
        return self.held.frames.shape[-1]

    def frames(self, number: int, x: float, y: float, sources: Mapping[str, float]) -> np.ndarray:
        """The layers of frame `number` and the next, blended as the pad's x, y and the sources (0 to 1) say.

        [2, C + 2 + 2H]
        """
        key = (x, y, *sources.values())
        if self._key != key or not self._first <= number <= self._first + len(self._known) - 2:
            # Where nothing but time moves, frames for a while are blended at once.
            ahead = KNOWN_FRAMES if self._key == key else 2
            self._key, self._first = key, number
            self._known = self._blended(self._layers(number, ahead), x, y, sources)
        return self._known[number - self._first :][:2]

    def frames_let_go(self, number: int, x: float, y: float, sources: Mapping[str, float]) -> np.ndarray:
        """The same once the key is up: the sources' own release goes on from the frame at which this is first asked."""
        layers = self._layers(number, 2)
        if self.let is None:
            self.let = Let(number=number, level=layers[:, 0, 0].copy())
        since = np.maximum(np.arange(number, number + 2) - self.let.number, 0)
        after = self.held.after_release(since, self.let.level)
        tones = self.seats.amplitudes(self.held.tones_after_release(since))
        layers[..., : after.shape[-1]] = after
        layers[..., layers.shape[-1] - tones.shape[-1] :] = tones
        return self._blended(layers, x, y, sources)

    def _layers(self, first: int, count: int) -> np.ndarray:
        """Of each instrument, from frame `first` on: [I, count, C + 2 + 2H]."""
        numbers = np.arange(first, first + count)
        frames = self.held.at(numbers, backward=self.backward, freeze=self.freeze)
        cents = self.held.cents_at(numbers)
        steady = np.concatenate([self.held.tuning[:, None], self.stretch], axis=1)[:, None].repeat(count, axis=1)
        tones = self.seats.amplitudes(self.held.tones_at(numbers, backward=self.backward, freeze=self.freeze))
        return np.concatenate([frames, cents[..., None].astype(np.float32), steady, tones], axis=-1)

    def _blended(self, layers: np.ndarray, x: float, y: float, sources: Mapping[str, float]) -> np.ndarray:
        """Layers [I, N, C + 2 + 2H] by the blend's weights: [N, C + 2 + 2H]."""
        weights = self.blend.weights(x, y, sources)
        # Term by term: `einsum` rounds as its shapes suggest.
        return sum(weight * layer for weight, layer in zip(weights, layers, strict=True))


def partials(layers: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """The stretch and the tones in blended layers [2, C + 2 + 2H], C of them `channels`: views, [2, H] each."""
    first = channels + 2
    last = (first + layers.shape[-1]) // 2
    return layers[:, first:last], layers[:, last:]


def crossfaded(before: np.ndarray, after: np.ndarray, share: float, *, channels: int) -> np.ndarray:
    """Blended layers [2, C + 2 + 2H], one in the place of such a share of another.

    Partials move from one's places to the other's, but a tone stays where it is while it fades. Where each has a tone
    in the same partial's place, at another pitch, the louder one is heard, by as much as it is louder.
    """
    mixed = mixture(before, after, share)
    (stretch, tones), (places, leaving), (others, coming) = (
        partials(layers, channels) for layers in (mixed, before, after)
    )
    leaving, coming, seated = (1.0 - share) * leaving, share * coming, tones > 0.0
    stretch[seated] = np.where(coming > leaving, others, places)[seated]
    apart = (leaving > 0.0) & (coming > 0.0) & (places != others)
    tones[apart] = np.maximum(np.abs(coming - leaving), SEATED)[apart]
    return mixed
