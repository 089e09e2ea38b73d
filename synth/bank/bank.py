"""A bank: precomputed embeddings of every instrument, pitch and velocity, and how to hold and blend them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from synth.bank.vibrato import LARGEST, RISE_SECONDS
from synth.errors import UsageError, WavekeysError
from synth.tones import COLUMNS, FAINTEST_DB, HIGHEST_PLACE, LOUDEST_DB, MOST_TONES, tone_amplitudes
from synth.wavenet.encoder import LEVEL_DB_PER_UNIT

STEADY_DB_PER_SECOND = 1.5  # a sustain that falls more slowly than this is held level
FALL_EXPLAINED = 0.5  # of what its level does, by a straight line; else it wavers, and is held level too
DECAYING = 0.2  # of an instrument's notes fall; with fewer it sustains, and those few happened to fade just then
LARGEST_WEIGHT = 1e6  # of an instrument in a blend
LARGEST_EMBEDDING = 65504.0  # of embeddings: what float16 can say
SILENT = 1.0 - 70.0 / LEVEL_DB_PER_UNIT
FRAMES_PER_SECOND = 31.25  # of every bank, hence of every model that plays one
FARTHEST = 0.5  # multiples of the pitch by which a partial may be off its own
OWN = ("vibrato", "stretch", "tuning", "tones")  # what a bank tells of notes beside embeddings; old ones lack some


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bank:
    """Embeddings of every instrument, pitch and velocity, and where in them a note is held and let go.

    Axes: I instruments, P pitches, V velocities, F frames. All notes are let go at the same frame.
    """

    instruments: tuple[str, ...]
    pitches: np.ndarray  # [P] MIDI numbers, rising
    velocities: np.ndarray  # [V], rising
    embeddings: np.ndarray = dataclasses.field(repr=False)  # [I, P, V, F, 16] float32
    loops: np.ndarray = dataclasses.field(repr=False)  # [I, P, V, 2] first and last frame of each note's sustain
    # [I, P, V, 3] float32, each note's as `synth.bank.vibrato.Vibrato`.
    vibrato: np.ndarray = dataclasses.field(repr=False)
    # [I, P, V, H] float32, how many multiples of the pitch each note's partials are off their own. H is that of the
    # model, or 1, and the number 0, where all are in place.
    stretch: np.ndarray = dataclasses.field(repr=False)
    # [I, P, V] float32, each note's own against its nominal pitch, in cents.
    tuning: np.ndarray = dataclasses.field(repr=False)
    # [I, P, V, K, COLUMNS] float32, tones of each note that are none of its partials, as in `synth.tones`.
    tones: np.ndarray = dataclasses.field(repr=False)
    release: int  # the first frame after the key was let go
    decays: np.ndarray = dataclasses.field(init=False)  # [I] bool: whose held notes die away

    def __post_init__(self) -> None:
        shape = (len(self.instruments), np.size(self.pitches), np.size(self.velocities))
        if self.embeddings.ndim != 5 or self.embeddings.shape[:3] != shape or 0 in self.embeddings.shape:
            raise WavekeysError(
                f"bank: embeddings {list(self.embeddings.shape)} do not fit {shape[0]} instruments, {shape[1]} pitches "
                f"and {shape[2]} velocities"
            )
        if self.embeddings.dtype != np.float32 or not np.isfinite(self.embeddings).all():
            raise WavekeysError("bank: embeddings must be finite float32 numbers")
        for name in ("pitches", "velocities", "loops"):
            if getattr(self, name).dtype.kind != "i":
                raise WavekeysError(f"bank: {name} must be whole numbers, not {getattr(self, name).dtype}")
        for name in ("pitches", "velocities"):
            values = getattr(self, name)
            if values.ndim != 1 or (np.diff(values) <= 0).any() or values[0] < 0 or values[-1] > 127:
                raise WavekeysError(f"bank: {name} must rise from at least 0 to at most 127")
        frames = self.embeddings.shape[3]
        if self.loops.shape != (*shape, 2) or (self.loops[..., 0] < 0).any():
            raise WavekeysError(
                f"bank: loops {list(self.loops.shape)} must be [{', '.join(map(str, shape))}, 2] frames"
            )
        if (self.loops[..., 0] >= self.loops[..., 1]).any() or (self.loops >= frames).any():
            raise WavekeysError(f"bank: a loop is not within its {frames} frames")
        self._check_partials(shape)
        if not isinstance(self.release, int) or not 0 < self.release < frames:
            raise WavekeysError(f"bank: release {self.release} is not within {frames} frames")
        held = [
            note[first : last + 1]
            for note, (first, last) in zip(
                self.embeddings[..., 0].reshape(-1, frames), self.loops.reshape(-1, 2).tolist(), strict=True
            )
        ]
        falls = np.array([fall(level) < 0.0 for level in held]).reshape(shape[0], -1)
        sounds = np.array([level.max() > SILENT for level in held]).reshape(shape[0], -1)
        share = (falls & sounds).sum(axis=1) / np.maximum(sounds.sum(axis=1), 1)
        object.__setattr__(self, "decays", share >= DECAYING)

    def _check_partials(self, shape: tuple[int, int, int]) -> None:
        """What the bank tells of the notes' partials beside the embeddings."""
        if self.vibrato.shape != (*shape, 3) or self.vibrato.dtype != np.float32:
            raise WavekeysError(
                f"bank: vibrato {self.vibrato.dtype}{list(self.vibrato.shape)} must be float32, "
                f"[{', '.join(map(str, shape))}, 3]"
            )
        if not (np.isfinite(self.vibrato).all() and (self.vibrato >= 0).all() and (self.vibrato <= LARGEST).all()):
            raise WavekeysError(f"bank: vibrato must be at most {LARGEST.rate_hz} Hz, {LARGEST.cents} cents and 1 turn")
        if self.stretch.ndim != 4 or self.stretch.shape[:3] != shape or self.stretch.dtype != np.float32:
            raise WavekeysError(
                f"bank: stretch {self.stretch.dtype}{list(self.stretch.shape)} must be float32, "
                f"[{', '.join(map(str, shape))}, partials]"
            )
        if not (np.abs(self.stretch) <= FARTHEST).all() or (self.stretch.shape[-1] == 1 and self.stretch.any()):
            raise WavekeysError(f"bank: stretch must be within {FARTHEST} multiples, or one 0 for all partials")
        if self.tuning.shape != shape or self.tuning.dtype != np.float32 or not np.isfinite(self.tuning).all():
            raise WavekeysError(
                f"bank: tuning {self.tuning.dtype}{list(self.tuning.shape)} must be finite float32, "
                f"[{', '.join(map(str, shape))}]"
            )
        fits = self.tones.ndim == 5 and self.tones.shape[:3] == shape and self.tones.shape[4] == COLUMNS
        if not fits or self.tones.shape[3] > MOST_TONES or self.tones.dtype != np.float32:
            raise WavekeysError(
                f"bank: tones {self.tones.dtype}{list(self.tones.shape)} must be float32, "
                f"[{', '.join(map(str, shape))}, at most {MOST_TONES}, {COLUMNS}]"
            )
        places, levels = self.tones[..., 0], self.tones[..., 1:]
        if not ((places >= 0) & (places <= HIGHEST_PLACE)).all():
            raise WavekeysError(f"bank: tones must be within {HIGHEST_PLACE} multiples of the pitch")
        if not ((levels >= FAINTEST_DB) & (levels <= LOUDEST_DB)).all():
            raise WavekeysError(f"bank: tones must have levels from {FAINTEST_DB:.0f} to {LOUDEST_DB:.0f} dB")

    def weights(self, blend: Mapping[str, float]) -> np.ndarray:
        """A blend as weights [I] float32 that sum to 1."""
        weights = np.zeros(len(self.instruments))
        for name, weight in blend.items():
            if name not in self.instruments:
                raise UsageError(f"unknown instrument {name!r}; this preset has {', '.join(self.instruments)}")
            weights[self.instruments.index(name)] = weight
        if not ((weights >= 0.0) & (weights <= LARGEST_WEIGHT)).all() or not weights.any():
            most = f"at most {LARGEST_WEIGHT:.0f}"
            raise UsageError(f"blend weights must be at least 0, {most}, and one more than 0; got {dict(blend)}")
        return (weights / weights.sum()).astype(np.float32)

    def note(
        self, pitch: float, velocity: float, *, has_level: bool, instruments: np.ndarray | None = None
    ) -> HeldNote:
        """Instruments' embeddings of the nearest pitch there is, interpolated between velocities.

        Args:
          has_level: whether channel 0 is the level.
          instruments: their numbers; None for all.
        """
        chosen = np.arange(len(self.instruments)) if instruments is None else instruments
        nearest = int(np.abs(self.pitches - pitch).argmin())
        position = float(np.interp(velocity, self.velocities, np.arange(len(self.velocities))))
        low = int(position)
        high = min(low + 1, len(self.velocities) - 1)
        soft, hard = self.embeddings[chosen, nearest, low], self.embeddings[chosen, nearest, high]
        frames = soft + np.float32(position - low) * (hard - soft)
        there = chosen, nearest, high if position - low > 0.5 else low
        decays = self.decays[chosen] & has_level
        own = {name: getattr(self, name)[there] for name in OWN}
        return HeldNote.of(frames, self.loops[there], self.release, decays=decays, **own)

    def save(self, path: Path) -> None:
        """Write one safetensors file; the names travel in its metadata.

        Embeddings are rounded to float16, which moves a level by 0.02 dB at most.
        """
        with np.errstate(over="ignore"):
            embeddings = self.embeddings.astype(np.float16)
        if not np.isfinite(embeddings).all():
            raise WavekeysError(f"cannot write the bank to {path}: an embedding is beyond what float16 can say")
        tensors = {
            "embeddings": embeddings,
            "pitches": self.pitches.astype(np.int32),
            "velocities": self.velocities.astype(np.int32),
            "loops": self.loops.astype(np.int32),
            "vibrato": self.vibrato,
            "stretch": self.stretch.astype(np.float16),
            "tuning": self.tuning,
            "tones": self.tones,
            "release": np.array([self.release], np.int32),
        }
        try:
            # A view that is not contiguous would be written as what lies in memory.
            whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
            path.write_bytes(safetensors.numpy.save(whole, {"instruments": "\n".join(self.instruments)}))
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
    except (OSError, safetensors.SafetensorError, TypeError, AttributeError) as error:
        # The latter two for types of numbers that NumPy does not have.
        raise WavekeysError(f"{path}: not a readable safetensors file ({error})") from None
    expected = {"embeddings", "pitches", "velocities", "loops", "release"}
    if not names or tensors.keys() - {*OWN} != expected or tensors["release"].shape != (1,):
        raise WavekeysError(f"{path}: not a bank (it needs instruments, {', '.join(sorted(expected))})")
    if not names.replace("\n", "").isprintable():
        raise WavekeysError(f"{path}: its instruments' names must be printable text, not {names!r}")
    notes = tensors["embeddings"].shape[:3]
    try:
        return Bank(
            instruments=tuple(names.split("\n")),
            pitches=tensors["pitches"],
            velocities=tensors["velocities"],
            embeddings=_as_float32(tensors["embeddings"]),
            loops=tensors["loops"],
            vibrato=tensors.get("vibrato", np.zeros((*notes, 3), np.float32)),
            stretch=_as_float32(tensors.get("stretch", np.zeros((*notes, 1), np.float32))),
            tuning=tensors.get("tuning", np.zeros(notes, np.float32)),
            tones=tensors.get("tones", np.zeros((*notes, 0, COLUMNS), np.float32)),
            release=tensors["release"].item(),
        )
    except WavekeysError as error:
        raise WavekeysError(f"{path}: {error}") from None


