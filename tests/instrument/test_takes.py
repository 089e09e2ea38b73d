"""Takes: what was played, rendered again, is the same sound."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest

from synth import WavekeysError
from synth.bank import Preset, Zone, load_preset
from synth.errors import UsageError
from synth.host.midi_take import MidiTake, Performer
from synth.instrument import (
    Forget,
    Instrument,
    Learn,
    Load,
    Part,
    Rack,
    Set,
    SetBlend,
    Wishes,
    command_text,
    header_text,
    open_song,
    prepare,
    read_take_header,
    render,
)
from synth.instrument import takes as takes_module
from synth.instrument.events import Renew, SavedAs
from synth.instrument.rack import Replace, To
from synth.instrument.songs import TAKE_MARK
from synth.instrument.takes import former_parts
from synth.testing.playing import control, off, on

BLOCK = 48
BLOCKS = 60


@pytest.fixture(autouse=True)
def presets(tiny_preset: Preset, monkeypatch: pytest.MonkeyPatch) -> dict[str, Preset]:
    """What can be loaded by name: "tiny", and "second", which differs from it."""
    changes = {"parameters": {"release_ms": 20, "glide_ms": 15}, "blend": {"pipe": 1.0}}
    second = dataclasses.replace(tiny_preset, info=dataclasses.replace(tiny_preset.info, name="second", **changes))
    known = {"tiny": tiny_preset, "second": second}

    def load(name: str) -> Preset:
        if name not in known:
            raise UsageError(f"unknown preset {name!r}")
        return known[name]

    monkeypatch.setattr(takes_module, "load_preset", load)
    return known


def random_message(random: np.random.Generator) -> mido.Message:
    key, value, channel = int(random.integers(58, 67)), int(random.integers(128)), int(random.integers(2))
    kinds = [
        on(key, max(value, 1), channel),
        on(key, max(value, 1), channel),
        off(key, channel),
        control(int(random.choice([1, 5, 7, 10, 11, 16, 17, 19, 64, 66, 67, 72, 73, 74, 76, 121, 21])), value),
        mido.Message("pitchwheel", pitch=int(random.integers(-8192, 8192)), channel=channel),
        mido.Message("aftertouch", value=value, channel=channel),
        mido.Message("polytouch", note=key, value=value, channel=channel),
        mido.Message("program_change", program=int(random.integers(3))),
    ]
    return kinds[int(random.integers(len(kinds)))]


def perform(playable: Instrument | Rack, path: Path, events: dict[int, list[tuple[int, Any]]]) -> np.ndarray:
    """Play blocks as the engine does, with a take: the audio [frames, 2]."""
    playable.warm_up(BLOCK)
    header = functools.partial(header_text, playable, block_frames=BLOCK)
    take = MidiTake(path, Performer(rate_hz=playable.sample_rate_hz, header=header, as_text=command_text))
    pieces = []
    for number in range(BLOCKS):
        due = events.get(number, [])
        take.push(due, BLOCK)
        pieces.append(playable.process(due, BLOCK))
        if number % 7 == 0:
            take.flush()
    take.close()
    return np.concatenate(pieces)


def again(path: Path, **wishes: Any) -> np.ndarray:
    warnings: list[str] = []
    performance = prepare(open_song(path), Wishes(backend="cpu", **wishes), warn=warnings.append)
    assert warnings == []
    return render(
        performance.rack,
        performance.timeline,
        end_seconds=performance.end_seconds,
        block_frames=performance.block_frames,
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_take_renders_to_the_same_samples_as_were_played(
    presets: dict[str, Preset], tmp_path: Path, seed: int
) -> None:
    random = np.random.default_rng(seed)
    commands = [
        Set("brightness", float(random.uniform(-12, 12))),
        Set("temperature", float(random.uniform(0, 1))),
        Set("mode", "legato" if seed == 3 else "poly"),
        SetBlend({"bell": 0.3, "pipe": 0.7}),
        SetBlend(None),
        Load(presets["second"]),
        Learn("temperature"),
        Forget("temperature"),
    ]
    events: dict[int, list[tuple[int, Any]]] = {0: [(5, on(60))]}
    for _ in range(60):
        offsets = np.sort(random.integers(BLOCK, size=2)).tolist()
        due = [random_message(random), commands[int(random.integers(len(commands)))]]
        events.setdefault(int(random.integers(BLOCKS)), []).append((offsets[0], due[int(random.random() < 0.2)]))
    instrument = Instrument(
        presets["tiny"],
        voices=3,
        backend="cpu",
        blend={"pipe": 1.0, "bell": 0.5},
        seed=seed + 5,
        tuning=[number + 0.1 for number in range(128)],
        mpe=seed % 2,
        programs=dict(enumerate(presets.values())),
    )
    instrument.set("attack_ms", 7.3)
    played = perform(instrument, tmp_path / "take.mid", events)
    rendered = again(tmp_path / "take.mid")
    assert np.abs(played).max() > 1e-3
    np.testing.assert_array_equal(rendered[: len(played)], played)


def test_a_rack_with_a_part_that_was_replaced_renders_to_the_same_samples(
    presets: dict[str, Preset], tmp_path: Path
) -> None:
    def instrument(name: str, seed: int) -> Instrument:
        return Instrument(presets[name], voices=2, backend="cpu", seed=seed)

    rack = Rack(
        [
            Part(name="all", instrument=instrument("tiny", 1)),
            Part(name="Flöte", instrument=instrument("second", 2), channel=1),
        ]
    )
    late = instrument("tiny", 3)
    late.set("gain_db", -6)
    late.warm_up(BLOCK)
    events: dict[int, list[tuple[int, Any]]] = {
        0: [(0, on(60)), (9, on(62, channel=1))],
        10: [(4, To("Flöte", Set("brightness", 6.5))), (20, control(7, 90))],
        20: [(0, Replace("Flöte", late)), (11, on(64, channel=1))],
        40: [(3, Set("gain_db", -3.0)), (30, off(60))],
    }
    played = perform(rack, tmp_path / "take.mid", events)
    np.testing.assert_array_equal(again(tmp_path / "take.mid")[: len(played)], played)


@pytest.mark.parametrize("mpe", [0, 3])
def test_a_take_that_begins_while_playing_has_the_controllers_of_then(
    presets: dict[str, Preset], tmp_path: Path, mpe: int
) -> None:
    random = np.random.default_rng(mpe)
    instrument = Instrument(presets["tiny"], voices=3, backend="cpu", mpe=mpe)
    instrument.set("temperature", 0.0)  # a voice's noise goes by the number of notes before it
    instrument.learn(7, "brightness")
    registered = [(101, 0), (100, 0), (6, 7), (38, 29), (100, 1), (6, 70), (38, 3), (100, 2), (6, 61)]
    zone = [(101, 0), (100, 6), (6, 4)]
    before = [
        *(mido.Message("control_change", channel=15, control=c, value=value) for c, value in zone),
        *(mido.Message("control_change", channel=1, control=c, value=value) for c, value in registered),
        *(control(number, int(random.integers(128))) for number in (1, 7, 10, 11, 66, 67, 74, 0, 32)),
        mido.Message("pitchwheel", pitch=int(random.integers(-8192, 8192)), channel=1),
        mido.Message("aftertouch", value=77, channel=1),
        mido.Message("polytouch", note=62, value=99),
    ]
    for _ in range(10):
        instrument.process([(0, message) for message in before], BLOCK)
        before = []
    path = tmp_path / "take.mid"
    header = functools.partial(header_text, instrument, block_frames=BLOCK)
    take = MidiTake(path, Performer(rate_hz=instrument.sample_rate_hz, header=header))
    pieces = []
    for number in range(BLOCKS):
        due = {0: [(5, on(60)), (5, on(62)), (7, on(61, channel=1))], 20: [(0, control(6, 5))]}.get(number, [])
        take.push(due, BLOCK)
        pieces.append(instrument.process(due, BLOCK))
    take.close()
    played = np.concatenate(pieces)
    assert np.abs(played).max() > 1e-5
    np.testing.assert_array_equal(again(path)[: len(played)], played)


def test_a_note_that_is_held_when_the_take_ends_is_released_there(presets: dict[str, Preset], tmp_path: Path) -> None:
    instrument = Instrument(presets["tiny"], voices=2, backend="cpu")
    played = perform(instrument, tmp_path / "take.mid", {0: [(0, on(60))]})
    rendered = again(tmp_path / "take.mid")
    np.testing.assert_array_equal(rendered[: len(played)], played)
    assert len(played) < len(rendered) <= len(played) + instrument.tail_frames + BLOCK
    assert np.abs(rendered[len(played) :]).max() > 0
    assert np.abs(rendered[-BLOCK // 2 :]).max() < 1e-3


def test_what_is_wished_takes_the_place_of_what_the_take_says(presets: dict[str, Preset], tmp_path: Path) -> None:
    events = {0: [(0, on(60)), (5, on(62))], 30: [(7, off(60)), (9, off(62))]}
    path = tmp_path / "take.mid"
    perform(Instrument(presets["tiny"], voices=2, backend="cpu", seed=4), path, events)
    expected = {
        "preset": ("second", Instrument(presets["second"], voices=2, backend="cpu", seed=4)),
        "blend": ({"pipe": 1.0}, Instrument(presets["tiny"], voices=2, backend="cpu", seed=4, blend={"pipe": 1.0})),
        "seed": (9, Instrument(presets["tiny"], voices=2, backend="cpu", seed=9)),
        "voices": (1, Instrument(presets["tiny"], voices=1, backend="cpu", seed=4)),
    }
    for name, (value, instrument) in expected.items():
        played = perform(instrument, tmp_path / "other.mid", events)
        np.testing.assert_array_equal(again(path, **{name: value})[: len(played)], played)


def test_a_header_says_what_played(presets: dict[str, Preset], tmp_path: Path) -> None:
    instrument = Instrument(presets["tiny"], voices=2, backend="cpu", blend={"pipe": 1.0}, seed=7)
    state = instrument.state()
    perform(instrument, tmp_path / "take.mid", {0: [(0, on(60))]})
    header = read_take_header(open_song(tmp_path / "take.mid"))
    assert header is not None
    assert (header["version"], header["block_frames"], len(header["parts"])) == (1, BLOCK, 1)
    (part,) = header["parts"]
    assert (part["name"], part["channel"], part["voices"], part["mpe"]) == ("tiny", None, 2, 0)
    assert part["state"] == state


def test_another_model_than_the_takes_is_told_in_one_line(presets: dict[str, Preset], tmp_path: Path) -> None:
    perform(Instrument(presets["tiny"], voices=2, backend="cpu"), tmp_path / "take.mid", {0: [(0, on(60))]})
    info = dataclasses.replace(presets["tiny"].info, model_sha256="other")
    presets["tiny"] = dataclasses.replace(presets["tiny"], info=info)
    warnings: list[str] = []
    prepare(open_song(tmp_path / "take.mid"), Wishes(backend="cpu"), warn=warnings.append)
    assert warnings == ["preset 'tiny' has another model than when this was played; it will sound different"]


@pytest.mark.usefixtures("presets")
def test_another_song_has_no_header_and_is_played_by_what_is_wished(tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    track = mido.MidiTrack([mido.MetaMessage("text", text="hello"), on(60), off(60).copy(time=480)])
    mido.MidiFile(tracks=[track]).save(path)
    assert read_take_header(open_song(path)) is None
    wishes = Wishes(preset="second", voices=3, blend={"bell": 1.0}, seed=3, backend="cpu")
    performance = prepare(open_song(path), wishes, warn=pytest.fail)
    instrument: Any = performance.rack.parts["second"].instrument
    assert (instrument.voices, instrument.blend, instrument.state()["seed"]) == (3, {"bell": 1.0}, 3)
    assert [seconds for seconds, _ in performance.timeline] == [0.0, 0.5]
    assert performance.end_seconds == 0.5


@pytest.mark.usefixtures("presets")
def test_a_song_lasts_until_its_track_ends(tmp_path: Path) -> None:
    """And with it a note that nobody ends."""
    track = mido.MidiTrack([on(60), mido.MetaMessage("end_of_track", time=1920)])
    mido.MidiFile(tracks=[track]).save(tmp_path / "song.mid")
    audio = again(tmp_path / "song.mid", preset="tiny")
    assert len(audio) > 2.0 * 16_000
    assert np.abs(audio[28_000:32_000]).max() > 1e-3


def damaged(header: dict[str, Any], *path: str | int, value: Any) -> dict[str, Any]:
    copy: Any = json.loads(json.dumps(header))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return dict(copy)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("version",), 2, "a take of version 2, this wavekeys reads 1"),
        (("block_frames",), 0, "0 is not a whole number from 1"),
        (("parts",), [], "at least one instrument"),
        (("parts",), [1], "is damaged"),
        (("parts", 0, "voices"), 10**9, "1000000000 is not a whole number from 1 to 64"),
        (("parts", 0, "mpe"), "x", "is damaged"),
        (("parts", 0, "channel"), 16, "a channel is from 0 to 15"),
        (("parts", 0, "channel"), 2.5, "a channel is from 0 to 15"),
        (("parts", 0, "glides_from"), 1e300, "is not a number from"),
        (("parts", 0, "glides_from"), float("nan"), "is not a number from"),
        (("parts", 0, "precision"), "fp7", "unknown precision"),
        (("parts", 0, "programs"), {"x": "tiny"}, "is damaged"),
        (("parts", 0, "state"), None, "is damaged"),
        (("parts", 0, "controls"), ["B0"], "is damaged"),
        (("parts", 0, "controls"), [7], "is damaged"),
        (("parts", 0, "state", "preset"), 7, "7 is not a preset's name"),
        (("parts", 0, "state", "blend"), {"kazoo": 1.0}, "unknown instrument 'kazoo'"),
        (("parts", 0, "state", "parameters"), {"gain_db": 1e9}, "must be from -60 to 24"),
    ],
)
def test_a_header_that_is_wrong_is_refused_in_one_line(
    presets: dict[str, Preset], tmp_path: Path, path: tuple[str | int, ...], value: Any, complaint: str
) -> None:
    text = header_text(Instrument(presets["tiny"], voices=2, backend="cpu"), block_frames=BLOCK)
    header = damaged(json.loads(text.removeprefix(TAKE_MARK)), *path, value=value)
    refused(tmp_path, [TAKE_MARK + json.dumps(header)], complaint)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("wavekeys take {", "is damaged"),
        ("wavekeys take " + 10_000 * "[", "is damaged"),
        ("wavekeys command {}", "is damaged"),
        ('wavekeys command {"set": ["gain_db"]}', "is damaged"),
        ('wavekeys command {"set": ["gain_db", [1]]}', "must be a number, not"),
        ('wavekeys command {"set": ["nothing", 1]}', "unknown parameter 'nothing'"),
        ('wavekeys command {"set": ["gain_db", NaN]}', "must be from -60 to 24"),
        ('wavekeys command {"set_blend": [{"bell": "x"}]}', "is damaged"),
        ('wavekeys command {"load": [1]}', "is damaged"),
        ('wavekeys command {"learn": ["nothing"]}', "unknown parameter 'nothing'"),
    ],
)
def test_a_text_that_is_wrong_is_refused_in_one_line(
    presets: dict[str, Preset], tmp_path: Path, text: str, complaint: str
) -> None:
    header = header_text(Instrument(presets["tiny"], voices=2, backend="cpu"), block_frames=BLOCK)
    refused(tmp_path, [text] if text.startswith(TAKE_MARK) else [header, text], complaint)


def test_effects_are_told_since_they_are_not_played_again(presets: dict[str, Preset], tmp_path: Path) -> None:
    class Room:
        def process(self, input_array: np.ndarray, *_: object) -> np.ndarray:
            return input_array

        def reset(self) -> None: ...

    part = Part(name="tiny", instrument=Instrument(presets["tiny"], voices=2, backend="cpu"), effects=[Room()])
    header = header_text(Rack([part], effects=[Room()]), block_frames=BLOCK)
    track = mido.MidiTrack([mido.MetaMessage("text", text=header), on(60)])
    mido.MidiFile(tracks=[track]).save(tmp_path / "take.mid")
    told: list[str] = []
    prepare(open_song(tmp_path / "take.mid"), Wishes(backend="cpu"), warn=told.append)
    assert told == ["it was played through Room, Room; effects are not played again"]


def refused(folder: Path, texts: list[str], complaint: str) -> None:
    track = mido.MidiTrack([*(mido.MetaMessage("text", text=text) for text in texts), on(60)])
    mido.MidiFile(tracks=[track]).save(folder / "take.mid")
    with pytest.raises(WavekeysError, match=complaint) as refusal:
        prepare(open_song(folder / "take.mid"), Wishes(backend="cpu"), warn=pytest.fail)
    assert "\n" not in str(refusal.value)


def test_what_was_under_way_when_the_take_began_goes_on(presets: dict[str, Preset], tmp_path: Path) -> None:
    instrument = Instrument(presets["tiny"], voices=2, backend="cpu")
    instrument.warm_up(BLOCK)
    instrument.set("glide_ms", 200.0)
    for message in (on(48), off(48), on(72), off(72)):  # the pitch is on its way to 72 when the take begins
        instrument.process([(0, message)], BLOCK)
    while instrument.sounding:
        instrument.process([], BLOCK)
    assert instrument.gliding()[0][2] > 0.0
    instrument._voices.begun = 0  # a take says nothing of the noise
    instrument.process([(0, Learn("gain_db"))], BLOCK)
    events = {0: [(0, control(20, 10))], 1: [(0, on(60))], 20: [(0, off(60))]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instrument, "warm_up", lambda _: None)  # it has been, and would forget
        played = perform(instrument, tmp_path / "take.mid", events)
    np.testing.assert_array_equal(again(tmp_path / "take.mid")[: len(played)], played)


def test_a_take_outlives_programs_that_it_does_not_choose(presets: dict[str, Preset], tmp_path: Path) -> None:
    programs = {3: presets["second"]}
    path = tmp_path / "take.mid"
    quiet = {0: [(0, on(60))], 20: [(0, off(60))]}
    played = perform(Instrument(presets["tiny"], voices=2, backend="cpu", programs=programs), path, quiet)
    chosen = quiet | {10: [(0, mido.Message("program_change", program=3))]}
    perform(Instrument(presets["tiny"], voices=2, backend="cpu", programs=programs), tmp_path / "chosen.mid", chosen)
    del presets["second"]
    np.testing.assert_array_equal(again(path)[: len(played)], played)
    warnings: list[str] = []
    prepare(open_song(tmp_path / "chosen.mid"), Wishes(backend="cpu"), warn=warnings.append)
    assert warnings == ["program 4 was preset 'second', which is gone or of another model: no change there"]


def test_a_preset_that_has_changed_since_is_told(presets: dict[str, Preset], tmp_path: Path) -> None:
    perform(Instrument(presets["tiny"], voices=2, backend="cpu"), tmp_path / "take.mid", {0: [(0, on(60))]})
    info = dataclasses.replace(presets["tiny"].info, zones=(Zone(transpose=12),), tags=("new",))
    presets["tiny"] = dataclasses.replace(presets["tiny"], info=info)
    warnings: list[str] = []
    prepare(open_song(tmp_path / "take.mid"), Wishes(backend="cpu"), warn=warnings.append)
    assert warnings == ["preset 'tiny' is not what it was when this was played; it may sound different"]


def test_what_was_saved_while_a_take_was_played_counts_for_what_came_after(
    presets: dict[str, Preset], tmp_path: Path
) -> None:
    """The preset's own blend is another then, and so is what a program change chooses."""
    tiny, second = presets["tiny"].info, presets["second"].info
    saved = dataclasses.replace(tiny.blended({"bell": 1.0}), name="mine")
    renewed = dataclasses.replace(second, parameters={"gain_db": -9.0})
    events = {
        0: [(0, SetBlend({"bell": 1.0})), (5, SavedAs(tiny, saved)), (6, Renew(renewed)), (9, SetBlend({"pipe": 1.0}))],
        5: [(0, on(60)), (20, SetBlend(None))],
        20: [(0, off(60)), (1, mido.Message("program_change", program=1)), (2, on(64))],
        40: [(0, off(64))],
    }
    instrument = Instrument(presets["tiny"], voices=2, backend="cpu", programs={1: presets["second"]})
    played = perform(instrument, tmp_path / "take.mid", events)
    assert instrument.values["gain_db"] == -9.0
    assert not instrument.refused
    np.testing.assert_array_equal(again(tmp_path / "take.mid")[: len(played)], played)


