"""Whatever is read from outside, damaged in any way: the project's own errors, one line each, and nothing else.

Some examples with every run; WAVEKEYS_EXAMPLES=10000 makes it ten thousand of each.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth import WavekeysError
from synth.bank import Bank, Preset
from synth.bank.bank import load_bank
from synth.bank.preset import read_info
from synth.cli.input import read_embeddings, read_sound
from synth.host.events import EventQueue
from synth.instrument import Instrument, open_song
from synth.instrument.songs import Song

many = settings(
    max_examples=int(os.environ.get("WAVEKEYS_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Some bytes changed, a stretch repeated or left out, or the end cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(("change", "insert", "repeat", "omit", "cut"))):
            case "change":
                content[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "insert":
                content[at:at] = draw(st.binary(max_size=8))
            case "repeat":
                content[at:at] = content[at : at + draw(st.integers(1, 40))]
            case "omit":
                del content[at : at + draw(st.integers(1, 40))]
            case "cut":
                del content[at:]
    return bytes(content)


def refused_in_one_line(read: Callable[[], object]) -> object:
    """What is read; None where it is refused."""
    try:
        return read()
    except WavekeysError as error:
        assert str(error)
        assert "\n" not in str(error)
        return None


def midi_file(folder: Path) -> bytes:
    """A song with tempo changes, all kinds of channel messages, running status, text, system exclusive."""
    notes = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=400_000),
            mido.MetaMessage("text", text="wavekeys command {}"),
            mido.MetaMessage("time_signature", numerator=3, denominator=4),
            mido.Message("program_change", program=3),
            mido.Message("control_change", control=64, value=127),
            mido.Message("note_on", note=60, velocity=90),
            mido.Message("note_on", note=64, velocity=90, time=20),
            mido.Message("pitchwheel", pitch=-3000, time=5),
            mido.Message("aftertouch", value=30, time=5),
            mido.Message("polytouch", note=60, value=30),
            mido.Message("sysex", data=(1, 2, 3)),
            mido.Message("note_off", note=60, time=200),
            mido.Message("note_on", note=64, velocity=0, time=300),
        ]
    )
    path = folder / "whole.mid"
    mido.MidiFile(type=1, tracks=[mido.MidiTrack([mido.MetaMessage("track_name", name="a")]), notes]).save(path)
    return path.read_bytes()


@many
@given(data=st.data())
def test_a_damaged_midi_file_is_a_song_or_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "damaged.mid"
    path.write_bytes(data.draw(damaged(midi_file(tmp_path))))
    song = refused_in_one_line(lambda: open_song(path))
    if isinstance(song, Song):
        times = [seconds for seconds, _ in song.events]
        assert times == sorted(times)
        assert all(0 <= seconds <= song.end_seconds for seconds in times)


@many
@given(data=st.data())
def test_a_damaged_sound_or_embedding_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    random = np.random.default_rng(0)
    sound, embedding = io.BytesIO(), io.BytesIO()
    kind, subtype = data.draw(
        st.sampled_from([("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("AIFF", "PCM_24")])
    )
    soundfile.write(sound, random.uniform(-0.5, 0.5, (200, 2)), 44_100, subtype=subtype, format=kind)
    np.save(embedding, random.normal(size=(3, 16)).astype(np.float32))
    path = tmp_path / f"damaged.{kind.lower()}"
    path.write_bytes(data.draw(damaged(sound.getvalue())))
    audio = refused_in_one_line(lambda: read_sound(path, 16_000))
    assert audio is None or np.isfinite(audio).all()
    path = tmp_path / "damaged.npy"
    path.write_bytes(data.draw(damaged(embedding.getvalue())))
    z = refused_in_one_line(lambda: read_embeddings(path, 16))
    assert z is None or (np.isfinite(z).all() and z.shape[1] == 16)


@many
@given(data=st.data())
def test_a_damaged_description_is_a_preset_or_is_refused(tiny_folder: Path, data: st.DataObject) -> None:
    path = tiny_folder / "preset.toml"
    whole = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(whole)))
        refused_in_one_line(lambda: read_info(tiny_folder))
    finally:
        path.write_bytes(whole)


@many
@given(data=st.data())
def test_a_damaged_bank_is_a_bank_of_numbers_or_is_refused(tiny_folder: Path, data: st.DataObject) -> None:
    path = tiny_folder / "damaged.safetensors"
    header = 1200  # bytes: most of the damage where the file describes itself
    whole = (tiny_folder / "bank.safetensors").read_bytes()
    path.write_bytes(data.draw(damaged(whole[:header])) + whole[header:])
    bank = refused_in_one_line(lambda: load_bank(path))
    if isinstance(bank, Bank):
        assert np.isfinite(bank.embeddings).all()


@pytest.fixture(scope="module")
def playing(tiny_preset: Preset) -> Instrument:
    preset = dataclasses.replace(tiny_preset)
    instrument = Instrument(preset, voices=2, programs={0: preset})
    instrument.warm_up(16)
    return instrument


@many
@given(messages=st.lists(st.one_of(st.binary(max_size=4), st.binary(min_size=3, max_size=3)), max_size=12))
def test_bytes_at_a_port_leave_an_instrument_that_plays_and_falls_silent(
    playing: Instrument, messages: list[bytes]
) -> None:
    queue = EventQueue()
    for number, message in enumerate(messages):
        # Half of them begin as a channel message does, else nearly none would be one.
        status = bytes([0x80 | message[0] & 0x7F]) if message and number % 2 else message[:1]
        queue.deliver(0.0, list(status + bytes(byte & 0x7F for byte in message[1:])))
    events = queue.take(0, 16, lambda _: 0.0)
    assert np.isfinite(playing.process(events, 16)).all()
    playing.process([(0, mido.Message("control_change", channel=c, control=120)) for c in range(16)], 16)
    for _ in range(40):  # what was cut off fades out
        playing.process([], 16)
    assert playing.sounding == 0
    playing.reset()
