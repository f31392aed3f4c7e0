"""Value types of elements that both 5GMM and 5GSM messages have.

Source: TS 24.501 clause 9.11.2.
"""

from __future__ import annotations

from gentwin.signaling.nas.elements import MOBILITY, SESSION, Carried, Depending
from gentwin.signaling.values import (
    BySize,
    Count,
    Enum,
    Fixed,
    Flags,
    Framed,
    Kind,
    Labels,
    ListOf,
    Octets,
    Plmn,
    Sized,
    Struct,
    UInt,
)

BIT, U4, U8, U16 = UInt(1), UInt(4), UInt(8), UInt(16)
OPAQUE = Octets(1)


def half(names: str) -> Kind:
    """Returns the type of a half octet of flags: names from the lowest bit on, spare bits above."""
    count = len(names.split())
    return Framed(Fixed(4 - count), Flags(names))


def choice(bits: int, names: dict[int, str], size: int) -> Kind:
    """Returns the type of a named number in the lowest bits of so many."""
    return Framed(Fixed(size - bits), Enum(bits, names)) if size > bits else Enum(bits, names)


# --- network, slice, data network
PLMN = Plmn()
PLMN_LIST = ListOf("plmn", PLMN, 1, 15)
SST, SD = ("sst", U8), ("sd", Octets(3, 3))
MAPPED_SST, MAPPED_SD = ("mapped_sst", U8), ("mapped_sd", Octets(3, 3))
S_NSSAI = BySize(
    {
        1: Struct(SST),
        2: Struct(SST, MAPPED_SST),
        4: Struct(SST, SD),
        5: Struct(SST, SD, MAPPED_SST),
        8: Struct(SST, SD, MAPPED_SST, MAPPED_SD),
    }
)
DNN = Labels(1, 100)

# --- access, identities of sessions
ACCESS_TYPES = {1: "3gpp", 2: "non_3gpp", 3: "3gpp_and_non_3gpp"}
ACCESS_TYPE = choice(2, ACCESS_TYPES, 4)
SESSION_IDENTITY = U8
SESSIONS = Flags(" ".join(f"psi_{number}" for number in range(16)))

# --- causes, authentication
CAUSE = U8
EAP_MESSAGE = Octets(4, 1500)

# --- timers
TIMER_UNITS = {0: "2 s", 1: "1 min", 2: "6 min", 7: "deactivated"}
TIMER_3_UNITS = {
    0: "10 min",
    1: "1 h",
    2: "10 h",
    3: "2 s",
    4: "30 s",
    5: "1 min",
    6: "320 h",
    7: "deactivated",
}
TIMER = TIMER_2 = Struct(("unit", Enum(3, TIMER_UNITS)), ("value", UInt(5)))
TIMER_3 = Struct(("unit", Enum(3, TIMER_3_UNITS)), ("value", UInt(5)))

# --- messages inside
PAYLOAD_TYPES = {
    1: "n1_sm_information",
    2: "sms",
    3: "lpp_message",
    4: "sor_transparent_container",
    5: "ue_policy_container",
    6: "ue_parameters_update_transparent_container",
    7: "location_services_message",
    8: "ciot_user_data",
    9: "service_level_aa_container",
    10: "event_notification",
    15: "multiple_payloads",
}
PAYLOAD_CONTAINER_TYPE = Enum(4, PAYLOAD_TYPES)
PAYLOAD_ELEMENT = Struct(("identifier", U8), ("content", Sized(Octets(0, 255))))
PAYLOAD_ENTRY = Struct(
    Count(4, "elements"),
    ("type", PAYLOAD_CONTAINER_TYPE),
    ("elements", ListOf("element", PAYLOAD_ELEMENT, 1, 15)),
    ("content", Octets()),
)
MULTIPLE_PAYLOADS = Struct(Count(8, "entries"), ("entries", ListOf("entry", Sized(PAYLOAD_ENTRY, 16), 1, 255)))
PAYLOAD_CONTAINER = Depending(
    "payload_container_type", {"n1_sm_information": Carried(SESSION), "multiple_payloads": MULTIPLE_PAYLOADS}
)
NAS_MESSAGE = Carried(MOBILITY)

# --- quality of service
RATE_UNITS = {0: "unused"} | {
    1 + 5 * power + step: f"{4**step} {prefix}bps" for power, prefix in enumerate("kMGTP") for step in range(5)
}
RATE = Struct(("unit", Enum(8, RATE_UNITS)), ("value", U16))
