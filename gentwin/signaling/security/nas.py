"""Protection of NAS messages: counts, integrity, ciphering."""

from __future__ import annotations

import hmac
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.security.algorithms import (
    CipheringAlgorithm,
    Direction,
    IntegrityAlgorithm,
    cipher,
    integrity_code,
    require_ciphering,
    require_integrity,
)
from gentwin.signaling.security.errors import SecurityError, require_bytes, require_number
from gentwin.signaling.security.keys import NAS_COUNT_BITS, KeyUse, derive_algorithm_key

EXTENDED_PROTOCOL_DISCRIMINATOR = 0x7E
HEADER_BYTES, CODE_START = 7, 2
END_OF_COUNT = 1 << NAS_COUNT_BITS
SEQUENCE_NUMBERS = 256
BEARER_OF_3GPP_ACCESS = 1


class SecurityHeader(IntEnum):
    """Security header type of a NAS message. Source: 3GPP TS 24.501 table 9.3.1."""

    PLAIN = 0
    INTEGRITY = 1
    INTEGRITY_CIPHERED = 2
    INTEGRITY_NEW_CONTEXT = 3
    INTEGRITY_CIPHERED_NEW_CONTEXT = 4


CIPHERED = (SecurityHeader.INTEGRITY_CIPHERED, SecurityHeader.INTEGRITY_CIPHERED_NEW_CONTEXT)


@dataclass(frozen=True, slots=True)
class Unprotected:
    """What was in a protected message.

    Args:
        plain: The plain NAS message. If neither verified nor repeated it is not to be trusted, and garbage if it was
            ciphered otherwise.
        verified: Whether the message authentication code is right and its count was not used before. Under NIA0, which
            has no code, there is nothing to check.
        repeated: Whether the code is right under a count that was used before: a copy of an earlier message, as a
            retransmission is, which a receiver discards.
        count: NAS COUNT that the message was taken to have, 24 bits.
        header: How it was protected.
    """

    plain: bytes
    verified: bool
    repeated: bool
    count: int
    header: SecurityHeader


