"""The home network: it reads concealed identities, knows its subscribers, and makes challenges for them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gentwin.signaling.core.configuration import HomeKey, NetworkConfiguration
from gentwin.signaling.core.subscribers import Subscriber, Subscribers
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Fields
from gentwin.signaling.security import (
    AuthenticationVector,
    Milenage,
    ProtectionScheme,
    check_auts,
    conceal,
    deconceal,
    derive_public_key,
    make_vector,
    pack_msin,
    serving_network_name,
    unpack_msin,
)

SCHEMES = {"profile_a": ProtectionScheme.PROFILE_A, "profile_b": ProtectionScheme.PROFILE_B}
INDEX_OF_SQN = 0b11111  # of the sequence numbers of the home network


@dataclass(frozen=True, slots=True)
class HomePublicKey:
    """A public key of the home network, as a USIM has it.

    Args:
        identifier: Home network public key identifier, 1 to 254.
        scheme: `profile_a` or `profile_b`.
        public_key: 32 or 33 bytes.
    """

    identifier: int
    scheme: str
    public_key: bytes

    @classmethod
    def of(cls, key: HomeKey) -> HomePublicKey:
        """Returns the public key of a private key."""
        public_key = derive_public_key(SCHEMES[key.scheme], bytes.fromhex(key.private_key))
        return cls(key.identifier, key.scheme, public_key)

    def conceal(self, msin: str, ephemeral_private_key: bytes) -> bytes:
        """Returns the scheme output for an MSIN, made with 32 random bytes."""
        return conceal(SCHEMES[self.scheme], pack_msin(msin), self.public_key, ephemeral_private_key)


class HomeNetwork:
    """Authentication server and unified data management.

    Args:
        network: Whose home keys there are.
        subscribers: The database.
        random: Of challenges.
    """

    def __init__(self, network: NetworkConfiguration, subscribers: Subscribers, random: Random) -> None:
        self.subscribers, self._random = subscribers, random
        self._keys: dict[int, HomeKey] = {key.identifier: key for key in network.home_keys}
        self.serving = serving_network_name(network.mcc, network.mnc)

    def reveal(self, identity: Fields) -> str:
        """Returns the permanent identity in a SUCI; empty if there is none in it, or it cannot be read."""
        if identity["type"] != "suci" or identity.get("mcc") is None:
            return ""
        home = identity["mcc"] + identity["mnc"]
        if identity["protection_scheme"] == "null":
            return home + identity["msin"]
        key = self._keys.get(identity["home_network_public_key_id"])
        if key is None or identity["protection_scheme"] != f"ecies_{key.scheme}":
            return ""
        try:
            private_key = bytes.fromhex(key.private_key)
            return home + unpack_msin(deconceal(SCHEMES[key.scheme], identity["scheme_output"], private_key))
        except SignalingError:
            return ""

    def challenge(self, subscriber: Subscriber) -> AuthenticationVector:
        """Returns a new challenge."""
        sqn = self.subscribers.next_sqn(subscriber.supi)
        milenage = Milenage(subscriber.k, subscriber.opc)
        return make_vector(milenage, self._random.randbytes(16), sqn, subscriber.amf, self.serving)

    def resynchronise(self, subscriber: Subscriber, rand: bytes, auts: bytes) -> bool:
        """Returns whether a USIM's token for a challenge is right; if so, its sequence number is taken over."""
        checked = check_auts(Milenage(subscriber.k, subscriber.opc), rand, auts)
        if checked.verified:
            self.subscribers.set_sqn(subscriber.supi, checked.sqn_ms & ~INDEX_OF_SQN)
        return checked.verified
