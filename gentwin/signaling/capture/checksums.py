"""Checksums of packets."""

from __future__ import annotations

# Polynomial of CRC32c, bits reversed.
_CASTAGNOLI = 0x82F63B78


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_CASTAGNOLI if value & 1 else 0)
    return value


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def crc32c(data: bytes) -> int:
    """Returns the CRC32c of bytes, which SCTP carries with its low byte first.

    Source: RFC 9260, appendix A.
    """
    table, crc = _CRC_TABLE, 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def internet_checksum(data: bytes) -> int:
    """Returns the 16-bit checksum of IPv4 and UDP over bytes in which the checksum's own field is 0.

    Source: RFC 1071.
    """
    # The sum of 16-bit words with end-around carry is the remainder modulo 2**16 - 1, with that number in place of 0.
    padded = int.from_bytes(data, "big") << (8 * (len(data) & 1))
    return 0xFFFF - (padded % 0xFFFF or 0xFFFF) if padded else 0xFFFF
