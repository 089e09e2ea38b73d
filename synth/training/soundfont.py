"""Single notes rendered from a SoundFont by FluidSynth, the way NSynth's dataset was rendered.

NSynth (paper, section 3): 16 kHz mono, 4 seconds, the key held for the first 3. FluidSynth renders at 48 kHz and the
result is downsampled here, since its own interpolation would alias at 16 kHz. Reverb and chorus are off.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import mido
import numpy as np
import soundfile
import soxr

from synth.errors import WavekeysError

RENDER_RATE_HZ = 48_000
NOTE_SECONDS, HELD_SECONDS = 4.0, 3.0
_SPACING_SECONDS = 8.0  # long enough for one note's tail to be gone when the next begins
_LEAD_SECONDS = 0.5


def render_notes(
    soundfont: Path, program: int, pitches: list[int], velocity: int, *, sample_rate_hz: int = 16_000
) -> np.ndarray:
    """Notes of one General MIDI program (0 to 127): float32 [len(pitches), 4 s], at the SoundFont's own loudness."""
    if shutil.which("fluidsynth") is None:
        raise WavekeysError("fluidsynth is not installed, and a SoundFont needs it: apt install fluidsynth")
    if not soundfont.is_file():
        raise WavekeysError(f"no SoundFont at {soundfont}: apt install fluid-soundfont-gm, or name another")
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "notes.mid", Path(folder) / "notes.wav"
        _write_midi(midi, program, pitches, velocity)
        command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.6", "-r", str(RENDER_RATE_HZ)]
        command += ["-O", "float", "-T", "wav", "-F", str(wav), str(soundfont), str(midi)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not wav.is_file():
            raise WavekeysError(f"fluidsynth could not render {soundfont}: {done.stderr.strip().splitlines()[-1:]}")
        audio, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    mono = soxr.resample(audio.mean(axis=1), RENDER_RATE_HZ, sample_rate_hz, quality="VHQ").astype(np.float32)
    length = round(NOTE_SECONDS * sample_rate_hz)
    starts = [round((_LEAD_SECONDS + i * _SPACING_SECONDS) * sample_rate_hz) for i in range(len(pitches))]
    mono = np.pad(mono, (0, max(0, starts[-1] + length - len(mono))))
    return np.stack([mono[start : start + length] for start in starts])


def _write_midi(path: Path, program: int, pitches: list[int], velocity: int) -> None:
    """One note every `_SPACING_SECONDS`; at 60 beats a minute and 1000 ticks a beat, a tick is a millisecond."""
    track = mido.MidiTrack(
        [mido.MetaMessage("set_tempo", tempo=1_000_000), mido.Message("program_change", program=program)]
    )
    wait = round(_LEAD_SECONDS * 1000)
    held = round(HELD_SECONDS * 1000)
    for pitch in pitches:
        track.append(mido.Message("note_on", note=pitch, velocity=velocity, time=wait))
        track.append(mido.Message("note_off", note=pitch, time=held))
        wait = round(_SPACING_SECONDS * 1000) - held
    track.append(mido.MetaMessage("end_of_track", time=wait))
    mido.MidiFile(tracks=[track], ticks_per_beat=1000).save(path)
