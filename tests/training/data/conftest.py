"""NSynth's dataset in small, in its own two forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from synth.training.data.nsynth import FAMILIES, ORIGINS, QUALITIES
from synth.training.data.records import MESSAGES, framed

RATE = 16_000
ROWS = (
    # instrument, number, pitch, velocity, its qualities
    ("bass_synthetic_033", 33, 22, 25, ("dark",)),
    ("bass_synthetic_033", 33, 60, 127, ("dark", "distortion")),
    ("flute_acoustic_002", 2, 70, 100, ()),
    ("brass_acoustic_046", 46, 55, 50, ()),
)


def tone(pitch: int, seconds: float = 4.0, rate_hz: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.2 * np.sin(2 * np.pi * 440.0 * 2.0 ** ((pitch - 69) / 12.0) * t)).astype(np.float32)


def row_of(instrument: str, number: int, pitch: int, velocity: int, qualities: tuple[str, ...]) -> dict[str, Any]:
    """A row of `examples.json`, with the fields of the released one."""
    family, origin, _ = instrument.rsplit("_", 2)
    return {
        "note": 1000 + number,
        "note_str": f"{instrument}-{pitch:03d}-{velocity:03d}",
        "instrument": number,
        "instrument_str": instrument,
        "pitch": pitch,
        "velocity": velocity,
        "sample_rate": RATE,
        "qualities": [int(quality in qualities) for quality in QUALITIES],
        "qualities_str": list(qualities),
        "instrument_family": FAMILIES.index(family),
        "instrument_family_str": family,
        "instrument_source": ORIGINS.index(origin),
        "instrument_source_str": origin,
    }


def write_split(folder: Path, rows: tuple[Any, ...] = ROWS) -> None:
    (folder / "audio").mkdir(parents=True)
    examples = {row["note_str"]: row for row in (row_of(*row) for row in rows)}
    for name, row in examples.items():
        soundfile.write(folder / "audio" / f"{name}.wav", tone(row["pitch"]), RATE, subtype="PCM_16")
    (folder / "examples.json").write_text(json.dumps(examples))


def write_tfrecord(path: Path) -> None:
    records = []
    for row in (row_of(*row) for row in ROWS):
        del row["qualities_str"]
        example = MESSAGES["Example"]()
        for key, value in {**row, "audio": tone(row["pitch"])}.items():
            entry = example.features.feature.add(key=key)
            if isinstance(value, str):
                entry.value.bytes_list.value.append(value.encode())
            elif isinstance(value, np.ndarray):
                entry.value.float_list.value.extend(value)
            else:
                entry.value.int64_list.value.extend(value if isinstance(value, list) else [value])
        records.append(framed(example.SerializeToString()))
    path.write_bytes(b"".join(records))


@pytest.fixture
def nsynth_split(tmp_path: Path) -> Path:
    write_split(tmp_path / "nsynth-test")
    return tmp_path / "nsynth-test"
