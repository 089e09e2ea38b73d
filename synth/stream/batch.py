"""Sound of many embeddings, as fast as the kernel makes it: several at once, each in its own length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from synth.pitch import midi_to_hertz
from synth.stream.stream import Stream
from synth.wavenet import WaveNet

VOICES = 16  # at once: the more, the more sound a second, and the more work is lost when it is broken off


class BatchDecoder:
    """A model's stream for any number of embeddings. What comes of one does not depend on its company."""

    def __init__(self, model: WaveNet, *, voices: int = VOICES, backend: str = "auto", precision: str = "auto") -> None:
        self.stream = Stream(model, voices=voices, backend=backend, precision=precision)
        self.has_clock = model.config.clock_harmonics > 0

    def each(
        self,
        embeddings: Sequence[np.ndarray],
        *,
        pitches: Sequence[float | None] | None = None,
        stretches: Sequence[np.ndarray] | None = None,
        tones: Sequence[np.ndarray] | None = None,
        seeds: Sequence[int] | None = None,
        temperature: float = 1.0,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """The place of each of the embeddings [F, C], and its sound [F * hop] float32, as they get done.

        Args:
          embeddings: of any lengths; the short ones are done first.
          pitches: MIDI numbers, for a model with a pitch clock; others take no notice.
          stretches: [H] each, or [1], where their partials are, as `Stream.generate` has it.
          tones: [F, H] each, likewise.
          seeds: by default, each one's place.
          progress: is told how many samples of all are done, several times a second.
        """
        if empty := [place for place, z in enumerate(embeddings) if not len(z)]:
            raise ValueError(f"embedding {empty[0]} has no frames")
        voices, hop = self.stream.voices, self.stream.sizes.hop
        # Those of similar length go together, since a batch lasts as long as its longest.
        order = sorted(range(len(embeddings)), key=lambda place: len(embeddings[place]))
        finished = 0
        for start in range(0, len(order), voices):
            places = order[start : start + voices]
            hertz = None
            if self.has_clock and pitches is not None:
                hertz = midi_to_hertz(np.array([pitches[p] for p in places], np.float32))
            own = np.array([(p if seeds is None else seeds[p]) % 2**32 for p in places], np.uint32)
            lengths = [len(embeddings[place]) * hop for place in places]

            def tell(done: int, before: int = finished, lengths: list[int] = lengths) -> None:
                progress(before + sum(min(length, done) for length in lengths))

            stretch = None if stretches is None else np.stack([stretches[place] for place in places])
            beside = None if tones is None else _together(tones, places)
            z = _together(embeddings, places)
            audio = np.asarray(
                self.stream.generate(z, own, temperature, pitch_hz=hertz, stretch=stretch, tones=beside, progress=tell)
            )
            finished += sum(lengths)
            for place, sound in zip(places, audio, strict=True):
                yield place, sound[: len(embeddings[place]) * hop]

    def all(
        self,
        embeddings: Sequence[np.ndarray],
        *,
        pitches: Sequence[float | None] | None = None,
        stretches: Sequence[np.ndarray] | None = None,
        tones: Sequence[np.ndarray] | None = None,
        seeds: Sequence[int] | None = None,
        temperature: float = 1.0,
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[np.ndarray]:
        """`each`, when all are done and in their order."""
        sounds = self.each(
            embeddings,
            pitches=pitches,
            stretches=stretches,
            tones=tones,
            seeds=seeds,
            temperature=temperature,
            progress=progress,
        )
        done = dict(sounds)
        return [done[place] for place in range(len(embeddings))]


def _together(frames: Sequence[np.ndarray], places: Sequence[int]) -> np.ndarray:
    """Those in some places [F, C], held at their ends until the last of them ends: [len(places), F, C]."""
    chosen = [frames[place] for place in places]
    longest = max(map(len, chosen))
    return np.stack([np.pad(own, ((0, longest - len(own)), (0, 0)), mode="edge") for own in chosen])
