"""Ciphering and integrity algorithms of NAS: NEA0, NEA2, NIA0 and NIA2."""

from __future__ import annotations

from enum import IntEnum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from gentwin.signaling.security.errors import SecurityError, require_bytes, require_number


class Direction(IntEnum):
    """Which way a message goes. Source: 3GPP TS 33.501 clauses D.2.1.1 and D.3.1.1."""

    UPLINK = 0
    DOWNLINK = 1


class CipheringAlgorithm(IntEnum):
    """Ciphering algorithms of 5G. Source: 3GPP TS 33.501 clause 5.11.1.1."""

    NEA0 = 0
    NEA1 = 1
    NEA2 = 2
    NEA3 = 3


class IntegrityAlgorithm(IntEnum):
    """Integrity algorithms of 5G. Source: 3GPP TS 33.501 clause 5.11.1.2."""

    NIA0 = 0
    NIA1 = 1
    NIA2 = 2
    NIA3 = 3


SUPPORTED_CIPHERING = (CipheringAlgorithm.NEA0, CipheringAlgorithm.NEA2)
SUPPORTED_INTEGRITY = (IntegrityAlgorithm.NIA0, IntegrityAlgorithm.NIA2)
MAC_BYTES = 4


def cipher(algorithm: int, key: bytes, count: int, bearer: int, direction: int, data: bytes) -> bytes:
    """Returns data ciphered, or deciphered, which is the same.

    Args:
        algorithm: `NEA0` or `NEA2`.
        key: Ciphering key, 16 bytes.
        count: COUNT of the message, 32 bits.
        bearer: Bearer identity, 5 bits; in NAS the identifier of the NAS connection.
        direction: Which way the message goes.
        data: Any length.

    Raises:
        SecurityError: If an argument is out of range or the algorithm is not supported.

    Source: 3GPP TS 33.501 clauses D.1 and D.2, TS 33.401 clause B.1.3.
    """
    require_ciphering(algorithm)
    start = _start(key, count, bearer, direction)
    require_bytes("data", data)
    if algorithm == CipheringAlgorithm.NEA0:
        return data
    return Cipher(algorithms.AES128(key), modes.CTR(start + bytes(8))).encryptor().update(data)


def integrity_code(algorithm: int, key: bytes, count: int, bearer: int, direction: int, data: bytes) -> bytes:
    """Returns the message authentication code of data, 4 bytes.

    Args:
        algorithm: `NIA0`, whose code is all zeros, or `NIA2`.
        key: Integrity key, 16 bytes.
        count: COUNT of the message, 32 bits.
        bearer: Bearer identity, 5 bits; in NAS the identifier of the NAS connection.
        direction: Which way the message goes.
        data: Any length.

    Raises:
        SecurityError: If an argument is out of range or the algorithm is not supported.

    Source: 3GPP TS 33.501 clauses D.1 and D.3, TS 33.401 clause B.2.3.
    """
    require_integrity(algorithm)
    start = _start(key, count, bearer, direction)
    require_bytes("data", data)
    if algorithm == IntegrityAlgorithm.NIA0:
        return bytes(MAC_BYTES)
    code = CMAC(algorithms.AES128(key))
    code.update(start + data)
    return code.finalize()[:MAC_BYTES]


def require_ciphering(algorithm: int) -> None:
    """Checks that a ciphering algorithm is supported.

    Raises:
        SecurityError: If it is not.
    """
    _require("ciphering", algorithm, SUPPORTED_CIPHERING, CipheringAlgorithm)


def require_integrity(algorithm: int) -> None:
    """Checks that an integrity algorithm is supported.

    Raises:
        SecurityError: If it is not.
    """
    _require("integrity", algorithm, SUPPORTED_INTEGRITY, IntegrityAlgorithm)


def _require(name: str, algorithm: int, supported: tuple[IntEnum, ...], known: type[IntEnum]) -> None:
    if algorithm not in supported:
        received = known(algorithm).name if algorithm in list(known) else repr(algorithm)
        names = " or ".join(entry.name for entry in supported)
        raise SecurityError(
            f"`{name}` must be {names}, got {received}; SNOW 3G and ZUC (1 and 3) are not there, use AES."
        )


def _start(key: bytes, count: int, bearer: int, direction: int) -> bytes:
    """Returns the 8 bytes that both AES algorithms start from."""
    require_bytes("key", key, 16)
    require_number("count", count, 32)
    require_number("bearer", bearer, 5)
    require_number("direction", direction, 1)
    return (count << 32 | bearer << 27 | direction << 26).to_bytes(8)