@dataclass
class NasSecurityContext:
    """Keys, algorithms and counts of one 5G NAS security context.

    Both ends have one, and so has whoever looks on: a side sends with `protect` in its direction and receives with
    `unprotect` in the other. Key and algorithms stay for the life of a context; a security mode procedure that changes
    them makes a new one.

    ```python
    >>> amf = NasSecurityContext(bytes(32), ciphering=2, integrity=2)
    >>> ue = NasSecurityContext.from_dict(amf.to_dict())
    >>> data = amf.protect(bytes.fromhex("7e0054"), Direction.DOWNLINK)
    >>> ue.unprotect(data, Direction.DOWNLINK).plain.hex(), ue.unprotect(data, Direction.DOWNLINK).repeated
    ('7e0054', True)
    ```

    Args:
        k_amf: Key of the access and mobility function, 32 bytes.
        ciphering: Identity of the ciphering algorithm, `NEA0` or `NEA2`.
        integrity: Identity of the integrity algorithm, `NIA0` or `NIA2`.
        uplink_count: NAS COUNT of the next uplink message, 0 to 2**24; after the last there is none.
        downlink_count: NAS COUNT of the next downlink message, 0 to 2**24.
        bearer: Identifier of the NAS connection: 1 for 3GPP access, 2 for non-3GPP access.

    Raises:
        SecurityError: If a key has another length, a number is out of range or an algorithm is not supported.

    Source: 3GPP TS 24.501 clause 4.4 and TS 33.501 clause 6.4.
    """

    k_amf: bytes = field(repr=False)
    ciphering: int
    integrity: int
    uplink_count: int = 0
    downlink_count: int = 0
    bearer: int = BEARER_OF_3GPP_ACCESS

    def __post_init__(self) -> None:
        require_bytes("k_amf", self.k_amf, 32)
        require_ciphering(self.ciphering)
        require_integrity(self.integrity)
        require_number("bearer", self.bearer, 5)
        for name in _COUNTS.values():
            if getattr(self, name) != END_OF_COUNT:
                require_number(name, getattr(self, name), NAS_COUNT_BITS)
        self.ciphering, self.integrity = CipheringAlgorithm(self.ciphering), IntegrityAlgorithm(self.integrity)
        self._k_nas_enc = derive_algorithm_key(self.k_amf, KeyUse.NAS_ENC, self.ciphering)
        self._k_nas_int = derive_algorithm_key(self.k_amf, KeyUse.NAS_INT, self.integrity)

    def protect(
        self, plain: bytes, direction: Direction, header: SecurityHeader = SecurityHeader.INTEGRITY_CIPHERED
    ) -> bytes:
        """Returns a message protected, and counts it.

        Args:
            plain: The plain NAS message.
            direction: Which way it goes.
            header: How to protect it.

        Raises:
            SecurityError: If the header is that of a plain message, or all counts of the direction are used.

        Source: 3GPP TS 24.501 clauses 4.4.3, 4.4.4, 4.4.5 and 9.1.1.
        """
        require_bytes("plain", plain)
        if header not in _PROTECTED:
            raise SecurityError(f"`header` must be one of {_NAMES}, got {header!r}; a plain message needs no context.")
        count = self._next_count(direction)
        if count >= END_OF_COUNT:
            raise SecurityError(f"`{_COUNTS[direction]}` must be below 2**{NAS_COUNT_BITS}; authenticate again.")
        payload = self.cipher(plain, direction, count) if header in CIPHERED else plain
        numbered = bytes([count % SEQUENCE_NUMBERS]) + payload
        setattr(self, _COUNTS[direction], count + 1)
        return bytes([EXTENDED_PROTOCOL_DISCRIMINATOR, header]) + self._code(numbered, direction, count) + numbered

    def unprotect(self, data: bytes, direction: Direction) -> Unprotected:
        """Returns what is in a protected message, and counts it if it is verified.

        The message has the sequence number, the low 8 bits of the count; the rest is taken so that the count is the
        next possible. So up to 255 messages may be lost in between, and none is taken twice.

        Args:
            data: The protected NAS message.
            direction: Which way it went.

        Raises:
            DecodeError: If it is not a protected 5GMM message.

        Source: 3GPP TS 24.501 clauses 4.4.3, 4.4.4, 4.4.5 and 9.1.1.
        """
        require_bytes("data", data)
        header = _read_header(data)
        next_count = self._next_count(direction)
        count = next_count + (data[HEADER_BYTES - 1] - next_count) % SEQUENCE_NUMBERS
        verified = self._is_right(data, direction, count)
        if verified:
            setattr(self, _COUNTS[direction], count + 1)
        repeated = not verified and self._is_right(data, direction, count - SEQUENCE_NUMBERS)
        if repeated:
            count -= SEQUENCE_NUMBERS
        payload = data[HEADER_BYTES:]
        ciphered = header in CIPHERED and count < END_OF_COUNT
        plain = self.cipher(payload, direction, count) if ciphered else payload
        return Unprotected(plain, verified, repeated, count, header)

    def cipher(self, data: bytes, direction: Direction, count: int) -> bytes:
        """Returns data ciphered or deciphered under a count.

        Besides whole messages this is for the NAS message container of an initial message, which is ciphered alone
        under the count of that message.

        Args:
            data: What to cipher or decipher.
            direction: Which way the message goes.
            count: NAS COUNT of the message, 24 bits.

        Source: 3GPP TS 24.501 clause 4.4.6.
        """
        require_number("count", count, NAS_COUNT_BITS)
        return cipher(self.ciphering, self._k_nas_enc, count, self.bearer, direction, data)

    def to_dict(self) -> dict[str, Any]:
        """Returns the context as numbers and hex digits, for a checkpoint. It holds the key: store it as a secret."""
        values = asdict(self)
        return values | {"k_amf": self.k_amf.hex(), "ciphering": int(self.ciphering), "integrity": int(self.integrity)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> NasSecurityContext:
        """Returns the context that `to_dict` made the dictionary of.

        Raises:
            SecurityError: If an entry is missing, unknown or out of range.
        """
        expected = set(cls.__dataclass_fields__)
        if set(values) != expected:
            raise SecurityError(f"`values` must have the entries {sorted(expected)}, got {sorted(map(str, values))}.")
        try:
            k_amf = bytes.fromhex(values["k_amf"])
        except (TypeError, ValueError):
            raise SecurityError("`k_amf` must be a text of 64 hex digits.") from None
        return cls(**{**values, "k_amf": k_amf})

    def _next_count(self, direction: Direction) -> int:
        require_number("direction", direction, 1)
        return getattr(self, _COUNTS[direction])

    def _is_right(self, data: bytes, direction: Direction, count: int) -> bool:
        """Returns whether the code in a protected message is that of a count, which may be none."""
        if not 0 <= count < END_OF_COUNT:
            return False
        if self.integrity == IntegrityAlgorithm.NIA0:
            return True
        code = self._code(data[HEADER_BYTES - 1 :], direction, count)
        return hmac.compare_digest(code, data[CODE_START : HEADER_BYTES - 1])

    def _code(self, numbered: bytes, direction: Direction, count: int) -> bytes:
        return integrity_code(self.integrity, self._k_nas_int, count, self.bearer, direction, numbered)


_COUNTS = {Direction.UPLINK: "uplink_count", Direction.DOWNLINK: "downlink_count"}
_PROTECTED = tuple(header for header in SecurityHeader if header)
_NAMES = ", ".join(header.name for header in _PROTECTED)


def _read_header(data: bytes) -> SecurityHeader:
    """Returns how a message is protected; the spare bits beside it are ignored, as receivers do."""
    if len(data) < HEADER_BYTES:
        reason = f"a protected NAS message must have at least {HEADER_BYTES} bytes, got {len(data)}"
        raise DecodeError(reason, len(data))
    if data[0] != EXTENDED_PROTOCOL_DISCRIMINATOR:
        raise DecodeError(f"the extended protocol discriminator must be 0x7e (5GMM), got {data[0]:#04x}", 0)
    header = data[1] & 0x0F
    if header not in _PROTECTED:
        raise DecodeError(f"the security header type must be 1 to 4, got {header}", 1)
    return SecurityHeader(header)
