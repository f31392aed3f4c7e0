"""Who the users are: subscribers by the number, like those of the recorded networks or of sliced ones; some differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from random import Random

from gentwin.signaling.core import n1
from gentwin.signaling.core.configuration import (
    EMBB,
    HRLLC,
    IMMERSIVE,
    IOT,
    MASSIVE,
    PROFILES,
    UBIQUITOUS,
    HomeKey,
    NetworkConfiguration,
    Slice,
)
from gentwin.signaling.core.home import HomePublicKey
from gentwin.signaling.core.subscribers import ANY_RATE, Subscriber, Subscribers, Subscription
from gentwin.signaling.core.ue import Usim
from gentwin.signaling.errors import SignalingError

MBPS, KBPS = 1_000_000, 1_000
SENSORS = Subscription(IOT, "iot", 7, 10, 128 * KBPS, 256 * KBPS)
AHEAD = 1 << 20  # sequence number that the home network has not reached
ALL_SLICES = tuple(Slice(sst) for sst in range(1, 256))


@dataclass(frozen=True, slots=True)
class Profile:
    """What a subscriber may use.

    Args:
        subscriptions: Data networks; the UE asks for the first one.
        uplink: UE AMBR in bit/s.
        downlink: UE AMBR in bit/s.
    """

    subscriptions: tuple[Subscription, ...]
    uplink: int = ANY_RATE
    downlink: int = ANY_RATE


RECORDED: tuple[Profile, ...] = (
    Profile((Subscription(EMBB, "internet", 9, 8, 1000 * MBPS, 1000 * MBPS),), 1000 * MBPS, 1000 * MBPS),
    Profile(
        (
            Subscription(EMBB, "internet", 9, 8, 50 * MBPS, 100 * MBPS),
            Subscription(EMBB, "ims", 5, 1, 4 * MBPS, 4 * MBPS),
        ),
        50 * MBPS,
        200 * MBPS,
    ),
    Profile((Subscription(EMBB, "internet", 8, 6, 5 * MBPS, 20 * MBPS), SENSORS), 5 * MBPS, 20 * MBPS),
    Profile(
        (
            Subscription(EMBB, "internet", 6, 4, 100 * MBPS, 500 * MBPS),
            Subscription(EMBB, "ims", 5, 1, 8 * MBPS, 8 * MBPS),
        ),
        100 * MBPS,
        500 * MBPS,
    ),
)
"""Of the recorded network, by SUPI modulo 4."""

SLICED: tuple[Profile, ...] = (
    Profile((Subscription(IMMERSIVE, "internet", 80, 6, 100 * MBPS, 400 * MBPS),), 100 * MBPS, 400 * MBPS),
    Profile((Subscription(HRLLC, "internet", 82, 2, 20 * MBPS, 20 * MBPS),), 20 * MBPS, 20 * MBPS),
    Profile((Subscription(MASSIVE, "iot", 79, 12, 64 * KBPS, 64 * KBPS),), 64 * KBPS, 64 * KBPS),
    Profile((Subscription(UBIQUITOUS, "internet", 9, 9, 10 * MBPS, 50 * MBPS),), 10 * MBPS, 50 * MBPS),
)
"""One slice each: immersive, hyper reliable low-latency, massive and ubiquitous communication."""


@dataclass(frozen=True, slots=True)
class Population:
    """Shares of UEs that differ from the others, 0 to 1. Up to `without_session`, a UE differs in one way at most.

    Args:
        wrong_key: Have a key that the home network does not know.
        old_sequence: Have a sequence number that is ahead of that of the home network.
        unknown: Are no subscribers.
        barred: Are subscribers whom service is refused.
        no_common_integrity: Know no integrity algorithm of the core.
        unknown_home_key: Conceal their identity for a key that the home network does not have.
        unsubscribed_slice: Request nothing but a slice that they are not subscribed to.
        ipv6: Ask for sessions of IPv6.
        ipv4v6: Ask for sessions of IPv4 and IPv6.
        unstructured: Ask for unstructured sessions.
        without_session: Ask for no session by themselves.
        null_ciphering: Know no ciphering but the null one.
        profile_a: Conceal their identity by profile A, if the home network has a key of that.
        profile_b: Conceal their identity by profile B, likewise.
        requested_slices: That every UE requests; those of its first subscription if there are none here.

    Raises:
        SignalingError: If a share, or the sum of those of which a UE has one, is out of range.
    """

    wrong_key: float = 0.0
    old_sequence: float = 0.0
    unknown: float = 0.0
    barred: float = 0.0
    no_common_integrity: float = 0.0
    unknown_home_key: float = 0.0
    unsubscribed_slice: float = 0.0
    ipv6: float = 0.0
    ipv4v6: float = 0.0
    unstructured: float = 0.0
    without_session: float = 0.0
    null_ciphering: float = 0.0
    profile_a: float = 0.0
    profile_b: float = 0.0
    requested_slices: tuple[Slice, ...] = ()

    def __post_init__(self) -> None:
        shares = {known.name: getattr(self, known.name) for known in fields(self) if known.name != "requested_slices"}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise SignalingError(f"`{name}` must be a share from 0 to 1, got {share!r}.")
        for names in (ODDITIES, PROFILES):
            total = sum(shares[name] for name in names)
            if total > 1 + 1e-9:
                raise SignalingError(f"`{'`, `'.join(names)}` must have a sum of at most 1, got {total!r}.")


ODDITIES = (
    "wrong_key",
    "old_sequence",
    "unknown",
    "barred",
    "no_common_integrity",
    "unknown_home_key",
    "unsubscribed_slice",
    "ipv6",
    "ipv4v6",
    "unstructured",
    "without_session",
)


@dataclass(frozen=True, slots=True)
class SubscriberGroup:
    """Subscribers with numbers one after the other, and the same keys.

    Args:
        first: Digits of the SUPI of the first one, 6 to 15.
        k: Key, 32 hex digits.
        opc: Operator variant of each, 32 hex digits.
        count: How many.
        profiles: Of whom each has the one at the place of its SUPI modulo their number.
        msisdn: Digits of the phone number of the first one, up to 15.
        amf: Authentication management field, 4 hex digits.
        barred: Whether service is refused.
    """

    first: str
    k: str
    opc: str
    count: int = 1
    profiles: tuple[Profile, ...] = RECORDED
    msisdn: str = "821000000001"
    amf: str = "8000"
    barred: bool = False

    def __iter__(self) -> Iterator[Subscriber]:
        """Yields the subscribers."""
        for place in range(self.count):
            number = int(self.first) + place
            profile = self.profiles[number % len(self.profiles)]
            yield Subscriber(
                supi=f"{number:0{len(self.first)}d}",
                k=bytes.fromhex(self.k),
                opc=bytes.fromhex(self.opc),
                msisdn=f"{int(self.msisdn) + place:0{len(self.msisdn)}d}",
                slices=tuple(dict.fromkeys(entry.slice for entry in profile.subscriptions)),
                subscriptions=profile.subscriptions,
                uplink=profile.uplink,
                downlink=profile.downlink,
                amf=bytes.fromhex(self.amf),
                barred=self.barred,
            )


def populate(
    subscribers: Subscribers,
    count: int,
    random: Random,
    network: NetworkConfiguration | None = None,
    profiles: Sequence[Profile] = RECORDED,
    population: Population | None = None,
) -> list[Usim]:
    """Returns the subscriptions of new subscribers, as their UEs have them.

    Args:
        subscribers: Database to which they are added.
        count: How many, at most 10**8.
        random: Of their keys, and of who differs.
        network: Home network; a default one if not given.
        profiles: Of whom each has one in turn.
        population: Who differs; nobody if not given.
    """
    maker = _Maker(network or NetworkConfiguration(), population or Population(), random)
    usims = []
    for number in range(1, count + 1):
        subscriber, usim = maker.make(number, profiles[number % len(profiles)])
        subscribers.add(subscriber)
        usims.append(usim)
    return usims


class _Maker:
    """Makes subscribers and their UEs."""

    def __init__(self, network: NetworkConfiguration, population: Population, random: Random) -> None:
        self._network, self._population, self._random = network, population, random
        self._shares = [getattr(population, name) for name in ODDITIES]
        self._keys = {scheme: _public_key(network, scheme) for scheme in PROFILES}

    def make(self, number: int, profile: Profile) -> tuple[Subscriber, Usim]:
        """Returns a subscriber, and what the UE has, with what differs."""
        digits = 15 - len(self._network.mcc) - len(self._network.mnc)
        subscriptions = profile.subscriptions
        slices = tuple(dict.fromkeys(entry.slice for entry in subscriptions))
        subscriber = Subscriber(
            supi=f"{self._network.mcc}{self._network.mnc}{number:0{digits}d}",
            k=self._random.randbytes(16),
            opc=self._random.randbytes(16),
            msisdn=f"82{1_000_000_000 + number}",
            slices=slices,
            subscriptions=subscriptions,
            uplink=profile.uplink,
            downlink=profile.downlink,
        )
        usim = Usim(
            supi=subscriber.supi,
            k=subscriber.k,
            opc=subscriber.opc,
            imeisv=f"43708161{number % 1_000_000:06d}52",
            slices=self._population.requested_slices or slices[:1],
            session=(subscriptions[0].slice, subscriptions[0].dnn),
            home_key=self._concealment(),
        )
        if self._random.random() < self._population.null_ciphering:
            usim = replace(usim, algorithms=n1.NULL_CIPHERING)
        oddity = self._draw(ODDITIES, self._shares)
        return replace(subscriber, barred=oddity == "barred"), self._differ(usim, subscriber, oddity)

    def _draw(self, names: Sequence[str], shares: Sequence[float]) -> str:
        """Returns one of the names, each with a probability; empty for the rest."""
        draw = self._random.random()
        for name, share in zip(names, shares, strict=True):
            draw -= share
            if draw < 0:
                return name
        return ""

    def _concealment(self) -> HomePublicKey | None:
        shares = [getattr(self._population, scheme) for scheme in PROFILES]
        return self._keys.get(self._draw(PROFILES, shares))

    def _differ(self, usim: Usim, subscriber: Subscriber, oddity: str) -> Usim:
        """Returns what a UE has that differs in one way."""
        if oddity == "wrong_key":
            return replace(usim, k=self._random.randbytes(16))
        if oddity == "old_sequence":
            return replace(usim, sqn=AHEAD)
        if oddity == "unknown":
            plmn = len(self._network.mcc) + len(self._network.mnc)
            return replace(usim, supi=usim.supi[:plmn] + "9" + usim.supi[plmn + 1 :])
        if oddity == "no_common_integrity":
            return replace(usim, algorithms=n1.NO_COMMON_INTEGRITY)
        if oddity == "unknown_home_key":
            return replace(usim, home_key=self._unknown_key())
        if oddity == "unsubscribed_slice":
            other = self._other_slice(subscriber)
            return replace(usim, slices=(other,), session=(other, usim.session[1]))
        if oddity in ("ipv6", "ipv4v6", "unstructured"):
            return replace(usim, session_type=oddity)
        return replace(usim, session=None) if oddity == "without_session" else usim

    def _other_slice(self, subscriber: Subscriber) -> Slice:
        """Returns a slice that a subscriber may not use, one of the network if there is any."""
        return next(known for known in (*self._network.slices, *ALL_SLICES) if known not in subscriber.slices)

    def _unknown_key(self) -> HomePublicKey:
        """Returns the public key of a private key that nobody has."""
        known = {key.identifier for key in self._network.home_keys}
        number = next(number for number in range(1, 255) if number not in known)
        return HomePublicKey.of(HomeKey(number, "profile_a", self._random.randbytes(32).hex()))


def _public_key(network: NetworkConfiguration, scheme: str) -> HomePublicKey | None:
    key = next((known for known in network.home_keys if known.scheme == scheme), None)
    return None if key is None else HomePublicKey.of(key)
