"""Tones of a note that are no multiples of its pitch: a bell's hum and tierce, the fifth of an organ's mixture.

A model tells a note's partials by their numbers, and has no number for these. So a bank tells them apart: each tone's
place, in multiples of the note's pitch, and the course of its level. A tone is a row [1 + KNOTS]: the place, then
decibels over the note's level at the frames `KNOT_FRAMES`, between which they go in straight lines. A row with place 0
is no tone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synth.pitch import HIGHEST_PARTIAL

MOST_TONES = 16  # of a note, and of a blend of notes
KNOT_FRAMES = (0, 1, 3, 7, 15, 31, 63, 94)  # closest where a note begins; after the last one nothing changes
COLUMNS = 1 + len(KNOT_FRAMES)
HIGHEST_PLACE = 1024.0  # in multiples of the pitch
FAINTEST_DB, LOUDEST_DB = -80.0, 6.0  # over the note's level
SEATED = 1e-9  # at least, of a tone that has a partial's place, for nothing else to sound there
LOUD_DB = -30.0  # over the note's level: for a louder tone than this a low note gives up a partial


def _hats(frames: int) -> np.ndarray:
    """How much of each knot there is in each frame: [F, KNOTS]."""
    return np.stack([np.interp(np.arange(frames), KNOT_FRAMES, knot) for knot in np.eye(len(KNOT_FRAMES))], axis=1)


_HATS = _hats(KNOT_FRAMES[-1] + 1)


def tone_rows(places: np.ndarray, amplitudes: np.ndarray, sounds: np.ndarray) -> np.ndarray:
    """Tones at some places [K] with amplitudes in units of the note's level at its frames [K, F]: [K, COLUMNS].

    The straight lines between knots that come closest in decibels, and closer where a tone is loud. Where the note does
    not sound ([F] bool) there is nothing to be told: a tone stays as it was.
    """
    rows = np.zeros((len(places), COLUMNS), np.float32)
    if not sounds.any():
        return rows
    hats = _hats(amplitudes.shape[-1])
    heard, frames = np.flatnonzero(sounds), np.arange(len(sounds))
    courses = np.array([np.interp(frames, heard, course[heard]) for course in amplitudes])
    courses = np.maximum(courses, 10.0 ** (FAINTEST_DB / 20.0))
    for row, place, course in zip(rows, places, courses, strict=True):
        closely = (course / course.max())[:, None] ** 0.25
        levels, *_ = np.linalg.lstsq(closely * hats, closely[:, 0] * 20.0 * np.log10(course), rcond=None)
        row[:] = place, *np.clip(levels, FAINTEST_DB, LOUDEST_DB)
    return rows


def tone_amplitudes(rows: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Amplitudes of tones [..., K, COLUMNS] at frames [..., N] of their note, in units of its level: [..., N, K]."""
    knots = _HATS[np.minimum(frames, KNOT_FRAMES[-1])]
    decibels = knots @ np.swapaxes(rows[..., 1:], -1, -2)
    return np.where(rows[..., None, :, 0] > 0, 10.0 ** (decibels / 20.0), 0.0).astype(np.float32)


class Seats(NamedTuple):
    """Which partials' places a blend's tones have: M tones of I instruments.

    A model tells the amplitudes of a fixed number of partials, of which the highest are too high to sound, but for low
    notes. Tones take the places of the highest, which stay silent when the note is bent down, each its own, so that
    tones of two instruments keep their pitches however the two are blended. Of a low note, whose highest partials do
    sound, only loud tones take theirs.
    """

    owner: np.ndarray  # [M] which instrument's
    row: np.ndarray  # [M] which of its tones
    seat: np.ndarray  # [M] of the partial in whose place it is
    offset: np.ndarray  # [M] float32, in multiples of the pitch, from that partial's
    partials: int  # that there are

    @classmethod
    def of(cls, tones: np.ndarray, pitch_hz: float, sample_rate_hz: int, partials: int) -> Seats:
        """Seats for the loudest of tones [I, K, COLUMNS], played at a pitch with so many partials."""
        loudest = np.where(tones[..., 0] > 0, tones[..., 1:].max(axis=-1), -np.inf)
        order = np.argsort(-loudest, axis=None, kind="stable")[: min(MOST_TONES, partials)]
        level = loudest.reshape(-1)[order]
        first = min(int(HIGHEST_PARTIAL * sample_rate_hz / pitch_hz), partials)
        free = np.arange(len(order)) < partials - first
        order = order[np.isfinite(level) & (free | (level > LOUD_DB))]
        owner, row = np.unravel_index(order, loudest.shape)
        seat = partials - len(order) + np.arange(len(order))
        return cls(owner, row, seat, (tones[owner, row, 0] - 1.0 - seat).astype(np.float32), partials)

    def stretched(self, stretch: np.ndarray) -> np.ndarray:
        """Where partials and tones are: [I, H or 1], as `Bank.stretch` -> [I, H]."""
        there = np.broadcast_to(stretch, (len(stretch), self.partials)).copy()
        there[:, self.seat] = self.offset
        return there

    def amplitudes(self, tones: np.ndarray) -> np.ndarray:
        """Those of instruments' tones [I, N, K], each in its place, `SEATED` for the others there, and 0: [I, N, H]."""
        placed = np.zeros((*tones.shape[:2], self.partials), np.float32)
        placed[..., self.seat] = SEATED
        placed[self.owner, :, self.seat] += tones[self.owner, :, self.row]
        return placed
