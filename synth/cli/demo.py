"""`wavekeys demo`: a short polyphonic piece with the factory preset, to `demo.wav` and to the loudspeakers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.errors import first_line

if TYPE_CHECKING:
    import mido
    import numpy as np

BEAT_SECONDS = 0.6
# (first beat, beats, MIDI pitches): four chords and a descant over them.
CHORDS = [
    (0, 4, (48, 55, 64)),
    (4, 4, (53, 57, 60)),
    (8, 4, (50, 57, 65)),
    (12, 4, (55, 59, 62)),
    (16, 6, (48, 55, 60)),
]
MELODY = [
    (0, 2, 67),
    (2, 1, 72),
    (3, 1, 71),
    (4, 3, 69),
    (7, 1, 67),
    (8, 2, 65),
    (10, 1, 69),
    (11, 1, 67),
    (12, 3, 62),
    (15, 1, 65),
    (16, 6, 64),
]


@click.command("demo", short_help="Render a short polyphonic piece with the factory preset.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("demo.wav"), show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
def command(output: Path, seed: int) -> None:
    """Render a short piece to demo.wav: piano and organ blended; play it where there is an audio device."""
    from synth.bank import load_preset
    from synth.cli.output import Stopwatch, check_writable, expect_suffix, progress_bar, write_wav
    from synth.instrument import Instrument, render
    from synth.instrument.offline import BLOCK_FRAMES

    expect_suffix(output, ".wav")
    check_writable(output)
    preset = load_preset()
    click.echo(f"preset {preset.info.name!r}: {', '.join(preset.bank.instruments)}; compiling the decoder")
    instrument = Instrument(preset, voices=8, seed=seed)
    instrument.warm_up(BLOCK_FRAMES)
    notes = timeline()
    how = f"{instrument.backend} backend, {instrument.precision}"
    click.echo(f"rendering {len(notes) // 2} notes, up to 4 at once, sample by sample ({how})")
    watch = Stopwatch()
    with progress_bar("rendering", notes[-1][0]) as progress:
        audio = render(instrument, notes, progress=progress)
    write_wav(output, audio, rate_hz=instrument.sample_rate_hz, wanted_hz=48_000)
    click.echo(f"{output}: {watch.summary(len(audio) / instrument.sample_rate_hz)}")
    _play(audio, instrument.sample_rate_hz)


def timeline() -> list[tuple[float, mido.Message]]:
    """The piece, as messages with their times in seconds."""
    import mido

    notes = [(beat, length, pitch, 70) for beat, length, pitches in CHORDS for pitch in pitches]
    notes += [(beat, length, pitch, 105) for beat, length, pitch in MELODY]
    events = []
    for beat, length, pitch, velocity in notes:
        start, end = beat * BEAT_SECONDS, (beat + length) * BEAT_SECONDS - 0.03
        events.append((start, mido.Message("note_on", note=pitch, velocity=velocity)))
        events.append((end, mido.Message("note_off", note=pitch)))
    return sorted(events, key=lambda event: event[0])


def _play(audio: np.ndarray, rate_hz: int) -> None:
    """Play on the default device; without one, say so and be content with the file."""
    try:
        import samplerate
        import sounddevice

        device_hz = int(sounddevice.query_devices(kind="output")["default_samplerate"])
        sounddevice.play(samplerate.resample(audio, device_hz / rate_hz, "sinc_medium"), device_hz, blocking=True)
    except Exception as error:  # no PortAudio, no device, a device that is busy: the file is there all the same
        click.echo(f"not played: no audio device ({first_line(error)})")
