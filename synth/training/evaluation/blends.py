"""Blends of two instruments, and bends: what a player does beyond the bank's own notes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import mido
import numpy as np

from synth.analysis import centroid_hz, log_mel_distance, spectral_cents
from synth.bank import Preset
from synth.instrument import Instrument, render
from synth.pitch import midi_to_hertz
from synth.training.evaluation.playing import HELD_SECONDS, STEADY, cut, note_cents, render_note

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the second instrument
PAIRS = 10
BENDS = (-2.0, -1.0, 0.5, 2.0)  # semitones, of a note that sounds
BEND_RANGE = 2.0  # semitones


def pairs_of(instruments: Sequence[str]) -> list[tuple[str, str]]:
    """Ten pairs, or all there are, spread over the instruments: neighbours in the list are often kin."""
    pairs = list(itertools.combinations(instruments, 2))
    return [pairs[index * len(pairs) // min(PAIRS, len(pairs))] for index in range(min(PAIRS, len(pairs)))]


def measure_blends(preset: Preset, pitches: Sequence[int]) -> list[dict[str, Any]]:
    """Each pair from the one to the other at one pitch (they take turns): cents and centroid_hz at each share of the
    second, and how far the embeddings' blend half-way is from the two sounds mixed, mix_distance_db."""
    rate, velocity = preset.model.config.sample_rate_hz, int(preset.bank.velocities[-1])
    rows = []
    for index, (first, second) in enumerate(pairs_of(preset.bank.instruments)):
        pitch = int(pitches[index % len(pitches)])
        notes = []
        for share in SHARES:
            weights = {first: 1.0 - share, second: share}
            blend = {name: weight for name, weight in weights.items() if weight}
            instrument = Instrument(preset, voices=1, blend=blend)
            notes.append(cut(render_note(instrument, pitch, velocity, HELD_SECONDS), rate, (0.0, HELD_SECONDS)))
        rows.append(
            {
                "blend": [first, second],
                "pitch": pitch,
                "shares": list(SHARES),
                "cents": [note_cents(note, pitch, rate) for note in notes],
                "centroid_hz": [centroid_hz(cut(note, rate, STEADY), rate) for note in notes],
                "mix_distance_db": log_mel_distance((notes[0] + notes[-1]) / 2.0, notes[len(notes) // 2], rate),
            }
        )
    return rows


def between(row: dict[str, Any]) -> list[bool]:
    """Whether the centroid of each blend lies between its ends', with 2 % to spare."""
    first, *inner, last = row["centroid_hz"]
    low, high = min(first, last) * 0.98, max(first, last) * 1.02
    return [low <= centroid <= high for centroid in inner]


def measure_bends(preset: Preset, pitches: Sequence[int]) -> list[dict[str, Any]]:
    """How far a note is from where the bend wheel sends it while it sounds.

    By its spectrum, and but for what is the note's own (vibrato, tuning, partials off their multiples): at high
    pitches, with few samples to a period, pYIN is up to 26 cents off between the pitches that it chooses among.
    """
    rate, velocity = preset.model.config.sample_rate_hz, int(preset.bank.velocities[-1])
    rows = []
    for name, pitch in itertools.product(preset.bank.instruments, map(int, pitches)):
        instrument = Instrument(preset, voices=1, blend={name: 1.0})
        for own in ("own_vibrato", "own_tuning", "own_stretch", "own_tones"):
            instrument.set(own, 0.0)
        instrument.set("bend_range_semitones", BEND_RANGE)
        for semitones in BENDS:
            instrument.reset()
            wheel = round(8191 * semitones / BEND_RANGE)
            timeline = [
                (0.0, mido.Message("note_on", note=pitch, velocity=velocity)),
                (0.5, mido.Message("pitchwheel", pitch=wheel)),
            ]
            note = render(instrument, timeline, duration_seconds=1.5)[:, 0]
            steady, hertz = cut(note, rate, (0.6, 1.5)), midi_to_hertz(pitch + semitones)
            cents = spectral_cents(steady, hertz, rate, within_cents=120.0)
            rows.append({"instrument": name, "pitch": pitch, "semitones": semitones, "cents": cents})
    return rows


def largest(values: Sequence[float]) -> float:
    """The largest magnitude; a note without a pitch counts as half an octave off."""
    return float(np.max(np.abs(np.nan_to_num(values, nan=600.0))))
