"""Which instruments a note is made of: weights, the pad's four corners, and what moves them note by note."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synth.bank import Bank, Modulation, PresetInfo
from synth.bank.preset import CORNERS


class Blend:
    """A preset's blend as a function of the pad and of the modulations' sources; works on vectors over its instruments.

    Only the instruments that can ever sound are kept, so that a note costs no more than it must.
    """

    def __init__(
        self,
        bank: Bank,
        base: Mapping[str, float],
        *,
        pad: Mapping[str, str] | None = None,
        modulations: tuple[Modulation, ...] = (),
    ) -> None:
        corners = [bank.weights({pad[corner]: 1.0}) for corner in CORNERS] if pad else []
        rows = np.stack([bank.weights(base), *corners, *(bank.weights(m.blend) for m in modulations)])
        self.instruments = np.flatnonzero(rows.any(axis=0))  # numbers in the bank
        rows = rows[:, self.instruments]
        self._base = rows[0]
        self._corners = rows[1 : 1 + len(corners)]
        self.sources = {modulation.source for modulation in modulations}  # what they follow
        self._modulations = list(zip(modulations, rows[1 + len(corners) :], strict=True))

    def weights(self, x: np.ndarray, y: np.ndarray, sources: Mapping[str, np.ndarray | float]) -> np.ndarray:
        """Weights [N, instruments] at the pad's points x and y [N], and the sources' values (0 to 1) there."""
        if len(self._corners):
            x, y = x[:, None], y[:, None]
            bottom_left, bottom_right, top_left, top_right = self._corners
            bottom = bottom_left + x * (bottom_right - bottom_left)
            weights = bottom + y * (top_left + x * (top_right - top_left) - bottom)
        else:
            weights = np.broadcast_to(self._base, (len(x), len(self._base)))
        for modulation, towards in self._modulations:
            span = modulation.high - modulation.low
            share = np.clip((np.asarray(sources[modulation.source]) - modulation.low) / span, 0.0, 1.0)
            share = modulation.amount * np.broadcast_to(share, len(x))[:, None]
            weights = weights + share * (towards - weights)
        return weights


def blends_of(info: PresetInfo, bank: Bank, override: Mapping[str, float] | None) -> list[Blend]:
    """One for each zone of the preset; `override` replaces what they say."""
    if override is not None:
        return [Blend(bank, override) for _ in info.zones]
    return [
        Blend(bank, zone.blend or info.blend, pad=None if zone.blend else info.pad, modulations=info.modulations)
        for zone in info.zones
    ]
