"""The plugin: MIDI events in, blocks of audio out. It runs without any device; a host or a renderer drives it."""

from __future__ import annotations

import collections
import dataclasses
import math
import operator
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mido
import numpy as np

from synth.bank import Preset, PresetInfo, Zone, load_preset
from synth.errors import UsageError, WavekeysError
from synth.instrument.channels import Channels
from synth.instrument.events import (
    ALL_SOUND_OFF,
    RESET_CONTROLLERS,
    Command,
    Describe,
    Event,
    Forget,
    Learn,
    Load,
    Renew,
    Resume,
    SavedAs,
    Set,
    SetBlend,
)
from synth.instrument.parameters import PARAMETERS, initial_values, parameter_named
from synth.instrument.patch import WAYS, Patch
from synth.instrument.pool import MOST_POLYPHONY, VoicePool
from synth.instrument.ramp import Crossfade, Ramp
from synth.instrument.steering import Steering
from synth.instrument.timbre import Timbre
from synth.instrument.voice import STEAL_MS, Phase, Touch, Voice
from synth.stream import Player

_SUSTAIN, _SOSTENUTO = 64, 66
_NOTES_OFF = range(123, 128)  # 124 to 127 change a mode that is not ours to change, and let all notes go
NOT_LEARNT = {0, 6, 32, 38, 64, 66, 67, *range(96, 102), *range(120, 128)}  # that no parameter can take over
_POLY, _LEGATO = 0, 2  # the parameter `mode`
_DATA_ENTRY = 6
MORPH_MS = 30.0  # from one blend, or from one key's embedding and controllers, to the next
SHORTEST_MS = 10.0  # of a note, if it rises as long: a trigger's are of no length at all
EMBEDDED_FADE_MS = 50.0  # at the end of a source's own release
SOFT_PEDAL = 0.7  # of a velocity
STATE_VERSION = 1


class Key(NamedTuple):
    """A key that is down."""

    channel: int
    key: int
    velocity: int


