"""The last guard before the device and the take: nothing above 0 dBFS, nothing that is not a number.

Threads: while playing the engine thread only. Works in place; allocates a ramp only while it limits, never locks or
logs.
"""

from __future__ import annotations

import numpy as np

CEILING = 0.989  # -0.1 dBFS: converters that interpolate between samples stay below full scale for most sounds
ATTACK_MS = 0.7
RECOVERY_MS = 200.0  # from silence to unity; faster pumps audibly on chords
OFFLINE_BLOCK_MS = 5.0


class Limiter:
    """Turns loud blocks down at once and recovers slowly; what the attack lets through is clipped.

    A block below the ceiling passes bit for bit. `limited_blocks` counts those that did not.
    """

    def __init__(self, *, rate_hz: int) -> None:
        self.limited_blocks = 0
        self._attack_frames = max(1, round(ATTACK_MS * 1e-3 * rate_hz))
        self._recovery_per_frame = 1e3 / (RECOVERY_MS * rate_hz)
        self._gain = 1.0

    def process(self, block: np.ndarray) -> np.ndarray:
        """Limit `block` [T, C] in place and return it."""
        if not len(block):
            return block
        silence_non_finite(block)
        peak = float(np.max(np.abs(block)))
        wanted = min(1.0, CEILING / peak) if peak > 0.0 else 1.0
        if wanted >= 1.0 and self._gain >= 1.0:
            return block
        self.limited_blocks += wanted < 1.0
        gains = np.empty((len(block), 1), np.float32)
        if wanted < self._gain:
            attack = min(self._attack_frames, len(block))
            gains[:attack, 0] = np.linspace(self._gain, wanted, attack, dtype=np.float32)
            gains[attack:] = wanted
            self._gain = wanted
        else:
            end = min(wanted, self._gain + len(block) * self._recovery_per_frame)
            gains[:, 0] = np.linspace(self._gain, end, len(block), dtype=np.float32)
            self._gain = end
        np.multiply(block, gains, out=block)
        return np.clip(block, -CEILING, CEILING, out=block)


def limit(audio: np.ndarray, *, rate_hz: int) -> float:
    """Limit a whole performance [T, C] in place, as if it were played; returns the seconds that were too loud."""
    limiter = Limiter(rate_hz=rate_hz)
    block = round(OFFLINE_BLOCK_MS * 1e-3 * rate_hz)
    for start in range(0, len(audio), block):
        limiter.process(audio[start : start + block])
    return limiter.limited_blocks * block / rate_hz


def silence_non_finite(block: np.ndarray) -> bool:
    """Set what is not a finite number to 0, in place; true where there was any."""
    finite = np.isfinite(block)
    if finite.all():
        return False
    block[~finite] = 0.0
    return True
