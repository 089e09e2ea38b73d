"""What hosts and players do at the edges: nothing hangs, clicks or is lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import mido
import numpy as np
import pytest

from synth import WavekeysError
from synth.bank import Preset, Zone
from synth.bank.preset import factory_folder
from synth.instrument import Instrument, Load, Part, Rack, Set, SetBlend, open_song, render
from synth.instrument.events import Learn, Resume
from synth.instrument.rack import Replace
from synth.instrument.voice import Phase
from synth.testing.playing import control, off, on, play


@pytest.fixture
def instrument(tiny_preset: Preset) -> Instrument:
    return Instrument(tiny_preset, voices=3, backend="cpu")


def bend_of(instrument: Instrument) -> list[float]:
    """Pitches of what sounds, as MIDI numbers, where controllers have come to rest."""
    voices = [voice for voice in instrument._voices if voice.phase is Phase.HELD]
    at = np.array([instrument._now - 1])
    return [float(np.ravel(instrument._steering.semitones(voice, at))[0]) for voice in voices]


# Hosts.


def test_a_block_without_frames_is_for_its_events(tiny_preset: Preset) -> None:
    flushed, at_once = (Instrument(tiny_preset, voices=2, backend="cpu") for _ in range(2))
    events = [(0, Set("gain_db", -6.0)), (0, on(60))]
    assert flushed.process(events, 0).shape == (0, 2)
    expected = at_once.process(events, 128)
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(flushed.process([], 128), expected)


def test_after_warming_up_nothing_is_compiled(tiny_preset: Preset, caplog: pytest.LogCaptureFixture) -> None:
    instrument = Instrument(tiny_preset, voices=2, backend="cpu")
    instrument.warm_up(56)
    with jax.log_compiles():
        play(instrument, {0: [on(60)], 3: [on(62)], 70: [on(64), Set("brightness", 3.0)], 200: [off(60)]}, 560, 56)
    assert [record.getMessage() for record in caplog.records if "ompil" in record.getMessage()] == []


def test_blocks_of_ever_new_lengths_sound_as_blocks_of_one_do_and_compile_only_so_often(tiny_preset: Preset) -> None:
    phrase = {0: [on(60)], 101: [on(67), Set("brightness", 3.0)], 230: [off(60)], 310: [on(62)], 480: [off(67)]}
    even, uneven = (Instrument(tiny_preset, voices=3, backend="cpu") for _ in range(2))
    expected = play(even, phrase, 780, 39)
    parts, start = [], 0
    for length in range(1, 40):
        due = [(at - start, message) for at in phrase if start <= at < start + length for message in phrase[at]]
        parts.append(uneven.process(due, length))
        start += length
    assert start == len(expected)
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-7)
    assert len(uneven._player._blocks) <= 4 + 6  # of their own, and powers of two below 40


@pytest.mark.parametrize("offset", [-1, 64, 1000])
def test_an_event_beyond_its_block_is_refused_before_anything_plays(instrument: Instrument, offset: int) -> None:
    with pytest.raises(WavekeysError, match="not within a block of 64 frames"):
        instrument.process([(0, on(60)), (offset, on(62))], 64)
    assert instrument.sounding == 0


def test_an_event_between_two_frames_is_refused_and_the_instrument_plays_on(instrument: Instrument) -> None:
    with pytest.raises(WavekeysError, match="offset is a whole number of frames"):
        instrument.process([(4.0, on(60))], 64)
    instrument.process([(np.int64(4), on(60))], 64)
    assert instrument.sounding == 1


def test_a_block_of_fewer_than_no_frames_is_refused(instrument: Instrument) -> None:
    with pytest.raises(WavekeysError, match="a block has no -5 frames"):
        instrument.process([], -5)


def test_what_an_instrument_cannot_be_is_said_when_it_is_made(tiny_preset: Preset) -> None:
    for wrong, complaint in (({"voices": 129}, "1 to 128 voices"), ({"mpe": 16}, "up to 15 member channels")):
        with pytest.raises(WavekeysError, match=complaint):
            Instrument(tiny_preset, **wrong)
    with pytest.raises(WavekeysError, match="'gain_db' must be a number, not None"):
        Instrument(tiny_preset, backend="cpu").set("gain_db", None)
    assert Instrument(factory_folder() / "flute", voices=1).preset.info.name == "flute"


def test_a_command_that_cannot_be_obeyed_is_told_and_the_music_goes_on(instrument: Instrument) -> None:
    values = dict(instrument.values)
    play(instrument, {0: [SetBlend({"harp": 1.0}), on(60)], 64: [Set("nothing", 1.0)]}, 256)
    assert len(instrument.refused) == 2
    assert "unknown instrument 'harp'" in instrument.refused[0]
    assert "'nothing'" in instrument.refused[1]
    assert (instrument.sounding, instrument.values) == (1, values)


def test_another_preset_begins_where_it_was_asked_for(tiny_preset: Preset) -> None:
    """The same phrase in blocks of 40 and in one of 1280, with two changes of preset in its middle."""
    quiet = dataclasses.replace(
        tiny_preset, info=dataclasses.replace(tiny_preset.info, name="quiet", parameters={"gain_db": -12.0})
    )
    phrase = {
        10: [on(60)],
        500: [mido.Message("program_change", program=1)],
        700: [on(62)],
        1000: [Load(tiny_preset)],
        1100: [on(64)],
    }
    fine, coarse = (
        play(Instrument(tiny_preset, voices=3, backend="cpu", programs={1: quiet}), phrase, 1280, block)
        for block in (40, 1280)
    )
    assert np.abs(coarse[100:500]).max() > 0
    np.testing.assert_allclose(coarse, fine, atol=1e-6)


def test_a_state_of_another_program_brings_that_back(tiny_preset: Preset) -> None:
    second = dataclasses.replace(tiny_preset, info=dataclasses.replace(tiny_preset.info, name="second"))
    playing, fresh = (Instrument(tiny_preset, voices=2, backend="cpu", programs={1: second}) for _ in range(2))
    playing.process([(0, mido.Message("program_change", program=1)), (0, Set("gain_db", -3.0))], 64)
    fresh.restore(playing.state())
    assert fresh.preset.info.name == "second"
    assert fresh.state() == playing.state()


def test_controllers_stay_where_the_player_has_them_when_an_instrument_is_replaced(tiny_preset: Preset) -> None:
    old, new = (Instrument(tiny_preset, voices=2, backend="cpu") for _ in range(2))
    rack = Rack([Part(name="keys", instrument=old)])
    moved = [control(7, 64), control(64, 127), control(101, 0), control(100, 6), control(6, 5)]
    rack.process([(0, message) for message in [*moved, mido.Message("pitchwheel", pitch=8191)]], 64)
    before = [str(message) for message in old.controls()]
    rack.process([(10, Replace("keys", new)), (20, on(60)), (30, off(60))], 64)
    assert [str(message) for message in new.controls()] == before
    rack.process([], 2048)
    assert new.sounding == 1  # the pedal is still down


def test_controllers_of_the_block_in_which_an_instrument_is_replaced_are_not_lost(tiny_preset: Preset) -> None:
    old, new = (Instrument(tiny_preset, voices=2, backend="cpu") for _ in range(2))
    rack = Rack([Part(name="keys", instrument=old)])
    rack.process([(0, control(7, 64))], 64)
    moved = [control(64, 127), control(7, 20), mido.Message("pitchwheel", pitch=4000)]
    rack.process([*((3, message) for message in moved), (4, on(60)), (10, Replace("keys", new))], 64)
    assert {"B0 07 14", "B0 40 7F", "E0 20 5F"} <= {message.hex() for message in new.controls()}
    assert new.sounding == 0


def test_the_next_instruments_volume_rests_too_whose_controller_has_learnt_something_else(
    tiny_preset: Preset,
) -> None:
    old, new = (Instrument(tiny_preset, voices=2, backend="cpu") for _ in range(2))
    old.process([(0, control(7, 20)), (1, Learn("brightness")), (2, control(7, 64))], 64)
    new.restore(old.state())
    new.process([(0, Resume(old.controls()))], 64)
    assert new.state() == old.state()
    assert new._channels[0].gain.target == old._channels[0].gain.target == (100 / 127) ** 2


@pytest.mark.parametrize("zone", [Zone(velocity_low=2), Zone(key_high=59), Zone(key_low=61)])
def test_what_is_to_be_compiled_is_so_before_the_first_note_whatever_sounds(tiny_preset: Preset, zone: Zone) -> None:
    silent = [None if key == 60 else float(key) for key in range(128)]
    info = dataclasses.replace(tiny_preset.info, zones=(zone,))
    instrument = Instrument(dataclasses.replace(tiny_preset, info=info), voices=2, backend="cpu", tuning=silent)
    instrument.warm_up(64)
    assert 64 in instrument._player._blocks
    assert instrument.sounding == 0


def test_notes_end_as_they_began_when_another_preset_comes(tiny_preset: Preset) -> None:
    quick, slow = (
        dataclasses.replace(tiny_preset, info=dataclasses.replace(tiny_preset.info, parameters={"release_ms": time}))
        for time in (20.0, 10_000.0)
    )
    instrument = Instrument(quick, voices=2, backend="cpu", programs={1: slow})
    instrument.process([(0, on(62))], 64)
    instrument.process([(0, mido.Message("program_change", program=1))], 1024)
    assert instrument.sounding == 0


def test_a_note_ends_as_it_began_whatever_preset_comes(tiny_preset: Preset) -> None:
    """Loudness, colour, pitch and course in time of the next preset are its own notes' alone."""
    changes = {"gain_db": -20.0, "brightness": 10.0, "fine_tune_cents": 80.0, "speed": 0.0, "vibrato_cents": 50.0}
    info = dataclasses.replace(tiny_preset.info, parameters={"release_ms": 200.0})
    here = dataclasses.replace(tiny_preset, info=info)
    there = dataclasses.replace(tiny_preset, info=dataclasses.replace(info, parameters=changes))
    let_go, changed = (
        play(Instrument(here, voices=2, backend="cpu"), {0: [on(62)], 1000: [last]}, 4096)
        for last in (off(62), Load(there))
    )
    assert np.abs(let_go[1200:]).max() > 1e-3
    np.testing.assert_array_equal(changed, let_go)
    at_once, at_rest = (Instrument(preset, voices=2, backend="cpu") for preset in (here, there))
    for instrument in (at_once, at_rest):
        instrument.process([(0, Load(there)), (0, on(62))], 64)
    np.testing.assert_array_equal(at_once.process([], 512), at_rest.process([], 512))


