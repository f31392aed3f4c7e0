"""Subscribers by the number, with subscriptions like those of the recorded networks or of sliced ones."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from gentwin.signaling.core.configuration import EMBB, HRLLC, IMMERSIVE, IOT, MASSIVE, UBIQUITOUS
from gentwin.signaling.core.subscribers import Subscriber, Subscribers, Subscription
from gentwin.signaling.core.ue import Usim

MBPS, KBPS = 1_000_000, 1_000
IMS = Subscription(EMBB, "ims", 5, 1, 8 * MBPS, 8 * MBPS)
SENSORS = Subscription(IOT, "iot", 7, 10, 128 * KBPS, 256 * KBPS)

Profile = tuple[tuple[Subscription, ...], int, int]

RECORDED: tuple[Profile, ...] = (
    ((Subscription(EMBB, "internet", 9, 8, 1000 * MBPS, 1000 * MBPS),), 1000 * MBPS, 1000 * MBPS),
    ((Subscription(EMBB, "internet", 9, 8, 50 * MBPS, 100 * MBPS), IMS), 50 * MBPS, 200 * MBPS),
    ((Subscription(EMBB, "internet", 8, 6, 5 * MBPS, 20 * MBPS), SENSORS), 5 * MBPS, 20 * MBPS),
    ((Subscription(EMBB, "internet", 6, 4, 100 * MBPS, 500 * MBPS), IMS), 100 * MBPS, 500 * MBPS),
)
"""Subscriptions, and UE AMBR uplink and downlink in bit/s, of the recorded network; by SUPI modulo 4."""

SLICED: tuple[Profile, ...] = (
    ((Subscription(IMMERSIVE, "internet", 80, 6, 100 * MBPS, 400 * MBPS),), 100 * MBPS, 400 * MBPS),
    ((Subscription(HRLLC, "internet", 82, 2, 20 * MBPS, 20 * MBPS),), 20 * MBPS, 20 * MBPS),
    ((Subscription(MASSIVE, "iot", 79, 12, 64 * KBPS, 64 * KBPS),), 64 * KBPS, 64 * KBPS),
    ((Subscription(UBIQUITOUS, "internet", 9, 9, 10 * MBPS, 50 * MBPS),), 10 * MBPS, 50 * MBPS),
)
"""One slice each: immersive, hyper reliable low-latency, massive and ubiquitous communication."""


def populate(
    subscribers: Subscribers, count: int, random: Random, profiles: Sequence[Profile] = RECORDED, plmn: str = "999-70"
) -> list[Usim]:
    """Returns the subscriptions of new subscribers, as their UEs have them.

    Args:
        subscribers: Database to which they are added.
        count: How many, at most 10**8.
        random: Of their keys.
        profiles: Of whom each has one in turn.
        plmn: Home network.
    """
    mcc, _, mnc = plmn.partition("-")
    digits = 15 - len(mcc) - len(mnc)
    usims = []
    for number in range(1, count + 1):
        subscriptions, uplink, downlink = profiles[number % len(profiles)]
        slices = tuple(dict.fromkeys(entry.slice for entry in subscriptions))
        subscriber = Subscriber(
            supi=f"{mcc}{mnc}{number:0{digits}d}",
            k=random.randbytes(16),
            opc=random.randbytes(16),
            msisdn=f"82{1_000_000_000 + number}",
            slices=slices,
            subscriptions=subscriptions,
            uplink=uplink,
            downlink=downlink,
        )
        subscribers.add(subscriber)
        usims.append(
            Usim(
                supi=subscriber.supi,
                k=subscriber.k,
                opc=subscriber.opc,
                imeisv=f"43708161{number % 1_000_000:06d}52",
                slices=slices[:1],
                session=(subscriptions[0].slice, subscriptions[0].dnn),
            )
        )
    return usims
