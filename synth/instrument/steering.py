"""From controllers and parameters to what steers a voice: its clock, its control points, its loudness left and right.

Everything is a function of time in samples, whatever the blocks: a performance that begins a sample later sounds the
same a sample later. What comes from controllers reaches the control points a period late, since the point at the end of
a block must be known when the block begins.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from synth.instrument.channels import Channel, Channels
from synth.instrument.parameters import PARAMETERS
from synth.instrument.ramp import Ramp
from synth.instrument.voice import Let, Timbre, Voice
from synth.pitch import midi_to_hertz
from synth.stream import Player, Points

SMOOTHING_MS = 10.0  # from one value of a parameter to the next
TIMBRE_DB = 12.0  # an octave, added to the brightness by controller 74 at its end
TURN = 2.0**32
KNOWN_FRAMES = 32  # of a note, blended at once; a second
# Parameters that are heard at once, also by notes that sound already.
LIVE = (
    "gain_db",
    "pressure_gain_db",
    "fine_tune_cents",
    "tuning_a4_hz",
    "vibrato_rate_hz",
    "vibrato_cents",
    "wheel_vibrato_cents",
    "pressure_vibrato_cents",
    "own_vibrato",
    "temperature",
    "brightness",
    "blend_x",
    "blend_y",
    "movement_hz",
    "speed",
    "direction",
    "hold",
)


class Steering:
    """The state of all controls, and what it means for a voice."""

    def __init__(self, channels: Channels, values: dict[str, float], player: Player, sample_rate_hz: int) -> None:
        self._channels = channels
        self._rate_hz = sample_rate_hz
        self._period = player.period
        self._frames_a_point = player.period / player.hop
        smoothing = round(SMOOTHING_MS * sample_rate_hz / 1000)
        self._ramps = {name: Ramp(values[name], 1 if PARAMETERS[name].choices else smoothing) for name in LIVE}
        self._block_begin = 0
        self._still: dict[str, float] = {}  # parameters that do not move in this block

    def move(self, name: str, at: int, value: float) -> None:
        """A parameter's new value, from time `at` on."""
        if name in self._ramps:
            self._ramps[name].move(at, value)
        elif name == "bend_range_semitones":
            self._channels.set_usual_bend_range(at, value)

    def jump(self, values: dict[str, float]) -> None:
        """All parameters at once, before anything sounds, and time from 0 on."""
        self._block_begin = 0
        for name, ramp in self._ramps.items():
            ramp.jump(values[name])

    def begin(self, now: int) -> None:
        """A block comes next; no event will move anything before it has been rendered."""
        # The step to a block's first point was not yet taken in the block before, and controls come a period late.
        since = self._block_begin - 2 * self._period
        self._block_begin = now
        self._still = {name: ramp.target for name, ramp in self._ramps.items() if ramp.stands_still(since)}
        for ramp in self._ramps.values():
            ramp.forget(since)
        for channel in self._channels:
            for ramp in channel.ramps():
                ramp.forget(since)

    def over(self, name: str, times: np.ndarray) -> float | np.ndarray:
        """A parameter's values at `times` [T], or one number where it stands still."""
        still = self._still.get(name)
        return self._ramps[name].over(times) if still is None else still

    def semitones(self, voice: Voice, times: np.ndarray) -> float | np.ndarray:
        """The voice's pitch without vibrato, as MIDI numbers of 440 Hz = 69."""
        pitch = voice.pitch.over(times) + 0.01 * self.over("fine_tune_cents", times)
        a4_hz = self.over("tuning_a4_hz", times)
        pitch = pitch + (12.0 * math.log2(a4_hz / 440.0) if isinstance(a4_hz, float) else 12.0 * np.log2(a4_hz / 440.0))
        for channel in self._channels.of_note(voice.channel):
            pitch = pitch + channel.bend.over(times) * channel.bend_range.over(times) + channel.tuning.over(times)
        return pitch

    def clocks(self, voices: list[Voice], now: int, samples: int) -> np.ndarray:
        """Phases of the voices' next samples [voices, samples] uint32, whose `points` have been asked for; their clocks
        move on by them."""
        pitch = np.zeros((len(voices), samples))
        block = np.arange(now, now + samples)
        for row, voice in enumerate(voices):
            begin = max(-voice.age, 0)
            times = block[begin:]
            pitch[row, begin:] = self.semitones(voice, times) + self._vibrato(voice, times)
            if voice.cents is not None:
                points = (voice.point + np.arange(len(voice.cents))) * self._period
                cents = np.interp(times - (now - voice.age), points, voice.cents)
                pitch[row, begin:] += 0.01 * self.over("own_vibrato", times) * cents
        hertz = np.minimum(midi_to_hertz(pitch), 0.45 * self._rate_hz)
        steps = _whole(hertz / self._rate_hz)
        for row, voice in enumerate(voices):
            if voice.age < 0:
                steps[row, : -voice.age] = 0
        turns = np.array([voice.turns for voice in voices])
        ends = turns[:, None] + np.cumsum(steps, axis=1)
        for voice, end in zip(voices, ends[:, -1].tolist(), strict=True):
            voice.turns = end % 2**32
        return (ends - steps).astype(np.uint32)

    def _vibrato(self, voice: Voice, times: np.ndarray) -> float | np.ndarray:
        """In semitones; its oscillator moves on even where it is not heard."""
        steps = _whole(self.over("vibrato_rate_hz", times) / self._rate_hz)
        turns = voice.vibrato_turns
        moved = int(steps.sum()) if isinstance(steps, np.ndarray) else steps * len(times)
        voice.vibrato_turns = (turns + moved) % 2**32
        cents = self.over("vibrato_cents", times)
        for channel in self._channels.of_note(voice.channel):
            cents = cents + self.over("wheel_vibrato_cents", times) * channel.wheel.over(times)
            cents = cents + self.over("pressure_vibrato_cents", times) * channel.pressure_over(voice.key, times)
        if isinstance(cents, float) and cents == 0.0:
            return 0.0
        phases = _running(turns, steps, len(times))
        return 0.01 * cents * np.sin(phases * (2.0 * np.pi / TURN))

    def points(self, voice: Voice, now: int, count: int) -> Points:
        """The control points from the one before the voice's next sample on."""
        first = max(voice.age, 0) // self._period
        skipped = first - voice.point
        begun = now - voice.age
        # A period late, but not before the note.
        times = np.arange(voice.point - 1, first + count - 1) * self._period + begun
        if not voice.point:
            times[0] = begun
        moved = _running(voice.time, self.over("speed", times) * self._frames_a_point, len(times))
        rate = self.over("movement_hz", times)
        turned = _running(voice.movement_turns, _whole(rate * (self._period / self._rate_hz)), len(times))
        voice.point, voice.time, voice.movement_turns = first, float(moved[skipped]), int(turned[skipped]) % 2**32
        times, moved, turned = times[skipped:], moved[skipped:], turned[skipped:] % 2**32
        channels = self._channels.of_note(voice.channel)
        tilt = self.over("brightness", times) + sum(TIMBRE_DB * channel.timbre.over(times) for channel in channels)
        shares = [share.over(times) for _, share in voice.timbres]
        while len(shares) > 1 and isinstance(shares[1], float):  # that one has wholly taken the first one's place
            del shares[0], voice.timbres[0]
        frames, *others = (self._frames(voice, each, times, moved, turned, channels) for each, _ in voice.timbres)
        for other, share in zip(others, shares[1:], strict=True):
            frames = frames + share[:, None, None] * (other - frames)
        pitch, fraction = self.semitones(voice, times), moved % 1.0
        cents = frames[..., -1]
        voice.cents = cents[:, 0] + fraction * (cents[:, 1] - cents[:, 0]) if cents.any() else None
        return Points(
            frames=frames[..., :-1],
            fraction=fraction,
            pitch_hz=midi_to_hertz(pitch),
            learnt_hz=midi_to_hertz(_within(pitch, *voice.timbres[-1][0].pitches)),
            brightness=_within(tilt, -24.0, 24.0),
        )

    def _frames(
        self,
        voice: Voice,
        timbre: Timbre,
        times: np.ndarray,
        moved: np.ndarray,
        turned: np.ndarray,
        channels: list[Channel],
    ) -> np.ndarray:
        """The blended frames on both sides of each point, and the cents of their vibrato: [N, 2, 16 + 1]."""
        numbers = np.floor(moved).astype(np.int64)[:, None] + np.arange(2)
        x, y = self.over("blend_x", times), self.over("blend_y", times)
        sources = self._sources(voice, timbre, times, turned, channels)
        backward, freeze = (bool(_first(self.over(name, times))) for name in ("direction", "hold"))
        if voice.let_at is None and all(isinstance(value, float) for value in (x, y, *sources.values())):
            # Nothing but time moves: blended frames are kept, since neighbouring blocks need the same ones.
            key = (x, y, *sources.values(), backward, freeze)
            first, last = int(numbers[0, 0]), int(numbers[-1, 1])
            if timbre.key != key or first < timbre.first or last >= timbre.first + len(timbre.known):
                timbre.key, timbre.first = key, first
                weights = timbre.blend.weights(np.array([x]), np.array([y]), sources)
                ahead = np.arange(first, max(first + KNOWN_FRAMES, last + 1))
                timbre.known = _blended(weights, _layers(timbre, ahead, backward=backward, freeze=freeze))
            return timbre.known[numbers - timbre.first]
        layers = _layers(timbre, numbers.reshape(-1), backward=backward, freeze=freeze)
        if voice.let_at is not None and times[-1] >= voice.let_at:
            index = int(np.searchsorted(times, voice.let_at))
            if voice.let is None:
                voice.let = Let(number=int(numbers[index, 0]), level=layers[:, 2 * index, 0].copy())
            since = np.maximum(numbers[index:].reshape(-1) - voice.let.number, 0)
            level = voice.let.level if len(voice.let.level) == len(layers) else layers[:, 0, 0]
            layers[:, 2 * index :, :-1] = timbre.held.after_release(since, level)
        at_points = (np.broadcast_to(value, len(times)) for value in (x, y))
        weights = np.repeat(timbre.blend.weights(*at_points, sources), 2, axis=0)
        return _blended(weights, layers).reshape(len(times), 2, -1)

    def _sources(
        self, voice: Voice, timbre: Timbre, times: np.ndarray, turned: np.ndarray, channels: list[Channel]
    ) -> dict[str, float | np.ndarray]:
        """What the blend's modulations follow, 0 to 1."""
        values: dict[str, float | np.ndarray] = {}
        for source in timbre.blend.sources:
            if source in timbre.sources:
                values[source] = timbre.sources[source]
            elif source == "pressure":
                values[source] = _largest([channel.pressure_over(voice.key, times) for channel in channels])
            elif source == "wheel":
                values[source] = _largest([channel.wheel.over(times) for channel in channels])
            elif source == "timbre":
                values[source] = 0.5 + 0.5 * _largest([channel.timbre.over(times) for channel in channels])
            elif source == "movement":
                values[source] = 0.5 - 0.5 * np.cos(turned * (2.0 * np.pi / TURN))
        return values

    def gains(self, voice: Voice, times: np.ndarray) -> np.ndarray:
        """The voice's loudness left and right, its envelope included: [T, 2], or [2] where nothing moves."""
        gain = voice.gain * voice.envelope(np.arange(voice.age, voice.age + len(times)))
        decibels = self.over("gain_db", times)
        pan: float | np.ndarray = voice.pan
        channels = self._channels.of_note(voice.channel)
        gain = gain * channels[-1].gain.over(times)  # in an MPE zone the volume is its master's alone
        for channel in channels:
            pan = pan + channel.pan.over(times)
            swell = self.over("pressure_gain_db", times)
            if not isinstance(swell, float) or swell:
                decibels = decibels + swell * channel.pressure_over(voice.key, times)
        angle = (_within(pan, -1.0, 1.0) + 1.0) * (np.pi / 4.0)
        # Constant power, 1 on both sides in the middle.
        loudness = gain * 10.0 ** (decibels / 20.0) * np.sqrt(2.0)
        left, right = loudness * np.cos(angle), loudness * np.sin(angle)
        return np.array((left, right)) if np.ndim(left) == 0 else np.stack((left, right), axis=-1)


