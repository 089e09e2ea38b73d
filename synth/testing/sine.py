"""The smallest instrument that behaves like one: polyphonic sines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import mido
import numpy as np

from synth.instrument.rack import RackEvent
from synth.pitch import midi_to_hertz

SAMPLE_RATE_HZ = 16_000
ATTACK_FRAMES = 80  # 5 ms
RELEASE_FRAMES = 1600  # 100 ms
LEVEL = 0.1  # of a voice at full velocity: eight voices stay below full scale


@dataclasses.dataclass(kw_only=True)
class _Voice:
    note: int
    gain: float
    age: int  # note-ons before this one
    phase: float = 0.0  # in periods
    envelope: float = 0.0
    released: bool = False
    done: bool = False


class SineInstrument:
    """Takes note on, note off, CC 120 and 123; everything else is nothing to it.

    Steals the oldest released voice, else the oldest.
    """

    sample_rate_hz = SAMPLE_RATE_HZ
    latency_frames = 0
    tail_frames = RELEASE_FRAMES
    backend = why = "sine"

    def __init__(self, *, voices: int = 4) -> None:
        self.voices = voices
        self._started = 0
        self._playing: list[_Voice] = []

    @property
    def sounding(self) -> int:
        return len(self._playing)

    @property
    def ringing(self) -> bool:
        return bool(self._playing)

    def warm_up(self, frames: int) -> None:
        """There is nothing to compile."""

    def reset(self) -> None:
        self._playing.clear()

    def process(self, events: Sequence[RackEvent], frames: int) -> np.ndarray:
        out = np.zeros((frames, 2), np.float32)
        start = 0
        for offset, event in events:
            self._render(out[start:offset])
            start = offset
            if isinstance(event, mido.Message):
                self._obey(event)
        self._render(out[start:])
        return out

    def _obey(self, message: mido.Message) -> None:
        if message.type == "note_on" and message.velocity:
            if len(self._playing) == self.voices:
                self._playing.remove(min(self._playing, key=lambda voice: (not voice.released, voice.age)))
            self._started += 1
            self._playing.append(_Voice(note=message.note, gain=LEVEL * message.velocity / 127, age=self._started))
        elif message.type in ("note_on", "note_off"):
            for voice in self._playing:
                voice.released |= voice.note == message.note
        elif message.type == "control_change" and message.control == 120:
            self.reset()
        elif message.type == "control_change" and message.control == 123:
            for voice in self._playing:
                voice.released = True

    def _render(self, out: np.ndarray) -> None:
        count = np.arange(1, len(out) + 1)
        for voice in self._playing:
            step = midi_to_hertz(voice.note) / SAMPLE_RATE_HZ
            slope = -1 / RELEASE_FRAMES if voice.released else 1 / ATTACK_FRAMES
            envelope = np.clip(voice.envelope + slope * count, 0.0, 1.0)
            wave = voice.gain * envelope * np.sin(2 * np.pi * (voice.phase + step * count))
            out += wave.astype(np.float32)[:, None]
            voice.phase = (voice.phase + step * len(out)) % 1.0
            if len(out):
                voice.envelope = float(envelope[-1])
            voice.done = voice.released and voice.envelope == 0.0
        self._playing = [voice for voice in self._playing if not voice.done]
