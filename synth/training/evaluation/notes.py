"""One note of a bank: what is measured of it, alone and against its source."""

from __future__ import annotations

from typing import Any

import numpy as np

from synth.analysis import (
    attack_ms,
    clicks,
    crackle_db,
    folded,
    level_db,
    log_mel_distance,
    loudness_db,
    median_cents,
    multi_scale_distance,
    noise_db,
    spectral_cents,
)
from synth.instrument import Instrument
from synth.pitch import midi_to_hertz
from synth.training.evaluation.playing import HELD_SECONDS, STEADY, cut, note_cents, render_note

_DIED_AWAY_DB = 50.0  # below its beginning: there is no pitch to be tracked any more
_SPAN_S = 1.5  # of a long note, where its pitch and its level are measured
_TAIL_AFTER_S = 0.5  # from the key's release on nothing should be heard any more


def measure_note(instrument: Instrument, pitch: int, velocity: int, source: np.ndarray | None) -> dict[str, Any]:
    """A note held for three seconds: cents, noise_db, crackle_db, clicks, tail_db, and with a source [T] how far it is
    from that: source_cents (of the source itself), cents_from_source, comb_cents_from_source (by another tracker),
    level_error_db, loudness_error_db, attack_error_ms, noise_error_db, crackle_error_db, log_mel_db, multi_scale.
    """
    rate, hertz = instrument.sample_rate_hz, midi_to_hertz(pitch)
    note = render_note(instrument, pitch, velocity, HELD_SECONDS)
    held, steady = cut(note, rate, (0.0, HELD_SECONDS)), cut(note, rate, STEADY)
    row: dict[str, Any] = {
        "pitch": pitch,
        "velocity": velocity,
        "cents": note_cents(note, pitch, rate),
        "noise_db": noise_db(steady, hertz, rate),
        "crackle_db": crackle_db(steady, hertz, rate),
        "clicks": clicks(note),
        "tail_db": level_db(note[round((HELD_SECONDS + _TAIL_AFTER_S) * rate) :]),
    }
    if source is not None:
        heard, source_steady = source[: len(held)], cut(source, rate, STEADY)
        row["source_cents"] = note_cents(source, pitch, rate)
        row["cents_from_source"] = folded(row["cents"] - row["source_cents"])
        row["comb_cents_from_source"] = spectral_cents(steady, hertz, rate) - spectral_cents(source_steady, hertz, rate)
        row["level_error_db"] = level_db(held) - level_db(heard)
        row["loudness_error_db"] = loudness_db(held, rate) - loudness_db(heard, rate)
        row["attack_error_ms"] = attack_ms(held, rate) - attack_ms(heard, rate)
        row["noise_error_db"] = row["noise_db"] - noise_db(source_steady, hertz, rate)
        row["crackle_error_db"] = row["crackle_db"] - crackle_db(source_steady, hertz, rate)
        row["log_mel_db"] = log_mel_distance(heard, held, rate)
        row["multi_scale"] = multi_scale_distance(heard, held)
    return row


def measure_long_note(instrument: Instrument, pitch: int, velocity: int, seconds: float) -> dict[str, float]:
    """A note held for at least six seconds: does it stay as it is?

    drift_cents is between spans at its beginning, its middle and its end, as long as it sounds; drift_db between the
    later two, and ripple_db the range of its level over quarters of a second between them, since a sound that decays
    has come to its sustain by then; long_clicks are in all of it. long_cents is the pitch in the middle (of a note that
    has died away by then, at the beginning), spectral_cents a second opinion on that.
    """
    rate, hertz = instrument.sample_rate_hz, midi_to_hertz(pitch)
    note = render_note(instrument, pitch, velocity, seconds)
    middle, end = max(4.0, 0.45 * seconds), seconds - _SPAN_S - 0.1
    spans = [cut(note, rate, (start, start + _SPAN_S)) for start in (0.5, middle, end)]
    sounding = [span for span in spans if level_db(span) > level_db(spans[0]) - _DIED_AWAY_DB]
    track = [median_cents(span, hertz, rate) for span in sounding]
    quarters = cut(note, rate, (middle, seconds - 0.1))
    quarters = quarters[: len(quarters) // (rate // 4) * (rate // 4)].reshape(-1, rate // 4)
    levels = [level_db(quarter) for quarter in quarters]
    return {
        "drift_cents": float(np.max(track) - np.min(track)),
        "drift_db": level_db(spans[2]) - level_db(spans[1]),
        "ripple_db": max(levels) - min(levels),
        "long_clicks": clicks(note),
        "long_cents": track[:2][-1],
        "spectral_cents": spectral_cents(sounding[:2][-1], hertz, rate),
    }
