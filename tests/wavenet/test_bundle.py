"""TensorFlow's checkpoint files are read exactly, or refused with one line that names the file."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth import WavekeysError
from synth.wavenet.bundle import Bundle

GOLDEN = Path(__file__).parents[1] / "data" / "nsynth_small" / "model.ckpt-200000"
INDEX = Path(f"{GOLDEN}.index").read_bytes()
DATA = Path(f"{GOLDEN}.data-00000-of-00001").read_bytes()

WriteBundle = Any  # tests/wavenet/conftest.py
Field = Callable[[int, int | bytes], bytes]


def read_all(prefix: Path) -> dict[str, np.ndarray]:
    bundle = Bundle(prefix)
    return {name: bundle.tensor(name) for name in bundle.entries}


def refusal(prefix: Path) -> str:
    """The line with which a bundle is refused; it must be one, and name the file."""
    with pytest.raises(WavekeysError) as caught:
        read_all(prefix)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith(f"{prefix}.")
    return line


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The prefix of a copy of the golden checkpoint, to be damaged."""
    for file in (f"{GOLDEN}.index", f"{GOLDEN}.data-00000-of-00001"):
        shutil.copy(file, tmp_path)
    return tmp_path / GOLDEN.name


def test_tensors_are_read_from_every_shard(write_bundle: WriteBundle) -> None:
    tensors = {
        "a/W": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "a/W/Adam": np.ones((3, 0), np.float32),
        "b": np.array(200_000, np.int64),
        "c": np.array([1.5, -2.5]),
        "ein/größerer/name": np.full((1, 1, 5), 7.0, np.float32),
    }
    read = read_all(write_bundle(tensors, shards=3))
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        np.testing.assert_array_equal(read[name], tensor)


def test_a_flipped_bit_anywhere_in_the_index_is_noticed(copy: Path) -> None:
    index = Path(f"{copy}.index")
    footer = range(len(INDEX) - 60, len(INDEX))
    for position in itertools.chain(range(0, len(INDEX), 151), footer):
        damaged = bytearray(INDEX)
        damaged[position] ^= 1 << position % 8
        index.write_bytes(damaged)
        with pytest.raises(WavekeysError) as caught:
            Bundle(copy)
        assert str(caught.value).startswith(f"{index}: ")
        assert len(str(caught.value).splitlines()) == 1


def test_an_index_cut_short_anywhere_is_refused(copy: Path) -> None:
    index = Path(f"{copy}.index")
    for length in (*range(0, len(INDEX), 307), *range(len(INDEX) - 50, len(INDEX))):
        index.write_bytes(INDEX[:length])
        assert "empty" in refusal(copy) if length == 0 else "cut short" in refusal(copy)


def test_a_flipped_bit_anywhere_in_the_data_is_noticed_where_it_is_read(copy: Path) -> None:
    bundle = Bundle(copy)
    data = Path(f"{copy}.data-00000-of-00001")
    names = sorted(bundle.entries, key=lambda name: bundle.entries[name].offset)
    with data.open("r+b") as file:
        for name in names[::7]:
            entry = bundle.entries[name]
            position = entry.offset + entry.size // 3
            for byte in (DATA[position] ^ 0x10, DATA[position]):
                file.seek(position)
                file.write(bytes([byte]))
                file.flush()
                if byte == DATA[position]:
                    bundle.tensor(name)
                    continue
                with pytest.raises(WavekeysError) as caught:
                    bundle.tensor(name)
                assert str(caught.value) == f"{data}: tensor {name!r} is damaged (its checksum differs)"


@pytest.mark.parametrize("length", [0, 1, 1000, len(DATA) // 2, len(DATA) - 1])
def test_data_cut_short_is_refused(copy: Path, length: int) -> None:
    Path(f"{copy}.data-00000-of-00001").write_bytes(DATA[:length])
    line = refusal(copy)
    assert line.startswith(f"{copy}.data-00000-of-00001: ")
    assert "empty" in line if length == 0 else "ends too early" in line


@pytest.mark.parametrize("missing", [".index", ".data-00000-of-00001"])
def test_a_missing_file_is_named(copy: Path, missing: str) -> None:
    Path(f"{copy}{missing}").unlink()
    assert refusal(copy) == f"{copy}{missing}: there is no such file"


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.index").mkdir()
    assert "cannot be read (Is a directory)" in refusal(tmp_path / "model")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_foreign_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.index").write_bytes(content)
    refusal(tmp_path / "model")


def test_a_compressed_table_is_refused_and_says_what_to_do(write_bundle: WriteBundle, protobuf_field: Field) -> None:
    line = refusal(write_bundle.index({b"": protobuf_field(1, 1)}, compression=1))
    assert line.endswith("its blocks are compressed, which is not read; save the checkpoint again without compression")


def test_a_table_that_is_not_a_checkpoints_is_refused(write_bundle: WriteBundle) -> None:
    assert "no header" in refusal(write_bundle.index({b"key": b"value"}))


def test_big_endian_bundles_are_refused(write_bundle: WriteBundle, protobuf_field: Field) -> None:
    assert "big-endian" in refusal(write_bundle.index({b"": protobuf_field(1, 1) + protobuf_field(2, 1)}))


def test_an_unsupported_data_type_is_refused_only_when_it_is_read(write_bundle: WriteBundle) -> None:
    prefix = write_bundle({"half": np.ones(3, np.float16), "single": np.ones(3, np.float32)})
    np.testing.assert_array_equal(Bundle(prefix).tensor("single"), np.ones(3, np.float32))
    assert "tensor 'half' has TensorFlow's data type 19; read are float32, float64, int32, int64" in refusal(prefix)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({1: 1, 5: 8}, "has 8 bytes, which do not make []"),
        ({1: 1, 5: 4, 7: b""}, "is stored in slices"),
        ({1: 1, 4: 2**64 - 1, 5: 4}, "ends too early"),
        ({1: 1, 3: 2**40, 5: 4}, "there is no such file"),
        ({1: 1, 5: 4}, "is damaged"),
        ({1: b"text"}, "malformed"),
        ({2: 5}, "malformed"),
        ({2: b"\x12\x05"}, "malformed"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(
    write_bundle: WriteBundle, protobuf_field: Field, fields: dict[int, int | bytes], complaint: str
) -> None:
    write_bundle({"x": np.ones(4, np.float32)})
    entry = b"".join(protobuf_field(number, value) for number, value in fields.items())
    assert complaint in refusal(write_bundle.index({b"": protobuf_field(1, 1), b"x": entry}))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.binary(min_size=1, max_size=12),
    entry=st.binary(max_size=40)
    | st.dictionaries(st.integers(1, 8), st.integers(0, 2**64 - 1) | st.binary(max_size=12), max_size=8),
)
def test_an_entry_of_any_bytes_under_right_checksums_is_read_or_refused(
    write_bundle: WriteBundle, protobuf_field: Field, name: bytes, entry: bytes | dict[int, int | bytes]
) -> None:
    if isinstance(entry, dict):
        entry = b"".join(protobuf_field(number, value) for number, value in entry.items())
    write_bundle({"x": np.ones(4, np.float32)})
    prefix = write_bundle.index({b"": protobuf_field(1, 1), name: entry})
    try:
        read_all(prefix)
    except WavekeysError as error:
        assert str(error).startswith(f"{prefix}.")
        assert len(str(error).splitlines()) == 1
