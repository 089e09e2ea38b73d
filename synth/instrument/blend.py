"""Which instruments a note is made of: weights, the pad's four corners, and what moves them note by note."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synth.bank import Bank, Modulation, PresetInfo
from synth.bank.preset import CORNERS


class Blend:
    """A preset's blend as a function of the pad and of the modulations' sources.

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

    def weights(self, x: float, y: float, sources: Mapping[str, float]) -> np.ndarray:
        """Weights [instruments] at the pad's point x, y and at its sources' values, 0 to 1."""
        if len(self._corners):
            bottom_left, bottom_right, top_left, top_right = self._corners
            bottom = bottom_left + x * (bottom_right - bottom_left)
            weights = bottom + y * (top_left + x * (top_right - top_left) - bottom)
        else:
            weights = self._base
        for modulation, towards in self._modulations:
            share = (sources[modulation.source] - modulation.low) / (modulation.high - modulation.low)
            weights = weights + modulation.amount * min(max(share, 0.0), 1.0) * (towards - weights)
        return weights


def blends_of(info: PresetInfo, bank: Bank, override: Mapping[str, float] | None) -> list[Blend]:
    """One for each zone of the preset; `override` replaces what they say."""
    if override is not None:
        return [Blend(bank, override) for _ in info.zones]
    return [
        Blend(bank, zone.blend or info.blend, pad=None if zone.blend else info.pad, modulations=info.modulations)
        for zone in info.zones
    ]