def test_a_preset_that_cannot_be_what_plays_is_refused(presets: dict[str, Preset]) -> None:
    """A take's text may say anything."""
    tiny = presets["tiny"].info
    instrument = Instrument(presets["tiny"], voices=2, backend="cpu", programs={1: presets["second"]})
    strange = [
        dataclasses.replace(tiny, zones=(dataclasses.replace(tiny.zones[0], key_high=40),)),
        dataclasses.replace(tiny, model_sha256="0" * 64),
        dataclasses.replace(tiny, parameters={"reverb": 1.0}),
    ]
    instrument.process([(0, SavedAs(tiny, info)) for info in strange], 64)
    instrument.process([(0, Renew(dataclasses.replace(presets["second"].info, parameters={"reverb": 1.0})))], 64)
    assert len(instrument.refused) == 4
    instrument.process([(0, mido.Message("program_change", program=1)), (1, on(60))], 64)
    assert (instrument.sounding, instrument.edited) == (1, False)


def test_a_program_that_was_saved_with_other_zones_plays_so(presets: dict[str, Preset]) -> None:
    second = presets["second"].info
    renewed = dataclasses.replace(second, zones=(dataclasses.replace(second.zones[0], key_high=61),))
    instrument = Instrument(presets["tiny"], voices=2, backend="cpu", programs={1: presets["second"]})
    instrument.process([(0, Renew(renewed)), (1, mido.Message("program_change", program=1)), (2, on(62))], 64)
    assert (instrument.sounding, list(instrument.refused)) == (0, [])


