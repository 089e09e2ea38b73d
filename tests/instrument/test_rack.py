"""Several instruments side by side, and effects on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pedalboard
import pytest

from synth.bank import Preset
from synth.errors import WavekeysError
from synth.instrument import Instrument, Part, Rack, Set
from synth.instrument.events import PANIC
from synth.instrument.rack import Plays, RackEvent, Replace, To
from synth.testing import SineInstrument
from synth.testing.playing import control, off, on

FRAMES = 64


class Gain:
    """An effect with pedalboard's two methods, that remembers how it was called."""

    def __init__(self, gain: float, look_ahead: int = 0) -> None:
        self.gain = gain
        self.kept = np.zeros((2, 0), np.float32)
        self.look_ahead = look_ahead
        self.resets = 0

    def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int, reset: bool) -> np.ndarray:
        assert input_array.shape == (2, buffer_size)
        assert input_array.flags.c_contiguous
        assert sample_rate == 16_000
        assert not reset
        self.kept = np.concatenate([self.kept, input_array], axis=1)
        ready = max(self.kept.shape[1] - self.look_ahead, 0)
        out, self.kept = self.kept[:, :ready] * np.float32(self.gain), self.kept[:, ready:]
        return out

    def reset(self) -> None:
        self.resets += 1
        self.kept = np.zeros((2, 0), np.float32)


class Mute(Gain):
    """Keeps all that it gets."""

    def process(self, *arguments: Any) -> np.ndarray:
        return super().process(*arguments)[:, :0]


class Echo(Gain):
    """What it has ever heard, once more every `DELAY` frames."""

    DELAY = 96

    def __init__(self) -> None:
        super().__init__(1.0)
        self.heard = np.zeros((2, self.DELAY), np.float32)

    def process(self, input_array: np.ndarray, *arguments: Any) -> np.ndarray:
        out = super().process(input_array, *arguments)
        for frame in range(out.shape[1]):
            out[:, frame] += self.heard[:, 0]
            self.heard = np.concatenate([self.heard[:, 1:], out[:, frame, None]], axis=1)
        return out

    def reset(self) -> None:
        super().reset()
        self.heard[:] = 0.0


def instrument(preset: Preset, seed: int = 0) -> Instrument:
    return Instrument(preset, voices=2, backend="cpu", seed=seed)


def play(rack: Plays | Rack, blocks: dict[int, list[RackEvent]], count: int = 12) -> np.ndarray:
    return np.concatenate([rack.process(blocks.get(number, []), FRAMES) for number in range(count)])  # type: ignore[arg-type]


def test_a_rack_of_one_is_its_instrument(tiny_preset: Preset) -> None:
    blocks: dict[int, list[RackEvent]] = {0: [(3, on(60))], 6: [(10, off(60))]}
    alone = play(instrument(tiny_preset), blocks)
    assert np.array_equal(play(Rack([Part(name="a", instrument=instrument(tiny_preset))]), blocks), alone)
    assert alone.any()


def test_an_effect_that_gives_nothing_back_is_refused(tiny_preset: Preset) -> None:
    rack = Rack([Part(name="a", instrument=instrument(tiny_preset), effects=[Mute(1.0)])])
    with pytest.raises(WavekeysError, match="Mute: no sound comes out of it in 10 s"):
        rack.warm_up(16_384)


def test_what_was_replaced_rings_until_it_has_faded(tiny_preset: Preset) -> None:
    rack = Rack([Part(name="a", instrument=instrument(tiny_preset))])
    rack.process([(0, on(60))], FRAMES)
    rack.process([(0, Replace("a", instrument(tiny_preset)))], FRAMES)
    assert rack.ringing
    while rack.ringing:
        rack.process([], FRAMES)
    assert not np.any(rack.process([], FRAMES))


