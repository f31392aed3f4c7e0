"""Messages of PFCP in bytes and back.

A message is a header and elements, each a type, a length and a value. The header becomes the fields `seid`,
`sequence_number` and `message_priority`, the first and the last where they are; an element becomes a field of its name.
Bits of the header that are spare, and an element that is not known, of a vendor or not well-formed, stay as they are.

Source: TS 29.244, clauses 7.2 and 8.1.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import PFCP, Message
from gentwin.signaling.pfcp import elements, messages
from gentwin.signaling.pfcp.elements import ELEMENTS, FIRST_OF_VENDORS, Element
from gentwin.signaling.values.base import closest, within

VERSION = 1
FOLLOW_ON, PRIORITY, SEID = 4, 2, 1
LONGEST = 0xFFFF
DEEPEST = 8  # groups in groups; the specification has 3
CACHED_ELEMENTS = 4096, 2048, 2048  # in no group, in one, in two
CACHED_OCTETS = 256  # of the largest of them

Pair = tuple[str, Value]


# ---------------------------------------------------------------- decoding


def decode(data: bytes) -> Message:
    """Returns the message that some octets are.

    Args:
        data: One whole message.

    Raises:
        DecodeError: If the octets are none, or more than one; see
            [`decode_all`][gentwin.signaling.pfcp.codec.decode_all].
    """
    message, end = _decode(data, 0)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} octets after the message; `decode_all` takes several in one", end)
    return message


def decode_all(datagram: bytes) -> list[Message]:
    """Returns the messages in a datagram; all but the last say that another one follows.

    Args:
        datagram: What UDP carried.

    Raises:
        DecodeError: If one of the messages cannot be decoded, or something else follows the last.
    """
    found, place = [], 0
    while True:
        message, place = _decode(datagram, place)
        found.append(message)
        if place == len(datagram):
            return found


def _decode(data: bytes, start: int) -> tuple[Message, int]:
    octets = len(data) - start
    if octets < 8:
        raise DecodeError(f"{octets} octets are less than the header's 8", start)
    flags, number, length = _HEAD(data, start)
    known, end = messages.BY_NUMBER.get(number), start + 4 + length
    if flags >> 5 != VERSION or known is None:
        raise DecodeError(f"no message has version {flags >> 5} and type {number}", start)
    place = start + (16 if flags & SEID else 8)
    if not place <= end <= len(data):
        raise DecodeError(f"the length says {end - start} octets, of at least {place - start}, got {octets}", start + 2)
    if (flags & FOLLOW_ON != 0) != (end < len(data)):
        raise DecodeError(f"the header says follow-on {flags >> 2 & 1}, and {len(data) - end} octets follow", start)
    pairs = _header(data, start, place, flags)
    _read_elements(data, place, end, 0, pairs)
    return Message(PFCP, known.name, Fields(pairs)), end


def _header(data: bytes, start: int, end: int, flags: int) -> list[Pair]:
    (word,) = _WORD(data, end - 4)
    pairs: list[Pair] = [("seid", _LONG(data, start + 4)[0])] if flags & SEID else []
    pairs.append(("sequence_number", word >> 8))
    last = word & 255
    if flags & PRIORITY:
        pairs.append(("message_priority", last >> 4))
        last &= 15
    if last:
        pairs.append(("spare_octet", last))
    if flags & 24:
        pairs.append(("spare_flags", flags >> 3 & 3))
    return pairs


def _read_elements(data: bytes, place: int, end: int, depth: int, pairs: list[Pair]) -> None:
    kept, read = _KEPT[depth], _READ[depth]
    while place < end:
        if end - place < 4:
            raise DecodeError(f"an element of at least 4 octets where {end - place} are left", place)
        number, octets = _TYPE_AND_LENGTH(data, place)
        stop = place + 4 + octets
        if stop > end:
            raise DecodeError(f"element {number} of {octets + 4} octets where {end - place} are left", place)
        raw = data[place:stop]
        pairs.append(kept(raw) if octets < CACHED_OCTETS else read(raw))
        place = stop


def _read_element(depth: int, raw: bytes) -> Pair:
    number, content = raw[0] << 8 | raw[1], raw[4:]
    element = elements.BY_NUMBER.get(number)
    if element is None:
        return elements.name_of(number), _of_vendor(content) if number >= FIRST_OF_VENDORS else content
    if element.members is None:
        return element.name, element.content.decode(content)
    return element.name, _read_group(content, depth + 1)


def _of_vendor(content: bytes) -> Value:
    if len(content) < 2:
        return content
    return Fields.of(enterprise_id=int.from_bytes(content[:2], "big"), value=content[2:])


def _read_group(content: bytes, depth: int) -> Value:
    pairs: list[Pair] = []
    if depth > DEEPEST:
        return content
    try:
        _read_elements(content, 0, len(content), depth, pairs)
    except DecodeError:
        return content
    return Fields(pairs)


_HEAD, _TYPE_AND_LENGTH = struct.Struct("!BBH").unpack_from, struct.Struct("!HH").unpack_from
_WORD, _LONG = struct.Struct("!I").unpack_from, struct.Struct("!Q").unpack_from
_READ = [partial(_read_element, depth) for depth in range(DEEPEST + 1)]
_KEPT = [*(lru_cache(most)(_READ[depth]) for depth, most in enumerate(CACHED_ELEMENTS)), *_READ[len(CACHED_ELEMENTS) :]]
"""What reads an element in so many groups, and what keeps those it read: groups in it are read only if not too deep."""


# ---------------------------------------------------------------- encoding


def encode(message: Message) -> bytes:
    """Returns a message in octets.

    Args:
        message: Of PFCP; its first fields are those of the header, `sequence_number` at least.

    Raises:
        EncodeError: If it has a field that is unknown, or whose value is not what it should be.
    """
    return _encode(message, 0)


def encode_all(several: Iterable[Message]) -> bytes:
    """Returns messages in the octets of one datagram.

    Args:
        several: At least one message.

    Raises:
        EncodeError: If there is none, or one cannot be encoded.
    """
    rest = list(several)
    if not rest:
        raise EncodeError("messages", "must be at least one, got none")
    return b"".join([*(_encode(message, FOLLOW_ON) for message in rest[:-1]), _encode(rest[-1], 0)])


def _encode(message: Message, flags: int) -> bytes:
    if message.protocol != PFCP or message.name not in messages.MESSAGES:
        raise EncodeError("name", f"must be a message of PFCP, got {message.name!r} of {message.protocol!r}")
    header, rest = _split(message.fields)
    front, marks = _front(header)
    body = b"".join([_encode_element(name, value) for name, value in rest])
    length = len(front) + len(body)
    if length > LONGEST:
        raise EncodeError(message.name, f"must be of at most {LONGEST + 4} octets, got {length + 4}")
    start = bytes([VERSION << 5 | marks | flags, messages.MESSAGES[message.name].number])
    return start + length.to_bytes(2, "big") + front + body


HEADER = {"seid": 64, "sequence_number": 24, "message_priority": 4, "spare_octet": 8, "spare_flags": 2}
"""Fields of the header and their sizes in bits; they are the first ones of a message, before all elements."""


def _split(fields: Fields) -> tuple[dict[str, int], Fields]:
    header: dict[str, int] = {}
    for name, value in fields:
        if name not in HEADER or name in header:
            break
        header[name] = value
    if "sequence_number" not in header:
        raise EncodeError("sequence_number", "must be among the first fields, got none")
    sizes = HEADER | ({"spare_octet": 4} if "message_priority" in header else {})
    for name, value in header.items():
        if type(value) is not int or not 0 <= value < 1 << sizes[name]:
            raise EncodeError(name, f"must be a number of {sizes[name]} bits, got {value!r}")
    return header, fields[len(header) :]


def _front(header: dict[str, int]) -> tuple[bytes, int]:
    marks, last = header.get("spare_flags", 0) << 3, header.get("spare_octet", 0)
    if "message_priority" in header:
        marks, last = marks | PRIORITY, last | header["message_priority"] << 4
    octets = header["sequence_number"].to_bytes(3, "big") + bytes([last])
    if "seid" in header:
        return header["seid"].to_bytes(8, "big") + octets, marks | SEID
    return octets, marks


def _encode_element(name: str, value: Any) -> bytes:
    element = ELEMENTS.get(name)
    try:
        number, content = (element.number, _content(element, value)) if element else _unknown(name, value)
    except EncodeError as error:
        raise within(name, error) from None
    if len(content) > LONGEST:
        raise EncodeError(name, f"must be of at most {LONGEST} octets, got {len(content)}")
    return number.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def _content(element: Element, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if element.members is None:
        return element.content.encode(value)
    if not isinstance(value, Fields):
        raise EncodeError("", f"must be fields or bytes, got {value!r}")
    return b"".join([_encode_element(name, inner) for name, inner in value])


def _unknown(name: str, value: Any) -> tuple[int, bytes]:
    number = elements.number_of(name)
    if number is None:
        raise EncodeError("", f"is no element; {closest(name, ELEMENTS)}")
    if isinstance(value, bytes):
        return number, value
    if number >= FIRST_OF_VENDORS and isinstance(value, Fields) and value.names() == ["enterprise_id", "value"]:
        enterprise, content = value["enterprise_id"], value["value"]
        if type(enterprise) is int and 0 <= enterprise <= 0xFFFF and isinstance(content, bytes):
            return number, enterprise.to_bytes(2, "big") + content
    fit = "bytes, or `enterprise_id` and `value`" if number >= FIRST_OF_VENDORS else "bytes"
    raise EncodeError("", f"must be {fit}, got {value!r}")
