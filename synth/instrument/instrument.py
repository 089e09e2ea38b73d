"""The plugin: MIDI events in, blocks of audio out. It runs without any device; a host or a renderer drives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mido
import numpy as np

from synth.bank import HeldNote, Preset
from synth.instrument.parameters import PARAMETERS, initial_values
from synth.instrument.voice import STEAL_MS, Phase, Voice, stealing_order
from synth.stream import Player

_CONTROLLED = {p.controller: p for p in PARAMETERS.values() if p.controller is not None}
_SUSTAIN, _ALL_SOUND_OFF, _RESET_CONTROLLERS, _ALL_NOTES_OFF = 64, 120, 121, 123

Event = tuple[int, mido.Message]


class Instrument:
    """A preset that plays. Not thread-safe: one thread at a time.

    Args:
      preset: what to play.
      voices: notes at a time. As many slots again let stolen voices fade out.
      backend: the decoder's; see `synth.kernels`.
      precision: of the decoder's weights; "auto" is the fastest that sounds the same as fp32.
      blend: weights of the preset's instruments, by name; None for the preset's own.
      seed: the same seed, events and block offsets give the same audio, whatever the block size.
    """

    def __init__(
        self,
        preset: Preset,
        *,
        voices: int = 8,
        backend: str = "auto",
        precision: str = "auto",
        blend: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.preset = preset
        self.values = initial_values(preset.info.parameters)
        self._bank = preset.bank
        self._weights = preset.bank.weights(blend if blend is not None else preset.info.blend)
        self._voices: dict[int, Voice] = {}  # by slot
        self._polyphony = voices
        self._slots = 2 * voices
        self._player = Player(preset.model, voices=self._slots, backend=backend, precision=precision)
        self._seed = seed
        self._order = 0
        self._pedal: set[int] = set()  # channels whose sustain pedal is down
        self._bend: dict[int, float] = {}  # -1 to 1, by channel
        self._gain = self._target_gain()

    @property
    def sample_rate_hz(self) -> int:
        return self.preset.model.config.sample_rate_hz

    @property
    def latency_frames(self) -> int:
        """Frames from an event to the sound it makes: none."""
        return 0

    @property
    def tail_frames(self) -> int:
        """Frames that can sound after the last note-off."""
        return round(self.values["release_ms"] * self.sample_rate_hz / 1000) + 1

    @property
    def sounding(self) -> int:
        """Voices that sound now."""
        return len(self._voices)

    @property
    def voices(self) -> int:
        """Notes at a time."""
        return self._polyphony

    @property
    def backend(self) -> str:
        return self._player.backend

    @property
    def precision(self) -> str:
        return self._player.precision

    def warm_up(self, frames: int) -> None:
        """Compile for blocks of `frames`, and touch all memory."""
        self.process([(0, mido.Message("note_on", note=60, velocity=1))], frames)
        self.reset()
        self.process([], frames)

    def reset(self) -> None:
        """All sound off, all controllers at rest; the next performance repeats the first."""
        self._voices.clear()
        self._pedal.clear()
        self._bend.clear()
        self._order = 0
        self.values |= {parameter.id: parameter.default for parameter in _CONTROLLED.values()}

    def process(self, events: Sequence[Event], frames: int) -> np.ndarray:
        """The next block [frames, 2] float32; each event takes effect at its offset, 0 <= offset < frames."""
        for offset, message in events:
            self._handle(message, offset)
        mix = np.zeros(frames, np.float32)
        if self._voices:
            self._render(mix, frames)
        target = self._target_gain()
        mix *= np.linspace(self._gain, target, frames, dtype=np.float32)
        self._gain = target
        return np.repeat(mix[:, None], 2, axis=1)

    def _target_gain(self) -> float:
        loudness = self.values["volume"] * self.values["expression"]
        return float(10.0 ** (self.values["gain_db"] / 20.0) * loudness**2)

    def _render(self, mix: np.ndarray, frames: int) -> None:
        block = self._player.new_block(frames)
        offsets = np.arange(frames)
        for slot, voice in self._voices.items():
            begin = max(-voice.age, 0)
            played_hz = self._pitch_hz(
                voice.key + self._bend.get(voice.channel, 0.0) * self.values["bend_range_semitones"]
            )
            block.set(
                slot,
                frames=voice.held.window(max(voice.age, 0) // block.hop, block.window),
                position=voice.age if voice.age < 0 else voice.age % block.hop,
                begin=begin,
                fresh=voice.age <= 0,
                pitch_hz=self._pitch_hz(voice.key),
                seed=voice.seed,
                temperature=self.values["temperature"],
            )
            increment = round(played_hz * 2.0**32 / self.sample_rate_hz)
            block.clock[slot, begin:] = voice.advance_clock(increment, frames - begin)
        audio = self._player.advance(block)
        for slot, voice in list(self._voices.items()):
            mix += voice.gain * audio[slot] * voice.envelope(voice.age + offsets)
            voice.age += frames
            if voice.finished:
                del self._voices[slot]

    def _pitch_hz(self, key: float) -> float:
        return self.values["tuning_a4_hz"] * 2.0 ** ((key - 69.0) / 12.0)

    def _handle(self, message: mido.Message, offset: int) -> None:
        if message.type == "note_on" and message.velocity > 0:
            self._note_on(message.channel, message.note, message.velocity, offset)
        elif message.type in ("note_off", "note_on"):
            self._note_off(message.channel, message.note, offset)
        elif message.type == "pitchwheel":
            self._bend[message.channel] = message.pitch / (8191.0 if message.pitch > 0 else 8192.0)
        elif message.type == "control_change":
            self._control(message.channel, message.control, message.value, offset)

    def _note_on(self, channel: int, key: int, velocity: int, offset: int) -> None:
        # The same key again replaces its note, as on any keyboard.
        for voice in self._voices.values():
            if (voice.channel, voice.key) == (channel, key) and voice.phase in (Phase.HELD, Phase.SUSTAINED):
                self._release(voice, offset)
        self._make_room(offset)
        slot = next(slot for slot in range(self._slots) if slot not in self._voices)
        has_level = self.preset.model.config.head == "logistics"
        frames = self._bank.note(self._weights, key, velocity)
        self._order += 1
        self._voices[slot] = Voice(
            slot=slot,
            channel=channel,
            key=key,
            order=self._order,
            held=HeldNote.of(frames, self._bank.loop, has_level=has_level),
            gain=10.0 ** ((velocity - 100) / 126.0 * self.values["velocity_range_db"] / 20.0),
            seed=(self._seed * 2_654_435_761 + self._order) % 2**32,
            age=-offset,
            attack=max(round(self.values["attack_ms"] * self.sample_rate_hz / 1000), 1),
        )

    def _make_room(self, offset: int) -> None:
        """See that one more voice may sound, and that a slot is free for it."""
        sounding = [voice for voice in self._voices.values() if voice.phase is not Phase.STOLEN]
        if len(sounding) >= self._polyphony:
            victim = min(sounding, key=lambda voice: stealing_order(voice, voice.level(voice.age + offset)))
            victim.steal(victim.age + offset, samples=STEAL_MS * self.sample_rate_hz / 1000)
        if len(self._voices) >= self._slots:
            # More stolen voices than spare slots within 5 ms: the one that has faded furthest is cut.
            stolen = (voice for voice in self._voices.values() if voice.phase is Phase.STOLEN)
            del self._voices[min(stolen, key=lambda voice: voice.level(voice.age + offset)).slot]

    def _note_off(self, channel: int, key: int, offset: int) -> None:
        for voice in self._voices.values():
            if (voice.channel, voice.key, voice.phase) == (channel, key, Phase.HELD):
                if channel in self._pedal:
                    voice.phase = Phase.SUSTAINED
                else:
                    self._release(voice, offset)

    def _release(self, voice: Voice, offset: int) -> None:
        voice.release(voice.age + offset, samples=self.values["release_ms"] * self.sample_rate_hz / 1000)

    def _control(self, channel: int, control: int, value: int, offset: int) -> None:
        if control in _CONTROLLED:
            parameter = _CONTROLLED[control]
            self.values[parameter.id] = parameter.low + (parameter.high - parameter.low) * value / 127.0
        elif control == _SUSTAIN and value >= 64:
            self._pedal.add(channel)
        elif control in (_SUSTAIN, _RESET_CONTROLLERS):
            self._pedal.discard(channel)
            self._release_where(channel, offset, (Phase.SUSTAINED,))
            if control == _RESET_CONTROLLERS:
                self._bend.pop(channel, None)
                self.values["expression"] = PARAMETERS["expression"].default
        elif control == _ALL_NOTES_OFF:
            self._pedal.discard(channel)
            self._release_where(channel, offset, (Phase.HELD, Phase.SUSTAINED))
        elif control == _ALL_SOUND_OFF:
            for voice in self._voices.values():
                if voice.channel == channel and voice.phase is not Phase.STOLEN:
                    voice.steal(voice.age + offset, samples=STEAL_MS * self.sample_rate_hz / 1000)

    def _release_where(self, channel: int, offset: int, phases: tuple[Phase, ...]) -> None:
        for voice in self._voices.values():
            if voice.channel == channel and voice.phase in phases:
                self._release(voice, offset)
