"""What a lower precision of the kernel costs: the same notes, scored and played in each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from synth.analysis import log_mel_distance
from synth.bank import Bank, Preset, build_bank
from synth.instrument import Instrument
from synth.kernels import Block
from synth.stream import Stream
from synth.training.config import DataConfig
from synth.training.crops import NoteSet, analyse
from synth.training.data.note import SILENT
from synth.training.evaluation.playing import HELD_SECONDS, note_cents, render_note
from synth.training.soundfont import render_notes
from synth.wavenet import WaveNet, heads

NOTES_TOGETHER = 16  # that are scored: 130 MB of outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Notes of the training instruments that training did not see, as training sees notes and as a bank."""

    notes: NoteSet  # instrument by instrument, pitch by pitch, those that sound
    bank: Bank  # of the same notes, and of the silent ones


def held_out(model: WaveNet, data: DataConfig, *, velocity: int, every: int) -> HeldOut:
    """Every `every`-th pitch of the training notes' instruments, at a velocity that training did not see."""
    if velocity in data.velocities:
        raise ValueError(f"velocity {velocity} was trained on")
    pitches = list(range(data.pitch_low, data.pitch_high + 1, every))
    names = tuple(data.instruments)
    programs = data.instruments.values()
    audio = np.stack([render_notes(Path(data.soundfont), program, pitches, velocity) for program in programs])
    sounds = np.abs(audio).max(axis=-1) >= SILENT
    instrument, pitch = np.nonzero(sounds)
    notes = analyse(
        model.config,
        model.spectral,
        names=names,
        instrument=instrument,
        pitch=np.array(pitches)[pitch],
        velocity=np.full(len(pitch), velocity),
        audio=audio[sounds],
    )
    bank = build_bank(
        model, audio[:, :, None], instruments=names, pitches=np.array(pitches), velocities=np.array([velocity])
    )
    return HeldOut(notes=notes, bank=bank)


def compare_precisions(preset: Preset, held: HeldOut, precisions: tuple[str, ...]) -> list[dict[str, Any]]:
    """For each precision, on the same held-out notes:

    - worst_logit_error, rms_logit_error: of the head's outputs against fp32's, teacher-forced;
    - nats: the mean negative log likelihood of a sample, and nats_change against fp32;
    - within_20_cents, median_cents, log_mel_db: of the notes played, the last against their sources;
    - log_mel_db_again: the same with another seed, to show how much chance there is in it.
    """
    worst, squares, nats = (dict.fromkeys(precisions, 0.0) for _ in range(3))
    for group, share in _groups(held.notes):
        scores = {precision: _score(preset.model, group, precision) for precision in precisions}
        outputs, _ = scores["fp32"]
        for precision, (own_outputs, own_nats) in scores.items():
            error = np.abs(own_outputs - outputs)
            worst[precision] = float(np.maximum(worst[precision], error.max()))
            squares[precision] += share * float(np.mean(error**2))
            nats[precision] += share * own_nats
    rows = []
    for precision in precisions:
        own = dataclasses.replace(preset, bank=held.bank)
        cents, distances = _played(own, held.notes, precision, seed=0)
        _, again = _played(own, held.notes, precision, seed=1)
        rows.append(
            {
                "precision": precision,
                "worst_logit_error": worst[precision],
                "rms_logit_error": squares[precision] ** 0.5,
                "nats": nats[precision],
                "nats_change": nats[precision] - nats["fp32"],
                "within_20_cents": float(np.mean(np.abs(cents) <= 20)),
                "median_cents": float(np.median(np.abs(cents))),
                "log_mel_db": float(np.mean(distances)),
                "log_mel_db_again": float(np.mean(again)),
            }
        )
    return rows


def held_out_nats(model: WaveNet, notes: NoteSet) -> float:
    """Mean negative log likelihood of a sample of these notes, in nats, teacher-forced through the caches."""
    return sum(share * _score(model, group, "fp32")[1] for group, share in _groups(notes))


def _groups(notes: NoteSet) -> Iterator[tuple[NoteSet, float]]:
    """Some of the notes at a time, as many as memory takes easily, and which share of all they are."""
    count = len(notes.pitch)
    arrays = [field.name for field in dataclasses.fields(notes) if field.name != "names"]
    for first in range(0, count, NOTES_TOGETHER):
        some = {name: getattr(notes, name)[first : first + NOTES_TOGETHER] for name in arrays}
        yield dataclasses.replace(notes, **some), len(some["pitch"]) / count


def _score(model: WaveNet, notes: NoteSet, precision: str) -> tuple[np.ndarray, float]:
    """The head's outputs [N, T, O] and the mean negative log likelihood, teacher-forced through the caches."""
    count, length = notes.rest.shape
    stream = Stream(model, voices=count, backend="cpu", precision=precision)
    z = model.spectral.embed(jnp.asarray(notes.levels), jnp.asarray(notes.mel))
    frames = model.decoder.frame_conditioning(z, jnp.asarray(notes.pitch_hz))
    frame = model.decoder.frame_prediction(frames, jnp.asarray(notes.pitch_hz))
    clock = jnp.asarray(notes.phase)
    zeros = jnp.zeros(count, jnp.int32)
    block = Block(
        conditioning=stream.conditioning(z, jnp.asarray(notes.pitch_hz)),
        position=zeros,
        clock=clock,
        begin=zeros,
        fresh=zeros + 1,
        seed=zeros.astype(jnp.uint32),
        temperature=jnp.ones(clock.shape),
    )
    forced = model.decoder.harmonic_part(frame, clock) + jnp.asarray(notes.rest)
    outputs, prediction, _ = stream.kernel.score(stream.sizes, stream.weights, stream.state, block, forced)
    scale = model.decoder.upsample((frame.scale * frame.rest)[..., None])[:, :length, 0]
    likelihood = jax.jit(lambda *arrays: heads.log_density(heads.mixture(*arrays[:3]), arrays[3]))
    return np.asarray(outputs), -float(jnp.mean(likelihood(outputs, prediction, scale, forced)))


def _played(preset: Preset, notes: NoteSet, precision: str, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cents and log-mel distances [N] of all notes, played."""
    rate = preset.model.config.sample_rate_hz
    cents, distances = [], []
    for index, name in enumerate(notes.names):
        instrument = Instrument(preset, voices=1, blend={name: 1.0}, precision=precision, seed=seed)
        for note in np.flatnonzero(notes.instrument == index):
            played = render_note(instrument, int(notes.pitch[note]), int(notes.velocity[note]), HELD_SECONDS)
            held = played[: round(HELD_SECONDS * rate)]
            cents.append(note_cents(held, int(notes.pitch[note]), rate))
            distances.append(log_mel_distance(notes.audio[note][: len(held)], held, rate))
    return np.nan_to_num(np.array(cents), nan=600.0), np.array(distances)
