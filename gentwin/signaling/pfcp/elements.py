"""The elements of PFCP: numbers, names, and what is in them.

Source: TS 29.244, clause 8.1.2. Elements up to number 353 (release 18) have names; the content of those above 319 and
of some others is opaque.
"""

from __future__ import annotations

from dataclasses import dataclass

from gentwin.signaling.pfcp.contents import KINDS
from gentwin.signaling.pfcp.groups import GROUPS, Member
from gentwin.signaling.pfcp.numbers import NAMES
from gentwin.signaling.values import Kind, Lossless, Octets

OPAQUE = Octets()
FIRST_OF_VENDORS = 0x8000


@dataclass(frozen=True, slots=True)
class Element:
    """One element of PFCP.

    Args:
        number: Its type, from 1 to 32767.
        name: As in the tree of fields.
        content: Type of its value, with opaque bytes where the value is not well-formed; opaque for a grouped element.
        members: What may stand in a grouped element; None if it is not grouped.
    """

    number: int
    name: str
    content: Lossless
    members: tuple[Member, ...] | None

    @property
    def kind(self) -> Kind:
        """Type of its value where it is well-formed."""
        return self.content.kind


ELEMENTS = {
    name: Element(number, name, Lossless(KINDS.get(name, OPAQUE)), GROUPS.get(name)) for number, name in NAMES.items()
}
"""Every element with a name, by its name."""

BY_NUMBER = {element.number: element for element in ELEMENTS.values()}
"""Every element with a name, by its number."""


def number_of(name: str) -> int | None:
    """Returns the number of an element that has none but in its name: `unknown_312`, or `vendor_32770` of a vendor.

    Args:
        name: The name.

    Returns:
        The number; None if no element has this name.
    """
    prefix, _, digits = name.rpartition("_")
    number = int(digits) if digits.isdecimal() and digits.isascii() and len(digits) <= 5 else -1
    if f"{prefix}_{number}" == name and prefix == _prefix(number) and number not in BY_NUMBER and number <= 0xFFFF:
        return number
    return None


def name_of(number: int) -> str:
    """Returns the name of an element by its number."""
    known = BY_NUMBER.get(number)
    return known.name if known else f"{_prefix(number)}_{number}"


def _prefix(number: int) -> str:
    return "vendor" if number >= FIRST_OF_VENDORS else "unknown"
