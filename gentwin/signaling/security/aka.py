"""5G AKA: challenges of the home network, and what a UE makes of them."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from gentwin.signaling.security.errors import SecurityError, require_bytes, require_number
from gentwin.signaling.security.keys import derive_hres_star, derive_k_ausf, derive_res_star
from gentwin.signaling.security.milenage import SQN_BITS, Milenage

IND_BITS = 5
INDEXES = 1 << IND_BITS
LARGEST_STEP = 1 << 28
# A UE that asks for resynchronisation authenticates with an all-zero field (TS 33.102 clause 6.3.3).
AMF_OF_AUTS = b"\x00\x00"


@dataclass(frozen=True, slots=True)
class CheckedAutn:
    """What a USIM reads from an authentication token.

    Args:
        sqn: Sequence number, 48 bits.
        amf: Authentication management field, 2 bytes.
        verified: Whether the code MAC-A is right. If not, `sqn` means nothing.
    """

    sqn: int
    amf: bytes
    verified: bool

    @property
    def separation_bit(self) -> bool:
        """Whether the challenge is for EPS or 5GS, as a 5G UE demands. Source: 3GPP TS 33.102 annex H."""
        return bool(self.amf[0] & 0x80)


@dataclass(frozen=True, slots=True)
class CheckedAuts:
    """What a home network reads from a resynchronisation token.

    Args:
        sqn_ms: Highest sequence number that the USIM accepted, 48 bits.
        verified: Whether the code MAC-S is right. If not, `sqn_ms` means nothing.
    """

    sqn_ms: int
    verified: bool


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    """What a UE has after a challenge.

    Args:
        res_star: Response RES*, 16 bytes.
        k_ausf: Key K_AUSF, 32 bytes.
    """

    res_star: bytes = field(repr=False)
    k_ausf: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticationVector:
    """Home environment authentication vector of 5G AKA.

    Args:
        rand: Random challenge, 16 bytes.
        autn: Authentication token, 16 bytes.
        xres_star: Expected response XRES*, 16 bytes.
        k_ausf: Key K_AUSF, 32 bytes.

    Source: 3GPP TS 33.501 clause 6.1.3.2.
    """

    rand: bytes
    autn: bytes
    xres_star: bytes = field(repr=False)
    k_ausf: bytes = field(repr=False)

    def accepts(self, res_star: bytes) -> bool:
        """Returns whether a response is the expected one, by HRES* as the serving network compares it."""
        if len(res_star) != len(self.xres_star):
            return False
        expected = derive_hres_star(self.rand, self.xres_star)
        return hmac.compare_digest(derive_hres_star(self.rand, res_star), expected)


@dataclass(frozen=True, slots=True)
class SequenceNumbers:
    """The sequence numbers that a USIM accepted: the highest SEQ of each index.

    A sequence number is SEQ (43 bits) and index IND (5 bits). A USIM takes a number whose SEQ is above the one it had
    for the index, and not more than 2**28 above the highest of all.

    Args:
        highest: SEQ of each of the 32 indexes.

    Source: 3GPP TS 33.102 clauses C.1.1 and C.2.
    """

    highest: tuple[int, ...] = (0,) * INDEXES

    @property
    def sqn_ms(self) -> int:
        """The highest sequence number accepted, 48 bits, for AUTS."""
        return max(seq << IND_BITS | index for index, seq in enumerate(self.highest))

    def accepts(self, sqn: int) -> bool:
        """Returns whether a sequence number is fresh."""
        require_number("sqn", sqn, SQN_BITS)
        seq = sqn >> IND_BITS
        return self.highest[sqn % INDEXES] < seq <= max(self.highest) + LARGEST_STEP

    def with_sqn(self, sqn: int) -> SequenceNumbers:
        """Returns the numbers after one more was accepted.

        Raises:
            SecurityError: If the sequence number is not fresh.
        """
        if not self.accepts(sqn):
            raise SecurityError(f"`sqn` must be fresh, got {sqn}; ask for resynchronisation from {self.sqn_ms}.")
        index = sqn % INDEXES
        return SequenceNumbers((*self.highest[:index], sqn >> IND_BITS, *self.highest[index + 1 :]))


def make_autn(milenage: Milenage, rand: bytes, sqn: int, amf: bytes) -> bytes:
    """Returns the authentication token: hidden sequence number, management field, MAC-A; 16 bytes.

    Args:
        milenage: Functions of the subscriber.
        rand: Random challenge, 16 bytes.
        sqn: Sequence number, 48 bits.
        amf: Authentication management field, 2 bytes; its first bit is 1 in 5G.

    Source: 3GPP TS 33.102 clause 6.3.2.
    """
    code = milenage.f1(rand, sqn, amf)
    return _hide(sqn, milenage.f5(rand)) + amf + code


def check_autn(milenage: Milenage, rand: bytes, autn: bytes) -> CheckedAutn:
    """Returns what an authentication token says, and whether the home network made it.

    Args:
        milenage: Functions of the subscriber.
        rand: Random challenge, 16 bytes.
        autn: Authentication token, 16 bytes.

    Source: 3GPP TS 33.102 clause 6.3.3.
    """
    require_bytes("autn", autn, 16)
    sqn, amf = _reveal(autn[:6], milenage.f5(rand)), autn[6:8]
    return CheckedAutn(sqn, amf, hmac.compare_digest(milenage.f1(rand, sqn, amf), autn[8:]))


def make_auts(milenage: Milenage, rand: bytes, sqn_ms: int) -> bytes:
    """Returns the token by which a UE asks for resynchronisation, 14 bytes.

    Args:
        milenage: Functions of the subscriber.
        rand: The challenge that was refused, 16 bytes.
        sqn_ms: Highest sequence number accepted, 48 bits.

    Source: 3GPP TS 33.102 clause 6.3.3.
    """
    code = milenage.f1_star(rand, sqn_ms, AMF_OF_AUTS)
    return _hide(sqn_ms, milenage.f5_star(rand)) + code


def check_auts(milenage: Milenage, rand: bytes, auts: bytes) -> CheckedAuts:
    """Returns what a resynchronisation token says, and whether the USIM made it.

    Args:
        milenage: Functions of the subscriber.
        rand: The challenge that was refused, 16 bytes.
        auts: Resynchronisation token, 14 bytes.

    Source: 3GPP TS 33.102 clause 6.3.5.
    """
    require_bytes("auts", auts, 14)
    sqn_ms = _reveal(auts[:6], milenage.f5_star(rand))
    return CheckedAuts(sqn_ms, hmac.compare_digest(milenage.f1_star(rand, sqn_ms, AMF_OF_AUTS), auts[6:]))


def answer_challenge(milenage: Milenage, rand: bytes, autn: bytes, serving_network_name: str) -> ChallengeAnswer:
    """Returns the response of a UE and its key; the token is to be checked before, with `check_autn`.

    Args:
        milenage: Functions of the subscriber.
        rand: Random challenge, 16 bytes.
        autn: Authentication token, 16 bytes.
        serving_network_name: Name of the network that serves the UE.

    Source: 3GPP TS 33.501 clauses A.2 and A.4.
    """
    require_bytes("autn", autn, 16)
    res, ck, ik = milenage.f2(rand), milenage.f3(rand), milenage.f4(rand)
    return ChallengeAnswer(
        res_star=derive_res_star(ck, ik, serving_network_name, rand, res),
        k_ausf=derive_k_ausf(ck, ik, serving_network_name, autn[:6]),
    )


def make_vector(
    milenage: Milenage, rand: bytes, sqn: int, amf: bytes, serving_network_name: str
) -> AuthenticationVector:
    """Returns the authentication vector of one challenge.

    Args:
        milenage: Functions of the subscriber.
        rand: Random challenge, 16 bytes.
        sqn: Sequence number, 48 bits, above the one used before.
        amf: Authentication management field, 2 bytes; its first bit is 1 in 5G.
        serving_network_name: Name of the network that serves the UE.

    Source: 3GPP TS 33.501 clause 6.1.3.2.
    """
    autn = make_autn(milenage, rand, sqn, amf)
    expected = answer_challenge(milenage, rand, autn, serving_network_name)
    return AuthenticationVector(rand, autn, expected.res_star, expected.k_ausf)


def _hide(sqn: int, ak: bytes) -> bytes:
    return (sqn ^ int.from_bytes(ak)).to_bytes(6)


def _reveal(hidden: bytes, ak: bytes) -> int:
    return int.from_bytes(hidden) ^ int.from_bytes(ak)
