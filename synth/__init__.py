"""wavekeys: NSynth you can play.

model = synth.load_model("model.safetensors")
z = model.encode(audio)                        # [B, samples] float32 -> [B, frames, 16]
logits = model.logits(audio, z, pitch_hz)      # teacher-forced: [B, samples, 256]; [B] hertz, for sizes with a clock
stream = model.stream(voices=8, backend="auto")
audio = stream.generate(z, seed=0, pitch_hz=pitch_hz)    # [V, frames, 16] -> [V, frames * 512]

instrument = synth.Instrument("factory")       # a plugin: process(events, frames), state(), restore(state)
audio = instrument(messages, duration=2.0, sample_rate=48_000)    # mido messages, time in seconds -> [samples, 2]
"""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from synth.errors import UsageError, WavekeysError

if TYPE_CHECKING:
    from synth.instrument import Instrument
    from synth.wavenet import SIZES, WaveNet, WaveNetConfig, load_model

__all__ = ["SIZES", "Instrument", "UsageError", "WaveNet", "WaveNetConfig", "WavekeysError", "load_model"]

# Loaded when they are first asked for: `wavekeys --help` must not load JAX.
_HOMES = dict.fromkeys(("SIZES", "WaveNet", "WaveNetConfig", "load_model"), "synth.wavenet")
_HOMES["Instrument"] = "synth.instrument"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("wavekeys")
    if name not in _HOMES:
        raise AttributeError(f"module 'synth' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
