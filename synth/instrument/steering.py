"""From controllers and parameters to what steers a voice: its clock, its control points, its loudness left and right.

Everything is a function of time in samples, whatever the blocks: a performance that begins a sample later sounds the
same a sample later. What comes from controllers reaches the control points a period late, since the point at the end of
a block must be known when the block begins.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from typing import overload

import numpy as np

from synth.instrument.channels import Channels
from synth.instrument.dials import Dials
from synth.instrument.ramp import Times
from synth.instrument.voice import Let, Timbre, Touch, Voice
from synth.pitch import midi_to_hertz
from synth.stream import Player, Point, last_point

TIMBRE_DB = 12.0  # an octave, added to the brightness by controller 74 at its end
LARGEST_TILT_DB = 24.0
KEPT_CENTS = 10.0  # of a recorded note's own tuning: a piano's octaves are wide; more is a fault of the recording
TURN = 2.0**32
KNOWN_FRAMES = 32  # of a note, blended at once; a second


class Steering:
    """The state of all controls, and what it means for a voice."""

    def __init__(self, channels: Channels, values: Mapping[str, float], player: Player, sample_rate_hz: int) -> None:
        self._channels = channels
        self._rate_hz = sample_rate_hz
        self._period = player.period
        self._frames_a_point = player.period / player.hop
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

    def begin(self, voices: Iterable[Voice], now: int) -> None:
        """A block comes next; no event will move anything before it has been rendered."""
        for dials in {self.dials, *(voice.dials for voice in voices)}:
            dials.begin(now)
        for channel in self._channels:
            channel.forget(now)

    def semitones(self, voice: Voice, times: Times) -> float | np.ndarray:
        """The voice's pitch without vibrato, as MIDI numbers of 440 Hz = 69."""
        return voice.pitch.over(times) + _tuning(voice.dials, times) + voice.touch.over(times, Touch.semitones)

    def clocks(self, voices: list[Voice], now: int, samples: int) -> np.ndarray:
        """Phases of the voices' next samples [voices, samples] uint32, whose `points` have been asked for; their clocks
        move on by them."""
        pitch = np.empty((len(voices), samples))
        block = np.arange(now, now + samples)
        tuning = {dials: _tuning(dials, block) for dials in {voice.dials for voice in voices}}
        heard = {(touch.channels, touch.ranges): touch for voice in voices for touch, _ in voice.touch.parts}
        semitones = {bends: touch.semitones(block) for bends, touch in heard.items()}
        for row, voice in enumerate(voices):
            bent = voice.touch.over(block, lambda touch, _: semitones[touch.channels, touch.ranges])
            pitch[row] = voice.pitch.over(block) + tuning[voice.dials] + bent
            begin = max(-voice.age, 0)
            vibrato = self._vibrato(voice, block[begin:])
            if not isinstance(vibrato, float):
                pitch[row, begin:] += vibrato
            points = np.arange(voice.point - len(voice.cents), voice.point) * self._period
            for name, cents in zip(("own_vibrato", "own_tuning"), zip(*voice.cents, strict=True), strict=True):
                if any(cents):
                    moved = np.interp(block - (now - voice.age), points, cents)
                    pitch[row] += 0.01 * voice.dials.over(name, block) * moved
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
        """In semitones, 0.0 where there is none; its oscillator moves on even so."""
        dials = voice.dials
        steps = _whole(dials.over("vibrato_rate_hz", times) / self._rate_hz)
        turns = voice.vibrato_turns
        moved = int(steps.sum()) if isinstance(steps, np.ndarray) else steps * len(times)
        voice.vibrato_turns = (turns + moved) % 2**32
        by_wheel, by_pressure = dials.over("wheel_vibrato_cents", times), dials.over("pressure_vibrato_cents", times)
        cents = dials.over("vibrato_cents", times) + by_wheel * voice.touch.over(times, Touch.wheel)
        if _is_anything(by_pressure):
            cents = cents + by_pressure * voice.touch.over(times, Touch.pressure)
        if not _is_anything(cents):
            return 0.0
        passed = steps * np.arange(len(times)) if isinstance(steps, int) else np.cumsum(steps) - steps
        return 0.01 * cents * np.sin((turns + passed) * (2.0 * np.pi / TURN))

    def points(self, voice: Voice, now: int, samples: int) -> list[Point]:
        """The control points that a voice needs for its next samples and that it did not have yet."""
        voice.touch.forget(now)
        begun = now - voice.age
        last = last_point(voice.age, samples, self._period)
        found = []
        while voice.point <= last:
            # A period late, but not before the note.
            found.append(self._point(voice, begun + max(voice.point - 1, 0) * self._period))
            voice.point += 1
        del voice.cents[: -1 - last + max(voice.age, 0) // self._period]
        return found

    def _point(self, voice: Voice, time: int) -> Point:
        """A voice's next point, by what controls say at `time`."""
        dials = voice.dials
        voice.timbre.forget(time)
        frames = voice.timbre.over(time, lambda timbre, at: self._frames(voice, timbre, at))
        pitch, fraction = float(self.semitones(voice, time)), voice.time % 1.0
        lowest, highest = voice.timbre.target.pitches
        channels = voice.timbre.target.held.frames.shape[-1]
        before, after = frames[:, channels].tolist()
        tuning = min(max(float(frames[0, channels + 1]), -KEPT_CENTS), KEPT_CENTS)
        voice.cents.append((before + fraction * (after - before), tuning))
        tilt = dials.over("brightness", time) + TIMBRE_DB * float(voice.touch.over(time, Touch.brightness))
        voice.time += dials.over("speed", time) * self._frames_a_point
        turned = voice.movement_turns + _whole(dials.over("movement_hz", time) * (self._period / self._rate_hz))
        voice.movement_turns = turned % 2**32
        return Point(
            frames=frames[:, :channels],
            fraction=fraction,
            pitch_hz=midi_to_hertz(pitch),
            learnt_hz=midi_to_hertz(min(max(pitch, lowest), highest)),
            brightness=min(max(tilt, -LARGEST_TILT_DB), LARGEST_TILT_DB),
            stretch=dials.over("own_stretch", time) * frames[0, channels + 2 :],
        )

    def _frames(self, voice: Voice, timbre: Timbre, time: int) -> np.ndarray:
        """The blended `Timbre.layers` on both sides of a voice's next point: [2, C + 2 + H]."""
        number = math.floor(voice.time)
        dials = voice.dials
        x, y = dials.over("blend_x", time), dials.over("blend_y", time)
        sources = self._sources(voice, timbre, time)
        if voice.let_at is not None and time >= voice.let_at:
            layers = timbre.layers(number, 2)
            if timbre.let is None:
                timbre.let = Let(number=number, level=layers[:, 0, 0].copy())
            since = np.maximum(np.arange(number, number + 2) - timbre.let.number, 0)
            after = timbre.held.after_release(since, timbre.let.level)
            layers[..., : after.shape[-1]] = after
            return timbre.blended(layers, x, y, sources)
        key = (x, y, *sources.values())
        if timbre.key != key or not timbre.first <= number <= timbre.first + len(timbre.known) - 2:
            # Where nothing but time moves, frames for a while are blended at once.
            ahead = KNOWN_FRAMES if timbre.key == key else 2
            timbre.key, timbre.first = key, number
            timbre.known = timbre.blended(timbre.layers(number, ahead), x, y, sources)
        return timbre.known[number - timbre.first :][:2]

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

    def gains(self, voices: list[Voice], now: int, samples: int) -> np.ndarray:
        """The voices' loudness left and right, their envelopes included: [voices, samples, 2]."""
        times = np.arange(now, now + samples)
        levels, pans = np.empty((len(voices), samples)), np.empty((len(voices), samples))
        decibels = np.empty((len(voices), samples))
        for row, voice in enumerate(voices):
            envelope = voice.envelope(times - (now - voice.age))
            levels[row] = voice.gain * envelope * voice.touch.over(times, Touch.volume)
            pans[row] = voice.pan + voice.touch.over(times, Touch.pan)
            decibels[row] = voice.dials.over("gain_db", times)
            if _is_anything(swell := voice.dials.over("pressure_gain_db", times)):
                decibels[row] += swell * voice.touch.over(times, Touch.pressure)
        # Constant power, 1 on both sides in the middle.
        loudness = levels * 10.0 ** (decibels / 20.0) * np.sqrt(2.0)
        angle = (np.clip(pans, -1.0, 1.0) + 1.0) * (np.pi / 4.0)
        return loudness[..., None] * np.stack((np.cos(angle), np.sin(angle)), axis=-1)


def _tuning(dials: Dials, times: Times) -> float | np.ndarray:
    """What is added to the pitch of all notes, in semitones."""
    a4_hz = dials.over("tuning_a4_hz", times)
    tuning = 12.0 * (math.log2(a4_hz / 440.0) if isinstance(a4_hz, float) else np.log2(a4_hz / 440.0))
    return tuning + 0.01 * dials.over("fine_tune_cents", times)


def _is_anything(value: float | np.ndarray) -> bool:
    """Whether something that may move is more than a constant 0."""
    return not isinstance(value, float) or value != 0.0


@overload
def _whole(cycles: float) -> int: ...


@overload
def _whole(cycles: np.ndarray) -> np.ndarray: ...


@overload
def _whole(cycles: float | np.ndarray) -> int | np.ndarray: ...


def _whole(cycles: float | np.ndarray) -> int | np.ndarray:
    """Cycles in 1/2**32 of a turn: sums of whole numbers are the same however they are cut into blocks."""
    return np.rint(cycles * TURN).astype(np.int64) if isinstance(cycles, np.ndarray) else round(cycles * TURN)
