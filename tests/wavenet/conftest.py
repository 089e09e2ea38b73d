"""A small writer of TensorFlow V2 bundles, for what no real checkpoint holds."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

DTYPES = {"float32": 1, "float64": 2, "int64": 9, "float16": 19}


def varint(value: int) -> bytes:
    groups = b""
    while value >= 0x80:
        groups += bytes([value & 0x7F | 0x80])
        value >>= 7
    return groups + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """A protobuf field: an integer as a varint, bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def crc(content: bytes) -> bytes:
    plain = google_crc32c.value(content)
    return struct.pack("<I", (((plain >> 15) | (plain << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def entry(tensor: np.ndarray, shard: int, offset: int) -> bytes:
    shape = b"".join(field(2, field(1, size)) for size in tensor.shape)
    place = field(3, shard) + field(4, offset) + field(5, tensor.nbytes)
    return field(1, DTYPES[tensor.dtype.name]) + field(2, shape) + place + varint(6 << 3 | 5) + crc(tensor.tobytes())


def table(items: Iterable[tuple[bytes, bytes]], *, compression: int = 0, per_block: int = 2) -> bytes:
    """A LevelDB table with few entries a block."""
    content = b""

    def block(entries: list[tuple[bytes, bytes]]) -> bytes:
        nonlocal content
        body = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in entries)
        body += struct.pack("<II", 0, 1)
        handle = varint(len(content)) + varint(len(body))
        content += body + bytes([compression]) + crc(body + bytes([compression]))
        return handle

    pending = list(items)
    index = []
    while pending:
        index.append((pending[:per_block][-1][0], block(pending[:per_block])))
        pending = pending[per_block:]
    handles = block([]) + block(index)
    return content + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


class BundleWriter:
    """Writes bundles into one folder."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "model.ckpt-1"

    def __call__(self, tensors: dict[str, np.ndarray], *, shards: int = 1) -> Path:
        """A whole bundle, its tensors dealt out to the shards in turn; returns the prefix."""
        data = [b""] * shards
        items = {}
        for i, (name, tensor) in enumerate(sorted(tensors.items())):
            items[name.encode()] = entry(tensor, i % shards, len(data[i % shards]))
            data[i % shards] += tensor.tobytes()
        for i, content in enumerate(data):
            Path(f"{self.prefix}.data-{i:05d}-of-{shards:05d}").write_bytes(content)
        return self.index({b"": field(1, shards), **items})

    def index(self, items: dict[bytes, bytes], **options: int) -> Path:
        """Only an index, of these raw entries."""
        Path(f"{self.prefix}.index").write_bytes(table(sorted(items.items()), **options))
        return self.prefix


@pytest.fixture
def write_bundle(tmp_path: Path) -> BundleWriter:
    return BundleWriter(tmp_path)


@pytest.fixture
def protobuf_field() -> Callable[[int, int | bytes], bytes]:
    return field
