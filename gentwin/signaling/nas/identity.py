"""Value type of the 5GS mobile identity.

Source: TS 24.501 clause 9.11.3.4, TS 23.003 clauses 2.2B, 2.10 and 6.2.
"""

from __future__ import annotations

from typing import Any

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.nas.common import BIT, PLMN, U8, choice
from gentwin.signaling.values import (
    Digits,
    Enum,
    Fixed,
    Octets,
    Reader,
    Struct,
    Switch,
    Text,
    UInt,
    Unless,
    When,
    Writer,
)


class EquipmentDigits(Digits):
    """Digits that share the first octet with the type of identity: a digit, whether their number is odd, the type.

    Args:
        digits: Number of digits.
        type_number: Of the identity.
    """

    def __init__(self, digits: int, type_number: int) -> None:
        super().__init__(digits, digits, digits // 2 + 1)
        self.type_number = type_number

    def read(self, reader: Reader) -> str:
        first, odd, number = reader.uint(4), reader.uint(1), reader.uint(3)
        rest = Digits(self.low - 1, self.low - 1).read(reader)
        if first > 9 or odd != self.low % 2 or number != self.type_number:
            raise DecodeError(f"no {self.low} digits of an identity of type {self.type_number}", reader.place >> 3)
        return f"{first}{rest}"

    def write(self, writer: Writer, value: Any) -> None:
        super().write(Writer(), value)
        writer.uint(int(value[0]), 4)
        writer.uint(self.low % 2, 1)
        writer.uint(self.type_number, 3)
        Digits(self.low - 1, self.low - 1).write(writer, value[1:])


IDENTITY_TYPES = {
    0: "no_identity",
    1: "suci",
    2: "5g_guti",
    3: "imei",
    4: "5g_s_tmsi",
    5: "imeisv",
    6: "mac_address",
    7: "eui_64",
}
IDENTITY_TYPE = choice(3, IDENTITY_TYPES, 4)
SUPI_FORMATS = {0: "imsi", 1: "network_specific_identifier", 2: "gci", 3: "gli"}
PROTECTION_SCHEMES = {0: "null", 1: "ecies_profile_a", 2: "ecies_profile_b"}

TMSI = (("amf_set_id", UInt(10)), ("amf_pointer", UInt(6)), ("tmsi", Octets(4, 4)))


def _suci(supi_format: int, *parts: Any) -> Struct:
    return Struct(Fixed(1), Fixed(3, supi_format), Fixed(1), Fixed(3, 1), *parts)


SUCI = Switch(
    "supi_format",
    Enum(3, SUPI_FORMATS),
    {
        "imsi": _suci(
            0,
            PLMN,
            ("routing_indicator", Digits(1, 4, octets=2)),
            Fixed(4),
            ("protection_scheme", Enum(4, PROTECTION_SCHEMES)),
            ("home_network_public_key_id", U8),
            ("msin", Digits(1, 10), When("protection_scheme", "null")),
            ("scheme_output", Octets(1, 3000), Unless("protection_scheme", "null")),
        ),
        "network_specific_identifier": _suci(1, ("nai", Text(1, 3000))),
        "gci": _suci(2, ("nai", Text(1, 3000))),
        "gli": _suci(3, ("nai", Text(1, 3000))),
    },
    at=1,
)
MOBILE_IDENTITY = Switch(
    "type",
    Enum(3, IDENTITY_TYPES),
    {
        "no_identity": Struct(Fixed(8)),
        "suci": SUCI,
        "5g_guti": Struct(Fixed(4, 15), Fixed(4, 2), PLMN, ("amf_region_id", U8), *TMSI),
        "imei": Struct(("imei", EquipmentDigits(15, 3))),
        "5g_s_tmsi": Struct(Fixed(4, 15), Fixed(4, 4), *TMSI),
        "imeisv": Struct(("imeisv", EquipmentDigits(16, 5))),
        "mac_address": Struct(Fixed(4), ("not_unique", BIT), Fixed(3, 6), ("mac_address", Octets(6, 6))),
        "eui_64": Struct(Fixed(5), Fixed(3, 7), ("eui_64", Octets(8, 8))),
    },
    at=5,
)
