"""Concealment of the subscriber's identity: null scheme and the elliptic curve profiles A and B."""

from __future__ import annotations

import hmac
from enum import IntEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.security.errors import MacError, SecurityError, require_bytes

MAC_BYTES = 8
PRIVATE_KEY_BYTES = 32
CIPHER_KEY_BYTES, COUNTER_BYTES, MAC_KEY_BYTES = 16, 16, 32
FILLER = 0xF


class ProtectionScheme(IntEnum):
    """Protection scheme of a SUCI. Source: 3GPP TS 33.501 clause C.1."""

    NULL = 0
    PROFILE_A = 1
    PROFILE_B = 2


PUBLIC_KEY_BYTES = {ProtectionScheme.PROFILE_A: 32, ProtectionScheme.PROFILE_B: 33}


def conceal(
    scheme: ProtectionScheme, scheme_input: bytes, home_network_public_key: bytes, ephemeral_private_key: bytes
) -> bytes:
    """Returns the scheme output of a SUCI.

    Args:
        scheme: How to conceal.
        scheme_input: The MSIN, packed by `pack_msin`, or the user name of a network access identifier.
        home_network_public_key: 32 bytes in profile A, 33 (compressed point) in profile B, none in the null scheme.
        ephemeral_private_key: 32 random bytes, new for every SUCI; none in the null scheme.

    Returns:
        Ephemeral public key, ciphertext and MAC tag of 8 bytes; in the null scheme the input itself.

    Raises:
        SecurityError: If a key is not one of the scheme.

    Source: 3GPP TS 33.501 clauses C.2, C.3.2 and C.3.4.
    """
    scheme = _known(scheme)
    require_bytes("scheme_input", scheme_input)
    if scheme is ProtectionScheme.NULL:
        require_bytes("home_network_public_key", home_network_public_key, 0)
        require_bytes("ephemeral_private_key", ephemeral_private_key, 0)
        return scheme_input
    require_bytes("home_network_public_key", home_network_public_key, PUBLIC_KEY_BYTES[scheme])
    private_key = _private_key(scheme, "ephemeral_private_key", ephemeral_private_key)
    try:
        shared = _agree(scheme, private_key, home_network_public_key)
    except ValueError:
        raise SecurityError(f"`home_network_public_key` must be a public key of {scheme.name}, it is none.") from None
    ephemeral = _public_bytes(private_key)
    cipher_key, counter, mac_key = _derive(shared, ephemeral)
    ciphertext = _cipher(cipher_key, counter, scheme_input)
    return ephemeral + ciphertext + _tag(mac_key, ciphertext)


def deconceal(scheme: ProtectionScheme, scheme_output: bytes, home_network_private_key: bytes) -> bytes:
    """Returns what is concealed in a SUCI.

    Args:
        scheme: How it was concealed.
        scheme_output: Ephemeral public key, ciphertext and MAC tag; in the null scheme the input itself.
        home_network_private_key: 32 bytes; none in the null scheme.

    Returns:
        The scheme input: a packed MSIN, see `unpack_msin`, or a user name.

    Raises:
        DecodeError: If the output is too short or has no public key of the scheme.
        MacError: If it was made for another home network key, or changed.
        SecurityError: If the private key is not one of the scheme.

    Source: 3GPP TS 33.501 clauses C.2, C.3.3 and C.3.4.
    """
    scheme = _known(scheme)
    require_bytes("scheme_output", scheme_output)
    if scheme is ProtectionScheme.NULL:
        require_bytes("home_network_private_key", home_network_private_key, 0)
        return scheme_output
    private_key = _private_key(scheme, "home_network_private_key", home_network_private_key)
    size = PUBLIC_KEY_BYTES[scheme]
    if len(scheme_output) < size + MAC_BYTES:
        raise DecodeError(
            f"the output of {scheme.name} must have at least {size + MAC_BYTES} bytes, got {len(scheme_output)}",
            len(scheme_output),
        )
    ephemeral, ciphertext, tag = scheme_output[:size], scheme_output[size:-MAC_BYTES], scheme_output[-MAC_BYTES:]
    try:
        shared = _agree(scheme, private_key, ephemeral)
    except ValueError:
        raise DecodeError(f"the ephemeral key must be a public key of {scheme.name}, it is none", 0) from None
    cipher_key, counter, mac_key = _derive(shared, ephemeral)
    if not hmac.compare_digest(_tag(mac_key, ciphertext), tag):
        raise MacError("`scheme_output` has a wrong MAC tag; it was made for another home network key, or changed.")
    return _cipher(cipher_key, counter, ciphertext)


