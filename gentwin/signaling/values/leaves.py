"""Value types that hold one value."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.values.base import LONGEST, Kind, Reader, Writer, check, closest, span

CACHED_ADDRESSES = 8192


class UInt(Kind):
    """A number of so many bits, from `low` to `high`, written less `minus`."""

    exact = True

    def __init__(self, bits: int, low: int | None = None, high: int | None = None, minus: int = 0) -> None:
        self.bits = self.min_bits = self.max_bits = bits
        self.minus = minus
        self.low = minus if low is None else low
        self.high = (1 << bits) - 1 + minus if high is None else high

    def read(self, reader: Reader) -> int:
        value = reader.uint(self.bits) + self.minus
        if not self.low <= value <= self.high:
            raise DecodeError(f"{value} is not from {self.low} to {self.high}", reader.place >> 3)
        return value

    def write(self, writer: Writer, value: Any) -> None:
        check(type(value) is int and self.low <= value <= self.high, f"a number from {self.low} to {self.high}", value)
        writer.uint(value - self.minus, self.bits)


class Flags(Kind):
    """Single bits as the names of those that are set, joined by spaces.

    Args:
        names: Names of the bits in order, joined by spaces; `-` where a bit is spare. At most 8, or whole octets.
        highest_first: Whether the first name is that of the highest bit; else it is that of the lowest bit, of the
            first octet if there are several.
    """

    exact = True

    def __init__(self, names: str, highest_first: bool = False) -> None:
        self.names = tuple(names.split())
        self.bits = self.min_bits = self.max_bits = len(self.names)
        places = range(self.bits - 1, -1, -1) if highest_first else range(self.bits)
        self.places = {name: place for place, name in zip(places, self.names, strict=True) if name != "-"}
        self.mask = sum(1 << place for place in self.places.values())

    def read(self, reader: Reader) -> str:
        octets = self.bits > 8
        value = int.from_bytes(reader.octets(self.bits >> 3), "little") if octets else reader.uint(self.bits)
        if value & ~self.mask:
            raise DecodeError(f"spare bits set in {value:#x}", reader.place >> 3)
        return " ".join([name for name, place in self.places.items() if value >> place & 1])

    def write(self, writer: Writer, value: Any) -> None:
        check(isinstance(value, str), "names of flags joined by spaces", value)
        number = 0
        for name in value.split():
            if name not in self.places:
                raise EncodeError("", f"has no flag {name!r}; {closest(name, self.places)}")
            number |= 1 << self.places[name]
        if self.bits > 8:
            writer.octets(number.to_bytes(self.bits >> 3, "little"))
        else:
            writer.uint(number, self.bits)


class Enum(Kind):
    """A number of so many bits, as a text where it has a name and as it is elsewhere.

    Args:
        bits: Size.
        names: Name of each number that has one.
        closed: Whether there are no other numbers.
    """

    def __init__(self, bits: int, names: Mapping[int, str], closed: bool = False) -> None:
        self.bits = self.min_bits = self.max_bits = bits
        self.names, self.closed = dict(names), closed
        self.numbers = {name: number for number, name in names.items()}
        self.exact = len(self.numbers) == len(self.names)

    def read(self, reader: Reader) -> int | str:
        number = reader.uint(self.bits)
        value = self.names.get(number, number)
        if self.closed and not isinstance(value, str):
            raise DecodeError(f"{number} is none of {sorted(self.names)}", reader.place >> 3)
        return value

    def write(self, writer: Writer, value: Any) -> None:
        if isinstance(value, str) or self.closed:
            if not isinstance(value, str) or value not in self.numbers:
                raise EncodeError("", f"has no value {value!r}; {closest(str(value), self.numbers)}")
            value = self.numbers[value]
        else:
            check(type(value) is int and 0 <= value < 1 << self.bits, f"a name or a number of {self.bits} bits", value)
            check(value not in self.names, f"the name {self.names.get(value)!r} of its number", value)
        writer.uint(value, self.bits)


class Octets(Kind):
    """Opaque bytes, from `low` to `high` of them: all that are left, unless the number is fixed."""

    exact = True

    def __init__(self, low: int = 0, high: int = LONGEST) -> None:
        self.low, self.high, self.min_bits, self.max_bits = low, high, low * 8, high * 8

    def read(self, reader: Reader) -> bytes:
        data = reader.octets(self.low if self.low == self.high else None)
        if not self.low <= len(data) <= self.high:
            raise DecodeError(f"{len(data)} octets are not {span(self.low, self.high)}", reader.place >> 3)
        return data

    def write(self, writer: Writer, value: Any) -> None:
        allowed = isinstance(value, bytes) and self.low <= len(value) <= self.high
        check(allowed, f"{span(self.low, self.high)} bytes", value)
        writer.octets(value)


class Text(Kind):
    """Characters in all octets that are left.

    Args:
        low: Least number of characters.
        high: Largest.
        encoding: `ascii` (printable ones) or `utf-16-be` (those of two octets).

    Attributes:
        alphabet: Characters there may be; None for all that the encoding has.
    """

    exact = True
    alphabet: frozenset[str] | None

    def __init__(self, low: int = 0, high: int = LONGEST, encoding: str = "ascii") -> None:
        self.low, self.high, self.encoding = low, high, encoding
        self.alphabet = PRINTABLE if encoding == "ascii" else None
        width = 1 if encoding == "ascii" else 2
        self.min_bits, self.max_bits = low * 8 * width, high * 8 * width

    def allows(self, text: str) -> bool:
        """Returns whether a text can be written."""
        known = _is_basic(text) if self.alphabet is None else self.alphabet.issuperset(text)
        return known and self.low <= len(text) <= self.high

    def read(self, reader: Reader) -> str:
        data = reader.octets()
        text = data.decode(self.encoding, "replace")
        if not self.allows(text):
            raise DecodeError(f"{data!r} is no {self.encoding} text", reader.place >> 3)
        return text

    def write(self, writer: Writer, value: Any) -> None:
        allowed = isinstance(value, str) and self.allows(value)
        check(allowed, f"{self.encoding} text of {span(self.low, self.high)} characters", value)
        writer.octets(value.encode(self.encoding))


PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))


def _is_basic(text: str) -> bool:
    return all(letter < "\ud800" or "\udfff" < letter < "\ufffd" for letter in text)


class Digits(Kind):
    """Decimal digits as text, two in an octet, the first in the lower half; halves without a digit hold 1111.

    Args:
        low: Least number of digits.
        high: Largest.
        octets: Number of octets; all that are left if not given.
    """

    exact = True

    def __init__(self, low: int, high: int, octets: int | None = None) -> None:
        self.low, self.high, self.octets = low, high, octets
        self.min_bits, self.max_bits = ((octets or (n + 1) // 2) * 8 for n in (low, high))

    def read(self, reader: Reader) -> str:
        data = reader.octets(self.octets)
        digits = "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in data)
        text = digits.rstrip("f")
        filled = self.octets is not None or len(digits) - len(text) < 2
        if not filled or (text and not text.isdecimal()) or not self.low <= len(text) <= self.high:
            raise DecodeError(f"{digits!r} are not {span(self.low, self.high)} digits", reader.place >> 3)
        return text

    def write(self, writer: Writer, value: Any) -> None:
        allowed = isinstance(value, str) and self.low <= len(value) <= self.high and _are_digits(value)
        check(allowed, f"text of {span(self.low, self.high)} digits", value)
        padded = value.ljust(2 * (self.octets or (len(value) + 1) // 2), "f")
        writer.octets(bytes.fromhex("".join(padded[i + 1] + padded[i] for i in range(0, len(padded), 2))))


def _are_digits(text: str) -> bool:
    return all("0" <= c <= "9" for c in text)


class Labels(Kind):
    """A name of labels joined by dots, each with its length in front; from `low` to `high` octets.

    Source:
        TS 23.003 clause 9.1, IETF RFC 1035 clause 3.1.
    """

    exact = True

    def __init__(self, low: int = 1, high: int = 100) -> None:
        self.low, self.high, self.min_bits, self.max_bits = low, high, low * 8, high * 8

    def read(self, reader: Reader) -> str:
        labels = []
        while reader.left:
            labels.append(reader.octets(reader.uint(8)).decode("ascii", "replace"))
        text = ".".join(labels)
        if not self._allows(text) or text.count(".") != len(labels) - 1:
            raise DecodeError(f"{text!r} is no name of labels", reader.place >> 3)
        return text

    def _allows(self, text: str) -> bool:
        printable = all("!" <= letter <= "~" for letter in text)
        lengths = map(len, text.split("."))
        return printable and self.low <= len(text) + 1 <= self.high and all(0 < length < 64 for length in lengths)

    def write(self, writer: Writer, value: Any) -> None:
        allowed = isinstance(value, str) and self._allows(value)
        check(allowed, f"a name of at most {self.high - 1} characters, labels of 1 to 63 joined by dots", value)
        for label in value.split("."):
            writer.octets(bytes([len(label)]) + label.encode())


class Address(Kind):
    """An IP address as text: version 4 or 6."""

    exact = True

    def __init__(self, version: int) -> None:
        self.version = version
        self.octets = 4 if version == 4 else 16
        self.min_bits = self.max_bits = self.octets * 8

    def read(self, reader: Reader) -> str:
        return _address_text(reader.octets(self.octets))

    def write(self, writer: Writer, value: Any) -> None:
        data = _address_octets(value) if isinstance(value, str) else b""
        check(len(data) == self.octets, f"an IPv{self.version} address in its shortest form", value)
        writer.octets(data)


@lru_cache(CACHED_ADDRESSES)
def _address_text(data: bytes) -> str:
    return str(ipaddress.ip_address(data))


@lru_cache(CACHED_ADDRESSES)
def _address_octets(text: str) -> bytes:
    """Returns the octets of an address; none if the text is not what they would be read as, such as with a scope."""
    try:
        data = ipaddress.ip_address(text).packed
    except ValueError:
        return b""
    return data if _address_text(data) == text else b""