def test_presets_that_were_chosen_and_have_changed_since_are_told(presets: dict[str, Preset], tmp_path: Path) -> None:
    path = tmp_path / "take.mid"
    events = {2: [(0, mido.Message("program_change", program=1))], 4: [(0, Load(presets["second"])), (1, on(60))]}
    programs = {1: presets["second"], 2: presets["tiny"]}
    perform(Instrument(presets["tiny"], voices=2, backend="cpu", programs=programs), path, events)
    info = dataclasses.replace(presets["second"].info, parameters={"gain_db": -9.0})
    presets["second"] = dataclasses.replace(presets["second"], info=info)
    warnings: list[str] = []
    prepare(open_song(path), Wishes(backend="cpu"), warn=warnings.append)
    assert warnings == 2 * ["preset 'second' is not what it was when this was played; it may sound different"]


def test_a_take_tells_who_played_and_other_files_nobody(presets: dict[str, Preset], tmp_path: Path) -> None:
    parts = [Part(name=name, instrument=Instrument(presets["tiny"], voices=1, backend="cpu")) for name in ("a", "b/c")]
    perform(Rack(parts), tmp_path / "take.mid", {1: [(1, on(60))]})
    assert former_parts(tmp_path / "take.mid") == ["a", "b/c"]
    perform(Rack(parts), tmp_path / "silent.mid", {})
    assert former_parts(tmp_path / "silent.mid") == ["a", "b/c"]
    (tmp_path / "other.mid").write_text("no MIDI")
    assert former_parts(tmp_path / "other.mid") == former_parts(tmp_path / "none.mid") == []


