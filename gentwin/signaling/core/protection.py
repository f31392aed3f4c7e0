"""The ends of a NAS security context: plain messages become protected ones, and back."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from gentwin.signaling import nas
from gentwin.signaling.errors import DecodeError
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, Message
from gentwin.signaling.security import Direction, NasSecurityContext, SecurityHeader, Unprotected

PROTECTED = "SecurityProtected"
INTEGRITY, CIPHERED = "integrity_protected", "integrity_protected_and_ciphered"
NEW_CONTEXT, CIPHERED_NEW_CONTEXT = f"{INTEGRITY}_with_new_context", f"{CIPHERED}_with_new_context"
_HEADERS = {
    INTEGRITY: SecurityHeader.INTEGRITY,
    CIPHERED: SecurityHeader.INTEGRITY_CIPHERED,
    NEW_CONTEXT: SecurityHeader.INTEGRITY_NEW_CONTEXT,
    CIPHERED_NEW_CONTEXT: SecurityHeader.INTEGRITY_CIPHERED_NEW_CONTEXT,
}
_MAY_BE_OPAQUE = (CIPHERED, CIPHERED_NEW_CONTEXT)
DISCRIMINATOR = 0x7E

encode_plain = lru_cache(8192)(nas.encode)
"""What [`nas.encode`][gentwin.signaling.nas.codec.encode] makes of a plain message; both ends need it."""


class Opened(NamedTuple):
    """What an end finds in a protected message.

    Args:
        message: The plain message; None if the code is wrong, or nothing can be read.
        count: NAS COUNT.
        repeated: Whether the message was received before.
    """

    message: Message | None
    count: int
    repeated: bool


class NasEnd:
    """One end of a NAS security context.

    Args:
        context: Keys and counts; the other end has its own.
        ksi: Identifier of the key set, 0 to 6.
        sends: Direction of what this end sends.
    """

    __slots__ = ("_receives", "_sends", "context", "ksi")

    def __init__(self, context: NasSecurityContext, ksi: int, sends: Direction) -> None:
        self.context, self.ksi = context, ksi
        self._sends, self._receives = sends, Direction(1 - sends)

    def seal(self, plain: Message, header: str = CIPHERED) -> Message:
        """Returns a message protected under the next count.

        Args:
            plain: The plain message.
            header: Type of protection.
        """
        data = self.context.protect(encode_plain(plain), self._sends, _HEADERS[header])
        opaque = self.context.ciphering and header in _MAY_BE_OPAQUE
        return Message(
            NAS,
            PROTECTED,
            Fields(
                (
                    ("security_header_type", header),
                    ("mac", data[2:6]),
                    ("sequence_number", data[6]),
                    ("payload", data[7:] if opaque else plain),
                )
            ),
        )

    def container(self, whole: Message) -> Message | bytes:
        """Returns a whole initial message as it is in the clear one that comes next, which is ciphered if need be.

        Source: 3GPP TS 24.501 clause 4.4.6.
        """
        if not self.context.ciphering:
            return whole
        return self.context.cipher(encode_plain(whole), self._sends, self.context.uplink_count)

    def read_container(self, container: Message | bytes, count: int) -> Message | None:
        """Returns the whole initial message in another one of a count; None if it cannot be read."""
        if isinstance(container, Message):
            return container
        return _decode(self.context.cipher(container, self._receives, count))

    def open(self, sealed: Message) -> Opened:
        """Returns what is in a protected message from the other end."""
        payload, header = sealed["payload"], sealed["security_header_type"]
        body = payload if isinstance(payload, bytes) else encode_plain(payload)
        start = bytes([DISCRIMINATOR, _HEADERS[header]]) + sealed["mac"] + bytes([sealed["sequence_number"]])
        opened: Unprotected = self.context.unprotect(start + body, self._receives)
        if not opened.verified:
            return Opened(None, opened.count, opened.repeated)
        message = _decode(opened.plain) if isinstance(payload, bytes) else payload
        return Opened(message, opened.count, False)


def _decode(data: bytes) -> Message | None:
    try:
        return nas.decode(data)
    except DecodeError:
        return None