def test_each_part_hears_its_own_channel_and_an_omni_part_hears_all(tiny_preset: Preset) -> None:
    rack = Rack(
        [
            Part(name="one", instrument=instrument(tiny_preset), channel=0),
            Part(name="two", instrument=instrument(tiny_preset, seed=1), channel=1),
            Part(name="all", instrument=instrument(tiny_preset, seed=2)),
        ]
    )
    blocks: dict[int, list[RackEvent]] = {0: [(0, on(60, channel=1))]}
    heard: dict[str, list[np.ndarray]] = {name: [] for name in rack.parts}
    for number in range(8):
        mix = rack.process(blocks.get(number, []), FRAMES)
        np.testing.assert_array_equal(mix, sum(rack.stems.values()))
        for name, stem in rack.stems.items():
            heard[name].append(stem)
    parts = {name: np.concatenate(stems) for name, stems in heard.items()}
    assert not parts["one"].any()
    np.testing.assert_array_equal(parts["two"], play(instrument(tiny_preset, seed=1), blocks, 8))
    np.testing.assert_array_equal(parts["all"], play(instrument(tiny_preset, seed=2), blocks, 8))


def test_effects_work_on_a_part_and_on_the_mix(tiny_preset: Preset) -> None:
    blocks: dict[int, list[RackEvent]] = {0: [(0, on(60))]}
    dry = play(instrument(tiny_preset), blocks)
    part = Part(name="a", instrument=instrument(tiny_preset), effects=[Gain(0.5), Gain(0.5)])
    np.testing.assert_array_equal(play(Rack([part], effects=[Gain(2.0)]), blocks), dry * np.float32(0.5))


def test_an_effect_that_looks_ahead_delays_by_its_latency_and_loses_nothing(tiny_preset: Preset) -> None:
    blocks: dict[int, list[RackEvent]] = {0: [(0, on(60))]}
    dry = play(instrument(tiny_preset), blocks)
    rack = Rack([Part(name="a", instrument=instrument(tiny_preset), effects=[Gain(1.0, look_ahead=100)])])
    rack.warm_up(64)
    assert rack.latency_frames == 100  # known before anything is heard
    late = play(rack, blocks)
    assert rack.latency_frames == 100
    assert not late[:100].any()
    np.testing.assert_array_equal(late[100:], dry[:-100])


@pytest.mark.parametrize("on_mix", [False, True])
def test_panic_silences_effects_without_a_step_and_wherever_in_a_block_it_comes(on_mix: bool) -> None:
    def played(shift: int) -> np.ndarray:
        effects = [Echo()]
        part = Part(name="a", instrument=SineInstrument(), effects=() if on_mix else effects)
        rack = Rack([part], effects=effects if on_mix else ())
        panic: list[RackEvent] = [(20 + shift, message) for message in PANIC]
        one_channel: list[RackEvent] = [(shift, control(120, 0))]
        return play(rack, {0: [(20 + shift, on(60))], 2: [(20 + shift, off(60))], 5: one_channel, 8: panic})

    audio = played(0)
    panic = 8 * FRAMES + 20
    assert np.abs(audio[panic - 96 : panic]).max() > 0.01
    assert not audio[panic + 81 :].any()
    largest_step = np.abs(np.diff(audio[:panic, 0])).max()
    assert np.abs(np.diff(audio[panic - 1 :, 0])).max() <= 1.5 * largest_step
    np.testing.assert_array_equal(played(17)[17:], audio[:-17])


def test_all_sound_off_on_a_parts_channel_silences_its_effects_alone() -> None:
    parts = [Part(name=str(n), instrument=SineInstrument(), channel=n, effects=[Echo()]) for n in (0, 1)]
    rack = Rack(parts)
    keys: list[RackEvent] = [(0, on(60)), (0, on(67, channel=1)), (60, off(60)), (60, off(67, channel=1))]
    play(rack, {0: keys, 8: [(0, control(120, 0))]}, count=11)
    assert not rack.stems["0"].any()
    assert rack.stems["1"].any()


def test_an_effect_that_gives_more_than_it_got_has_it_kept_for_the_next_block(tiny_preset: Preset) -> None:
    class Bursts(Gain):
        """Keeps every other block for the one after it."""

        def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int, reset: bool) -> np.ndarray:
            self.look_ahead = 0 if self.look_ahead else 64
            return super().process(input_array, sample_rate, buffer_size, reset)

    blocks: dict[int, list[RackEvent]] = {0: [(0, on(60))]}
    dry = play(instrument(tiny_preset), blocks)
    late = play(Rack([Part(name="a", instrument=instrument(tiny_preset), effects=[Bursts(1.0)])]), blocks)
    assert not late[:64].any()
    np.testing.assert_array_equal(late[64:], dry[:-64])


