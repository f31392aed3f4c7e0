"""How information elements stand in a message: formats, elements, messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from gentwin.signaling.fields import Value
from gentwin.signaling.values import Kind, Octets

MOBILITY, SESSION = 0x7E, 0x2E  # extended protocol discriminators of 5GMM and 5GSM


class Format(Enum):
    """Which of identifier (T), length (L) and value (V) an element has; E is a length of two octets.

    Source:
        TS 24.007 clause 11.2.1.1.
    """

    V = "V"
    LV = "LV"
    LV_E = "LV-E"
    TV = "TV"
    TLV = "TLV"
    TLV_E = "TLV-E"

    @property
    def length_octets(self) -> int:
        """Size of the length."""
        return {"LV": 1, "TLV": 1, "LV-E": 2, "TLV-E": 2}.get(self.value, 0)


@dataclass(frozen=True, eq=False)
class Element:
    """One information element of a message.

    Args:
        name: Of its field.
        format: How it is written.
        kind: What its value is. Octets that are not of this type are opaque bytes, half octets four bits.
        identifier: First octet of an optional element; of one that is half an octet, with zeros in the lower half.
            None for a mandatory element.
    """

    name: str
    format: Format
    kind: Kind
    identifier: int | None = None

    @property
    def is_half(self) -> bool:
        """Whether the value is half an octet."""
        return self.kind.max_bits == 4

    @cached_property
    def min_octets(self) -> int:
        """Size of the smallest value."""
        return -(-self.kind.min_bits // 8)

    @cached_property
    def max_octets(self) -> int:
        """Size of the largest value that its type and its length allow."""
        longest = (1 << 8 * (self.format.length_octets or 2)) - 1
        return min(-(-self.kind.max_bits // 8), longest)


def V(name: str, kind: Kind) -> Element:
    """Returns a mandatory element of value only."""
    return Element(name, Format.V, kind)


def LV(name: str, kind: Kind) -> Element:
    """Returns a mandatory element of length and value."""
    return Element(name, Format.LV, kind)


def LV_E(name: str, kind: Kind) -> Element:
    """Returns a mandatory element of length of two octets and value."""
    return Element(name, Format.LV_E, kind)


def TV(identifier: int, name: str, kind: Kind) -> Element:
    """Returns an optional element of identifier and value."""
    return Element(name, Format.TV, kind, identifier)


def TLV(identifier: int, name: str, kind: Kind) -> Element:
    """Returns an optional element of identifier, length and value."""
    return Element(name, Format.TLV, kind, identifier)


def TLV_E(identifier: int, name: str, kind: Kind) -> Element:
    """Returns an optional element of identifier, length of two octets and value."""
    return Element(name, Format.TLV_E, kind, identifier)


@dataclass(frozen=True, eq=False)
class MessageType:
    """What a message consists of.

    Args:
        discriminator: Extended protocol discriminator, `MOBILITY` or `SESSION`.
        number: Message type octet; None for the security header around a message.
        name: As the specification calls it, without spaces.
        elements: Mandatory ones in order, then optional ones. Two mandatory half octets in a row share one octet, the
            first being its lower half; the upper half after a single one is spare.
    """

    discriminator: int
    number: int | None
    name: str
    elements: tuple[Element, ...]

    @cached_property
    def mandatory(self) -> dict[str, Element]:
        """Elements that are always there, by name."""
        return {element.name: element for element in self.elements if element.identifier is None}

    @cached_property
    def optional(self) -> dict[str, Element]:
        """The other elements, by name."""
        return {element.name: element for element in self.elements if element.identifier is not None}


class Carried(Octets):
    """A NAS message as value; opaque bytes if it is ciphered or none.

    Args:
        discriminator: Of the messages that may be there.
    """

    def __init__(self, discriminator: int) -> None:
        super().__init__()
        self.discriminator = discriminator


class Depending(Octets):
    """A value whose type the element right before it says.

    Args:
        element: Name of that element.
        cases: Value type for each of its values; opaque bytes for all others.
    """

    def __init__(self, element: str, cases: Mapping[Any, Kind]) -> None:
        super().__init__()
        self.element, self.cases = element, dict(cases)

    def case_after(self, field: tuple[str, Value] | None) -> Kind | None:
        """Returns the value type after some field; None for opaque bytes."""
        return self.cases.get(field[1]) if field and field[0] == self.element else None