def test_a_bent_note_keeps_its_bend_when_a_preset_of_another_range_comes(tiny_preset: Preset) -> None:
    narrow, wide = (
        dataclasses.replace(
            tiny_preset,
            info=dataclasses.replace(
                tiny_preset.info, parameters={"bend_range_semitones": semitones, "release_ms": 500}
            ),
        )
        for semitones in (2, 12)
    )
    instrument = Instrument(narrow, voices=3, backend="cpu")
    play(instrument, {0: [on(60), mido.Message("pitchwheel", pitch=8191)], 500: [Load(wide)], 600: [on(60)]}, 1600)
    pitches = {
        voice.phase: float(np.ravel(instrument._steering.semitones(voice, np.array([instrument._now - 1])))[0])
        for voice in instrument._voices
    }
    assert pitches == {Phase.RELEASED: pytest.approx(62.0), Phase.HELD: pytest.approx(72.0)}


def test_the_tail_of_the_preset_before_is_part_of_the_tail(tiny_preset: Preset) -> None:
    long, short = (
        dataclasses.replace(tiny_preset, info=dataclasses.replace(tiny_preset.info, parameters={"release_ms": time}))
        for time in (800.0, 20.0)
    )
    instrument = Instrument(long, voices=2, backend="cpu")
    play(instrument, {0: [on(60)], 500: [Load(short)]}, 640)
    tail = instrument.tail_frames
    assert 12_000 < tail < 13_000
    play(instrument, {}, tail // 64 * 64 - 64, 64)
    assert instrument.sounding == 1
    play(instrument, {}, 192, 64)
    assert instrument.sounding == 0


@pytest.mark.parametrize("block", [1, 48])
def test_a_strum_of_unison_notes_cuts_nobody_short(tiny_preset: Preset, block: int) -> None:
    """Three notes of four voices within 2 ms: what makes way fades out whatever the blocks."""
    instrument = Instrument(tiny_preset, voices=4, backend="cpu")
    instrument.set("unison", 4)
    phrase = {0: [on(61)], **{1440 + 16 * number: [on(62 + number)] for number in range(3)}}
    audio = play(instrument, phrase, 1920, block)
    expected = Instrument(tiny_preset, voices=4, backend="cpu")
    expected.set("unison", 4)
    np.testing.assert_allclose(audio, play(expected, phrase, 1920, 1920), atol=1e-7)


def test_reset_controllers_lifts_sostenuto_for_good(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=2, backend="cpu")
    steps = [on(60), control(66, 127), control(121, 0), control(64, 127), off(60), control(66, 127), control(64, 0)]
    for message in steps:
        instrument.process([(0, message)], 64)
    assert [voice.phase for voice in instrument._voices] == [Phase.RELEASED]


def test_a_key_that_no_zone_holds_leaves_what_sounds_alone(tiny_preset: Preset) -> None:
    info = dataclasses.replace(tiny_preset.info, zones=(Zone(key_low=60),), parameters={"mode": "mono"})
    instrument = Instrument(dataclasses.replace(tiny_preset, info=info), voices=2, backend="cpu")
    for message in (on(62), on(40), off(40)):
        instrument.process([(0, message)], 512)
    assert [voice.held_by for voice in instrument._voices] == [(0, 62)]


def test_a_tuning_out_of_this_world_is_refused(tiny_preset: Preset) -> None:
    with pytest.raises(WavekeysError, match="a tuning has 128 keys"):
        Instrument(tiny_preset, voices=1, backend="cpu", tuning=[20_000.0] * 128)


@pytest.mark.parametrize(
    "damage",
    [
        {"seed": float("inf")},
        {"parameters": {"gain_db": 10**400}},
        {"tuning": [float("nan")] * 128},
        {"tuning": [1e9] * 128},
        {"controllers": {"64": "gain_db"}},
        {"controllers": {"120": "gain_db"}},
    ],
)
def test_a_damaged_state_is_refused_as_a_whole(instrument: Instrument, damage: dict) -> None:
    before = instrument.state()
    with pytest.raises(WavekeysError):
        instrument.restore(before | damage)
    assert instrument.state() == before


# Offline.


def test_render_plays_a_release_to_its_end_that_was_set_on_the_way(instrument: Instrument) -> None:
    brief = render(instrument, [(0.0, on(60)), (0.1, off(60))])
    instrument.reset()
    audio = render(instrument, [(0.0, Set("release_ms", 1500.0)), (0.01, on(60)), (0.1, off(60))])
    assert len(audio) > len(brief) + 16_000
    assert instrument.sounding == 0
    assert (audio[-1] == 0).all()


def test_render_lifts_the_pedals_at_the_end(instrument: Instrument) -> None:
    render(instrument, [(0.0, control(64, 127)), (0.0, on(60)), (0.1, off(60))])
    assert instrument.sounding == 0


class Echo:
    """An effect that repeats what it hears, by half each time, every 4000 frames."""

    def __init__(self) -> None:
        self._late = np.zeros((2, 4000), np.float32)

    def process(self, audio: np.ndarray, *_: object) -> np.ndarray:
        out = np.empty_like(audio)
        for at, frame in enumerate(audio.T):
            out[:, at] = frame + 0.5 * self._late[:, 0]
            self._late = np.concatenate([self._late[:, 1:], out[:, at : at + 1]], axis=1)
        return out

    def reset(self) -> None:
        self._late[:] = 0.0


def test_render_plays_on_until_effects_have_ended(instrument: Instrument) -> None:
    dry = render(instrument, [(0.0, on(60)), (0.05, off(60))])
    instrument.reset()
    wet = render(Rack([Part(name="keys", instrument=instrument)], [Echo()]), [(0.0, on(60)), (0.05, off(60))])
    assert np.abs(dry).max() > 0.004
    assert len(wet) > len(dry) + 4000
    assert np.abs(wet[-256:]).max() < 1e-3


@pytest.mark.parametrize("damage", [b"\xff\x59\x02\x00\x02", b"\xff\x59\x02\x0a\x00"])
def test_an_impossible_key_signature_keeps_no_song_from_playing(tmp_path: Path, damage: bytes) -> None:
    track = b"\x00" + damage + b"\x00\x90\x3c\x40\x60\x80\x3c\x40\x00\xff\x2f\x00"
    header = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk"
    (tmp_path / "key.mid").write_bytes(header + len(track).to_bytes(4, "big") + track)
    assert [message.note for _, message in open_song(tmp_path / "key.mid").timeline] == [60, 60]


# Players.


def test_a_channel_that_leaves_its_zone_forgets_it_and_leaves_no_note_behind(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=3, backend="cpu", mpe=5)
    play(instrument, {0: [control(64, 127), on(60, channel=2)], 64: [off(60, channel=2)]}, 512)
    assert instrument.sounding == 1  # by the master's pedal
    no_zone = [control(101, 0), control(100, 6), control(6, 0)]
    play(instrument, {0: no_zone}, instrument.tail_frames + 128)
    assert instrument.sounding == 0
    bent = [on(60, channel=2), mido.Message("pitchwheel", pitch=8191, channel=2)]
    play(instrument, {0: bent}, 512)
    assert bend_of(instrument) == pytest.approx([62.0])


@pytest.mark.parametrize("mode", ["mono", "legato"])
def test_a_pedal_holds_the_last_note_of_a_mono_line(tiny_preset: Preset, mode: str) -> None:
    instrument = Instrument(tiny_preset, voices=3, backend="cpu")
    instrument.set("mode", mode)
    phrase = {0: [control(64, 127), on(60)], 600: [on(64)], 1200: [off(64)]}
    play(instrument, phrase, 2400)
    assert [voice.held_by[1] for voice in instrument._voices] == [64]
    play(instrument, {0: [control(64, 0)]}, 1200)  # back to the key that is still down
    assert [voice.held_by[1] for voice in instrument._voices] == [60]
    play(instrument, {0: [off(60)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_all_notes_off_on_the_channel_of_a_legato_lines_second_note_leaves_nothing_stuck(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=3, backend="cpu")
    instrument.set("mode", "legato")
    play(instrument, {0: [on(60, channel=2)], 300: [on(62, channel=3)], 600: [control(123, 0, channel=3)]}, 900)
    assert [voice.held_by for voice in instrument._voices] == [(2, 60)]
    play(instrument, {0: [off(60, channel=2)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_sostenuto_holds_a_key_that_is_struck_again(instrument: Instrument) -> None:
    phrase = {0: [on(60)], 100: [control(66, 127)], 200: [off(60)], 300: [on(60)], 400: [off(60)]}
    play(instrument, phrase, instrument.tail_frames + 1024)
    assert instrument.sounding == 1
    play(instrument, {0: [control(66, 0)]}, instrument.tail_frames + 128)
    assert instrument.sounding == 0


def test_a_key_that_the_tuning_leaves_silent_does_not_end_a_mono_line(tiny_preset: Preset) -> None:
    tuning = [None if key == 61 else float(key) for key in range(128)]
    instrument = Instrument(tiny_preset, voices=2, backend="cpu", tuning=tuning)
    instrument.set("mode", "mono")
    play(instrument, {0: [on(60)], 300: [on(61)], 600: [off(61)]}, 900)
    assert [(voice.held_by[1], voice.phase) for voice in instrument._voices] == [(60, Phase.HELD)]


def test_a_key_that_is_struck_begins_without_pressure(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=2, backend="cpu")
    pressed = mido.Message("polytouch", note=60, value=127)
    play(instrument, {0: [on(60), pressed], 300: [off(60)], 600: [on(60)]}, 900)
    assert instrument._channels[0].pressure_over(60, np.array([instrument._now])) == 0.0


def test_data_entry_goes_on_from_the_parameter_that_is_selected(instrument: Instrument) -> None:
    select = {number: [control(101, 0), control(100, number)] for number in (0, 1)}
    play(instrument, {0: [*select[0], control(6, 12), *select[1], control(38, 0)]}, 64)
    channel = instrument._channels[0]
    assert (channel.bend_range.target, channel.tuning.target) == (12.0, 0.0)
    play(instrument, {0: [control(96, 0), *select[0], control(97, 0), control(97, 0)]}, 64)
    assert channel.bend_range.target == pytest.approx(11.98)
    assert channel.tuning.target == pytest.approx(1 / 8192)
    with pytest.raises(WavekeysError, match="has a meaning of its own"):
        instrument.learn(96, "gain_db")


def test_one_long_block_has_all_notes_of_many_short_ones(tiny_preset: Preset) -> None:
    """More notes than there are slots, one after another."""
    notes = [(60 + number % 5, 480 * number) for number in range(30)]
    phrase = [event for key, at in notes for event in ((at, on(key)), (at + 240, off(key)))]
    first = Instrument(tiny_preset, voices=1, backend="cpu")
    first.set("release_ms", 5.0)
    second = Instrument(tiny_preset, voices=1, backend="cpu")
    second.set("release_ms", 5.0)
    whole = first.process(phrase, 14_400)
    cut = play(second, {at: [event for when, event in phrase if when == at] for at, _ in phrase}, 14_400, 240)
    np.testing.assert_allclose(whole, cut, atol=1e-7)
    assert np.abs(whole.reshape(30, 480, 2)).max(axis=(1, 2)).min() > 0.0


def test_a_line_of_many_keys_is_forgotten_as_it_goes_on(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=2, backend="cpu")
    instrument.set("mode", "legato")
    instrument.process([(0, on(60))], 48)
    for number in range(50):
        for message in (on(62 + number % 3), off(62 + number % 3)):
            instrument.process([(0, message)], 48)
            for _ in range(8):
                instrument.process([], 48)
    (voice,) = instrument._voices
    assert len(voice.pitch.pieces(0)) <= 4
    assert len(instrument.gliding()) <= 4


def test_a_note_of_no_length_is_heard(tiny_preset: Preset) -> None:
    instrument = Instrument(tiny_preset, voices=2, backend="cpu")
    trigger = play(instrument, {0: [on(60), off(60)]}, 1600)
    instrument.reset()
    held = play(instrument, {0: [on(60)], 1000: [off(60)]}, 1600)
    np.testing.assert_array_equal(trigger[:32], held[:32])  # the attack, of 2 ms
    assert np.abs(trigger).max() > 0.5 * np.abs(held[:400]).max()
