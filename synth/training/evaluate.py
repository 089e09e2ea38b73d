"""Every note of a preset as a player hears it, measured against its nominal pitch and its source."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
import numpy as np

from synth.analysis import clicks, level_db, log_mel_distance, median_cents
from synth.analysis.rainbowgram import draw
from synth.bank import Preset
from synth.instrument import Instrument, render
from synth.pitch import midi_to_hertz

HELD_SECONDS, LONG_SECONDS = 3.0, 10.0
BENDS = (-2.0, -1.0, 0.5, 2.0)  # semitones, of a note that sounds
_STEADY = (0.25, 2.75)  # seconds: where a held note's pitch is tracked


def render_note(instrument: Instrument, pitch: int, velocity: int, held_seconds: float) -> np.ndarray:
    """One note, held and released, and its tail: [T] float32. The same note always sounds the same."""
    instrument.reset()
    timeline = [
        (0.0, mido.Message("note_on", note=pitch, velocity=velocity)),
        (held_seconds, mido.Message("note_off", note=pitch)),
    ]
    return render(instrument, timeline, duration_seconds=held_seconds + 1.0)[:, 0]


def note_cents(note: np.ndarray, pitch: int, rate_hz: int) -> float:
    """How far a held note [T] is from its pitch where it is steady, in cents; not a number without a pitch."""
    return median_cents(_cut(note, rate_hz, _STEADY), midi_to_hertz(pitch), rate_hz)


def evaluate(
    preset: Preset,
    sources: dict[tuple[str, int, int], np.ndarray],
    *,
    long_notes_every: int = 8,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure all notes; `sources` maps (instrument, pitch, velocity) to the recording [T], where there is one.

    Every `long_notes_every`-th pitch is also held for ten seconds, to measure how far its pitch drifts, and played by
    every pair of instruments in equal parts, and bent while it sounds.
    """
    bank, rate = preset.bank, preset.model.config.sample_rate_hz
    rows = []
    total = len(bank.instruments) * len(bank.pitches) * len(bank.velocities)
    for name in bank.instruments:
        instrument = Instrument(preset, voices=1, blend={name: 1.0})
        for index, pitch in enumerate(map(int, bank.pitches)):
            for velocity in map(int, bank.velocities):
                hertz = midi_to_hertz(pitch)
                note = render_note(instrument, pitch, velocity, HELD_SECONDS)
                row: dict[str, Any] = {"instrument": name, "pitch": pitch, "velocity": velocity}
                row["cents"] = note_cents(note, pitch, rate)
                row["clicks"] = clicks(note)
                row["tail_db"] = level_db(note[round((HELD_SECONDS + 0.5) * rate) :])
                source = sources.get((name, pitch, velocity))
                if source is not None:
                    held = _cut(note, rate, (0.0, HELD_SECONDS))
                    heard = source[: len(held)]
                    row["source_cents"] = note_cents(source, pitch, rate)
                    row["level_error_db"] = level_db(held) - level_db(heard)
                    row["log_mel_db"] = log_mel_distance(heard, held, rate)
                if index % long_notes_every == 0:
                    long = render_note(instrument, pitch, velocity, LONG_SECONDS)
                    spans = [(second, second + 1.5) for second in (0.5, 4.5, 8.4)]
                    track = [median_cents(_cut(long, rate, span), hertz, rate) for span in spans]
                    row["drift_cents"] = float(np.max(track) - np.min(track))
                rows.append(row)
                progress(len(rows) / total)
    blends = _blends(preset, bank.pitches[::long_notes_every])
    cents = np.abs([blend["cents"] for blend in blends])
    summary = summarise(rows)
    bends = _bends(preset, bank.pitches[::long_notes_every])
    summary["largest_bend_error_cents"] = float(np.max(np.abs([bend["cents"] for bend in bends])))
    if blends:
        summary["blends_within_20_cents"] = float(np.mean(cents <= 20))
        summary["blends_within_50_cents"] = float(np.mean(cents <= 50))
    return {"preset": preset.info.name, "notes": rows, "blends": blends, "bends": bends, "summary": summary}


def _blends(preset: Preset, pitches: np.ndarray) -> list[dict[str, Any]]:
    """Pitch of every pair of instruments, half and half."""
    rate, velocity = preset.model.config.sample_rate_hz, int(preset.bank.velocities[-1])
    rows = []
    for first, second in itertools.combinations(preset.bank.instruments, 2):
        instrument = Instrument(preset, voices=1, blend={first: 0.5, second: 0.5})
        for pitch in map(int, pitches):
            note = render_note(instrument, pitch, velocity, HELD_SECONDS)
            rows.append({"blend": [first, second], "pitch": pitch, "cents": note_cents(note, pitch, rate)})
    return rows


def _bends(preset: Preset, pitches: np.ndarray) -> list[dict[str, Any]]:
    """How far a note is from where the bend wheel sends it while it sounds."""
    rate, velocity = preset.model.config.sample_rate_hz, int(preset.bank.velocities[-1])
    rows = []
    for name, pitch in itertools.product(preset.bank.instruments, map(int, pitches)):
        instrument = Instrument(preset, voices=1, blend={name: 1.0})
        for semitones in BENDS:
            instrument.reset()
            wheel = round(8191 * semitones / instrument.values["bend_range_semitones"])
            timeline = [
                (0.0, mido.Message("note_on", note=pitch, velocity=velocity)),
                (0.5, mido.Message("pitchwheel", pitch=wheel)),
            ]
            note = render(instrument, timeline, duration_seconds=1.5)[:, 0]
            hertz = midi_to_hertz(pitch + semitones)
            cents = median_cents(_cut(note, rate, (0.6, 1.5)), hertz, rate)
            rows.append({"instrument": name, "pitch": pitch, "semitones": semitones, "cents": cents})
    return rows


def contact_sheet(preset: Preset, sources: dict[tuple[str, int, int], np.ndarray], pitch: int, path: Path) -> None:
    """Rainbowgrams of one pitch on every instrument: the sources that there are above, the renderings below."""
    velocity = int(preset.bank.velocities[-1])
    names = preset.bank.instruments
    notes = [
        (f"{name}, source", sources[name, pitch, velocity]) for name in names if (name, pitch, velocity) in sources
    ]
    for name in names:
        instrument = Instrument(preset, voices=1, blend={name: 1.0})
        notes.append((f"{name}, wavekeys", render_note(instrument, pitch, velocity, HELD_SECONDS)))
    draw(notes, path, columns=len(names))


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Shares and means over the notes; a note without a pitch counts as out of tune."""
    cents = np.abs([row["cents"] for row in rows])
    cents = np.where(np.isfinite(cents), cents, 600.0)
    distances = [row["log_mel_db"] for row in rows if "log_mel_db" in row]
    drifts = [row["drift_cents"] for row in rows if "drift_cents" in row]
    summary = {
        "notes": len(rows),
        "median_cents": float(np.median(cents)),
        "within_10_cents": float(np.mean(cents <= 10)),
        "within_20_cents": float(np.mean(cents <= 20)),
        "within_50_cents": float(np.mean(cents <= 50)),
        "notes_with_clicks": int(sum(row["clicks"] > 0 for row in rows)),
        "loudest_tail_db": float(max(row["tail_db"] for row in rows)),
        "largest_drift_cents": float(np.max(drifts)) if drifts else float("nan"),
    }
    if distances:
        summary["mean_log_mel_db"] = float(np.mean(distances))
    return summary


def _cut(note: np.ndarray, rate_hz: int, seconds: tuple[float, float]) -> np.ndarray:
    return note[round(seconds[0] * rate_hz) : round(seconds[1] * rate_hz)]
