"""The plugin, on a tiny model: timing, voices, pedals, determinism."""

from __future__ import annotations

import dataclasses

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth import WavekeysError
from synth.bank import Preset
from synth.instrument import PARAMETERS, Instrument, render
from synth.testing.playing import control, off, on, play


@pytest.fixture(scope="module")
def shared(tiny_preset: Preset) -> Instrument:
    return Instrument(tiny_preset, voices=3)


@pytest.fixture
def instrument(shared: Instrument) -> Instrument:
    shared.reset()
    return shared


def test_without_notes_there_is_silence(instrument: Instrument) -> None:
    assert (play(instrument, {}, 256) == 0).all()


def test_a_note_begins_at_its_sample_and_not_before(instrument: Instrument) -> None:
    audio = play(instrument, {37: [on(60)]}, 256)
    assert (audio[:37] == 0).all()
    assert (audio[37:60] != 0).any()


def test_a_released_note_ends_in_true_silence_within_its_tail(instrument: Instrument) -> None:
    audio = play(instrument, {0: [on(60)], 500: [off(60)]}, 64 * 60)
    assert (audio[400:500] != 0).any()
    assert (audio[500 + instrument.tail_frames :] == 0).all()
    assert instrument.sounding == 0


def test_a_note_that_was_no_more_than_a_touch_ends_within_the_tail_that_is_told(instrument: Instrument) -> None:
    for name, value in (("attack_ms", 2000.0), ("release_ms", 5.0)):
        instrument.set(name, value)
    audio = play(instrument, {0: [on(60), off(60)]}, 640)
    assert (audio[:160] != 0).any()
    assert (audio[instrument.tail_frames :] == 0).all()


def test_to_play_messages_offline_changes_nothing(tiny_preset: Preset) -> None:
    second = dataclasses.replace(tiny_preset, info=dataclasses.replace(tiny_preset.info, name="second"))
    instrument = Instrument(tiny_preset, voices=2, programs={1: second})
    messages = [on(60), off(60).copy(time=0.05), control(72, 127).copy(time=0.06)]
    messages += [mido.Message("program_change", program=1, time=0.07)]
    state = instrument.state()
    first = instrument(messages, 0.1)
    assert instrument.state() == state
    np.testing.assert_array_equal(instrument(messages, 0.1), first)
    with pytest.raises(WavekeysError, match="more than 0 Hz"):
        instrument(messages, 0.1, sample_rate=-1)


@settings(max_examples=8, deadline=None)
@given(shift=st.integers(0, 200))
def test_a_shifted_phrase_is_the_same_audio_shifted(tiny_preset: Preset, shift: int) -> None:
    phrase = {0: [on(60)], 90: [on(64, 60)], 300: [off(60)], 450: [off(64)]}
    first, second = (Instrument(tiny_preset, voices=3, backend="cpu") for _ in range(2))
    still = play(first, phrase, 640)
    moved = play(second, {at + shift: messages for at, messages in phrase.items()}, 640)
    np.testing.assert_array_equal(still[: 640 - shift], moved[shift:])


@settings(max_examples=6, deadline=None)
@given(block=st.sampled_from([16, 33, 64, 100, 320]))
def test_the_block_size_does_not_change_the_sound(tiny_preset: Preset, block: int) -> None:
    phrase = {5: [on(60)], 90: [on(64, 60)], 170: [off(60)], 250: [off(64)]}
    audio = play(Instrument(tiny_preset, voices=3), phrase, 320, block)
    expected = play(Instrument(tiny_preset, voices=3), phrase, 320, 320)
    # Measured: 2e-9, the envelope's rounding.
    np.testing.assert_allclose(audio, expected, atol=1e-7)


def test_instruments_side_by_side_sound_as_alone(tiny_preset: Preset) -> None:
    phrase = {0: [on(60)], 100: [on(63)]}
    alone = play(Instrument(tiny_preset, voices=3), phrase, 256)
    first, second = Instrument(tiny_preset, voices=3), Instrument(tiny_preset, voices=3)
    together = []
    for start in range(0, 256, 64):
        due = [(at - start, m) for at, messages in phrase.items() if start <= at < start + 64 for m in messages]
        together.append(first.process(due, 64))
        second.process([(0, on(64))], 64)
    np.testing.assert_array_equal(np.concatenate(together), alone)


