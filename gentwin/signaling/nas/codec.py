"""NAS messages from and to bytes, by the tables of messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, Message
from gentwin.signaling.nas.elements import MOBILITY, SESSION, Carried, MessageType
from gentwin.signaling.nas.layout import HEADER_SPARE, SPARE_BITS, TRAILING, Layout, Pairs
from gentwin.signaling.nas.mobility_messages import MOBILITY_MESSAGES, SECURITY_HEADER_TYPES, SECURITY_PROTECTED
from gentwin.signaling.nas.session_messages import SESSION_MESSAGES
from gentwin.signaling.values.base import closest

MESSAGES: Mapping[str, MessageType] = MappingProxyType(
    {message.name: message for message in (SECURITY_PROTECTED, *MOBILITY_MESSAGES, *SESSION_MESSAGES)}
)
"""All messages by name, with the elements they consist of; what they can hold is in the value types of these."""

DEEPEST = 8  # messages inside messages
CACHED_MESSAGES, CACHED_OCTETS = 1024, 256  # so many plain messages of at most so many octets


def decode(data: bytes) -> Message:
    """Returns the message that some bytes are.

    Args:
        data: One NAS message, security protected or plain.

    Returns:
        The message. `encode` gives the same bytes again.

    Raises:
        DecodeError: If there is no such message, or the bytes end before its mandatory elements do.

    Source:
        TS 24.501 clause 9.1.
    """
    return _decode(bytes(data), 0)


def encode(message: Message) -> bytes:
    """Returns the bytes of a message.

    Args:
        message: A NAS message. Mandatory fields may stand anywhere; optional ones are written in their order.

    Raises:
        EncodeError: If the message or one of its fields is unknown, a mandatory field is missing, or a value is not
            what its element can hold.
    """
    return _encode(message, 0)


# ---------------------------------------------------------------- decoding


def _decode(data: bytes, depth: int) -> Message:
    if len(data) < 3:
        raise DecodeError(f"{len(data)} octets are no NAS message", 0)
    if data[0] == MOBILITY and data[1] & 15:
        if data[1] & 15 not in SECURITY_HEADER_TYPES:
            raise DecodeError(f"security header type {data[1] & 15} is none of {[*SECURITY_HEADER_TYPES]}", 1)
        return Message(NAS, SECURITY_PROTECTED.name, _LAYOUTS[SECURITY_PROTECTED.name].read(data, 1, [], depth))
    return _decode_kept(data, depth) if len(data) <= CACHED_OCTETS else _decode_plain(data, depth)


def _decode_plain(data: bytes, depth: int) -> Message:
    pairs: Pairs = []
    if data[0] == MOBILITY:
        place = 2
        if data[1]:
            pairs.append((HEADER_SPARE, data[1] >> 4))
    elif data[0] == SESSION and len(data) > 3:
        place = 3
        pairs += (("pdu_session_id", data[1]), ("pti", data[2]))
    else:
        raise DecodeError(f"extended protocol discriminator {data[0]:#x} begins no message of {len(data)} octets", 0)
    layout = _BY_NUMBER.get((data[0], data[place]))
    if layout is None:
        raise DecodeError(f"no message has the type {data[place]:#x}", place)
    return Message(NAS, layout.message.name, layout.read(data, place + 1, pairs, depth))


_decode_kept = lru_cache(CACHED_MESSAGES)(_decode_plain)


def _decode_carried(data: bytes, kind: Carried, depth: int) -> Message | bytes:
    """Returns the message in some bytes, or the bytes if they are ciphered or no message that is whole."""
    plain = data[:1] == bytes([kind.discriminator]) and (kind.discriminator == SESSION or data[1:2] == b"\0")
    if not plain or depth >= DEEPEST:
        return data
    try:
        message = _decode(data, depth + 1)
    except DecodeError:
        return data
    return data if message.fields and message.fields[-1][0] == TRAILING else message


# ---------------------------------------------------------------- encoding


def _encode(message: Any, depth: int) -> bytes:
    if not isinstance(message, Message) or message.protocol != NAS:
        raise EncodeError("", f"must be a message of {NAS}, got {message!r}")
    if message.name not in _LAYOUTS:
        raise EncodeError("", f"must be a known message, got {message.name!r}; {closest(message.name, MESSAGES)}")
    layout, fields = _LAYOUTS[message.name], message.fields
    kind = layout.message
    if not isinstance(fields, Fields):
        raise EncodeError("", f"must have `Fields` as fields, got {fields!r}")
    if kind.number is None:
        return bytes([MOBILITY]) + layout.write(fields, depth)
    if kind.discriminator == SESSION:
        return bytes([SESSION]) + layout.write_header(fields) + bytes([kind.number]) + layout.write(fields, depth)
    spare = fields.get(HEADER_SPARE)
    if spare is None:
        return bytes([MOBILITY, 0, kind.number]) + layout.write(fields, depth)
    return bytes([MOBILITY, *SPARE_BITS.encode(spare), kind.number]) + layout.write(fields.without(HEADER_SPARE), depth)


def _encode_carried(message: Any, kind: Carried, depth: int) -> bytes:
    known = MESSAGES.get(message.name)
    if message.protocol != NAS or known is None or known.discriminator != kind.discriminator or known.number is None:
        family = "5GSM" if kind.discriminator == SESSION else "plain 5GMM"
        raise EncodeError("", f"must be a {family} message or bytes, got `{message.name}`")
    if depth >= DEEPEST:
        raise EncodeError("", f"must be bytes in {DEEPEST} messages around each other, got `{message.name}`")
    return _encode(message, depth + 1)


_LAYOUTS = {name: Layout(message, _decode_carried, _encode_carried) for name, message in MESSAGES.items()}
_BY_NUMBER = {
    (layout.message.discriminator, layout.message.number): layout
    for layout in _LAYOUTS.values()
    if layout.message.number is not None
}
