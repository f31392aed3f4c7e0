"""Texts for values that people write in another way than in bits: network codes and addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gentwin.signaling.errors import EncodeError
from gentwin.signaling.fields import Bits

_PLMN = re.compile(r"([0-9]{3})-([0-9]{2,3})")


class Notation(NamedTuple):
    """A way to write some values as text.

    Args:
        show: Returns the text of a value, or the value itself if it has none.
        parse: Returns the value of a text.
    """

    show: Callable[[Any], Any]
    parse: Callable[[str], Any]


def show_plmn(data: bytes) -> str | bytes:
    """Returns the mobile country and network code in three octets, such as `999-70`.

    Args:
        data: Three octets.

    Returns:
        The text, or the octets if they hold something else than decimal digits.

    Source:
        3GPP TS 38.413, clause 9.3.3.5.
    """
    digits = data.hex()
    country, network = digits[1] + digits[0] + digits[3], digits[5] + digits[4] + digits[2].replace("f", "")
    text = f"{country}-{network}"
    return text if _PLMN.fullmatch(text) else data


def parse_plmn(text: str) -> bytes:
    """Returns the three octets of a mobile country and network code such as `999-70`.

    Raises:
        EncodeError: If it is none.
    """
    found = _PLMN.fullmatch(text)
    if not found:
        raise EncodeError("", f"must be three digits, a hyphen and two or three digits, such as '999-70', got {text!r}")
    country, network = found[1], found[2].ljust(3, "f")
    return bytes.fromhex(country[1] + country[0] + network[2] + country[2] + network[1] + network[0])


def show_address(bits: Bits) -> str | Bits:
    """Returns the text of an IPv4 address of 32 bits or an IPv6 address of 128 bits, other bits as they are.

    Source:
        3GPP TS 38.414, clause 5.1, and IETF RFC 5952.
    """
    if bits.size == 32:
        return str(ipaddress.IPv4Address(bits.value))
    return str(ipaddress.IPv6Address(bits.value)) if bits.size == 128 else bits


def parse_address(text: str) -> Bits:
    """Returns the 32 or 128 bits of an address.

    Raises:
        EncodeError: If it is none.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or "%" in text:
        raise EncodeError("", f"must be an IPv4 or IPv6 address, or bits, got {text!r}")
    return Bits(int(address), address.max_prefixlen)


NOTATIONS = {
    "plmn": Notation(show_plmn, parse_plmn),
    "address": Notation(show_address, parse_address),
}