def test_notes_beyond_the_polyphony_steal_and_none_is_stuck(instrument: Instrument) -> None:
    events = {10 * i: [on(60 + i % 5, channel=i // 5)] for i in range(8)}
    play(instrument, events, 640)
    assert instrument.sounding == 3
    instrument.process([(0, off(60 + i % 5, channel=i // 5)) for i in range(8)], 64)
    play(instrument, {}, instrument.tail_frames + 64)
    assert instrument.sounding == 0


def test_stealing_takes_released_voices_first(instrument: Instrument) -> None:
    play(instrument, {0: [on(60)], 10: [on(61)], 20: [on(62)], 200: [off(61)], 210: [on(63)]}, 512)
    held = {voice.held_by[1] for voice in instrument._voices}
    assert held == {60, 62, 63}


def test_a_chord_takes_the_oldest_notes_and_none_of_its_own(tiny_preset: Preset) -> None:
    """However slowly it rises: what begins is quiet, but it will not stay so."""
    instrument = Instrument(tiny_preset, voices=3, backend="cpu")
    instrument.set("attack_ms", 500)
    play(instrument, {0: [on(50)], 10: [on(51)], 20: [on(52)], 12_000: [on(60), on(61), on(62)]}, 12_160)
    assert {voice.held_by[1] for voice in instrument._voices} == {60, 61, 62}


@pytest.mark.parametrize("voices", [2, 4, 7])
def test_the_voices_of_a_unison_stay_together(tiny_preset: Preset, voices: int) -> None:
    instrument = Instrument(tiny_preset, voices=voices, backend="cpu")
    instrument.set("unison", 4)
    instrument.set("attack_ms", 200)
    play(instrument, {0: [on(50)], 4000: [on(60)]}, 4160)
    heard = [voice.held_by[1] for voice in instrument._voices]
    assert heard.count(60) == min(voices, 4)
    assert instrument.sounding == voices


def test_a_voice_that_fades_already_goes_on_fading_until_the_very_sample_at_which_it_is_stolen(
    tiny_preset: Preset,
) -> None:
    phrase = {0: [on(60)], 10: [on(61)], 20: [on(62)], 200: [off(61)], 570: [on(63)]}
    stolen_within_a_block = play(Instrument(tiny_preset, voices=3), phrase, 640, 64)
    between_blocks = play(Instrument(tiny_preset, voices=3), phrase, 640, 10)
    np.testing.assert_allclose(stolen_within_a_block, between_blocks, atol=1e-7)


def test_the_pedal_holds_notes_until_it_is_lifted(instrument: Instrument) -> None:
    play(instrument, {0: [control(64, 127), on(60)], 64: [off(60)]}, 4096)
    assert instrument.sounding == 1
    play(instrument, {0: [control(64, 0)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_all_sound_off_silences_what_pedals_hold_too(instrument: Instrument) -> None:
    play(instrument, {0: [control(64, 127), on(60), on(62)], 100: [off(60)]}, 256)
    play(instrument, {0: [control(120, 0)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_all_notes_off_lets_every_key_go_and_leaves_the_pedals_to_the_player(instrument: Instrument) -> None:
    """MIDI 1.0 Detailed Specification, All Notes Off: what Hold holds sounds on."""
    play(instrument, {0: [on(60)], 100: [control(123, 0)]}, instrument.tail_frames + 256)
    assert instrument.sounding == 0
    play(instrument, {0: [control(64, 127), on(60), on(62)], 100: [off(60)], 200: [control(123, 0)]}, 4096)
    assert instrument.sounding == 2
    play(instrument, {0: [on(64)], 64: [off(64)]}, 4096)
    assert instrument.sounding == 3  # the pedal is still down
    play(instrument, {0: [control(64, 0)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_a_note_on_of_velocity_zero_is_a_note_off(instrument: Instrument) -> None:
    play(instrument, {0: [on(60)], 64: [on(60, velocity=0)]}, instrument.tail_frames + 256)
    assert instrument.sounding == 0


def test_the_same_key_twice_leaves_nothing_stuck(instrument: Instrument) -> None:
    play(instrument, {0: [on(60)], 50: [on(60)], 100: [off(60)]}, instrument.tail_frames + 256)
    assert instrument.sounding == 0


def test_pitch_bend_moves_the_clock_by_its_range(instrument: Instrument) -> None:
    play(instrument, {0: [on(60), mido.Message("pitchwheel", pitch=8191)]}, 128)
    before = next(iter(instrument._voices)).turns
    play(instrument, {}, 64)
    voice = next(iter(instrument._voices))
    expected = 64 * 440.0 * 2.0 ** ((62 - 69) / 12) / 16_000
    assert ((voice.turns - before) % 2**32) / 2**32 == pytest.approx(expected % 1.0, abs=1e-6)


def test_volume_and_expression_scale_the_sound(instrument: Instrument) -> None:
    loud = play(instrument, {0: [on(60)]}, 256)
    instrument.reset()
    play(instrument, {0: [control(7, 0)]}, 128)
    assert (play(instrument, {0: [on(60)]}, 256) == 0).all()
    assert (loud != 0).any()


def test_a_preset_sets_parameters_and_wrong_ones_are_refused(tiny_preset: Preset) -> None:
    def with_parameters(parameters: dict[str, float]) -> Preset:
        return dataclasses.replace(tiny_preset, info=dataclasses.replace(tiny_preset.info, parameters=parameters))

    assert Instrument(with_parameters({"release_ms": 700.0}), voices=1).values["release_ms"] == 700.0
    with pytest.raises(WavekeysError, match="unknown parameter 'reverb'"):
        Instrument(with_parameters({"reverb": 1.0}), voices=1)
    with pytest.raises(WavekeysError, match=r"'temperature' must be from 0 to 1.5, not 9"):
        Instrument(with_parameters({"temperature": 9.0}), voices=1)


def test_every_parameter_default_lies_in_its_range() -> None:
    for parameter in PARAMETERS.values():
        assert parameter.low <= parameter.default <= parameter.high


def test_render_ends_when_the_last_voice_is_silent(instrument: Instrument) -> None:
    audio = render(instrument, [(0.01, on(60)), (0.03, off(60))])
    assert 0.03 * 16_000 < len(audio) <= 0.03 * 16_000 + instrument.tail_frames + 512
    assert (audio[-1] == 0).all()


def test_render_releases_notes_that_nobody_ends(instrument: Instrument) -> None:
    render(instrument, [(0.0, on(60))])
    assert instrument.sounding == 0


def test_the_same_seed_gives_the_same_audio_and_another_seed_another(tiny_preset: Preset) -> None:
    song = [(0.0, on(60)), (0.05, off(60))]
    first, same, other = (render(Instrument(tiny_preset, voices=2, seed=seed), song) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
