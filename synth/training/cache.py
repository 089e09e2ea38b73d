"""Analysed notes on disk: computed once, mapped into memory as they are needed, so that a set may be larger than it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from synth.errors import WavekeysError
from synth.pitch import midi_to_hertz
from synth.training.analysis import Sound, analyse_all
from synth.training.config import DataConfig
from synth.training.crops import Listener, NoteSet
from synth.training.data import BadNote, good_notes, listed_recordings, open_notes
from synth.wavenet import SpectralEncoder, WaveNet, WaveNetConfig

VERSION = 10  # of the analysis; another makes it be done again
LABELS = {"instrument": np.int64, "pitch": np.int64, "velocity": np.int64, "held_out": np.bool_}
ARRAYS = ("audio", "rest", "noise", "phase", "amplitudes", "levels", "mel", "rest_levels", "rest_mel")


def analysed_notes(model: WaveNet, data: DataConfig, folder: Path, bad: Callable[[BadNote], None]) -> NoteSet:
    """The notes that `data` names, as training sees them; from `folder`, if they are there already.

    Of several processes the first does the work and the others wait for it.
    """
    failure: WavekeysError | None = None
    if jax.process_index() == 0:
        try:
            settings = _settings(model.config, data)
            former = _summary(folder)
            if former.get("settings") != settings or not _is_whole(folder, former):
                _analyse(model, data, folder, settings, bad)
        except OSError as error:
            failure = WavekeysError(f"cannot keep the analysed notes in {folder}: {error.strerror or error}")
        except WavekeysError as error:
            failure = error
    if jax.process_count() > 1:
        failed = bool(multihost_utils.broadcast_one_to_all(np.array(failure is not None)))
        if failed and failure is None:
            failure = WavekeysError("the first process has no notes for the others; it says why")
    if failure is not None:
        raise failure
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
    arrays = _Arrays(folder, source.at_most)
    names: list[str] = []
    labels: dict[str, list[int]] = {name: [] for name in LABELS}

    def sounds() -> Iterator[tuple[np.ndarray, float]]:
        for row, note in enumerate(good_notes(source, bad)):
            if note.instrument not in names:
                names.append(note.instrument)
            for name in ("pitch", "velocity", "held_out"):
                labels[name].append(getattr(note, name))
            labels["instrument"].append(names.index(note.instrument))
            arrays.put(row, {"audio": note.audio})
            yield note.audio, midi_to_hertz(note.pitch)

    if isinstance(encoder, SpectralEncoder):
        sizes = {"sample_rate_hz": config.sample_rate_hz, "hop": config.hop, "harmonics": config.harmonics}
        listener = Listener(encoder)
        with_levels = (Sound(audio, pitch_hz, listener.levels(audio)) for audio, pitch_hz in sounds())
        for row, analysis in enumerate(analyse_all(with_levels, expected=source.at_most, **sizes)):
            mel, rest_levels, rest_mel = listener.features(analysis)
            arrays_of = analysis._asdict() | {"mel": mel, "rest_levels": rest_levels, "rest_mel": rest_mel}
            arrays.put(row, {name: value for name, value in arrays_of.items() if name in ARRAYS})
    else:
        for _ in sounds():
            pass
    arrays.close()
    # Last: it says that all the others are whole.
    summary = {"settings": settings, "names": names, "arrays": arrays.names, **labels}
    (folder / "notes.json").write_text(json.dumps(summary), encoding="utf-8")


class _Arrays:
    """Arrays on disk, mapped into memory, with a row for each note; the rows that are never put take no room there."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._mapped: dict[str, np.memmap] = {}

    @property
    def names(self) -> list[str]:
        return list(self._mapped)

    def put(self, row: int, values: dict[str, np.ndarray]) -> None:
        """Raises OSError if the disk is full: in mapped memory alone that would end the process without a word."""
        for name, value in values.items():
            path = self._folder / f"{name}.npy"
            if name not in self._mapped:
                self._mapped[name] = np.lib.format.open_memmap(path, "w+", value.dtype, (self._most, *value.shape))
            mapped = self._mapped[name]
            if hasattr(os, "posix_fallocate"):
                with path.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), mapped.offset + row * value.nbytes, value.nbytes)
            mapped[row] = value

    def close(self) -> None:
        for mapped in self._mapped.values():
            mapped.flush()


def _summary(folder: Path) -> dict[str, Any]:
    try:
        summary = json.loads((folder / "notes.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}


def _is_whole(folder: Path, summary: dict[str, Any]) -> bool:
    """Whether the arrays that a summary tells of are there, as long as they say."""
    try:
        for name in summary["arrays"]:
            np.load(folder / f"{name}.npy", mmap_mode="r")
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return True


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
    others = listed_recordings(path)  # perhaps outside the folder
    lists = [*path.glob("examples.json"), *path.glob("*/examples.json")]
    files = [path] if path.is_file() else sorted({*(lists or path.glob("**/*")), *others})
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()
