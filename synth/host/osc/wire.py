"""Datagrams to messages and back.

python-osc reads and writes the messages. Bundles are taken apart here, and its dispatcher is not used: a bundle whose
element claims a negative size keeps its reader (1.10.2) in a loop, time tags make its dispatcher sleep, and address
patterns become regular expressions that can take for ever. Whatever comes over the network must cost its own length at
most.

Threads: no state; any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from pythonosc import osc_message
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import BuildError, OscMessageBuilder
from pythonosc.parsing import osc_types

from synth.errors import WavekeysError

MAX_DATAGRAM_BYTES = 8192

_TYPES = "ihfdsbmTF"  # int, float (32 and 64 bits each), string, blob, MIDI, true, false
_BUNDLE_HEADER_BYTES = 16  # its name and its time tag (OSC 1.0 specification, "OSC Bundles")
_MAX_NESTING = 8

Value = str | bytes | bool | int | float | tuple[int, int, int, int]
Message = tuple[str, Sequence[Value]]


def read(datagram: bytes) -> list[Message]:
    """The messages of a datagram, in order, time tags ignored. If one of them is not OSC, WavekeysError and none."""
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise WavekeysError(f"a datagram may have {MAX_DATAGRAM_BYTES} bytes, not {len(datagram)}")
    return [_message(content) for content in _unpacked(datagram, _MAX_NESTING)]


def write(address: str, values: Iterable[Value]) -> bytes:
    """One message's datagram. A character that has no place in a string of OSC becomes a question mark."""
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(_encodable(value) if isinstance(value, str) else value)
    return builder.build().dgram


def _unpacked(packet: bytes, depth: int) -> Iterator[bytes]:
    if not OscBundle.dgram_is_bundle(packet):
        yield packet
        return
    if not depth:
        raise WavekeysError(f"bundles may lie in each other {_MAX_NESTING} deep")
    at = _BUNDLE_HEADER_BYTES
    if len(packet) < at:
        raise WavekeysError("a bundle without its time tag")
    while at < len(packet):
        size = int.from_bytes(packet[at : at + 4], "big", signed=True)
        if size <= 0 or at + 4 + size > len(packet):
            raise WavekeysError(f"an element of a bundle claims {size} bytes")
        yield from _unpacked(packet[at + 4 : at + 4 + size], depth - 1)
        at += 4 + size


def _message(datagram: bytes) -> Message:
    if not OscMessage.dgram_is_message(datagram):
        raise WavekeysError("not OSC: a message begins with /, a bundle with #bundle")
    try:
        address, end = osc_types.get_string(datagram, 0)
        if end == len(datagram):  # older clients leave the types out where there are no values
            return address, []
        types = osc_types.get_string(datagram, end)[0][1:]
        if not set(types) <= set(_TYPES):  # python-osc would skip the type and take the bytes for the next value
            raise WavekeysError(f"values may be of the types {_TYPES}, not {types}")
        values = OscMessage(datagram).params
        if _size(address, types, values) != len(datagram):  # python-osc completes a float that was cut
            raise WavekeysError(f"{address}: its values do not fill the {len(datagram)} bytes that came")
    except (osc_message.ParseError, osc_types.ParseError, BuildError, ValueError) as error:
        raise WavekeysError(f"not an OSC message: {error}") from None
    return address, [_as_meant(value) if kind == "f" else value for kind, value in zip(types, values, strict=True)]


def _size(address: str, types: str, values: Sequence[Value]) -> int:
    builder = OscMessageBuilder(address)
    for kind, value in zip(types, values, strict=True):
        builder.add_arg(value, kind)
    return builder.build().size


def _as_meant(value: float) -> float:
    """The shortest decimal with these 32 bits: 0.01 stays within a range from 0.01, and a default stays the default."""
    return float(str(np.float32(value)))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