def test_keys_that_are_down_when_a_take_begins_are_played_in_it(presets: dict[str, Preset], tmp_path: Path) -> None:
    """Those that sostenuto has caught too: struck again, they last until it is lifted."""
    info = dataclasses.replace(presets["tiny"].info, parameters={"release_ms": 30, "temperature": 0})
    presets["tiny"] = dataclasses.replace(presets["tiny"], info=info)
    instrument = Instrument(presets["tiny"], voices=3, backend="cpu")
    instrument.warm_up(BLOCK)
    instrument.process([(0, on(60)), (1, control(66, 127)), (2, off(60)), (3, on(64, 80))], BLOCK)
    events = {5: [(0, off(64))], 8: [(0, on(60)), (9, off(60))], 40: [(0, control(66, 0))]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instrument, "warm_up", lambda _: None)  # it has been, and would forget
        played = perform(instrument, tmp_path / "take.mid", events)
    header = read_take_header(open_song(tmp_path / "take.mid"))
    assert header is not None
    assert [header["parts"][0][name] for name in ("keys", "caught")] == [[[0, 64, 80]], [[0, 0, 60]]]
    rendered = again(tmp_path / "take.mid")
    loud = [
        np.abs(audio.reshape(-1, 5 * BLOCK, 2)).max(axis=(1, 2)) > 1e-3 for audio in (played, rendered[: len(played)])
    ]
    assert loud[0].any()
    np.testing.assert_array_equal(loud[1], loud[0])


