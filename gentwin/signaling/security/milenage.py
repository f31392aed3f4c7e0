"""Milenage: the functions that USIM and home network share for authentication and key agreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gentwin.signaling.security.errors import require_bytes, require_number

SQN_BITS = 48
BLOCK_BITS = 128
BLOCK_MASK = (1 << BLOCK_BITS) - 1
# Left rotation and constant of the block that each function starts from (TS 35.206 clause 4.1).
ROTATION_F1, CONSTANT_F1 = 64, 0
ROTATION_F2_F5, CONSTANT_F2_F5 = 0, 1
ROTATION_F3, CONSTANT_F3 = 32, 2
ROTATION_F4, CONSTANT_F4 = 64, 4
ROTATION_F5_STAR, CONSTANT_F5_STAR = 96, 8


@dataclass(frozen=True)
class Milenage:
    """The Milenage functions f1 to f5* of one subscriber.

    Args:
        k: Subscriber key, 16 bytes.
        opc: Operator variant algorithm configuration field after `k` was mixed in, 16 bytes.

    Raises:
        SecurityError: If a key has another length.

    Source: 3GPP TS 35.206 clause 4.
    """

    k: bytes = field(repr=False)
    opc: bytes = field(repr=False)

    def __post_init__(self) -> None:
        require_bytes("k", self.k, 16)
        require_bytes("opc", self.opc, 16)

    @classmethod
    def from_op(cls, k: bytes, op: bytes) -> Milenage:
        """Returns the functions of a subscriber whose operator code `op`, 16 bytes, is not yet mixed with `k`.

        Source: 3GPP TS 35.206 clause 4.1, definition of OPc.
        """
        return cls(k, derive_opc(k, op))

    def f1(self, rand: bytes, sqn: int, amf: bytes) -> bytes:
        """Returns the network authentication code MAC-A.

        Args:
            rand: Random challenge, 16 bytes.
            sqn: Sequence number, 48 bits.
            amf: Authentication management field, 2 bytes.

        Returns:
            8 bytes.
        """
        return self._codes(rand, sqn, amf)[:8]

    def f1_star(self, rand: bytes, sqn: int, amf: bytes) -> bytes:
        """Returns the resynchronisation authentication code MAC-S, 8 bytes; arguments as of `f1`."""
        return self._codes(rand, sqn, amf)[8:]

    def f2(self, rand: bytes) -> bytes:
        """Returns the response RES, 8 bytes, to a challenge of 16 bytes."""
        return self._output(rand, ROTATION_F2_F5, CONSTANT_F2_F5)[8:]

    def f3(self, rand: bytes) -> bytes:
        """Returns the cipher key CK, 16 bytes, of a challenge of 16 bytes."""
        return self._output(rand, ROTATION_F3, CONSTANT_F3)

    def f4(self, rand: bytes) -> bytes:
        """Returns the integrity key IK, 16 bytes, of a challenge of 16 bytes."""
        return self._output(rand, ROTATION_F4, CONSTANT_F4)

    def f5(self, rand: bytes) -> bytes:
        """Returns the anonymity key AK, 6 bytes, that hides the sequence number in AUTN."""
        return self._output(rand, ROTATION_F2_F5, CONSTANT_F2_F5)[:6]

    def f5_star(self, rand: bytes) -> bytes:
        """Returns the anonymity key AK, 6 bytes, that hides the sequence number in AUTS."""
        return self._output(rand, ROTATION_F5_STAR, CONSTANT_F5_STAR)[:6]

    def _codes(self, rand: bytes, sqn: int, amf: bytes) -> bytes:
        """Returns MAC-A and MAC-S."""
        require_bytes("rand", rand, 16)
        require_number("sqn", sqn, SQN_BITS)
        require_bytes("amf", amf, 2)
        encrypt, opc = _block_cipher(self.k), int.from_bytes(self.opc)
        challenge = encrypt(int.from_bytes(rand) ^ opc)
        half = sqn << 16 | int.from_bytes(amf)
        mixed = _rotate((half << 64 | half) ^ opc, ROTATION_F1) ^ CONSTANT_F1
        return (encrypt(challenge ^ mixed) ^ opc).to_bytes(16)

    def _output(self, rand: bytes, rotation: int, constant: int) -> bytes:
        require_bytes("rand", rand, 16)
        encrypt, opc = _block_cipher(self.k), int.from_bytes(self.opc)
        challenge = encrypt(int.from_bytes(rand) ^ opc)
        return (encrypt(_rotate(challenge ^ opc, rotation) ^ constant) ^ opc).to_bytes(16)


def derive_opc(k: bytes, op: bytes) -> bytes:
    """Returns OPc, 16 bytes, of a subscriber.

    Args:
        k: Subscriber key, 16 bytes.
        op: Operator variant algorithm configuration field, 16 bytes.

    Raises:
        SecurityError: If a key has another length.

    Source: 3GPP TS 35.206 clause 4.1.
    """
    require_bytes("k", k, 16)
    require_bytes("op", op, 16)
    plain = int.from_bytes(op)
    return (_block_cipher(k)(plain) ^ plain).to_bytes(16)


def _block_cipher(k: bytes) -> Callable[[int], int]:
    """Returns AES-128 of single blocks, blocks being numbers."""
    encryptor = Cipher(algorithms.AES128(k), modes.ECB()).encryptor()
    return lambda block: int.from_bytes(encryptor.update(block.to_bytes(16)))


def _rotate(block: int, places: int) -> int:
    return (block << places | block >> (BLOCK_BITS - places)) & BLOCK_MASK
