"""Reads TensorFlow V2 tensor bundles (the form of NSynth's released checkpoints) without TensorFlow.

A bundle is `PREFIX.index`, a LevelDB table (leveldb/doc/table_format.md) from tensor names to `BundleEntryProto`
messages (tensorflow/core/protobuf/tensor_bundle.proto), and the tensors' bytes in `PREFIX.data-00000-of-0000N`. Every
byte that is used is covered by a CRC-32C, which is checked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import mmap
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np

from synth.errors import WavekeysError

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48  # two block handles, zeros up to byte 40, the magic number
TRAILER_BYTES = 5  # after each block: its compression, its checksum
DTYPES = {1: "float32", 2: "float64", 3: "int32", 9: "int64"}  # tensorflow/core/framework/types.proto


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """Where one tensor lies, and what it is."""

    dtype: int  # TensorFlow's number for it, see DTYPES
    shape: tuple[int, ...]
    shard: int
    offset: int  # first byte in the shard's data file
    size: int  # bytes
    crc: int  # masked CRC-32C of those bytes
    sliced: bool  # stored in pieces, under names of their own


class Bundle:
    """A checkpoint's tensors by name. The index is read at once, a tensor's bytes only when it is asked for."""

    def __init__(self, prefix: str | Path) -> None:
        self.prefix = Path(prefix)
        index = Path(f"{prefix}.index")
        with naming(index):
            table = dict(_table(_map(index)))
            if b"" not in table:
                raise ValueError("a table, but not the index of a TensorFlow checkpoint (it has no header)")
            header = _message(table.pop(b""))
            self.shards = _number(header, 1)
            if _number(header, 2) != 0:
                raise ValueError("its numbers are big-endian; only little-endian bundles are read")
            self.entries = {_text(name): _entry(value) for name, value in table.items()}
        self._data: dict[int, mmap.mmap] = {}

    def tensor(self, name: str) -> np.ndarray:
        """A copy of one tensor, checked against its checksum."""
        entry = self.entries[name]
        data = Path(f"{self.prefix}.data-{entry.shard:05d}-of-{self.shards:05d}")
        with naming(data):
            if entry.sliced:
                raise ValueError(f"tensor {name!r} is stored in slices, which are not read")
            if entry.dtype not in DTYPES:
                allowed = ", ".join(DTYPES.values())
                raise ValueError(f"tensor {name!r} has TensorFlow's data type {entry.dtype}; read are {allowed}")
            dtype = np.dtype(DTYPES[entry.dtype]).newbyteorder("<")
            if entry.size != math.prod(entry.shape) * dtype.itemsize:
                raise ValueError(f"tensor {name!r} has {entry.size} bytes, which do not make {list(entry.shape)}")
            if entry.shard not in self._data:
                self._data[entry.shard] = _map(data)
            content = _piece(self._data[entry.shard], entry.offset, entry.size, f"tensor {name!r}")
            if _masked_crc(content) != entry.crc:
                raise ValueError(f"tensor {name!r} is damaged (its checksum differs)")
            return np.frombuffer(content, dtype).reshape(entry.shape).astype(dtype.newbyteorder("="))


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what goes wrong inside into one line that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise WavekeysError(f"{path}: there is no such file") from None
    except OSError as error:
        raise WavekeysError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, OverflowError) as error:
        raise WavekeysError(f"{path}: {error}") from None


def _map(path: Path) -> mmap.mmap:
    """The file's bytes, paged in as they are used; a slice of them is a copy."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise ValueError("the file is empty")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _piece(data: mmap.mmap, offset: int, size: int, what: str) -> bytes:
    if offset + size > len(data):
        raise ValueError(f"ends too early: {what} reaches byte {offset + size}, the file has {len(data)}")
    return data[offset : offset + size]


def _masked_crc(content: bytes) -> int:
    """The checksum as both formats store it: rotated and shifted (leveldb/util/crc32c.h)."""
    crc = int(google_crc32c.value(content))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table(data: mmap.mmap) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table, in order."""
    footer = data[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != MAGIC:
        raise ValueError("not the index of a TensorFlow checkpoint, or cut short (its last bytes are not a table's)")
    *meta, at = _handle(footer, 0)
    *index, at = _handle(footer, at)
    if any(footer[at:-8]):
        raise ValueError("its footer is damaged")
    _block(data, *meta)  # holds nothing of use; read for its checksum
    last = None
    for _, value in _entries(_block(data, *index)):
        offset, size, _ = _handle(value, 0)
        for key, content in _entries(_block(data, offset, size)):
            if last is not None and key <= last:
                raise ValueError("its names are out of order")
            last = key
            yield key, content


def _block(data: mmap.mmap, offset: int, size: int) -> bytes:
    block = _piece(data, offset, size + TRAILER_BYTES, "a block")
    if _masked_crc(block[:-4]) != int.from_bytes(block[-4:], "little"):
        raise ValueError(f"damaged (the checksum of the block at byte {offset} differs)")
    if block[size] != 0:
        raise ValueError("its blocks are compressed, which is not read; save the checkpoint again without compression")
    return block[:size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block: each key shares a prefix with the one before. The restart points at its end are for
    binary search; only their number is used."""
    end = len(block) - 4 * (1 + int.from_bytes(block[-4:], "little"))
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        split = at + unshared
        if shared > len(key) or split + length > end:
            raise ValueError("a block of it is malformed")
        key = key[:shared] + block[at:split]
        at = split + length
        yield key, block[split:at]
    if at != end:
        raise ValueError("a block of it is malformed")


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    """Offset and size of a block, and where the next handle starts."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return offset, size, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of up to 64 bits in groups of seven, lowest first, and where the next item starts."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("a number in it is malformed")


Message = dict[int, list[int | bytes]]


def _message(data: bytes) -> Message:
    """A protobuf message's values by field number (protobuf.dev/programming-guides/encoding)."""
    fields: Message = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: int | bytes
        if tag & 7 == 0:
            value, at = _varint(data, at)
        elif tag & 7 in (1, 2, 5):
            size, at = _varint(data, at) if tag & 7 == 2 else (8 if tag & 7 == 1 else 4, at)
            value, at = data[at : at + size], at + size
            if at > len(data):
                raise ValueError("an entry of it is malformed")
            if tag & 7 != 2:
                value = int.from_bytes(value, "little")
        else:
            raise ValueError("an entry of it is malformed")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(message: Message, field: int) -> int:
    """A field's last value, as protobuf wants it; 0 if it is absent."""
    value = message.get(field, [0])[-1]
    if not isinstance(value, int):
        raise ValueError("an entry of it is malformed")
    return value


def _messages(message: Message, field: int) -> list[Message]:
    values = message.get(field, [])
    if not all(isinstance(value, bytes) for value in values):
        raise ValueError("an entry of it is malformed")
    return [_message(value) for value in values if isinstance(value, bytes)]


def _entry(data: bytes) -> Entry:
    """A BundleEntryProto: dtype 1, shape 2, shard_id 3, offset 4, size 5, crc32c 6, slices 7."""
    message = _message(data)
    shape = [dimension for shape in _messages(message, 2) for dimension in _messages(shape, 2)]
    return Entry(
        dtype=_number(message, 1),
        shape=tuple(_number(dimension, 1) for dimension in shape),
        shard=_number(message, 3),
        offset=_number(message, 4),
        size=_number(message, 5),
        crc=_number(message, 6),
        sliced=7 in message,
    )


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