def derive_public_key(scheme: ProtectionScheme, private_key: bytes) -> bytes:
    """Returns the public key of a private key of 32 bytes: 32 bytes in profile A, 33 in profile B.

    Raises:
        SecurityError: If the private key is not one of the scheme, or the scheme has no keys.
    """
    return _public_bytes(_private_key(_known(scheme), "private_key", private_key))


def pack_msin(msin: str) -> bytes:
    """Returns the digits of an MSIN two to a byte, the first in the low half, filled up with `1111`.

    Raises:
        SecurityError: If there are other characters than digits, or none.

    Source: 3GPP TS 33.501 clause C.3.2 and TS 24.501 figure 9.11.3.4.3.
    """
    if not (isinstance(msin, str) and msin.isascii() and msin.isdigit()):
        raise SecurityError(f"`msin` must be a text of digits, got {msin!r}.")
    digits = [int(digit) for digit in msin] + [FILLER] * (len(msin) % 2)
    return bytes(low | high << 4 for low, high in zip(digits[::2], digits[1::2], strict=True))


def unpack_msin(packed: bytes) -> str:
    """Returns the digits that `pack_msin` packed.

    Raises:
        DecodeError: If a half byte is no digit, or there is none.
    """
    require_bytes("packed", packed)
    if not packed:
        raise DecodeError("a packed MSIN must have at least 1 byte, got 0")
    halves = [half for byte in packed for half in (byte & 0x0F, byte >> 4)]
    if halves[-1] == FILLER:
        halves.pop()
    for place, half in enumerate(halves):
        if half > 9:
            raise DecodeError(f"a digit must be 0 to 9, got {half}", place // 2)
    return "".join(map(str, halves))


_PrivateKey = x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey


def _known(scheme: int) -> ProtectionScheme:
    if scheme not in list(ProtectionScheme):
        raise SecurityError(f"`scheme` must be 0 (null), 1 (profile A) or 2 (profile B), got {scheme!r}.")
    return ProtectionScheme(scheme)


def _private_key(scheme: ProtectionScheme, name: str, value: bytes) -> _PrivateKey:
    require_bytes(name, value, PRIVATE_KEY_BYTES)
    if scheme is ProtectionScheme.PROFILE_A:
        return x25519.X25519PrivateKey.from_private_bytes(value)
    if scheme is ProtectionScheme.PROFILE_B:
        try:
            return ec.derive_private_key(int.from_bytes(value), ec.SECP256R1())
        except ValueError:
            raise SecurityError(f"`{name}` must be above 0 and below the order of the curve P-256.") from None
    raise SecurityError("`scheme` must be PROFILE_A or PROFILE_B, got NULL, which has no keys.")


def _agree(scheme: ProtectionScheme, private_key: _PrivateKey, public_key: bytes) -> bytes:
    """Returns the shared secret; raises ValueError if the public key is none, or gives a secret that is none."""
    if scheme is ProtectionScheme.PROFILE_A:
        return private_key.exchange(x25519.X25519PublicKey.from_public_bytes(public_key))
    return private_key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key))


def _public_bytes(private_key: _PrivateKey) -> bytes:
    if isinstance(private_key, x25519.X25519PrivateKey):
        return private_key.public_key().public_bytes_raw()
    return private_key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def _derive(shared: bytes, ephemeral_public_key: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns cipher key, first counter block and MAC key."""
    size = CIPHER_KEY_BYTES + COUNTER_BYTES + MAC_KEY_BYTES
    keys = X963KDF(hashes.SHA256(), size, ephemeral_public_key).derive(shared)
    return keys[:CIPHER_KEY_BYTES], keys[CIPHER_KEY_BYTES:-MAC_KEY_BYTES], keys[-MAC_KEY_BYTES:]


def _cipher(key: bytes, counter: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES128(key), modes.CTR(counter)).encryptor().update(data)


def _tag(key: bytes, ciphertext: bytes) -> bytes:
    return hmac.digest(key, ciphertext, "sha256")[:MAC_BYTES]
