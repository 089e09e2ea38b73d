"""Analysed notes on disk: computed once, mapped into memory as they are needed, so that a set may be larger than it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from synth.errors import WavekeysError
from synth.pitch import midi_to_hertz
from synth.training.analysis import Features, analyse_all
from synth.training.config import DataConfig
from synth.training.crops import NoteSet
from synth.training.data import BadNote, good_notes, open_notes
from synth.wavenet import SpectralEncoder, WaveNet, WaveNetConfig

VERSION = 5  # of the analysis; another makes it be done again
LABELS = {"instrument": np.int64, "pitch": np.int64, "velocity": np.int64, "held_out": np.bool_}
ARRAYS = ("audio", "rest", "noise", "phase", "amplitudes", "levels", "mel", "rest_levels", "rest_mel")


def analysed_notes(model: WaveNet, data: DataConfig, folder: Path, bad: Callable[[BadNote], None]) -> NoteSet:
    """The notes that `data` names, as training sees them; from `folder`, if they are there already.

    Of several processes the first does the work and the others wait for it.
    """
    if jax.process_index() == 0:
        settings = _settings(model.config, data)
        try:
            if _summary(folder).get("settings") != settings:
                _analyse(model, data, folder, settings, bad)
        except OSError as error:
            raise WavekeysError(f"cannot keep the analysed notes in {folder}: {error.strerror or error}") from None
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("notes")
    summary = _summary(folder)
    count = len(summary["pitch"])
    empty = np.zeros((count, 0), np.float32)
    mapped = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r")[:count] if name in summary["arrays"] else empty
        for name in ARRAYS
    }
    labels: dict[str, Any] = {name: np.array(summary[name], dtype) for name, dtype in LABELS.items()}
    return NoteSet(names=tuple(summary["names"]), **labels, **mapped)


def _analyse(
    model: WaveNet, data: DataConfig, folder: Path, settings: dict[str, Any], bad: Callable[[BadNote], None]
) -> None:
    config, encoder = model.config, model.encoder
    source = open_notes(data, config.sample_rate_hz)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "notes.json").unlink(missing_ok=True)
    arrays: dict[str, np.memmap] = {}
    names: list[str] = []
    labels: dict[str, list[int]] = {name: [] for name in LABELS}

    def put(row: int, values: dict[str, np.ndarray]) -> None:
        for name, value in values.items():
            if name not in arrays:
                shape = (source.at_most, *value.shape)  # a file's end that is never written takes no room
                arrays[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", value.dtype, shape)
            arrays[name][row] = value

    def spectral(encoder: SpectralEncoder) -> Iterator[Features]:
        features = jax.jit(encoder.features)
        for row, (audio, pitch_hz) in enumerate(plain()):
            levels, mel = (np.asarray(part)[0] for part in features(audio[None]))
            put(row, {"levels": levels, "mel": mel})
            yield Features(audio, pitch_hz, levels, mel)

    def plain() -> Iterator[tuple[np.ndarray, float]]:
        for row, note in enumerate(good_notes(source, bad)):
            if note.instrument not in names:
                names.append(note.instrument)
            for name in ("pitch", "velocity", "held_out"):
                labels[name].append(getattr(note, name))
            labels["instrument"].append(names.index(note.instrument))
            put(row, {"audio": note.audio})
            yield note.audio, midi_to_hertz(note.pitch)

    if isinstance(encoder, SpectralEncoder):
        sizes = {"sample_rate_hz": config.sample_rate_hz, "hop": config.hop, "harmonics": config.harmonics}
        rest_features = jax.jit(encoder.rest_features)
        for row, analysis in enumerate(analyse_all(spectral(encoder), expected=source.at_most, **sizes)):
            rest_levels, rest_mel = (np.asarray(part)[0] for part in rest_features(analysis.rest[None]))
            arrays_of = analysis._asdict() | {"rest_levels": rest_levels, "rest_mel": rest_mel}
            put(row, {name: value for name, value in arrays_of.items() if name in ARRAYS})
    else:
        for _ in plain():
            pass
    for array in arrays.values():
        array.flush()
    # Last: it says that all the others are whole.
    summary = {"settings": settings, "names": names, "arrays": list(arrays), **labels}
    (folder / "notes.json").write_text(json.dumps(summary), encoding="utf-8")


def _summary(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "notes.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _settings(config: WaveNetConfig, data: DataConfig) -> dict[str, Any]:
    """All that the analysis depends on, as JSON reads it back."""
    fields = ("encoder", "sample_rate_hz", "hop", "harmonics", "encoder_mels")
    settings = {
        "version": VERSION,
        "files": _fingerprint(Path(data.notes or data.soundfont).expanduser()),
        **dataclasses.asdict(data),
        **{field: getattr(config, field) for field in fields},
    }
    return json.loads(json.dumps(settings))


def _fingerprint(path: Path) -> str:
    """Changes when files change, go or come. Of NSynth's many files, only when its lists do."""
    lists = [*path.glob("examples.json"), *path.glob("*/examples.json")]
    files = [path] if path.is_file() else sorted(lists or path.glob("**/*"))
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()
