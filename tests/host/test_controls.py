"""The desk without a device: commands of any surface reach the instruments, their state comes back."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from synth import WaveNet
from synth.bank import Preset, PresetInfo, load_preset, save_preset
from synth.cli.play import Choice
from synth.cli.play import _Presets as CliPresets
from synth.errors import WavekeysError
from synth.host import controls
from synth.host.controls import Controls, Library
from synth.host.desk import Status
from synth.host.engine import Engine
from synth.host.events import EventQueue
from synth.host.output import Output
from synth.host.recorder import Recorder
from synth.host.ring import Ring
from synth.instrument import Instrument, Part, Rack
from synth.instrument.events import Load, SavedAs
from synth.instrument.rack import Plays
from synth.testing import FakeClock, SineInstrument
from synth.testing.playing import control, on

BLOCK = 64


class Presets:
    """A library of presets that are there already."""

    def __init__(self, *presets: Preset) -> None:
        self._presets = {preset.info.name: preset for preset in presets}
        self.names = tuple(self._presets)
        self.on_disk: list[Preset] = []  # saved by others, not looked at yet

    def add(self, preset: Preset) -> None:
        self._presets[preset.info.name] = preset
        self.names = tuple(self._presets)

    def refresh(self) -> None:
        while self.on_disk:
            self.add(self.on_disk.pop())

    def open(self, name: str) -> Preset:
        return self._presets[name]

    def instrument(self, preset: Preset) -> Plays:
        return Instrument(preset, voices=2, backend="cpu")


class Rig:
    """Controls and their engine, a block at a time."""

    def __init__(self, rack: Rack, library: Library) -> None:
        self.clock = FakeClock()
        self.events = EventQueue()
        self.ring = Ring(capacity_frames=1 << 13, channels=2)
        self.output = Output(self.ring, rate_hz=16_000, now=self.clock)
        self.engine = Engine(
            instrument=rack,
            block_frames=BLOCK,
            spare_blocks=1,
            rate_hz=16_000,
            events=self.events,
            ring=self.ring,
            output=self.output,
            now=self.clock,
            sleep=self.clock.sleep,
        )
        self.presets = library
        self.said: list[str] = []
        self.takes: list[bool] = []
        self.controls = Controls(
            rack,
            engine=self.engine,
            events=self.events,
            output=self.output,
            library=library,
            block_frames=BLOCK,
            record=self._record,
            remark=self.said.append,
            now=self.clock,
        )

    def _record(self, on: bool) -> Recorder | None:
        self.takes.append(on)
        if on:
            raise WavekeysError("cannot write take.wav: no space")
        return None

    def settle(self) -> Status:
        """Until what was asked for has been done, and the status says so."""
        for _ in range(3):
            self.controls.poll()
            self.run()
        return self.controls.poll()

    def run(self, blocks: int = 16) -> np.ndarray:
        """As if a device took blocks: what it hears, [T, 2]."""
        heard = []
        for _ in range(blocks):
            while self.engine.step() == 0.0:
                pass
            out = np.zeros((BLOCK, 2), np.float32)
            self.output(out, BLOCK, None, None)
            heard.append(out)
            self.clock.sleep(BLOCK / 16_000)
        return np.concatenate(heard)


@pytest.fixture
def second(tiny_preset: Preset) -> Preset:
    info = dataclasses.replace(tiny_preset.info, name="second", parameters={"gain_db": -6.0})
    return dataclasses.replace(tiny_preset, info=info)


@pytest.fixture
def rig(tiny_preset: Preset, second: Preset) -> Rig:
    instrument = Instrument(tiny_preset, voices=2, backend="cpu")
    rack = Rack([Part(name="keys", instrument=instrument), Part(name="sine", instrument=SineInstrument(), channel=1)])
    rack.warm_up(BLOCK)
    made = Rig(rack, Presets(tiny_preset, second))
    made.run()
    return made


def test_commands_that_another_preset_has_overtaken_are_told_and_the_engine_plays_on(
    rig: Rig, tiny_preset: Preset
) -> None:
    """Two presets of different models at once, and a blend of instruments that the next preset does not have."""
    other = dataclasses.replace(
        tiny_preset, info=dataclasses.replace(tiny_preset.info, name="other", model_sha256="0" * 64)
    )
    alone = dataclasses.replace(
        tiny_preset,
        info=dataclasses.replace(tiny_preset.info, name="alone", blend={"bell": 1.0}),
        bank=dataclasses.replace(
            tiny_preset.bank,
            instruments=("bell",),
            embeddings=tiny_preset.bank.embeddings[:1],
            loops=tiny_preset.bank.loops[:1],
            vibrato=tiny_preset.bank.vibrato[:1],
            stretch=tiny_preset.bank.stretch[:1],
            tuning=tiny_preset.bank.tuning[:1],
            tones=tiny_preset.bank.tones[:1],
        ),
    )
    for preset in (other, alone):
        rig.presets.add(preset)
    rig.controls.load_preset("keys", "other")
    rig.controls.load_preset("keys", "second")
    rig.controls.poll()
    rig.run()
    assert rig.controls.poll().parts[0].preset == "second"
    rig.controls.load_preset("keys", "alone")
    rig.controls.poll()
    rig.controls.set_blend("keys", {"pipe": 1.0})
    rig.run()
    assert rig.controls.poll().parts[0].preset == "alone"
    assert "unknown instrument 'pipe'" in rig.said[-1]
    rig.controls.midi(on(60))
    assert np.abs(rig.run()).max() > 0
    assert rig.engine.failure is None


def test_a_parameter_that_is_set_is_shown_and_marks_the_preset_edited(rig: Rig) -> None:
    assert not rig.controls.status().parts[0].edited
    rig.controls.set("keys", "gain_db", -3.0)
    rig.run()
    keys = rig.controls.poll().parts[0]
    assert keys.parameters["gain_db"] == -3.0
    assert keys.edited


def test_notes_sound_are_counted_and_measured_and_panic_ends_them(rig: Rig) -> None:
    rig.controls.midi(on(60))
    assert rig.run().any()
    status = rig.controls.poll()
    assert status.parts[0].sounding == 1
    assert -60 < status.level_db[0] < 0
    rig.controls.panic()
    rig.run(32)
    assert not rig.run().any()
    rig.controls.poll()
    assert rig.controls.poll().level_db == pytest.approx((-120.0, -120.0))


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (lambda desk: desk.set("organ", "gain_db", 0.0), "no part 'organ'; there are: keys, sine"),
        (lambda desk: desk.set("keys", "volume", 0.0), "unknown parameter 'volume'"),
        (lambda desk: desk.set("keys", "gain_db", float("nan")), "must be from -60 to 24"),
        (lambda desk: desk.set("sine", "gain_db", 0.0), "'sine' has no parameters"),
        (lambda desk: desk.set_blend("keys", {"kazoo": 1.0}), "kazoo"),
        (lambda desk: desk.load_preset("keys", "third"), "no preset 'third'"),
        (lambda desk: desk.learn("keys", "volume"), "unknown parameter 'volume'"),
        (lambda desk: desk.step_preset("organ", 1), "no part 'organ'"),
    ],
)
def test_what_does_not_exist_is_refused_at_once(rig: Rig, command: Callable[[Controls], None], error: str) -> None:
    with pytest.raises(WavekeysError, match=error):
        command(rig.controls)
    rig.run()
    assert not rig.controls.poll().parts[0].edited


def test_presets_are_loaded_by_name_and_stepped_through_around_the_end(rig: Rig, tiny_preset: Preset) -> None:
    rig.controls.load_preset("keys", "second")
    rig.controls.poll()
    rig.run()
    keys = rig.controls.poll().parts[0]
    assert (keys.preset, keys.parameters["gain_db"], keys.edited) == ("second", -6.0, False)
    rig.controls.step_preset("keys", 1)
    rig.controls.poll()
    rig.run()
    assert rig.controls.poll().parts[0].preset == tiny_preset.info.name


def test_a_preset_of_another_model_replaces_the_instrument(rig: Rig, tiny_preset: Preset) -> None:
    foreign = dataclasses.replace(
        tiny_preset, info=dataclasses.replace(tiny_preset.info, name="foreign", model_sha256="0" * 64)
    )
    rig.controls._library = Presets(foreign)
    rig.controls.learn("keys", "attack_ms")
    rig.controls.midi(control(21, 64))
    rig.run()
    rig.controls.load_preset("keys", "foreign")
    rig.controls.poll()
    rig.run()
    assert rig.controls.poll().parts[0].preset == "foreign"
    assert rig.controls.poll().parts[0].controllers[21] == "attack_ms"  # what was learnt stays learnt
    assert rig.said == ["preparing foreign, which has another model", "foreign is ready"]
    rig.controls.midi(on(60))
    assert rig.run().any()


def test_the_keys_that_were_played_are_told_once(rig: Rig) -> None:
    rig.controls.midi(on(60))
    rig.controls.midi(control(7, 90))
    rig.run()
    assert rig.controls.poll().played == (on(60),)
    assert rig.controls.poll().played == ()


def test_what_is_played_is_saved_under_a_name_and_no_longer_edited(tiny_folder: Path, home: Path) -> None:
    preset = load_preset(str(tiny_folder))
    rack = Rack([Part(name="keys", instrument=Instrument(preset, voices=2, backend="cpu"))])
    rack.warm_up(BLOCK)
    rig = Rig(rack, Presets(preset))
    rig.run()
    rig.controls.set("keys", "gain_db", -3.0)
    rig.run()
    rig.controls.save_preset("keys", "softer")
    keys = rig.settle().parts[0]
    assert rig.said == ["saved softer"]
    assert (keys.preset, keys.edited, keys.parameters["gain_db"]) == ("softer", False, -3.0)
    saved = tomllib.loads((home / "data" / "presets" / "softer" / "preset.toml").read_text())
    assert saved["parameters"] == {"gain_db": -3.0}
    rig.controls._instrument("keys").programs[7] = load_preset("softer")
    rig.controls.set("keys", "gain_db", -4.0)
    rig.run()
    rig.controls.save_preset("keys", None)
    assert not rig.settle().parts[0].edited
    rig.run()
    assert rig.controls._instrument("keys").programs[7].info.parameters == {"gain_db": -4.0}
    assert load_preset("softer").info.parameters == {"gain_db": -4.0}
    rig.controls.save_preset("keys", "../elsewhere")
    assert "cannot be a name" in rig.settle().remark


def test_what_was_asked_for_just_before_is_saved_too(rig: Rig, second: Preset) -> None:
    saved: list[PresetInfo] = []

    def save(info: PresetInfo, *, name: str, overwrite: bool) -> PresetInfo:
        assert not overwrite
        saved.append(info)
        return dataclasses.replace(info, name=name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(controls, "save_preset", save)
        rig.controls.load_preset("keys", "second")
        rig.controls.save_preset("keys", "mine")
        keys = rig.settle().parts[0]
        assert saved[0].parameters == second.info.parameters
        assert (keys.preset, keys.edited) == ("mine", False)
        rig.controls.set("keys", "gain_db", -12.0)
        rig.controls.save_preset("keys", "quiet")
        rig.settle()
    assert saved[1].parameters == {"gain_db": -12.0}


def test_what_plays_since_the_save_keeps_its_name(rig: Rig, tiny_preset: Preset, second: Preset) -> None:
    instrument = rig.controls._instrument("keys")
    instrument.process([(0, Load(second)), (0, SavedAs(tiny_preset.info, tiny_preset.info))], BLOCK)
    assert instrument.preset.info is second.info


@pytest.mark.usefixtures("home")
def test_several_are_saved_at_once(tiny_folder: Path) -> None:
    preset = load_preset(str(tiny_folder))
    parts = [Part(name=name, instrument=Instrument(preset, voices=1, backend="cpu")) for name in "ab"]
    choice = Choice(seats=[], voices=1, backend="cpu", precision="auto", blend=None, mpe=0, tuning=None, effects=())
    rack = Rack(parts)
    rack.warm_up(BLOCK)
    rig = Rig(rack, CliPresets(choice))
    rig.run()
    rig.controls.save_preset("a", "one")
    rig.controls.save_preset("b", "two")
    assert {part.preset for part in rig.settle().parts} == {"one", "two"}
    assert {"one", "two"} <= set(rig.controls.poll().presets)


@pytest.mark.usefixtures("home")
def test_another_preset_of_the_same_name_is_not_overwritten(tiny_folder: Path) -> None:
    preset = load_preset(str(tiny_folder))  # by its folder; the library has one of that name as well
    save_preset(dataclasses.replace(preset.info, description="hours of work"), name="tiny")
    rack = Rack([Part(name="keys", instrument=Instrument(preset, voices=2, backend="cpu"))])
    rack.warm_up(BLOCK)
    rig = Rig(rack, Presets(preset))
    rig.run()
    rig.controls.save_preset("keys", "tiny")
    assert "there is a preset 'tiny' already" in rig.settle().remark
    assert load_preset("tiny").info.description == "hours of work"


def test_steps_that_come_at_once_are_several(rig: Rig, tiny_preset: Preset) -> None:
    for name in "abc":
        rig.presets.add(dataclasses.replace(tiny_preset, info=dataclasses.replace(tiny_preset.info, name=name)))
    rig.controls.step_preset("keys", 1)
    rig.controls.step_preset("keys", 1)
    assert rig.settle().parts[0].preset == "a"  # behind tiny and second
    rig.controls.step_preset("keys", -1)
    assert rig.settle().parts[0].preset == "second"


def test_an_instrument_that_cannot_be_played_here_is_a_remark(rig: Rig, tiny_preset: Preset) -> None:
    model = WaveNet(dataclasses.replace(tiny_preset.model.config, sample_rate_hz=24_000), rngs=nnx.Rngs(0))
    info = dataclasses.replace(tiny_preset.info, name="fast", model_sha256="ff")
    rig.presets.add(dataclasses.replace(tiny_preset, model=model, info=info))
    rig.controls.load_preset("keys", "fast")
    assert "share a rate: 16000 Hz, not 24000 Hz" in rig.settle().remark
    assert rig.controls.status().parts[0].preset == "tiny"
    info = dataclasses.replace(tiny_preset.info, name="large", model_sha256="fe")
    rig.presets.add(dataclasses.replace(tiny_preset, info=info))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Instrument, "warm_up", lambda *_: _fail("RESOURCE_EXHAUSTED: out of memory"))
        rig.controls.load_preset("keys", "large")
        assert rig.settle().remark == "large cannot be played: RESOURCE_EXHAUSTED: out of memory"
    rig.controls.load_preset("keys", "large")
    assert rig.settle().parts[0].preset == "large"


def _fail(why: str) -> None:
    raise RuntimeError(why)


def test_what_fails_later_is_a_remark_and_playing_goes_on(rig: Rig) -> None:
    rig.controls.record(True)
    assert rig.controls.poll().remark == "cannot write take.wav: no space"
    assert rig.takes == [True]
    rig.controls.midi(on(60))
    assert rig.run().any()


def test_a_controller_is_learnt_by_moving_it(rig: Rig) -> None:
    rig.controls.learn("keys", "attack_ms")
    rig.run()
    assert rig.controls.poll().parts[0].learning == "attack_ms"
    rig.controls.midi(control(64, 0))  # a pedal stays a pedal
    rig.controls.midi(control(21, 127))
    rig.run()
    keys = rig.controls.poll().parts[0]
    assert keys.learning is None
    assert keys.controllers[21] == "attack_ms"
    assert keys.parameters["attack_ms"] == 10_000
    assert 73 not in keys.controllers  # the controller that it had
    rig.controls.forget("keys", "attack_ms")
    rig.run()
    assert rig.controls.poll().parts[0].controllers[73] == "attack_ms"


def test_why_a_take_ended_is_said_with_what_is_kept(rig: Rig) -> None:
    class Ended:
        failure = "No space left on device"
        farewell = "recording stopped: take.wav: No space left on device; the 2.4 s until here are kept"

    rig.controls._recorder = Ended()  # type: ignore[assignment]
    status = rig.controls.poll()
    assert (status.remark, status.recording) == (Ended.farewell, None)


def test_a_preset_that_another_wavekeys_has_saved_can_be_loaded(rig: Rig, second: Preset) -> None:
    late = dataclasses.replace(second, info=dataclasses.replace(second.info, name="late one"))
    assert isinstance(rig.presets, Presets)
    rig.presets.on_disk.append(late)
    rig.controls.load_preset("keys", "late one")
    assert rig.settle().parts[0].preset == "late one"