def fall(level: np.ndarray) -> float:
    """How a sustain's level [N] falls, in units a frame: at most 0, and 0 for one that is steady or wavers."""
    n = np.arange(len(level)) - 0.5 * (len(level) - 1)
    slope = float(n @ level / (n @ n))
    explained = slope**2 * (n @ n) >= FALL_EXPLAINED * np.sum(np.square(level - level.mean()))
    steep = slope * LEVEL_DB_PER_UNIT * FRAMES_PER_SECOND <= -STEADY_DB_PER_SECOND
    return slope if steep and explained else 0.0


def _as_float32(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float32) if numbers.dtype == np.float16 else numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeldNote:
    """A note of every instrument, that can be held for as long as a key is: the attack as embedded, then the sustain.

    Timbre runs to and fro between the loop's ends. The level follows too, but around the straight line that it falls
    along, which goes on falling: a held piano note decays and a held organ note does not. Nor does a horn's that faded
    for a moment while it was recorded: a note falls only if many of its instrument's do.
    """

    frames: np.ndarray  # [I, F, 16]
    loops: np.ndarray  # [I, 2]
    slopes: np.ndarray  # [I] units of channel 0 a frame, at most 0
    vibrato: np.ndarray  # [I, 3] as `Vibrato`
    stretch: np.ndarray  # [I, H] as `Bank.stretch`
    tuning: np.ndarray  # [I] as `Bank.tuning`
    tones: np.ndarray  # [I, K, COLUMNS] as `Bank.tones`
    release: int

    @classmethod
    def of(
        cls,
        frames: np.ndarray,
        loops: np.ndarray,
        release: int,
        *,
        decays: np.ndarray,
        vibrato: np.ndarray | None = None,
        stretch: np.ndarray | None = None,
        tuning: np.ndarray | None = None,
        tones: np.ndarray | None = None,
    ) -> HeldNote:
        """`decays` [I] says which instruments' levels may go on falling; see `Bank.decays`."""
        slopes = np.zeros(len(frames), np.float32)
        for i in np.flatnonzero(decays):
            first, last = loops[i]
            slopes[i] = fall(frames[i, first : last + 1, 0])
        count = len(frames)
        return cls(
            frames=frames,
            loops=loops,
            slopes=slopes,
            vibrato=np.zeros((count, 3), np.float32) if vibrato is None else vibrato,
            stretch=np.zeros((count, 1), np.float32) if stretch is None else stretch,
            tuning=np.zeros(count, np.float32) if tuning is None else tuning,
            tones=np.zeros((count, 0, COLUMNS), np.float32) if tones is None else tones,
            release=release,
        )

    def at(self, numbers: np.ndarray, *, backward: bool = False, freeze: bool = False) -> np.ndarray:
        """Frames of the endless note by their numbers [N], which are at least 0: [I, N, 16].

        Backward, a note begins at its loop's end and runs to and fro between that and its beginning. Frozen, its
        timbre stands still from the sustain's beginning on.
        """
        source = self._sources(numbers, backward, freeze)
        frames = self.frames[np.arange(len(source))[:, None], source]
        if not backward:
            frames[..., 0] += self.slopes[:, None] * (numbers - source)
        return frames

    def tones_at(self, numbers: np.ndarray, *, backward: bool = False, freeze: bool = False) -> np.ndarray:
        """The tones' amplitudes at the same frames, in units of the level: [I, N, K]."""
        return tone_amplitudes(self.tones, self._sources(numbers, backward, freeze))

    def _sources(self, numbers: np.ndarray, backward: bool, freeze: bool) -> np.ndarray:
        """Which of its frames those of the endless note are: [I, N]."""
        first, last = self.loops[:, :1], self.loops[:, 1:]
        if backward:
            phase = numbers % (2 * last)
            source = np.abs(last - phase)
        else:
            phase = np.maximum(numbers - first, 0) % (2 * (last - first))
            source = np.where(numbers <= last, numbers, last - np.abs(last - first - phase))
        if freeze:
            source = np.minimum(source, first) if not backward else np.full_like(source, 0) + first
        return source

    def cents_at(self, numbers: np.ndarray) -> np.ndarray:
        """How far the vibrato has moved the pitch at those frames [N]: [I, N]. It goes on for as long as the note.

        A little further than that, in fact: straight lines from frame to frame have it as deep as it should be.
        """
        rate_hz, cents, turns = self.vibrato.T[..., None].astype(np.float64)
        seconds = numbers / FRAMES_PER_SECOND
        cents = cents / np.sinc(rate_hz / FRAMES_PER_SECOND) ** 2
        return cents * np.minimum(seconds / RISE_SECONDS, 1.0) * np.sin(2.0 * np.pi * (rate_hz * seconds + turns))

    def after_release(self, numbers: np.ndarray, level: np.ndarray) -> np.ndarray:
        """The frames after the key was let go, by their numbers from there [N]: [I, N, 16].

        `level` [I] is what channel 0 was then; the source's own fall goes on from it.
        """
        frames = self.frames[:, self._released(numbers)]
        frames[..., 0] += (level - self.frames[:, self.release, 0])[:, None]
        return frames

    def tones_after_release(self, numbers: np.ndarray) -> np.ndarray:
        """The tones' amplitudes in those frames: [I, N, K]."""
        return tone_amplitudes(self.tones, self._released(numbers))

    def _released(self, numbers: np.ndarray) -> np.ndarray:
        return np.clip(self.release + numbers, 0, self.frames.shape[1] - 1)
