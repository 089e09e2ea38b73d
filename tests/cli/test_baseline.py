"""`wavekeys baseline` as a user runs it, at a size of a few hundred weights."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile

from synth import spectral
from synth.spectral import load_baseline
from synth.spectral.config import BaselineConfig, Layer

RATE_HZ = 16_000
SHALLOW = BaselineConfig(
    name="shallow",
    frames=64,
    encoder=(*[Layer(4, 4, 4, 4)] * 3, *[Layer(4, 2, 2, 1)] * 3),
    embedding=8,
    pitch_embedding=4,
    decoder=(*[Layer(4, 2, 2, 1)] * 3, *[Layer(4, 4, 4, 4)] * 3),
    comb_head=4,
)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for pitch in (60, 64):
        tone = np.sin(2 * np.pi * 440.0 * 2.0 ** ((pitch - 69) / 12.0) * np.arange(RATE_HZ) / RATE_HZ)
        soundfile.write(folder / f"pipe-{pitch:03}-100.wav", 0.3 * tone, RATE_HZ)
    return folder


def test_it_learns_notes_encodes_them_and_brings_them_back(
    wavekeys, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(spectral.SIZES, "shallow", SHALLOW)
    config = tmp_path / "notes.toml"
    held_out = notes / "bell-072-100.wav"
    held_out.write_bytes((notes / "pipe-060-100.wav").read_bytes())
    config.write_text(f"output = '{tmp_path}'\n[data]\nnotes = '{notes}'\n[validation]\ninstruments = ['bell']\n")
    run = tmp_path / "run"
    train = ("baseline", "train", config, "-o", run, "--size", "shallow", "--batch", 2)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as optax needs it
        code, said, complaint = wavekeys(*train, "--steps", 2)
        assert code == 0, complaint
        assert "2 notes" in said
        assert wavekeys(*train, "--steps", 3, "--resume")[0] == 0
    held_out.unlink()
    model = run / "baseline.safetensors"
    assert load_baseline(model).config == SHALLOW

    soundfile.write(notes / "click-060-100.wav", np.ones(1), RATE_HZ)
    soundfile.write(notes / "long-060-100.wav", np.zeros(SHALLOW.samples + 1), RATE_HZ)
    code, said, complaint = wavekeys("baseline", "encode", notes, "-o", tmp_path / "z", "--model", model)
    assert code == 1
    assert "2 encoded" in said
    assert complaint.count("takes whole notes of 256 (a frame) to 16384") == 2
    assert np.load(tmp_path / "z" / "pipe-060-100.npy").shape == (8,)

    back = ("baseline", "reconstruct", notes / "pipe-060-100.wav", "-o", tmp_path / "back", "--model", model)
    assert wavekeys(*back, "--iterations", 2)[0] == 0
    assert soundfile.info(tmp_path / "back" / "pipe-060-100.wav").frames == RATE_HZ
    soundfile.write(tmp_path / "nameless.wav", np.zeros(1000), RATE_HZ)
    code, _, complaint = wavekeys(
        "baseline", "reconstruct", tmp_path / "nameless.wav", "-o", tmp_path / "x.wav", "--model", model
    )
    assert code == 2
    assert "tells no pitch" in complaint
