"""wavekeys: NSynth you can play.

model = synth.load_model("model.safetensors")
z = model.encode(audio)                        # [B, samples] float32 -> [B, frames, 16]
logits = model.logits(audio, z)                # teacher-forced: [B, samples, 256]
stream = model.stream(voices=8, backend="auto")
audio = stream.generate(z, seed=0)             # [V, frames, 16] -> [V, frames * 512]
"""

from synth.errors import UsageError, WavekeysError
from synth.wavenet import SIZES, WaveNet, WaveNetConfig, load_model

__all__ = ["SIZES", "UsageError", "WaveNet", "WaveNetConfig", "WavekeysError", "load_model"]
