"""Any field in bytes, for what the nodes do not say: unknown elements, opaque bytes, unusual orders."""

from __future__ import annotations

from typing import Any

from gentwin.signaling.dialogue.slots import Slot
from gentwin.signaling.errors import DecodeError
from gentwin.signaling.fields import Bits, Fields, Value
from gentwin.signaling.messages import Message

DEEPEST = 64
INT, TEXT, OCTETS, BITS, FIELDS, MESSAGE, SLOT = range(7)


def pack(name: str, value: Value) -> bytes:
    """Returns a field in bytes."""
    return _sized(name.encode()) + _packed(value)


def unpack(data: bytes) -> tuple[str, Value]:
    """Returns the field in some bytes.

    Raises:
        DecodeError: If they are none.
    """
    name, place = _cut(data, 0)
    value, place = _unpacked(data, place, 0)
    if place != len(data):
        raise DecodeError(f"{len(data) - place} bytes after a raw field", place)
    return _text(name, 0), value


def _number(value: int) -> bytes:
    """Returns a number in seven bits an octet, the highest first; the last octet has the highest bit clear."""
    octets = [value & 127]
    while value := value >> 7:
        octets.append(value & 127 | 128)
    return bytes(reversed(octets))


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _packed(value: Any) -> bytes:
    if isinstance(value, Slot):
        return (
            bytes([SLOT])
            + b"".join([_sized(text.encode()) for text in (value.kind, value.name)])
            + _number(value.number)
        )
    if isinstance(value, Bits):
        return bytes([BITS]) + _number(value.size) + _number(value.value)
    if isinstance(value, int):
        return bytes([INT]) + _number(2 * value if value >= 0 else -2 * value - 1)
    if isinstance(value, str):
        return bytes([TEXT]) + _sized(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return bytes([OCTETS]) + _sized(value)
    if isinstance(value, Fields):
        return bytes([FIELDS]) + _number(len(value)) + b"".join([pack(name, inner) for name, inner in value])
    return bytes([MESSAGE]) + _sized(value.protocol.encode()) + _sized(value.name.encode()) + _packed(value.fields)


def _read(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    while place < len(data):
        value = value << 7 | data[place] & 127
        place += 1
        if not data[place - 1] & 128:
            return value, place
    raise DecodeError("a raw field ends in a number", place)


def _cut(data: bytes, place: int) -> tuple[bytes, int]:
    size, place = _read(data, place)
    if size > len(data) - place:
        raise DecodeError(f"{size} bytes in a raw field where {len(data) - place} are left", place)
    return data[place : place + size], place + size


def _text(data: bytes, place: int) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise DecodeError(f"{data!r} in a raw field is no text", place) from None


def _unpacked(data: bytes, place: int, depth: int) -> tuple[Any, int]:
    if place >= len(data) or depth > DEEPEST:
        raise DecodeError("a raw field ends early or is nested too deep", place)
    kind, place = data[place], place + 1
    if kind in (TEXT, OCTETS):
        found, place = _cut(data, place)
        return (_text(found, place) if kind == TEXT else found), place
    if kind == MESSAGE:
        protocol, place = _cut(data, place)
        name, place = _cut(data, place)
        fields, place = _unpacked(data, place, depth + 1)
        return Message(_text(protocol, place), _text(name, place), fields), place
    if kind == SLOT:
        said, place = _cut(data, place)
        name, place = _cut(data, place)
        number, place = _read(data, place)
        return Slot(_text(said, place), _text(name, place), number), place
    first, place = _read(data, place)
    if kind == INT:
        return (-(first + 1 >> 1) if first & 1 else first >> 1), place
    if kind == BITS:
        bits, place = _read(data, place)
        return Bits(bits, first), place
    if kind != FIELDS:
        raise DecodeError(f"no raw value has the type {kind}", place)
    pairs = []
    for _ in range(first):
        name, place = _cut(data, place)
        value, place = _unpacked(data, place, depth + 1)
        pairs.append((_text(name, place), value))
    return Fields(pairs), place