class Instrument:
    """A preset that plays. Not thread-safe: one thread at a time.

    Args:
      preset: what to play; a name or a path is loaded.
      voices: that sound at a time; a note in unison, or of several layers, takes several. As many slots again, or a few
        more, let stolen voices fade out.
      backend: the decoder's; see `synth.kernels`.
      precision: of the decoder's weights; "auto" is the fastest that sounds the same as fp32.
      blend: weights of the preset's instruments, by name; None for the preset's own.
      seed: the same seed, events and times give the same audio, whatever the block size.
      tuning: each key's pitch as a MIDI number with a fraction, None for a key that is silent; see `synth.instrument.
        tuning`. None: equal temperament.
      mpe: member channels of an MPE lower zone; RPN 6 sets one up too.
      programs: what program changes choose from, by program + 128 * bank (MIDI's 14 bits); all of the same model.
    """

    def __init__(
        self,
        preset: Preset | str | Path,
        *,
        voices: int = 8,
        backend: str = "auto",
        precision: str = "auto",
        blend: Mapping[str, float] | None = None,
        seed: int = 0,
        tuning: Sequence[float | None] | None = None,
        mpe: int = 0,
        programs: Mapping[int, Preset] | None = None,
    ) -> None:
        if not isinstance(voices, int | np.integer) or not 1 <= voices <= MOST_POLYPHONY:
            raise UsageError(f"an instrument has 1 to {MOST_POLYPHONY} voices, not {voices!r}")
        if not 0 <= mpe <= 15:
            raise UsageError(f"an MPE zone has up to 15 member channels, not {mpe}")
        preset = load_preset(str(preset)) if isinstance(preset, str | Path) else preset
        self._patch = Patch.of(preset, blend=blend, tuning=tuning)
        self.controllers = _usual_controllers()
        self.learning: str | None = None  # the parameter that the next controller will move
        self.refused: collections.deque[str] = collections.deque(maxlen=8)  # why commands were not obeyed
        self.programs = {number: self._patch.fitting(program) for number, program in (programs or {}).items()}
        self._voices = VoicePool(voices, self.sample_rate_hz)
        self._player = Player(preset.model, voices=self._voices.slots, backend=backend, precision=precision)
        bend_range = self.values["bend_range_semitones"]
        self._channels = Channels(self.sample_rate_hz, mpe_members=mpe, bend_range=bend_range)
        self._steering = Steering(self._channels, self.values, self._player, self.sample_rate_hz)
        self._seed = seed
        self.keys: list[Key] = []  # down, in the order in which they went down
        # By a channel's sostenuto pedal: its channel, a note's and its key.
        self.caught: set[tuple[int, int, int]] = set()
        self._glide: Ramp | None = None  # the pitch of the last note: where the next one begins that glides
        self._now = 0  # the next block's first sample

    # What a host asks.

    @property
    def preset(self) -> Preset:
        return self._patch.preset

    @property
    def values(self) -> dict[str, float]:
        """Of all parameters, by name."""
        return self._patch.values

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
        rise = min(self._samples(self.values["attack_ms"]), self._samples(SHORTEST_MS))
        own = rise + self._samples(max(self.values["release_ms"], STEAL_MS)) + self._patch.embedded_release() + 1
        return max([own, *(voice.tail for voice in self._voices)])  # they may have another preset's release

    @property
    def sounding(self) -> int:
        """Voices that sound now."""
        return len(self._voices)

    @property
    def ringing(self) -> bool:
        """Whether anything is heard yet: as long as a voice sounds."""
        return bool(self._voices)

    @property
    def voices(self) -> int:
        """That sound at a time, at most."""
        return self._voices.polyphony

    @property
    def mpe(self) -> int:
        """Member channels of the MPE lower zone that it begins with."""
        return self._channels.mpe_members

    @property
    def backend(self) -> str:
        return self._player.backend

    @property
    def why(self) -> str:
        """The backend, and why it is that one."""
        return self._player.why

    @property
    def precision(self) -> str:
        return self._player.precision

    @property
    def blend(self) -> dict[str, float]:
        """The weights that were chosen, or the preset's."""
        return self._patch.blend

    @property
    def edited(self) -> bool:
        """Whether it would sound otherwise than its preset."""
        return self._patch.edited

    def as_preset_info(self) -> PresetInfo:
        """What it plays now, for `synth.bank.save_preset` to write under a name."""
        return self._patch.as_info()

    # What a host does.

    def warm_up(self, frames: int) -> None:
        """Compile for blocks of `frames`, and touch all memory."""
        # A voice by itself: there may be no key and no velocity that every tuning and every zone lets sound.
        key, zone = Key(0, 60, 1), self.preset.info.zones[0]
        timbre = self._patch.timbre(0, key.key, 60.0, 0.0)
        self._start_voice(key, 0, zone, timbre, 0.0, way=(60.0, 60.0), detune=0.0, place=0.0, together=1, offset=0)
        self.process([], frames)
        self.reset()

    def reset(self) -> None:
        """All sound off, all controllers at rest; the next performance repeats the first.

        Parameters, preset and what controllers have learnt stay.
        """
        self.learning = None
        self._voices.clear()
        self.keys.clear()
        self.caught.clear()
        self._glide = None
        self._now = 0
        self._channels.reset(self.values["bend_range_semitones"])
        self._steering.turn_to(self.values, 0)

    def set(self, parameter: str, value: float | str, offset: int = 0) -> None:
        """Give a parameter a value, from that frame of the next block on."""
        self.values[parameter] = parameter_named(parameter).checked(value)
        self._steering.move(parameter, self._now + offset, self.values[parameter])
        if parameter in WAYS:
            self._change_timbres(offset)

    def set_blend(self, blend: Mapping[str, float] | None, offset: int = 0) -> None:
        """Blend the instruments otherwise (None: as the preset does); notes that sound change over smoothly."""
        self._patch = self._patch.blended(blend)
        self._change_timbres(offset)

    def learn(self, controller: int, parameter: str) -> None:
        """Let a MIDI controller move a parameter from now on, in place of what moved it."""
        parameter_named(parameter)
        if controller in NOT_LEARNT or not 0 <= controller < 128:
            raise WavekeysError(f"controller {controller} has a meaning of its own, it cannot move {parameter!r}")
        self.controllers = {n: known for n, known in self.controllers.items() if known != parameter}
        self.controllers[controller] = parameter
        self._channels.rest(self._now, controller)

    def forget(self, parameter: str) -> None:
        """Let what a parameter has learnt be as it was: it, and what its controllers moved before, are as usual."""
        own = parameter_named(parameter).controller
        kept = {n: known for n, known in self.controllers.items() if known != parameter}
        free = ({own} | self.controllers.keys()) - kept.keys()
        usual = {n: name for n, name in _usual_controllers().items() if n in free and name not in kept.values()}
        self.controllers = kept | usual

    def saved_as(self, info: PresetInfo) -> None:
        """What it played when `as_preset_info` was asked is this preset now; no note hears of it.

        Raises WavekeysError for a preset that this cannot be: of another model, or of other zones.
        """
        self._patch = self._patch.saved_as(info)

    def _renew(self, info: PresetInfo) -> None:
        """A preset was saved: where a program of this name has its instruments, it plays as saved."""
        for number, program in self.programs.items():
            if program.info.name == info.name and program.info.model_sha256 == info.model_sha256:
                self.programs[number] = self._patch.loaded(dataclasses.replace(program, info=info)).preset

    def load(self, preset: Preset, offset: int = 0) -> None:
        """Play another preset of the same model from so many frames of the next block on; notes that sound end as they
        began."""
        patch = self._patch.loaded(preset)
        self.keys.clear()
        self.caught.clear()
        for voice in self._voices.going_on():
            self._release(voice, offset)
        for voice in self._voices:
            voice.touch.replace(Touch.kept)
        self._patch = patch
        self._steering.turn_to(self.values, self._now + offset)

    def state(self) -> dict[str, Any]:
        """Everything that was set, as JSON can hold it; `restore` brings it back."""
        return {
            "version": STATE_VERSION,
            "preset": self.preset.info.name,
            "model_sha256": self.preset.info.model_sha256,
            "parameters": dict(self.values),
            "blend": None if self._patch.override is None else dict(self._patch.override),
            "controllers": {str(number): name for number, name in self.controllers.items()},
            "tuning": list(self._patch.tuning),
            "seed": self._seed,
        }

    def controls(self) -> list[mido.Message]:
        """What brings the channels from rest to where they are, for `Resume`, and not for controllers that move
        parameters."""
        return self._channels.messages()

    def gliding(self) -> list[tuple[int, float, float]] | None:
        """From where the next note glides, as `Ramp.pieces` from now on; None before the first one."""
        return None if self._glide is None else self._glide.pieces(self._now)

    def glide_from(self, pieces: Sequence[tuple[int, float, float]]) -> None:
        """Let the next note glide from there; `pieces` as `gliding` tells them."""
        self._glide = Ramp.of(pieces, self._now)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be as an instrument was at `state()` that played this preset, or one of `programs`.

        Refused as a whole if anything in it is wrong.
        """
        if not isinstance(state, Mapping):
            raise WavekeysError(f"not a state of this instrument: {state!r}")
        known = (self.preset, *self.programs.values())
        preset = next((preset for preset in known if preset.info.name == state.get("preset")), None)
        if state.get("version") != STATE_VERSION:
            raise WavekeysError(f"a state of version {state.get('version')!r}, this wavekeys reads {STATE_VERSION}")
        if preset is None:
            raise WavekeysError(f"this state belongs to preset {state.get('preset')!r}, not {self.preset.info.name!r}")
        if state.get("model_sha256") != preset.info.model_sha256:
            raise WavekeysError(f"this state belongs to another model than that of preset {preset.info.name!r}")
        try:
            patch = Patch(
                preset=preset,
                values=initial_values(state["parameters"]),
                override=None if state["blend"] is None else dict(state["blend"]),
                tuning=[None if pitch is None else float(pitch) for pitch in state["tuning"]],
            )
            controllers = {int(number): str(name) for number, name in state["controllers"].items()}
            seed = operator.index(state["seed"])
            if unknown := state.keys() - self.state().keys():
                raise KeyError(*unknown)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise WavekeysError(f"not a state of this instrument ({error!r})") from None
        learnable = set(range(128)) - NOT_LEARNT
        if not controllers.keys() <= learnable or not set(controllers.values()) <= set(PARAMETERS):
            raise WavekeysError("not a state of this instrument: its controllers are not whole")
        self._patch, self.controllers, self._seed = patch, controllers, seed
        self.reset()

    def process(self, events: Sequence[Event], frames: int) -> np.ndarray:
        """The next block [frames, 2] float32; each event takes effect at its offset, 0 <= offset < frames.

        A block of no frames is for events alone, at offset 0. A command that cannot be obeyed changes nothing and is
        told in `refused`: it may be one that was right when it was sent, before another preset came.
        """
        try:
            numbered = [(operator.index(offset), message) for offset, message in events]
        except TypeError:
            raise UsageError("an event's offset is a whole number of frames") from None
        if frames < 0:
            raise UsageError(f"a block has no {frames} frames")
        ordered = collections.deque(sorted(numbered, key=lambda event: event[0]))
        if ordered and not 0 <= ordered[0][0] <= ordered[-1][0] < max(frames, 1):
            raise UsageError(f"events at {ordered[0][0]} to {ordered[-1][0]} are not within a block of {frames} frames")
        mix = np.zeros((frames, 2), np.float32)
        start = 0
        for length in self._player.lengths(frames):
            while ordered and ordered[0][0] < max(start + length, 1):
                offset, message = ordered.popleft()
                self._take(message, offset - start)
            if length:
                self._steering.begin([*self._voices], self._now, length)
                if self._voices:
                    self._render(mix[start : start + length])
            self._now += length
            start += length
        return mix

    def __call__(self, messages: Sequence[mido.Message], duration: float, sample_rate: int | None = None) -> np.ndarray:
        """Play messages whose `time` is in seconds from the start, offline and anew: [frames, 2] float32.

        Parameters and preset are afterwards what they were before, whatever the messages move.

        Args:
          duration: of the audio, in seconds.
          sample_rate: of the audio, in hertz; None is the instrument's own.
        """
        from synth.instrument.offline import render, resampled  # they know this class

        rate_hz = self.sample_rate_hz if sample_rate is None else sample_rate
        if rate_hz <= 0 or not duration >= 0:
            raise UsageError(
                f"audio has a rate of more than 0 Hz and a duration of 0 s or more, not {rate_hz}, {duration}"
            )
        patch, controllers = dataclasses.replace(self._patch, values=dict(self.values)), self.controllers
        self.reset()
        try:
            audio = render(self, [(message.time, message) for message in messages], duration_seconds=duration)
        finally:
            self._patch, self.controllers = patch, controllers
            self.reset()
        return resampled(audio, self.sample_rate_hz, rate_hz)

    def _render(self, mix: np.ndarray) -> None:
        frames, voices = len(mix), [*self._voices]
        slots = [voice.slot for voice in voices]
        block = self._player.new_block(frames)
        for voice in voices:
            block.set(
                voice.slot,
                self._steering.points(voice),
                age=voice.age,
                seed=voice.seed,
                temperature=self._steering.temperature(voice),
            )
        block.clock[slots] = self._steering.clocks(voices)
        audio = self._player.advance(block)
        mix += (audio[slots][..., None] * self._steering.gains(voices)).sum(axis=0)
        self._voices.advance(frames)

    # Events.

    def _take(self, event: mido.Message | Command, offset: int) -> None:
        if not isinstance(event, Command):
            self._handle(event, offset)
            return
        try:
            self._obey(event, offset)
        except WavekeysError as error:
            self.refused.append(str(error))

    def _obey(self, command: Command, offset: int) -> None:
        match command:
            case Set(parameter, value):
                self.set(parameter, value, offset)
            case SetBlend(blend):
                self.set_blend(blend, offset)
            case Load(preset):
                self.load(preset, offset)
            case Describe(answers):
                answers.append((self.preset.info, self.as_preset_info()))
            case SavedAs(former, info):
                if former is self.preset.info or former == self.preset.info.name:  # else another one plays by now
                    self.saved_as(info)
            case Renew(info):
                self._renew(info)
            case Resume(messages):
                for message in messages:
                    self._handle(message, offset, taught=False)
            case Learn(parameter):
                self.learning = None if parameter is None else parameter_named(parameter).id
            case Forget(parameter):
                self.forget(parameter)

    def _handle(self, message: mido.Message, offset: int, *, taught: bool = True) -> None:
        """`taught`: controllers do what they have learnt."""
        at = self._now + offset
        if message.type == "note_on" and message.velocity > 0:
            self._key_down(Key(message.channel, message.note, message.velocity), offset)
        elif message.type in ("note_off", "note_on"):
            self._key_up(message.channel, message.note, offset)
        elif message.type == "pitchwheel":
            self._channels[message.channel].set_bend(at, message.pitch)
        elif message.type == "aftertouch":
            self._channels[message.channel].pressure.move(at, message.value / 127.0)
        elif message.type == "polytouch":
            self._channels[message.channel].set_key_pressure(at, message.note, message.value)
        elif message.type == "control_change":
            self._control(message.channel, message.control, message.value, offset, taught=taught)
        elif message.type == "program_change":
            program = message.program + 128 * self._channels[message.channel].bank
            if program in self.programs:
                self.load(self.programs[program], offset)

    def _control(self, channel: int, control: int, value: int, offset: int, *, taught: bool) -> None:
        if taught and self._moves_parameter(control, value, offset):
            return
        if control in (_SUSTAIN, _SOSTENUTO):
            self._pedal(channel, control, value >= 64, offset)
        elif control == RESET_CONTROLLERS:
            for number in self._channels.under(channel):
                self._channels[number].reset_controllers(self._now + offset)
            self._drop(self._channels.under(channel))
            self._lift(channel, offset)
        elif control in _NOTES_OFF:
            self.keys = [key for key in self.keys if key.channel not in self._channels.under(channel)]
            for voice in self._voices_under(channel, Phase.HELD):
                self._let_go(voice, offset)
        elif control == ALL_SOUND_OFF:
            self.keys = [key for key in self.keys if key.channel not in self._channels.under(channel)]
            for voice in self._voices_under(channel, Phase.HELD, Phase.SUSTAINED, Phase.RELEASED):
                self._voices.steal(voice, offset)
        else:
            self._channels.control(self._now + offset, channel, control, value)
            if control == _DATA_ENTRY:  # perhaps a zone has changed, and with it whose pedals hold what
                for number in range(16):
                    self._lift(number, offset)

    def _moves_parameter(self, control: int, value: int, offset: int) -> bool:
        """Do what a controller has learnt, perhaps just now; whether it has learnt anything."""
        if self.learning is not None and control not in NOT_LEARNT:
            self.learn(control, self.learning)
            self.learning = None
        if control not in self.controllers:
            return False
        parameter = PARAMETERS[self.controllers[control]]
        self.set(parameter.id, parameter.at(value / 127.0), offset)
        return True

    def _pedal(self, channel: int, control: int, down: bool, offset: int) -> None:
        state = self._channels[channel]
        if control == _SUSTAIN:
            state.sustain = down
        elif down and not state.sostenuto:
            state.sostenuto = True
            self.caught.update((channel, *voice.held_by) for voice in self._voices_under(channel, Phase.HELD))
        elif not down:
            state.sostenuto = False
            self._drop((channel,))
        if not down:
            self._lift(channel, offset)

    def _drop(self, pedals: Collection[int]) -> None:
        """Forget which keys the sostenuto pedals of these channels had caught."""
        self.caught = {at for at in self.caught if at[0] not in pedals}

    def _lift(self, channel: int, offset: int) -> None:
        """Release what no pedal holds any more."""
        for voice in self._voices_under(channel, Phase.SUSTAINED):
            if not self._is_held_by_pedal(voice):
                self._let_go(voice, offset)

    def _let_go(self, voice: Voice, offset: int) -> None:
        """A voice whose key is up: a pedal holds it, or another key that is still down takes it over, or it ends."""
        if voice.phase not in (Phase.HELD, Phase.SUSTAINED) or any(key[:2] == voice.held_by for key in self.keys):
            return  # one of several voices that went together
        if self._is_held_by_pedal(voice):
            voice.phase = Phase.SUSTAINED
        elif self.values["mode"] != _POLY and self.keys and self._is_alone(voice):
            self._take_over(self.keys[-1], offset)
        else:
            self._release(voice, offset)

    def _is_alone(self, voice: Voice) -> bool:
        """Whether no other note goes on: several do where they were struck before there was to be but one at a time."""
        return all(other.held_by == voice.held_by for other in self._voices.going_on())

    def _is_held_by_pedal(self, voice: Voice) -> bool:
        pedals = self._channels.numbers_of_note(voice.held_by[0])
        return any(self._channels[pedal].sustain or (pedal, *voice.held_by) in self.caught for pedal in pedals)

    def _voices_under(self, channel: int, *phases: Phase) -> list[Voice]:
        """The voices that a message on this channel concerns."""
        numbers = self._channels.under(channel)
        return [voice for voice in self._voices if voice.held_by[0] in numbers and voice.phase in phases]

    # Keys.

    def _key_down(self, key: Key, offset: int) -> None:
        if self._patch.pitch(key.key) is None or not self._patch.zones(key.key, key.velocity):
            return
        # The same key again replaces its note, as on any keyboard; its damper stays up if sostenuto had caught it.
        self.keys = [held for held in self.keys if held[:2] != key[:2]]
        self.keys.append(key)
        self._channels[key.channel].forget_key_pressure(self._now + offset, key.key)
        for voice in self._voices.going_on(key[:2]):
            self._release(voice, offset)
        if self.values["mode"] == _POLY:
            self._start(key, offset)
        else:
            self._take_over(key, offset)

    def _key_up(self, channel: int, number: int, offset: int) -> None:
        self.keys = [held for held in self.keys if held[:2] != (channel, number)]
        for voice in self._voices.going_on((channel, number)):
            if voice.phase is Phase.HELD:
                self._let_go(voice, offset)

    def _take_over(self, key: Key, offset: int) -> None:
        """One note at a time: what sounds goes on with this key (legato), or makes way for it."""
        held, pitch = self._voices.going_on(), self._patch.pitch(key.key)
        last = max(held, key=lambda voice: voice.order).held_by if held else None
        for voice in [voice for voice in held if voice.held_by != last]:  # of a chord, from before
            self._voices.steal(voice, offset)
        held = [voice for voice in held if voice.held_by == last]
        zones = {voice.zone for voice in held}
        wanted = self._patch.zones(key.key, key.velocity).keys()
        if self.values["mode"] == _LEGATO and held and zones == wanted and pitch is not None:
            for voice in held:
                self._continue(voice, key, pitch, offset)
            if self._glide is not None:
                self._glide.forget(self._now + offset)
                self._glide.move(self._now + offset, pitch, samples=self._glide_samples)
            return
        for voice in held:
            self._voices.steal(voice, offset)
        self._start(key, offset)

    def _continue(self, voice: Voice, key: Key, pitch: float, offset: int) -> None:
        at = self._now + offset
        voice.held_by, voice.phase = key[:2], Phase.HELD
        zone = self.preset.info.zones[voice.zone]
        detune = float(voice.pitch.target) - voice.nominal
        voice.pitch.move(at, pitch + zone.transpose + detune, samples=self._glide_samples)
        voice.touch.move(at, self._touch(key), samples=self._samples(MORPH_MS))
        voice.nominal = pitch + zone.transpose
        self._change_timbre(voice, offset)

    def _change_timbres(self, offset: int) -> None:
        """What sounds is to be what a new note would be; what ends already ends as it was."""
        for voice in self._voices.going_on():
            self._change_timbre(voice, offset)

    def _change_timbre(self, voice: Voice, offset: int) -> None:
        timbre = self._patch.timbre(voice.zone, voice.held_by[1], voice.nominal, voice.velocity)
        voice.timbre.move(self._now + offset, timbre, samples=self._samples(MORPH_MS))

    def _touch(self, key: Key) -> Touch:
        return Touch(self._channels.of_note(key.channel), key.key)

    def _start(self, key: Key, offset: int) -> None:
        pitch, zones = self._patch.pitch(key.key), self._patch.zones(key.key, key.velocity)
        if pitch is None or not zones:
            return
        is_soft = any(channel.soft for channel in self._channels.of_note(key.channel))
        velocity = self._patch.velocity(key.velocity * (SOFT_PEDAL if is_soft else 1.0))
        glides = self.values["glide_ms"] > 0 and self.values["mode"] != _LEGATO
        start = self._glide.at(self._now + offset) if glides and self._glide is not None else pitch
        self._glide = self._line(start, pitch, offset)
        # Every layer is heard, in as many voices as there are for each.
        count = max(min(round(self.values["unison"]), self._voices.polyphony // len(zones)), 1)
        before = self._voices.begun
        for number, zone in zones.items():
            timbre = self._patch.timbre(number, key.key, pitch + zone.transpose, velocity)
            for place in np.linspace(-0.5, 0.5, count) if count > 1 else (0.0,):
                if self._voices.begun - before == self._voices.polyphony:
                    return
                self._voices.make_room(offset, before=before)
                self._start_voice(
                    key,
                    number,
                    zone,
                    timbre,
                    velocity,
                    way=(start, pitch),
                    detune=0.01 * place * self.values["unison_detune_cents"],
                    place=place,
                    together=count,
                    offset=offset,
                )

    def _start_voice(
        self,
        key: Key,
        number: int,
        zone: Zone,
        timbre: Timbre,
        velocity: float,
        *,
        way: tuple[float, float],
        detune: float,
        place: float,
        together: int,
        offset: int,
    ) -> None:
        """One voice of a note: its zone, its pitch from and to, and its place among those that sound together, -1/2 to
        1/2."""
        order = self._voices.begun + 1
        start, end = (pitch + zone.transpose + detune for pitch in way)
        self._voices.add(
            Voice(
                slot=self._voices.free_slot,
                dials=self._steering.dials,
                touch=Crossfade(self._touch(key)),
                held_by=key[:2],
                zone=number,
                order=order,
                velocity=velocity,
                gain=self._patch.gain(zone, velocity) / math.sqrt(together),
                pan=self._patch.pan(zone, key.key, place),
                seed=(self._seed * 2_654_435_761 + order) % 2**32,
                age=-offset,
                attack=max(self._samples(self.values["attack_ms"]), 1),
                decay=1e-3 ** (1.0 / max(self._samples(self.values["decay_ms"]), 1)),
                sustain=self.values["sustain_level"],
                pitch=self._line(start, end, offset),
                nominal=way[1] + zone.transpose,
                timbre=Crossfade(timbre),
                frame=self.values["start_ms"] / 1000.0 * self.sample_rate_hz / self._player.hop,
            )
        )

    @property
    def _glide_samples(self) -> int:
        """Of a legato line, which does not leap even without a glide: were its pitch there before its timbre, the upper
        partials of the key before would be heard far too high."""
        return self._samples(self.values["glide_ms"]) or self._samples(MORPH_MS)

    def _line(self, start: float, end: float, offset: int) -> Ramp:
        """The pitch of a new note."""
        line = Ramp(start, self._samples(self.values["glide_ms"]))
        if start != end:
            line.move(self._now + offset, end)
        return line

    def _release(self, voice: Voice, offset: int) -> None:
        embedded = self._patch.embedded_release()
        at = max(voice.age + offset, min(voice.attack, self._samples(SHORTEST_MS)))
        if not embedded:
            voice.release(at, samples=self.values["release_ms"] * self.sample_rate_hz / 1000)
            return
        voice.let_at = self._now + offset
        fade = self._samples(EMBEDDED_FADE_MS)
        voice.release(at, samples=fade, after=max(embedded - fade, 0))

    def _samples(self, milliseconds: float) -> int:
        return round(milliseconds * self.sample_rate_hz / 1000)


def _usual_controllers() -> dict[int, str]:
    """What moves which parameter before anything is learnt."""
    return {p.controller: p.id for p in PARAMETERS.values() if p.controller is not None}
