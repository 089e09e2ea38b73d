"""TFRecord files and the two protobuf messages that wavekeys meets in them, without TensorFlow.

A record is its length, the length's masked CRC-32C, its bytes, and theirs (tensorflow/core/lib/io/record_writer.h).
`Example` holds named lists of numbers or texts (tensorflow/core/example/example.proto, feature.proto); `Event` is what
TensorBoard reads (tensorflow/core/util/event.proto, framework/summary.proto), here with scalars alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_FIELD = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    "bytes": _FIELD.TYPE_BYTES,
    "double": _FIELD.TYPE_DOUBLE,
    "float": _FIELD.TYPE_FLOAT,
    "int64": _FIELD.TYPE_INT64,
    "string": _FIELD.TYPE_STRING,
}
# Message: its fields as (name, number, kind or message, whether it is a list). A map is a list of its entries.
_SCHEMA: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    "BytesList": (("value", 1, "bytes", True),),
    "FloatList": (("value", 1, "float", True),),
    "Int64List": (("value", 1, "int64", True),),
    "Feature": (
        ("bytes_list", 1, "BytesList", False),
        ("float_list", 2, "FloatList", False),
        ("int64_list", 3, "Int64List", False),
    ),
    "Entry": (("key", 1, "string", False), ("value", 2, "Feature", False)),
    "Features": (("feature", 1, "Entry", True),),
    "Example": (("features", 1, "Features", False),),
    "Value": (("tag", 1, "string", False), ("simple_value", 2, "float", False)),
    "Summary": (("value", 1, "Value", True),),
    "Event": (
        ("wall_time", 1, "double", False),
        ("step", 2, "int64", False),
        ("file_version", 3, "string", False),
        ("summary", 5, "Summary", False),
    ),
}


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="wavekeys_records.proto", package="wavekeys", syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind, many in fields:
            label = _FIELD.LABEL_REPEATED if many else _FIELD.LABEL_OPTIONAL
            added = message.field.add(
                name=field, number=number, label=label, type=_KINDS.get(kind, _FIELD.TYPE_MESSAGE)
            )
            if kind not in _KINDS:
                added.type_name = f".wavekeys.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"wavekeys.{name}")) for name in _SCHEMA}


MESSAGES: dict[str, Any] = _messages()


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file, in order. Raises ValueError where it is damaged or cut short."""
    with path.open("rb") as file:
        while head := file.read(12):
            size = _checked(head, "the length of a record")
            record = file.read(int.from_bytes(size, "little") + 4)
            yield _checked(record, f"the record that ends at byte {file.tell()}")


def framed(record: bytes) -> bytes:
    """A record as it stands in a file."""
    size = struct.pack("<Q", len(record))
    return b"".join([size, _masked_crc(size), record, _masked_crc(record)])


def features(record: bytes) -> dict[str, Any]:
    """An Example's lists by name. Raises ValueError for what is none."""
    try:
        entries = MESSAGES["Example"].FromString(record).features.feature
    except DecodeError as error:
        raise ValueError(f"a record is no Example ({error})") from None
    return {entry.key: next((lists.value for _, lists in entry.value.ListFields()), []) for entry in entries}


def _checked(data: bytes, what: str) -> bytes:
    content, crc = data[:-4], data[-4:]
    if len(data) < 4 or _masked_crc(content) != crc:
        raise ValueError(f"damaged or cut short: {what} does not fit its checksum")
    return content


def _masked_crc(content: bytes) -> bytes:
    crc = int(google_crc32c.value(content))
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
