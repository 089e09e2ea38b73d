"""From controllers and parameters to what steers a voice: its clock, its control points, its loudness left and right.

Everything is a function of time in samples, whatever the blocks: a performance that begins a sample later sounds the
same a sample later. What comes from controllers reaches the control points a period late, since the point at the end of
a block must be known when the block begins.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import overload

import numpy as np

from synth.instrument.channels import Channels
from synth.instrument.course import Course, Value, course_of
from synth.instrument.dials import Dials
from synth.instrument.ramp import Times
from synth.instrument.timbre import Timbre, crossfaded, partials
from synth.instrument.voice import Touch, Voice
from synth.pitch import midi_to_hertz
from synth.stream import Player, Point, last_point
from synth.tones import SEATED

LARGEST_TILT_DB = 24.0
KEPT_CENTS = 10.0  # of a recorded note's own tuning: a piano's octaves are wide; more is a fault of the recording
TURN = 2.0**32
HIGHEST_CLOCK = 0.45  # turns a sample
STILL = 1024  # pitches and loudnesses that are computed once


class Steering:
    """The state of all controls, and what it means for a voice."""

    def __init__(self, channels: Channels, values: Mapping[str, float], player: Player, sample_rate_hz: int) -> None:
        self._channels = channels
        self._rate_hz = sample_rate_hz
        self._period = player.period
        self._frames_a_point = player.period / player.hop
        self._now = 0  # the block's first sample
        self._times = np.arange(0)  # all of them
        self._courses: dict[Voice, Course] = {}  # over the block
        self.dials = Dials(values, sample_rate_hz)  # of what plays now

    def move(self, name: str, at: int, value: float) -> None:
        """A parameter's new value, from time `at` on."""
        self.dials.move(name, at, value)
        if name == "bend_range_semitones":
            self._channels.set_usual_bend_range(at, value)

    def turn_to(self, values: Mapping[str, float], at: int) -> None:
        """The values of another preset, from time `at` on; what sounds by then keeps its own."""
        self.dials = Dials(values, self._rate_hz)
        self._channels.set_usual_bend_range(at, values["bend_range_semitones"])

    def begin(self, voices: Collection[Voice], now: int, samples: int) -> None:
        """A block of so many samples comes next; no event will move anything before it has been rendered."""
        self._now = now
        self._times = np.arange(now, now + samples)
        for dials in {self.dials, *(voice.dials for voice in voices)}:
            dials.begin(now)
        self._channels.forget(now)
        for voice in voices:
            voice.pitch.forget(now)
            voice.touch.forget(now)
        common: dict[Hashable, Course] = {}
        self._courses = {voice: course_of(voice, self._times, common) for voice in voices}

    def semitones(self, voice: Voice, times: Times) -> Value:
        """The voice's pitch without vibrato, as MIDI numbers of 440 Hz = 69."""
        return voice.pitch.over(times) + course_of(voice, times, {}).semitones

    def temperature(self, voice: Voice) -> Value:
        """Over the block, one number where it stands still."""
        return voice.dials.over("temperature", self._times)

    def clocks(self, voices: list[Voice]) -> np.ndarray:
        """Phases over the block, [voices, samples] uint32, of voices whose `points` have been asked for.

        Their clocks move on by them.
        """
        steps = np.empty((len(voices), len(self._times)), np.int64)
        for row, voice in zip(steps, voices, strict=True):
            begin = max(-voice.age, 0)
            pitch = self._pitch(voice, begin)
            row[begin:] = _step(pitch, self._rate_hz) if isinstance(pitch, float) else _steps(pitch, self._rate_hz)
            row[:begin] = 0
        ends = np.array([voice.turns for voice in voices])[:, None] + np.cumsum(steps, axis=1)
        for voice, end in zip(voices, ends[:, -1].tolist(), strict=True):
            voice.turns = end % 2**32
        return (ends - steps).astype(np.uint32)

    def _pitch(self, voice: Voice, begin: int) -> Value:
        """All that there is to a voice's pitch, from sample `begin` of the block on; its vibrato moves on by it."""
        times, course = self._times[begin:], self._courses[voice]
        pitch = voice.pitch.over(times) + _from(begin, course.semitones)
        steps = _whole(voice.dials.over("vibrato_rate_hz", times) / self._rate_hz)
        turns = voice.vibrato_turns
        moved = int(steps.sum()) if isinstance(steps, np.ndarray) else steps * len(times)
        voice.vibrato_turns = (turns + moved) % 2**32
        if _is_anything(course.vibrato_cents):
            passed = steps * np.arange(len(times)) if isinstance(steps, int) else np.cumsum(steps) - steps
            pitch += 0.01 * _from(begin, course.vibrato_cents) * np.sin((turns + passed) * (2.0 * np.pi / TURN))
        for name, cents in zip(("own_vibrato", "own_tuning"), zip(*voice.cents, strict=True), strict=True):
            if any(cents):
                pitch = pitch + 0.01 * voice.dials.over(name, times) * self._between_points(voice, times, cents)
        return pitch

    def _between_points(self, voice: Voice, times: np.ndarray, values: Sequence[float]) -> Value:
        """What the voice's last control points say, on straight lines from the one to the other."""
        if len({*values}) == 1:
            return values[0]
        points = np.arange(voice.point - len(values), voice.point) * self._period
        return np.interp(times - (self._now - voice.age), points, values)

    def points(self, voice: Voice) -> list[Point]:
        """The control points that a voice needs for the block and that it did not have yet."""
        begun = self._now - voice.age
        last = last_point(voice.age, len(self._times), self._period)
        found = []
        while voice.point <= last:
            # A period late, but not before the note.
            found.append(self._point(voice, begun + max(voice.point - 1, 0) * self._period))
            voice.point += 1
        del voice.cents[: -1 - last + max(voice.age, 0) // self._period]
        return found

    def _point(self, voice: Voice, time: int) -> Point:
        """A voice's next point, by what controls say at `time`."""
        dials, course = voice.dials, self._courses[voice]
        if not course.stands_still:
            course = course_of(voice, time, {})
        voice.timbre.forget(time)
        channels = voice.timbre.target.channels
        frames = voice.timbre.over(
            time,
            lambda timbre, at: self._frames(voice, timbre, at),
            functools.partial(crossfaded, channels=channels),
        )
        pitch, fraction = voice.pitch.at(time) + float(course.semitones), voice.frame % 1.0
        lowest, highest = voice.timbre.target.pitches
        before, after = frames[:, channels].tolist()
        tuning = min(max(float(frames[0, channels + 1]), -KEPT_CENTS), KEPT_CENTS)
        swing = before + fraction * (after - before)
        voice.cents.append((swing, tuning))
        clock = pitch + 0.01 * float(dials.over("own_vibrato", time) * swing + dials.over("own_tuning", time) * tuning)
        clock += 0.01 * float(course.vibrato_cents) * math.sin(voice.swung_turns * (2.0 * math.pi / TURN))
        voice.swung_turns = self._turned(voice.swung_turns, dials.over("vibrato_rate_hz", time))
        stretch, tones = partials(frames, channels)
        stretch, tones = _own_partials(dials, time, stretch[0], tones[0] + fraction * (tones[1] - tones[0]))
        voice.frame += dials.over("speed", time) * self._frames_a_point
        voice.movement_turns = self._turned(voice.movement_turns, dials.over("movement_hz", time))
        return Point(
            frames=frames[:, :channels],
            fraction=fraction,
            pitch_hz=midi_to_hertz(pitch),
            clock_hz=min(midi_to_hertz(clock), HIGHEST_CLOCK * self._rate_hz),
            learnt_hz=midi_to_hertz(min(max(pitch, lowest), highest)),
            brightness=min(max(float(course.tilt_db), -LARGEST_TILT_DB), LARGEST_TILT_DB),
            stretch=stretch,
            tones=tones,
        )

    def _turned(self, turns: int, hertz: float) -> int:
        """A phase one control point later."""
        return (turns + _whole(hertz * (self._period / self._rate_hz))) % 2**32

    def _frames(self, voice: Voice, timbre: Timbre, time: int) -> np.ndarray:
        """The timbre's blended layers on both sides of the voice's next point: [2, C + 2 + 2H]."""
        is_let_go = voice.let_at is not None and time >= voice.let_at
        frames = timbre.frames_let_go if is_let_go else timbre.frames
        x, y = voice.dials.over("blend_x", time), voice.dials.over("blend_y", time)
        return frames(math.floor(voice.frame), x, y, self._sources(voice, timbre, time))

    def _sources(self, voice: Voice, timbre: Timbre, time: int) -> dict[str, float]:
        """What the blend's modulations follow, 0 to 1."""
        values: dict[str, float] = {}
        for source in timbre.blend.sources:
            if source in timbre.sources:
                values[source] = timbre.sources[source]
            elif source == "movement":
                values[source] = 0.5 - 0.5 * math.cos(voice.movement_turns * (2.0 * math.pi / TURN))
            else:
                values[source] = voice.touch.over(time, functools.partial(Touch.source, name=source))
        return values

    def gains(self, voices: list[Voice]) -> np.ndarray:
        """The voices' loudness left and right over the block, their envelopes included: [voices, samples, 2]."""
        gains = np.empty((len(voices), len(self._times), 2))
        for row, voice in zip(gains, voices, strict=True):
            course = self._courses[voice]
            level, decibels, pan = voice.gain * course.volume, course.decibels, voice.pan + course.pan
            if course.stands_still:
                loudness = _still_sides(float(level), float(decibels), float(pan))
            else:
                loudness = _sides(level, decibels, pan)
            envelope = voice.envelope(self._times - (self._now - voice.age))
            row[:] = loudness * (envelope if isinstance(envelope, float) else envelope[:, None])
        return gains


def _own_partials(dials: Dials, time: int, stretch: np.ndarray, tones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is played of recorded notes' stretch and tones [H]; a tone stays where it is, however faint it gets."""
    stretched, loudness = dials.over("own_stretch", time), dials.over("own_tones", time)
    if stretched == loudness == 1.0:
        return stretch, tones
    seated = tones > 0.0
    tones = np.where(seated, np.maximum(loudness * tones, SEATED), 0.0)
    return np.where(seated, stretch, stretched * stretch), tones


def _sides(level: Value, decibels: Value, pan: Value) -> np.ndarray:
    """Loudness left and right [T, 2], of constant power, 1 on both sides in the middle."""
    loudness = level * 10.0 ** (np.atleast_1d(decibels) / 20.0) * np.sqrt(2.0)
    angle = (np.clip(np.atleast_1d(pan), -1.0, 1.0) + 1.0) * (np.pi / 4.0)
    return np.stack((loudness * np.cos(angle), loudness * np.sin(angle)), axis=-1)


@functools.lru_cache(STILL)
def _still_sides(level: float, decibels: float, pan: float) -> np.ndarray:
    return _sides(level, decibels, pan)


def _steps(pitch: np.ndarray, rate_hz: int) -> np.ndarray:
    """What a clock moves on by a sample at such pitches [T]."""
    return _whole(np.minimum(midi_to_hertz(pitch), HIGHEST_CLOCK * rate_hz) / rate_hz)


@functools.lru_cache(STILL)
def _step(pitch: float, rate_hz: int) -> int:
    # By the same function: NumPy's powers and Python's differ in their last bit.
    return int(_steps(np.array([pitch]), rate_hz)[0])


def _from(begin: int, value: Value) -> Value:
    """The same from sample `begin` of a block on."""
    return value if isinstance(value, float) else value[begin:]


def _is_anything(value: Value) -> bool:
    """Whether something that may move is more than a constant 0."""
    return not isinstance(value, float) or value != 0.0


@overload
def _whole(cycles: float) -> int: ...


@overload
def _whole(cycles: np.ndarray) -> np.ndarray: ...


@overload
def _whole(cycles: Value) -> int | np.ndarray: ...


def _whole(cycles: Value) -> int | np.ndarray:
    """Cycles in 1/2**32 of a turn: sums of whole numbers are the same however they are cut into blocks."""
    return np.rint(cycles * TURN).astype(np.int64) if isinstance(cycles, np.ndarray) else round(cycles * TURN)
