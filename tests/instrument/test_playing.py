"""How an instrument answers a player: expression, modes, zones, blends, embedding time, state."""

from __future__ import annotations

import dataclasses
import json

import mido
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synth import WavekeysError
from synth.bank import Modulation, Preset, Zone
from synth.instrument import PARAMETERS, Forget, Instrument, Learn, Set, SetBlend
from synth.instrument.channels import registered_controls
from synth.instrument.events import Resume
from synth.instrument.voice import Phase, Touch, Voice
from synth.stream import Point
from synth.testing.playing import control, off, on, play


def with_info(preset: Preset, **changes: object) -> Preset:
    return dataclasses.replace(preset, info=dataclasses.replace(preset.info, **changes))


def make(preset: Preset, *, voices: int = 4, parameters: dict[str, float | str] | None = None, **changes: object):
    return Instrument(with_info(preset, parameters=parameters or {}, **changes), voices=voices, backend="cpu")


def sounding(instrument: Instrument, *phases: Phase) -> list[Voice]:
    return [voice for voice in instrument._voices if voice.phase in (phases or (Phase.HELD,))]


def target_pitch(voice: Voice) -> float:
    return voice.pitch.target


def bend(pitch: int, channel: int = 0) -> mido.Message:
    return mido.Message("pitchwheel", channel=channel, pitch=pitch)


def registered_message(parameter: int, data: int) -> list[mido.Message]:
    return [control(number, value) for number, value in registered_controls(parameter, data)]


messages = st.one_of(
    st.builds(on, st.integers(58, 66), st.integers(1, 127), st.integers(0, 1)),
    st.builds(off, st.integers(58, 66), st.integers(0, 1)),
    st.builds(
        control, st.sampled_from([1, 5, 7, 10, 11, 16, 17, 19, 64, 66, 67, 72, 73, 74, 76, 121]), st.integers(0, 127)
    ),
    st.builds(bend, st.integers(-8192, 8191), st.integers(0, 1)),
    st.builds(lambda value: mido.Message("aftertouch", value=value), st.integers(0, 127)),
    st.builds(lambda note, value: mido.Message("polytouch", note=note, value=value), st.just(60), st.integers(0, 127)),
    st.builds(Set, st.just("brightness"), st.floats(-12, 12)),
    st.builds(Set, st.just("gain_db"), st.floats(-20, 0)),
    st.builds(Set, st.just("temperature"), st.floats(0, 1.5)),
    st.builds(Set, st.just("bend_range_semitones"), st.floats(0, 12)),
)


registered_messages = st.builds(registered_message, st.integers(0, 2), st.integers(0x1C00, 0x2400))


@settings(max_examples=12, deadline=None)
@example(steps=[(0, [on(60)]), (100, registered_message(2, 66 << 7))], shift=30, mode="poly")
@example(steps=[(0, [on(60), bend(8191)]), (100, registered_message(0, 4 << 7))], shift=30, mode="poly")
@example(steps=[(0, [on(60), bend(8191)]), (100, [on(62, channel=1)]), (90, [bend(500, 1)])], shift=30, mode="legato")
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 120), registered_messages | messages.map(lambda message: [message])),
        min_size=1,
        max_size=14,
    ),
    shift=st.integers(0, 150),
    mode=st.sampled_from(["poly", "mono", "legato"]),
)
def test_any_performance_shifted_is_the_same_audio_shifted(
    tiny_preset: Preset, steps: list[tuple[int, list[mido.Message]]], shift: int, mode: str
) -> None:
    moving = {
        "pad": {"bottom_left": "bell", "bottom_right": "pipe", "top_left": "pipe", "top_right": "bell"},
        "modulations": (
            Modulation(source="pressure", blend={"pipe": 1.0}),
            Modulation(source="movement", blend={"pipe": 1.0}, amount=0.5),
        ),
        "parameters": {"mode": mode, "glide_ms": 20, "pressure_vibrato_cents": 50, "movement_hz": 9, "release_ms": 40},
    }
    phrase: dict[int, list[mido.Message]] = {}
    at = 0
    for step, due in steps:
        at += step
        phrase.setdefault(at, []).extend(due)
    length = (at + 400) // 64 * 64
    still = play(make(tiny_preset, **moving), phrase, length)
    later = play(make(tiny_preset, **moving), {at + shift: due for at, due in phrase.items()}, length + 192)
    np.testing.assert_array_equal(still, later[shift : length + shift])
    assert np.isfinite(still).all()