def _layers(timbre: Timbre, numbers: np.ndarray, *, backward: bool, freeze: bool) -> np.ndarray:
    """Frames of each of its instruments by their numbers [N], and the cents of their vibrato: [I, N, 16 + 1]."""
    frames, cents = timbre.held.at(numbers, backward=backward, freeze=freeze), timbre.held.cents_at(numbers)
    return np.concatenate([frames, cents[..., None].astype(np.float32)], axis=-1)


def _whole(cycles: float | np.ndarray) -> int | np.ndarray:
    """Cycles in 1/2**32 of a turn: sums of whole numbers are the same however they are cut into blocks."""
    return np.rint(cycles * TURN).astype(np.int64) if isinstance(cycles, np.ndarray) else round(cycles * TURN)


def _blended(weights: np.ndarray, layers: np.ndarray) -> np.ndarray:
    """Frames [I, N, C] by weights [N, I] or [1, I]: [N, C]. Term by term: `einsum` rounds as its shapes suggest."""
    blended = weights[:, :1] * layers[0]
    for instrument in range(1, len(layers)):
        blended = blended + weights[:, instrument : instrument + 1] * layers[instrument]
    return blended


def _running(start: float, steps: float | np.ndarray, count: int) -> np.ndarray:
    """`start`, and the sums after each of `count` steps but the last, one by one: the same however they are cut."""
    if isinstance(steps, np.ndarray):
        return np.cumsum(np.concatenate(([start], steps[:-1])))
    return np.array(list(itertools.accumulate(itertools.repeat(steps, count - 1), initial=start)))


def _first(value: float | np.ndarray) -> float:
    return value[0] if isinstance(value, np.ndarray) else value


def _within(value: float | np.ndarray, low: float, high: float) -> float | np.ndarray:
    return min(max(value, low), high) if isinstance(value, float) else np.clip(value, low, high)


def _largest(values: list[float | np.ndarray]) -> float | np.ndarray:
    """A note's own channel and its zone's master: whichever is further."""
    return values[0] if len(values) == 1 else np.maximum(*values)
