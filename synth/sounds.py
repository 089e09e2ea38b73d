"""What is taken for a sound file, wherever one is read, and what one is where it is written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = frozenset({".wav", ".wave", ".flac", ".aif", ".aiff", ".au", ".caf", ".mp3", ".ogg", ".opus", ".w64"})
RATES_HZ = (1000, 1_000_000)  # what a file may have; others are no sound, or a damaged header
LOUDEST = 1e6  # times full scale: beyond that, powers and sums leave what float32 can say


def wav_bytes(audio: np.ndarray, rate_hz: int) -> memoryview:
    """A 24-bit WAV file of [T] or [T, channels], limited to full scale.

    Made in memory: libsndfile does not tell why it cannot write a file.
    """
    import numpy as np
    import soundfile

    whole = io.BytesIO()
    soundfile.write(whole, np.clip(audio, -1.0, 1.0), rate_hz, subtype="PCM_24", format="WAV")
    return whole.getbuffer()