def test_pedalboards_plugins_are_effects(tiny_preset: Preset) -> None:
    blocks: dict[int, list[RackEvent]] = {0: [(0, on(60))]}
    dry = play(instrument(tiny_preset), blocks)
    board = pedalboard.Pedalboard([pedalboard.Gain(gain_db=-6.0)])
    wet = play(Rack([Part(name="a", instrument=instrument(tiny_preset))], effects=[board]), blocks)
    np.testing.assert_allclose(wet, dry * 10 ** (-6 / 20), atol=1e-6)  # measured: 6e-8


def test_what_is_no_effect_is_refused_by_name() -> None:
    with pytest.raises(WavekeysError, match="'reverb' is no effect"):
        Rack([Part(name="a", instrument=SineInstrument(), effects=["reverb"])])  # type: ignore[list-item]


def test_a_command_reaches_the_part_it_names_and_no_other(tiny_preset: Preset) -> None:
    rack = Rack([Part(name=name, instrument=instrument(tiny_preset)) for name in ("a", "b")])
    rack.process([(0, To("b", Set("gain_db", -12.0))), (0, Set("gain_db", -3.0))], FRAMES)
    first, second = (part.instrument for part in rack.parts.values())
    assert isinstance(first, Instrument)
    assert isinstance(second, Instrument)
    assert (first.values["gain_db"], second.values["gain_db"]) == (-3.0, -12.0)
    with pytest.raises(WavekeysError, match="no part 'c'; there are: a, b"):
        rack.process([(0, To("c", Set("gain_db", 0.0)))], FRAMES)


def test_an_instrument_that_is_replaced_fades_and_the_new_one_plays_on(tiny_preset: Preset) -> None:
    rack = Rack([Part(name="a", instrument=instrument(tiny_preset))])
    blocks: dict[int, list[RackEvent]] = {
        0: [(0, on(60))],
        5: [(0, Replace("a", instrument(tiny_preset, seed=5)))],
        6: [(0, on(64))],
    }
    audio = play(rack, blocks, 20)
    kept = play(instrument(tiny_preset), {0: [(0, on(60))]}, 20)
    new = play(instrument(tiny_preset, seed=5), {1: [(0, on(64))]}, 15)
    np.testing.assert_array_equal(audio[: 5 * FRAMES], kept[: 5 * FRAMES])
    fade = audio[5 * FRAMES :] - new
    assert fade[:20].any()
    assert not fade[2 * FRAMES :].any()
    assert np.all(np.abs(fade[:80]) <= np.abs(kept[5 * FRAMES : 5 * FRAMES + 80]) + 1e-6)


def test_parts_need_names_of_their_own_and_one_rate(tiny_preset: Preset) -> None:
    part = Part(name="a", instrument=instrument(tiny_preset))
    with pytest.raises(WavekeysError, match="name of its own"):
        Rack([part, part])
    with pytest.raises(WavekeysError, match="at least one"):
        Rack([])
    other = SineInstrument()
    other.sample_rate_hz = 44_100
    with pytest.raises(WavekeysError, match="16000 Hz, not 44100 Hz"):
        Rack([part, Part(name="b", instrument=other)])
    with pytest.raises(WavekeysError, match="channel is from 0 to 15"):
        Rack([Part(name="a", instrument=instrument(tiny_preset), channel=16)])


def test_a_rack_plays_instruments_of_any_kind(tiny_preset: Preset) -> None:
    rack = Rack(
        [Part(name="neural", instrument=instrument(tiny_preset)), Part(name="sine", instrument=SineInstrument())]
    )
    rack.warm_up(FRAMES)
    rack.process([(0, on(60))], FRAMES)
    assert rack.sounding == 2
    assert rack.stems["sine"].any()
    rack.reset()
    assert not rack.process([], FRAMES).any()
