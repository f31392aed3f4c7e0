"""Keys of the 5G system, from the subscriber's CK and IK down to the base station."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import IntEnum

from gentwin.signaling.security.errors import SecurityError, require_bytes, require_number, require_text

NAS_COUNT_BITS = 24
EAP_KEYS_BYTES = 16 + 32 + 32 + 64 + 64
THREE_GPP_ACCESS = b"\x01"
ABBA_NO_FEATURES = b"\x00\x00"


class KeyUse(IntEnum):
    """What an algorithm key is for. Source: 3GPP TS 33.501 table A.8-1."""

    NAS_ENC = 1
    NAS_INT = 2
    RRC_ENC = 3
    RRC_INT = 4
    UP_ENC = 5
    UP_INT = 6


def serving_network_name(mcc: str, mnc: str) -> str:
    """Returns the name of a serving network, such as `5G:mnc070.mcc999.3gppnetwork.org`.

    Args:
        mcc: Mobile country code, 3 digits.
        mnc: Mobile network code, 2 or 3 digits.

    Raises:
        SecurityError: If a code has other characters or another length.

    Source: 3GPP TS 24.501 clause 9.12.1.
    """
    for name, value, sizes in (("mcc", mcc, (3,)), ("mnc", mnc, (2, 3))):
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) in sizes):
            allowed = " or ".join(map(str, sizes))
            raise SecurityError(f"`{name}` must be a text of {allowed} digits, got {value!r}.")
    return f"5G:mnc{mnc:0>3}.mcc{mcc}.3gppnetwork.org"


def kdf(key: bytes, fc: int, *parameters: bytes) -> bytes:
    """Returns the 32 bytes that the generic key derivation function makes of a key and parameters.

    Args:
        key: Any length.
        fc: Function code, 8 bits, that tells derivations apart.
        parameters: P0, P1 and so on; each at most 65535 bytes.

    Raises:
        SecurityError: If an argument is out of range.

    Source: 3GPP TS 33.220 clause B.2.
    """
    require_bytes("key", key)
    require_number("fc", fc, 8)
    text = bytearray([fc])
    for place, parameter in enumerate(parameters):
        require_bytes(f"parameters[{place}]", parameter)
        require_number(f"len(parameters[{place}])", len(parameter), 16)
        text += parameter + len(parameter).to_bytes(2)
    return hmac.digest(key, text, "sha256")


def derive_k_ausf(ck: bytes, ik: bytes, serving_network_name: str, sqn_xor_ak: bytes) -> bytes:
    """Returns K_AUSF of 5G AKA, 32 bytes.

    Args:
        ck: Cipher key, 16 bytes.
        ik: Integrity key, 16 bytes.
        serving_network_name: Name of the network that serves the UE.
        sqn_xor_ak: The first 6 bytes of AUTN.

    Source: 3GPP TS 33.501 clause A.2.
    """
    require_bytes("sqn_xor_ak", sqn_xor_ak, 6)
    return kdf(_join(ck, ik), 0x6A, _network(serving_network_name), sqn_xor_ak)


def derive_ck_ik_prime(ck: bytes, ik: bytes, serving_network_name: str, sqn_xor_ak: bytes) -> tuple[bytes, bytes]:
    """Returns CK' and IK' of EAP-AKA', 16 bytes each; arguments as of `derive_k_ausf`.

    Source: 3GPP TS 33.501 clause A.3.
    """
    require_bytes("sqn_xor_ak", sqn_xor_ak, 6)
    both = kdf(_join(ck, ik), 0x20, _network(serving_network_name), sqn_xor_ak)
    return both[:16], both[16:]


def derive_res_star(ck: bytes, ik: bytes, serving_network_name: str, rand: bytes, res: bytes) -> bytes:
    """Returns RES* of the UE or XRES* of the network, 16 bytes.

    Args:
        ck: Cipher key, 16 bytes.
        ik: Integrity key, 16 bytes.
        serving_network_name: Name of the network that serves the UE.
        rand: Random challenge, 16 bytes.
        res: Response of the USIM or the one expected of it, 4 to 16 bytes.

    Source: 3GPP TS 33.501 clause A.4.
    """
    require_bytes("rand", rand, 16)
    require_bytes("res", res, *range(4, 17))
    return kdf(_join(ck, ik), 0x6B, _network(serving_network_name), rand, res)[16:]


def derive_hres_star(rand: bytes, res_star: bytes) -> bytes:
    """Returns HRES* of RES*, or HXRES* of XRES*, by which the serving network compares them: 16 bytes.

    Source: 3GPP TS 33.501 clause A.5.
    """
    require_bytes("rand", rand, 16)
    require_bytes("res_star", res_star, 16)
    return hashlib.sha256(rand + res_star).digest()[16:]


def derive_k_seaf(k_ausf: bytes, serving_network_name: str) -> bytes:
    """Returns the anchor key K_SEAF, 32 bytes, of a K_AUSF of 32 bytes.

    Source: 3GPP TS 33.501 clause A.6.
    """
    require_bytes("k_ausf", k_ausf, 32)
    return kdf(k_ausf, 0x6C, _network(serving_network_name))


def derive_k_amf(k_seaf: bytes, supi: str, abba: bytes = ABBA_NO_FEATURES) -> bytes:
    """Returns K_AMF, 32 bytes.

    Args:
        k_seaf: Anchor key, 32 bytes.
        supi: The digits of the IMSI, or the network access identifier; without `imsi-` or `nai-` in front.
        abba: Anti-bidding down between architectures, at least 2 bytes, as in the AuthenticationRequest.

    Source: 3GPP TS 33.501 clause A.7.
    """
    require_bytes("k_seaf", k_seaf, 32)
    require_bytes("abba", abba)
    if len(abba) < 2:
        raise SecurityError(f"`abba` must have at least 2 bytes, got {len(abba)}.")
    require_text("supi", supi)
    if supi.startswith(("imsi-", "nai-")):
        raise SecurityError(f"`supi` must not start with its type, got {supi!r}; leave `imsi-` or `nai-` out.")
    return kdf(k_seaf, 0x6D, supi.encode(), abba)


def derive_algorithm_key(key: bytes, use: KeyUse, algorithm: int) -> bytes:
    """Returns the 16 bytes of a ciphering or integrity key.

    Args:
        key: K_AMF for NAS, K_gNB for RRC and user plane; 32 bytes.
        use: What the key is for.
        algorithm: Identity of the algorithm, 4 bits.

    Source: 3GPP TS 33.501 clause A.8.
    """
    require_bytes("key", key, 32)
    require_number("algorithm", algorithm, 4)
    return kdf(key, 0x69, bytes([KeyUse(use)]), bytes([algorithm]))[16:]


def derive_k_gnb(k_amf: bytes, uplink_count: int) -> bytes:
    """Returns the first K_gNB of a connection over 3GPP access, 32 bytes.

    Args:
        k_amf: 32 bytes.
        uplink_count: NAS COUNT, 24 bits, of the uplink message that led to it: the last SecurityModeComplete, or else
            the initial message of the connection.

    Source: 3GPP TS 33.501 clause A.9.
    """
    require_bytes("k_amf", k_amf, 32)
    require_number("uplink_count", uplink_count, NAS_COUNT_BITS)
    return kdf(k_amf, 0x6E, uplink_count.to_bytes(4), THREE_GPP_ACCESS)


def derive_nh(k_amf: bytes, sync_input: bytes) -> bytes:
    """Returns a next hop key NH, 32 bytes.

    Args:
        k_amf: 32 bytes.
        sync_input: The first K_gNB for the first NH, afterwards the NH before; 32 bytes.

    Source: 3GPP TS 33.501 clause A.10.
    """
    require_bytes("k_amf", k_amf, 32)
    require_bytes("sync_input", sync_input, 32)
    return kdf(k_amf, 0x6F, sync_input)


def derive_k_gnb_star(key: bytes, pci: int, arfcn_dl: int) -> bytes:
    """Returns the key K_NG-RAN* for the gNB that a UE is handed over to, 32 bytes.

    Args:
        key: NH (vertical derivation) or the present K_gNB (horizontal derivation), 32 bytes.
        pci: Physical cell identity of the target, 0 to 1007.
        arfcn_dl: Downlink channel number of the target, 24 bits.

    Source: 3GPP TS 33.501 clause A.11.
    """
    require_bytes("key", key, 32)
    require_number("pci", pci, 16)
    require_number("arfcn_dl", arfcn_dl, 24)
    return kdf(key, 0x70, pci.to_bytes(2), arfcn_dl.to_bytes(3))


@dataclass(frozen=True, slots=True)
class EapAkaPrimeKeys:
    """Keys of EAP-AKA'.

    Args:
        k_encr: Encrypts attributes, 16 bytes.
        k_aut: Authenticates messages, 32 bytes.
        k_re: For fast re-authentication, 32 bytes.
        msk: Master session key, 64 bytes.
        emsk: Extended master session key, 64 bytes.
    """

    k_encr: bytes = field(repr=False)
    k_aut: bytes = field(repr=False)
    k_re: bytes = field(repr=False)
    msk: bytes = field(repr=False)
    emsk: bytes = field(repr=False)

    @property
    def k_ausf(self) -> bytes:
        """K_AUSF, 32 bytes. Source: 3GPP TS 33.501 clause 6.1.3.1."""
        return self.emsk[:32]


def derive_eap_aka_prime_keys(ck_prime: bytes, ik_prime: bytes, identity: str) -> EapAkaPrimeKeys:
    """Returns the keys of EAP-AKA'.

    Args:
        ck_prime: CK', 16 bytes.
        ik_prime: IK', 16 bytes.
        identity: Of the UE as EAP knows it; in 5G its SUPI.

    Source: RFC 9048 sections 3.3 and 3.4.
    """
    require_bytes("ck_prime", ck_prime, 16)
    require_bytes("ik_prime", ik_prime, 16)
    require_text("identity", identity)
    key, text = ik_prime + ck_prime, b"EAP-AKA'" + identity.encode()
    stream = block = b""
    while len(stream) < EAP_KEYS_BYTES:
        block = hmac.digest(key, block + text + bytes([len(stream) // 32 + 1]), "sha256")
        stream += block
    return EapAkaPrimeKeys(stream[:16], stream[16:48], stream[48:80], stream[80:144], stream[144:EAP_KEYS_BYTES])


def _join(ck: bytes, ik: bytes) -> bytes:
    require_bytes("ck", ck, 16)
    require_bytes("ik", ik, 16)
    return ck + ik


def _network(serving_network_name: str) -> bytes:
    require_text("serving_network_name", serving_network_name)
    return serving_network_name.encode()
