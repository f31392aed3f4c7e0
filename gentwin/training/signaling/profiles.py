"""What is drawn at random in every run, so that a twin learns to repeat what hints say, not a few values by heart."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

VARIED = "varied"
COUNT = 24
FIVE_QIS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 65, 66, 67, 69, 70, 75, 79, 80, 82, 83, 84, 85, 86)
"""Standardised values, 3GPP TS 23.501 table 5.7.4-1."""
SERVICES = (("1", "internet"), ("1", "ims"), ("2-000001", "iot"))
"""Slices and data networks of the default network of a synthesis."""


BACK_OFFS = (*range(2, 64, 2), *range(120, 1860, 60), *range(2160, 11_161, 360))
"""Seconds that GPRS timers can tell, TS 24.008 clauses 10.5.7.4 and 10.5.7.4a."""


def varied(values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Returns a plain configuration of a synthesis with values in place of `varied`.

    Args:
        values: Whose `profiles` and `limits.back_off` may be `varied`.
        seed: Of the run.
    """
    found = dict(values)
    if found.get("profiles") == VARIED:
        found["profiles"] = varied_profiles(seed)
    limits = found.get("limits")
    if isinstance(limits, Mapping) and limits.get("back_off") == VARIED:
        found["limits"] = {**limits, "back_off": Random(f"{seed}/back_off").choice(BACK_OFFS)}
    return found


def varied_profiles(seed: int) -> list[dict[str, Any]]:
    """Returns subscriptions as a configuration of a synthesis has them: 5QI, priority and rates at random.

    Args:
        seed: Of all that is random.
    """
    random = Random(f"{seed}/profiles")
    return [_profile(random) for _ in range(COUNT)]


def _profile(random: Random) -> dict[str, Any]:
    others = random.sample(SERVICES[1:], random.randint(0, len(SERVICES) - 1))
    subscriptions = [
        {
            "slice": slice,
            "dnn": dnn,
            "five_qi": random.choice(FIVE_QIS),
            "priority": random.randint(1, 15),
            "uplink": _rate(random),
            "downlink": _rate(random),
        }
        for slice, dnn in (SERVICES[0], *others)
    ]
    return {"subscriptions": subscriptions, "uplink": _rate(random), "downlink": _rate(random)}


def _rate(random: Random) -> int:
    """Returns bit/s between 1 kbit/s and 10 Gbit/s, in units of 1, 2 or 5 and a power of ten."""
    return random.choice((1, 2, 5)) * 10 ** random.randint(3, 9)