def test_a_take_of_a_held_chord_alone_is_rendered(presets: dict[str, Preset], tmp_path: Path) -> None:
    instrument = Instrument(presets["tiny"], voices=3, backend="cpu")
    instrument.warm_up(BLOCK)
    instrument.process([(0, on(60))], BLOCK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instrument, "warm_up", lambda _: None)
        perform(instrument, tmp_path / "take.mid", {3: [(0, mido.Message("pitchwheel", pitch=4000))]})
    assert np.abs(again(tmp_path / "take.mid")).max() > 1e-3


def test_a_preset_that_was_played_from_its_folder_is_found_there(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takes_module, "load_preset", load_preset)
    events = {0: [(0, on(60))], 20: [(0, off(60))]}
    played = perform(Instrument(load_preset(tiny_folder), voices=2, backend="cpu"), tmp_path / "take.mid", events)
    np.testing.assert_array_equal(again(tmp_path / "take.mid")[: len(played)], played)
    shutil.rmtree(tiny_folder)
    with pytest.raises(WavekeysError, match="unknown preset 'tiny'"):
        again(tmp_path / "take.mid")


def test_commands_of_a_take_that_are_not_obeyed_are_told(presets: dict[str, Preset], tmp_path: Path) -> None:
    path = tmp_path / "take.mid"
    perform(
        Instrument(presets["tiny"], voices=2, backend="cpu"), path, {1: [(0, SetBlend({"harp": 1.0})), (1, on(60))]}
    )
    performance = prepare(open_song(path), Wishes(backend="cpu"), warn=print)
    assert performance.refused == []
    render(performance.rack, performance.timeline, duration_seconds=0.1, block_frames=performance.block_frames)
    (line,) = performance.refused
    assert "'harp'" in line


def test_a_take_can_be_rendered_by_a_preset_of_another_model(presets: dict[str, Preset], tmp_path: Path) -> None:
    programs = {3: presets["second"]}
    events = {0: [(0, on(60))], 20: [(0, off(60))]}
    instrument = Instrument(presets["tiny"], voices=2, backend="cpu", programs=programs)
    perform(instrument, tmp_path / "take.mid", events)
    info = dataclasses.replace(presets["tiny"].info, name="foreign", model_sha256="ff")
    presets["foreign"] = dataclasses.replace(presets["tiny"], info=info)
    assert again(tmp_path / "take.mid", preset="foreign").any()