def test_mono_plays_one_note_at_a_time_and_goes_back_to_the_key_that_is_still_down(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset, parameters={"mode": "mono"})
    play(instrument, {0: [on(60)], 100: [on(64)]}, 320)
    assert [voice.held_by[1] for voice in sounding(instrument)] == [64]
    play(instrument, {0: [off(64)]}, 320)
    assert [voice.held_by[1] for voice in sounding(instrument)] == [60]
    play(instrument, {0: [off(60)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_legato_goes_on_with_the_same_voice(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset, parameters={"mode": "legato", "glide_ms": 50})
    play(instrument, {0: [on(60)]}, 320)
    (first,) = sounding(instrument)
    play(instrument, {0: [on(63)]}, 320)
    (second,) = sounding(instrument)
    assert second is first
    assert (second.held_by[1], target_pitch(second)) == (63, 63.0)
    play(instrument, {0: [off(63)]}, 320)
    assert (second.held_by[1], target_pitch(second), second.phase) == (60, 60.0, Phase.HELD)
    play(instrument, {0: [off(60)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_a_glide_begins_at_the_last_pitch(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset, parameters={"glide_ms": 10})
    play(instrument, {0: [on(60)], 10: [off(60)], 20: [on(64)]}, 64)
    (voice,) = sounding(instrument)
    np.testing.assert_allclose(voice.pitch.over(np.array([20, 100, 200])), [60, 62, 64])


@pytest.mark.parametrize("mode", ["poly", "mono"])
def test_a_glide_that_is_interrupted_goes_on_from_where_it_is(tiny_preset: Preset, mode: str) -> None:
    instrument = make(tiny_preset, parameters={"mode": mode, "glide_ms": 100})
    play(instrument, {0: [on(60)], 20: [on(72)], 420: [on(62)]}, 448)
    (voice,) = [voice for voice in instrument._voices if voice.held_by[1] == 62]
    assert voice.pitch.at(420) == pytest.approx(60 + 12 * 400 / 1600)
    assert voice.pitch.at(2020) == 62


@pytest.mark.parametrize(("mode", "left"), [("mono", [62, 64]), ("legato", [62, 64])])
def test_a_chord_that_is_held_when_the_mode_changes_stays_a_chord(
    tiny_preset: Preset, mode: str, left: list[int]
) -> None:
    instrument = make(tiny_preset, voices=3)
    play(instrument, {0: [on(60), on(62), on(64)], 60: [Set("mode", mode)], 100: [off(60)]}, 128)
    assert sorted(voice.held_by[1] for voice in sounding(instrument)) == left
    play(instrument, {0: [on(65)]}, 128)
    assert [voice.held_by[1] for voice in sounding(instrument)] == [65]


def test_unison_voices_are_detuned_around_the_note(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset, parameters={"unison": 3, "unison_detune_cents": 20})
    play(instrument, {0: [on(60)]}, 64)
    assert sorted(map(target_pitch, sounding(instrument))) == pytest.approx([59.9, 60.0, 60.1])
    audio = play(instrument, {}, 640)
    assert (audio[:, 0] != audio[:, 1]).any()
    play(instrument, {0: [off(60)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_a_unison_of_layers_is_no_wider_than_there_are_voices_for_each(tiny_preset: Preset) -> None:
    layers = (Zone(), Zone(transpose=12))
    instrument = make(tiny_preset, zones=layers, parameters={"unison": 4, "unison_detune_cents": 20})
    play(instrument, {0: [on(60)]}, 64)  # two voices for each of two layers
    assert sorted(map(target_pitch, sounding(instrument))) == pytest.approx([59.9, 60.1, 71.9, 72.1])
    alone = make(tiny_preset, voices=1, parameters={"unison": 4, "unison_detune_cents": 20})
    simple = make(tiny_preset, voices=1)
    np.testing.assert_array_equal(play(alone, {0: [on(60)]}, 640), play(simple, {0: [on(60)]}, 640))


def test_a_legato_leap_throws_no_partials_up() -> None:
    """The pitch of the new key arrives with its timbre: the partials of the old one would be an octave too high."""
    instrument = Instrument("clarinet", voices=2)
    instrument.set("mode", "legato")
    audio = play(instrument, {0: [on(60)], 16_007: [on(72)]}, 24_000)[:, 0]
    high = np.abs(np.diff(audio, 4))  # rises by 24 dB an octave
    leap, steady = high[16_007:16_407].std(), high[20_000:22_000].std()
    assert leap < 2.0 * steady


def test_sostenuto_holds_only_what_was_down(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    play(instrument, {0: [on(60)], 10: [control(66, 127)], 20: [on(64)], 30: [off(60), off(64)]}, 128)
    assert [voice.held_by[1] for voice in sounding(instrument, Phase.SUSTAINED)] == [60]
    play(instrument, {0: [control(66, 0)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_sostenuto_holds_the_key_that_it_caught_and_not_the_next_of_a_legato_line(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset, parameters={"mode": "legato"})
    play(instrument, {0: [on(60)], 10: [control(66, 127)], 20: [on(64)], 30: [off(60)], 40: [off(64)]}, 128)
    assert [(voice.held_by[1], voice.phase) for voice in instrument._voices] == [(64, Phase.RELEASED)]
    play(instrument, {0: [on(60)], 40: [off(60)]}, instrument.tail_frames + 128)
    assert [(voice.held_by[1], voice.phase) for voice in instrument._voices] == [(60, Phase.SUSTAINED)]
    play(instrument, {0: [control(66, 0)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_a_members_sostenuto_lifts_what_it_caught_and_not_what_the_master_did(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=3, backend="cpu", mpe=5)
    play(instrument, {0: [on(60, channel=1)], 10: [control(66, 127)], 20: [off(60, channel=1)]}, 64)
    play(instrument, {0: [control(66, 0, channel=1)], 10: [control(121, 0, channel=1)]}, 64)
    assert [voice.phase for voice in instrument._voices] == [Phase.SUSTAINED]
    play(instrument, {0: [control(66, 0)]}, instrument.tail_frames + 64)
    assert instrument.sounding == 0


def test_a_zone_that_shrinks_lets_go_of_what_its_masters_sostenuto_held(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=3, backend="cpu", mpe=5)
    play(instrument, {0: [on(60, channel=4)], 10: [control(66, 127)], 20: [off(60, channel=4)]}, 64)
    play(instrument, {0: [control(101, 0), control(100, 6), control(6, 2)]}, instrument.tail_frames + 64)
    assert instrument.sounding == 0


def test_both_pedals_must_be_up_before_a_note_ends(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    play(instrument, {0: [on(60), control(64, 127), control(66, 127)], 20: [off(60)], 40: [control(64, 0)]}, 128)
    assert len(sounding(instrument, Phase.SUSTAINED)) == 1
    play(instrument, {0: [control(66, 0)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_what_a_zones_master_and_member_press_adds_up_to_full_pressure_at_most(tiny_preset: Preset) -> None:
    instrument = Instrument(with_info(tiny_preset, parameters={}), voices=2, backend="cpu", mpe=3)
    full = [mido.Message("aftertouch", channel=channel, value=127) for channel in (0, 1)]
    wheels = [control(1, 127, channel=channel) for channel in (0, 1)]
    play(instrument, {0: [on(60, channel=1), *full, *wheels], 10: [control(74, 127, channel=1)]}, 640)
    (voice,) = sounding(instrument)
    at = np.array([instrument._now])
    assert [voice.touch.over(at, kind) for kind in (Touch.pressure, Touch.wheel)] == [1.0, 1.0]
    play(instrument, {0: [control(74, 127)]}, 640)
    assert voice.touch.over(np.array([instrument._now]), Touch.brightness) == 1.0


def test_the_soft_pedal_makes_new_notes_softer(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    play(instrument, {0: [on(60), control(67, 127), on(62)]}, 64)
    loud, soft = (voice.velocity for voice in sounding(instrument))
    assert soft / loud == pytest.approx(0.7)


def test_pan_goes_from_one_side_to_the_other(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    left = play(instrument, {0: [control(10, 0)], 128: [on(60)]}, 640)
    assert (left[200:, 0] != 0).any()
    assert np.abs(left[200:, 1]).max() < 1e-6 * np.abs(left[200:, 0]).max()


def test_zones_split_and_layer_the_keyboard(tiny_preset: Preset) -> None:
    zones = (
        Zone(key_high=61, blend={"bell": 1.0}),
        Zone(key_low=61, blend={"pipe": 1.0}, transpose=12),
        Zone(velocity_low=120, gain_db=-6),
    )
    instrument = make(tiny_preset, zones=zones)
    play(instrument, {0: [on(60)]}, 64)
    assert [voice.zone for voice in sounding(instrument)] == [0]
    play(instrument, {0: [off(60), on(61, 127)]}, 64)
    assert sorted((voice.zone, target_pitch(voice)) for voice in sounding(instrument)) == [(0, 61), (1, 73), (2, 61)]
    play(instrument, {0: [off(61)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def latest_point(instrument: Instrument) -> Point:
    """The control point that was computed last."""
    block = instrument._player._blocks[64]
    return Point(*(array[block.due - 1] for array in block.points))


def embedded(instrument: Instrument) -> np.ndarray:
    """The frame before the last control point of the one note that is held: [16]."""
    (_,) = sounding(instrument)
    return latest_point(instrument).frames[0]


def test_the_pad_blends_its_corners(tiny_preset: Preset) -> None:
    pad = {"bottom_left": "bell", "bottom_right": "pipe", "top_left": "bell", "top_right": "bell"}
    instrument = make(tiny_preset, pad=pad, parameters={"blend_x": 0.5, "blend_y": 0.25, "speed": 0})
    play(instrument, {0: [on(60, 100)]}, 64)
    bell, pipe = tiny_preset.bank.embeddings[:, 0, 1, 0]
    np.testing.assert_allclose(embedded(instrument), bell + 0.5 * 0.75 * (pipe - bell), atol=1e-6)


@pytest.mark.parametrize(
    ("source", "event", "share"),
    [
        ("velocity", None, 100 / 127),
        ("key", None, 60 / 127),
        ("pressure", mido.Message("aftertouch", value=127), 1.0),
        ("pressure", mido.Message("polytouch", note=60, value=127), 1.0),
        ("wheel", control(1, 127), 1.0),
        ("timbre", control(74, 127), 1.0),
    ],
)
def test_a_note_blends_by_how_it_is_played(
    tiny_preset: Preset, source: str, event: mido.Message | None, share: float
) -> None:
    modulations = (Modulation(source=source, blend={"pipe": 1.0}),)
    instrument = make(tiny_preset, modulations=modulations, parameters={"speed": 0})
    play(instrument, {0: [on(60, 100), *([event] if event else [])]}, 320)
    bell, pipe = tiny_preset.bank.embeddings[:, 0, 1, 0]
    np.testing.assert_allclose(embedded(instrument), bell + share * (pipe - bell), atol=1e-6)


def test_a_new_blend_is_taken_on_smoothly(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset, parameters={"speed": 0})
    play(instrument, {0: [on(60, 100)]}, 64)
    bell, pipe = tiny_preset.bank.embeddings[:, 0, 1, 0]
    instrument.set_blend({"pipe": 1.0})
    shares = []
    for _ in range(12):
        play(instrument, {}, 64)
        shares.append(float((embedded(instrument) - bell) @ (pipe - bell) / ((pipe - bell) @ (pipe - bell))))
    assert shares[0] < 0.2
    assert shares[-1] == pytest.approx(1.0)
    assert max(np.diff(shares)) < 0.2


def test_beyond_the_banks_pitches_the_clock_goes_on_and_the_timbre_stays(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    play(instrument, {0: [on(40)]}, 64)
    point = latest_point(instrument)
    assert point.pitch_hz == pytest.approx(82.407, rel=1e-5)
    assert point.learnt_hz == pytest.approx(261.626, rel=1e-5)


def test_speed_0_freezes_the_embedded_note_and_speed_2_doubles_it(tiny_preset: Preset) -> None:
    times = {}
    for speed in (0.0, 1.0, 2.0):
        instrument = make(tiny_preset, parameters={"speed": speed})
        play(instrument, {0: [on(60)]}, 640)
        times[speed] = sounding(instrument)[0].frame
    assert times[0.0] == 0.0
    assert times[2.0] == 2 * times[1.0] > 0


def test_an_embedded_release_goes_through_the_sources_own(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset, parameters={"release": "embedded"})
    play(instrument, {0: [on(60, 100)], 100: [off(60)]}, 256)
    (_,) = sounding(instrument, Phase.RELEASED)
    frame = latest_point(instrument).frames[0]
    released = tiny_preset.bank.embeddings[0, 0, 1, tiny_preset.bank.release :]
    assert np.isclose(released[:, 1:], frame[1:], atol=1e-6).all(axis=1).any()
    play(instrument, {}, instrument.tail_frames)
    assert instrument.sounding == 0


@pytest.mark.parametrize("gap", [1, 800])
def test_an_embedded_release_begins_at_the_level_of_what_is_blended_then(tiny_preset: Preset, gap: int) -> None:
    embeddings = tiny_preset.bank.embeddings.copy()
    embeddings[1, ..., 0] = 0.2
    bank = dataclasses.replace(tiny_preset.bank, embeddings=embeddings)
    instrument = make(
        dataclasses.replace(tiny_preset, bank=bank), parameters={"release": "embedded"}, blend={"bell": 1.0}
    )
    play(instrument, {0: [on(60, 100)], 100: [SetBlend({"pipe": 1.0})], 100 + gap: [off(60)]}, 256 + gap)
    (voice,) = sounding(instrument, Phase.RELEASED)
    let = voice.timbre.target.let
    assert let is not None
    assert let.level == pytest.approx(0.2)


def test_another_way_through_an_embedded_note_is_faded_to(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    play(instrument, {0: [on(60)]}, 320)
    (voice,) = sounding(instrument)
    before = voice.timbre.target
    play(instrument, {10: [Set("direction", "backward")]}, 64)
    assert voice.timbre.target.backward
    assert [part for part, _ in voice.timbre.parts] == [before, voice.timbre.target]
    play(instrument, {0: [on(62), Set("hold", "freeze")]}, 640)
    assert [(v.timbre.target.backward, v.timbre.target.freeze) for v in sounding(instrument)] == [(True, True)] * 2


def test_mpe_bends_each_note_by_itself_and_all_by_the_master(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=2, backend="cpu", mpe=5)
    bends = [mido.Message("pitchwheel", pitch=8191, channel=channel) for channel in (0, 2)]
    play(instrument, {0: [on(60, channel=1), on(60, channel=2), *bends]}, 256)
    pitches = [
        float(np.ravel(instrument._steering.semitones(voice, np.array([255])))[0]) for voice in sounding(instrument)
    ]
    assert pitches == pytest.approx([62.0, 110.0])
    play(instrument, {0: [control(123, 0)]}, instrument.tail_frames + 64)
    assert instrument.sounding == 0


def heard(instrument: Instrument, voice: Voice) -> float:
    return float(instrument._steering.semitones(voice, instrument._now))


def test_a_legato_line_follows_the_bend_and_pressure_of_the_finger_that_plays(tiny_preset: Preset) -> None:
    instrument = Instrument(with_info(tiny_preset, parameters={"mode": "legato"}), voices=2, backend="cpu", mpe=5)
    pressed = mido.Message("aftertouch", channel=1, value=127)
    play(instrument, {0: [on(60, channel=1), bend(4096, 1), pressed]}, 640)
    (voice,) = sounding(instrument)
    assert heard(instrument, voice) == pytest.approx(84, abs=0.01)
    play(instrument, {0: [on(64, channel=2)], 300: [bend(-4096, 1)]}, 640)
    assert sounding(instrument) == [voice]
    assert heard(instrument, voice) == 64
    assert voice.touch.over(instrument._now, Touch.pressure) == 0
    play(instrument, {0: [bend(-4096, 2)]}, 640)
    assert heard(instrument, voice) == pytest.approx(40, abs=0.01)
    play(instrument, {0: [off(64, channel=2)]}, 640)
    assert heard(instrument, voice) == pytest.approx(36, abs=0.01)
    assert voice.touch.over(instrument._now, Touch.pressure) == 1
    assert len(voice.touch.parts) == 1


def test_the_bend_of_one_finger_becomes_that_of_the_next_without_a_step(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset, parameters={"mode": "legato"})
    play(instrument, {0: [on(60), bend(8191)]}, 320)
    (voice,) = sounding(instrument)
    instrument.process([(0, on(60, channel=1))], 0)
    pitches = instrument._steering.semitones(voice, np.arange(320, 960))
    np.testing.assert_allclose(pitches[[0, 240, 480, 639]], [62, 61, 60, 60], atol=1e-6)
    assert np.abs(np.diff(pitches)).max() < 0.01


def test_a_zone_that_is_set_up_leaves_the_notes_that_sound_where_they_are(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    play(instrument, {0: [on(60, channel=3), bend(8191)]}, 640)  # the master to be is bent
    (voice,) = sounding(instrument)
    play(instrument, {0: registered_message(6, 5 << 7)}, 640)
    assert heard(instrument, voice) == 60
    play(instrument, {0: [on(62, channel=4), off(60, channel=3)]}, instrument.tail_frames + 64)
    (later,) = sounding(instrument)
    assert heard(instrument, later) == 64


def test_a_learnt_controller_moves_its_parameter(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    instrument.controllers[20] = "temperature"
    instrument.process([(0, control(20, 127))], 64)
    assert instrument.values["temperature"] == 1.5


def test_state_survives_json_and_another_instrument(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    assert not instrument.edited
    instrument.set("temperature", 0.7)
    instrument.set("mode", "legato")
    instrument.set_blend({"bell": 0.3, "pipe": 0.7})
    instrument.controllers[20] = "brightness"
    assert instrument.edited
    state = json.loads(json.dumps(instrument.state()))
    other = make(tiny_preset)
    other.restore(state)
    assert other.state() == instrument.state()
    phrase = {0: [on(60)], 100: [on(62)], 200: [off(60)]}
    instrument.reset()
    np.testing.assert_array_equal(play(instrument, phrase, 512), play(other, phrase, 512))


def test_a_wrong_state_is_refused_and_changes_nothing(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    before = instrument.state()
    for change in (
        {"parameters": {"temperature": 99.0}},
        {"blend": {"gong": 1.0}},
        {"tuning": [1.0]},
        {"version": 9},
        {"model_sha256": "of another"},
    ):
        with pytest.raises(WavekeysError):
            instrument.restore({**before, **change})
    for nothing in (None, [], "state"):
        with pytest.raises(WavekeysError):
            instrument.restore(nothing)  # type: ignore[arg-type]
    assert instrument.state() == before


def test_what_is_restored_does_not_wait_for_a_controller_to_learn(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    before = instrument.state()
    play(instrument, {0: [Learn("gain_db")]}, 64)
    instrument.restore(before)
    play(instrument, {0: [control(20, 0)]}, 64)
    assert instrument.state() == before


def test_the_largest_bend_range_can_be_told_again(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    largest = [control(101, 0), control(100, 0), control(6, 127), control(38, 127)]
    play(instrument, {0: largest}, 640)
    told = instrument.controls()
    other = make(tiny_preset)
    other.process([(0, Resume(told))], 64)
    play(other, {}, 640)
    assert other.controls() == told
    assert other._channels[0].bend_range.target == pytest.approx(127.99)


def test_a_program_change_loads_a_preset_and_sounding_notes_end(tiny_preset: Preset) -> None:
    second = with_info(tiny_preset, name="second", parameters={"release_ms": 50}, blend={"pipe": 1.0})
    instrument = Instrument(tiny_preset, voices=2, backend="cpu", programs={0: tiny_preset, 1: second})
    play(instrument, {0: [on(60)]}, 128)
    play(instrument, {0: [mido.Message("program_change", program=1)]}, instrument.tail_frames + 128)
    assert instrument.preset is second
    assert instrument.sounding == 0
    foreign = with_info(tiny_preset, model_sha256="00")
    with pytest.raises(WavekeysError, match="another model"):
        instrument.load(foreign)
    with pytest.raises(WavekeysError, match="another model"):
        Instrument(tiny_preset, voices=2, backend="cpu", programs={0: foreign})


def test_called_with_messages_it_gives_audio_of_the_rate_and_length_asked_for(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    song = [
        mido.Message("note_on", note=60, velocity=100, time=0.0),
        mido.Message("note_off", note=60, time=0.05),
    ]
    audio = instrument(song, 0.2, 48_000)
    assert audio.shape == (9600, 2)
    assert np.abs(audio).max() > 0


def test_bank_select_and_program_change_choose_a_preset(tiny_preset: Preset) -> None:
    info = dataclasses.replace(tiny_preset.info, name="mine")
    mine = dataclasses.replace(tiny_preset, info=info)
    instrument = Instrument(tiny_preset, voices=2, backend="cpu", programs={0: tiny_preset, 128: mine})
    change = mido.Message("program_change", program=0)
    instrument.process([(0, control(0, 0)), (1, control(32, 1)), (2, change)], 64)
    assert instrument.preset.info.name == "mine"
    instrument.process([(0, control(32, 0)), (0, change)], 64)
    assert instrument.preset.info.name == "tiny"
    instrument.process([(0, control(0, 5)), (0, change)], 64)  # a bank that is empty
    assert instrument.preset.info.name == "tiny"


@pytest.mark.parametrize("number", [0, 6, 32, 64, 66, 67, 98, 101, 120, 121, 123, 127])
def test_a_controller_with_a_meaning_of_its_own_is_not_learnt(tiny_preset: Preset, number: int) -> None:
    instrument = Instrument(tiny_preset, voices=2, backend="cpu")
    before = dict(instrument.controllers)
    with pytest.raises(WavekeysError, match=f"controller {number} has a meaning of its own"):
        instrument.learn(number, "gain_db")
    instrument.process([(0, Learn("gain_db")), (1, control(number, 0))], 64)
    assert instrument.learning == "gain_db"
    assert instrument.controllers == before


@pytest.mark.parametrize(("number", "rest"), [(1, 0), (7, 100), (10, 64), (11, 127), (74, 64)])
def test_what_a_learnt_controller_was_before_rests_and_is_there_again_when_it_is_forgotten(
    tiny_preset: Preset, number: int, rest: int
) -> None:
    instrument = make(tiny_preset)
    untouched = instrument.controls()
    instrument.process([(0, control(number, 3)), (1, Learn("gain_db")), (2, control(number, 90))], 64)
    play(instrument, {}, 640)
    assert instrument.controls() == untouched
    assert instrument.values["gain_db"] != PARAMETERS["gain_db"].default
    instrument.process([(0, Forget("gain_db")), (1, control(number, 3))], 64)
    assert instrument.controllers == make(tiny_preset).controllers
    assert [(message.control, message.value) for message in instrument.controls()][:1] == [(number, 3)]
    instrument.process([(0, control(number, rest))], 64)
    play(instrument, {}, 640)
    assert instrument.controls() == untouched


def test_forgetting_gives_controllers_back_to_the_parameters_they_usually_move(tiny_preset: Preset) -> None:
    instrument = make(tiny_preset)
    usual = dict(instrument.controllers)
    instrument.learn(73, "release_ms")  # the attack's; the release had 72
    instrument.learn(72, "decay_ms")
    instrument.forget("release_ms")
    assert instrument.controllers == {n: name for n, name in usual.items() if n != 75} | {72: "decay_ms"}
    instrument.forget("decay_ms")
    assert instrument.controllers == usual
    instrument.forget("decay_ms")
    assert instrument.controllers == usual


def test_a_velocity_is_as_loud_as_the_bank_says_and_beyond_its_velocities_as_the_parameter_says(
    tiny_preset: Preset,
) -> None:
    """The tiny bank's notes of velocity 50 and 100 are equally loud, so only the parameter tells velocities apart."""

    def gain_db(velocity: int) -> float:
        instrument = make(tiny_preset, parameters={"velocity_range_db": 24.0})
        play(instrument, {0: [on(60, velocity)]}, 64)
        (voice,) = sounding(instrument)
        return 20.0 * np.log10(voice.gain)

    assert gain_db(50) == gain_db(75) == gain_db(100) == 0.0
    assert gain_db(20) == pytest.approx(-24.0 * 30 / 126)
    assert gain_db(127) == pytest.approx(24.0 * 27 / 126)
