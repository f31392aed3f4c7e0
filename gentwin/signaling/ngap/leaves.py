"""Kinds of fields that hold one value: numbers, names, bits, octets and texts."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NO_FIELDS, Message
from gentwin.signaling.ngap.notations import NOTATIONS
from gentwin.signaling.ngap.per import MOST_BITS, Reader, Writer
from gentwin.signaling.values.base import check, closest

UNBOUNDED = 65536  # sizes of this and more are written like those without a limit
MOST_UNITS = 1 << 20  # octets, characters or items in one field
MOST_BITS_IN_STRING = 4096  # the specification has 160 at most
CHARSETS = {
    "printable": frozenset(string.ascii_letters + string.digits + " '()+,-./:=?"),
    "visible": frozenset(map(chr, range(0x20, 0x7F))),
}
_LONGEST_KEPT = 128  # octets; longer ones seldom come again and their trees are large


@dataclass(frozen=True, eq=False, slots=True)
class Kind(ABC):
    """A type of the specification: what a field can hold, and how it is written in bits.

    Kinds are equal only if they are the same object. A named type is one object wherever it is used, so what a message
    consists of is a graph without cycles, not a tree.

    Args:
        type_name: As the specification calls it, such as `PDUSessionID`; empty if it has no name.
    """

    type_name: str

    @abstractmethod
    def read(self, reader: Reader) -> Any:
        """Reads one value.

        Raises:
            DecodeError: If there is none of this kind.
        """

    @abstractmethod
    def write(self, writer: Writer, value: Any) -> None:
        """Writes one value.

        Raises:
            EncodeError: If the value is not of this kind, with the path of the part that is not.
        """

    def decode(self, data: bytes) -> Any:
        """Returns the value that some octets are, all of them.

        Raises:
            DecodeError: If they are none.
        """
        reader = Reader(data)
        value = self.read(reader)
        if not reader.place:
            reader.uint(1)
        reader.align()
        reader.finish()
        return value

    def encode(self, value: Any) -> bytes:
        """Returns the octets of a value, at least one.

        Raises:
            EncodeError: If the value is not of this kind, with the path of the part that is not.
        """
        writer = Writer()
        self.write(writer, value)
        return writer.finish() or b"\0"


def decode_kept(kind: Kind, data: bytes) -> Any:
    """Returns the value that some octets are, from memory if they were among the last ones; values do not change.

    Raises:
        DecodeError: If they are none.
    """
    return _decode(kind, data) if len(data) <= _LONGEST_KEPT else kind.decode(data)


@lru_cache(maxsize=4096)
def _decode(kind: Kind, data: bytes) -> Any:
    return kind.decode(data)


@dataclass(frozen=True, eq=False, slots=True)
class Null(Kind):
    """Nothing but its presence; its value is empty fields."""

    def read(self, reader: Reader) -> Fields:
        return NO_FIELDS

    def write(self, writer: Writer, value: Any) -> None:
        check(isinstance(value, Fields) and not value, "empty fields", value)


@dataclass(frozen=True, eq=False, slots=True)
class Integer(Kind):
    """A whole number, an `int`.

    Args:
        ranges: Pairs of the smallest and the largest value, in order; more than one if there are gaps.
        extensible: Whether later versions of the specification may allow others; any is taken then.

    Attributes:
        lower: Smallest value.
        upper: Largest value.
    """

    ranges: tuple[tuple[int, int], ...]
    extensible: bool
    lower: int = field(init=False, repr=False)
    upper: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", self.ranges[0][0])
        object.__setattr__(self, "upper", self.ranges[-1][1])

    def allows(self, value: int) -> bool:
        """Returns whether a number is in one of the ranges."""
        return any(low <= value <= high for low, high in self.ranges)

    def read(self, reader: Reader) -> int:
        extended = bool(self.extensible and reader.uint(1))
        value = reader.unconstrained() if extended else self.lower + reader.constrained(self.upper - self.lower)
        if (extended or len(self.ranges) > 1) and self.allows(value) == extended:
            raise DecodeError(f"{value} of {self.type_name or 'a number'} is not allowed there", reader.place >> 3)
        return value

    def write(self, writer: Writer, value: Any) -> None:
        allowed = type(value) is int and self.allows(value)
        if self.extensible:
            check(type(value) is int and value.bit_length() <= MOST_BITS, f"a number of up to {MOST_BITS} bits", value)
            writer.uint(not allowed, 1)
        else:
            known = " or ".join(f"from {low} to {high}" for low, high in self.ranges)
            check(allowed, f"a number {known}", value)
        if allowed:
            writer.constrained(value - self.lower, self.upper - self.lower)
        else:
            writer.unconstrained(value)


@dataclass(frozen=True, eq=False, slots=True)
class Enumerated(Kind):
    """One of some names, a `str` as the specification writes it, such as `mo-Signalling`.

    Args:
        values: The names, in their order.
        extension_values: Names that were added in later versions of the specification.
        extensible: Whether there may be still others; an element with one of those stays opaque.
    """

    values: tuple[str, ...]
    extension_values: tuple[str, ...]
    extensible: bool

    def read(self, reader: Reader) -> str:
        if not self.extensible or not reader.uint(1):
            return self.values[reader.constrained(len(self.values) - 1)]
        place = reader.uint(7)
        if place >= len(self.extension_values):
            raise DecodeError(f"extension value {place} of {self.type_name or 'names'} is not known", reader.place >> 3)
        return self.extension_values[place]

    def write(self, writer: Writer, value: Any) -> None:
        extended = value in self.extension_values
        if not extended and value not in self.values:
            known = self.values + self.extension_values
            remedy = closest(value, known) if isinstance(value, str) else f"known: {', '.join(known[:8])}"
            raise EncodeError("", f"has no value {value!r}; {remedy}")
        if self.extensible:
            writer.uint(extended, 1)
        if extended:
            writer.uint(self.extension_values.index(value), 7)
        else:
            writer.constrained(self.values.index(value), len(self.values) - 1)


@dataclass(frozen=True, eq=False, slots=True)
class Sized(Kind):
    """Something with a length.

    Args:
        lower: Smallest number of bits, octets, characters or items.
        upper: Largest one; None if there is no limit.
        extensible: Whether later versions of the specification may allow other lengths; any is taken then.
    """

    lower: int
    upper: int | None
    extensible: bool

    @property
    def bounded(self) -> bool:
        """Whether a size within the limits is written as one number before the content."""
        return self.upper is not None and self.upper < UNBOUNDED

    def allows(self, size: int) -> bool:
        """Returns whether a size is within the limits."""
        return self.lower <= size and (self.upper is None or size <= self.upper)

    def read_sizes(self, reader: Reader) -> Iterator[int]:
        """Yields how many units come next; the caller reads them before it asks for more.

        Raises:
            DecodeError: If the size is not allowed, or an allowed one is written as if it was not.
        """
        extended = bool(self.extensible and reader.uint(1))
        if self.bounded and not extended:
            yield self.lower + reader.constrained(self.upper - self.lower)
            return
        total = 0
        for count in reader.fragments():
            total += count
            if total > MOST_UNITS:
                break
            yield count
        if total > MOST_UNITS or self.allows(total) == extended:
            raise DecodeError(f"size {total} of {self.type_name or 'a field'} is not allowed", reader.place >> 3)

    def write_sizes(self, writer: Writer, size: int) -> Iterator[int]:
        """Writes the size and yields how many units the caller writes next.

        Raises:
            EncodeError: If the size is not allowed.
        """
        allowed = self.allows(size)
        if size > MOST_UNITS or not (allowed or self.extensible):
            limits = f"from {self.lower} to {self.upper}" if self.upper is not None else f"of {self.lower} or more"
            raise EncodeError("", f"must have a size {limits}, got {size}")
        if self.extensible:
            writer.uint(not allowed, 1)
        if self.bounded and allowed:
            writer.constrained(size - self.lower, self.upper - self.lower)
            yield size
        else:
            yield from writer.fragments(size)


@dataclass(frozen=True, eq=False, slots=True)
class BitString(Sized):
    """Bits, a [`Bits`][gentwin.signaling.fields.Bits], or a text where there is a notation for them.

    Args:
        notation: `address`: 32 bits are an IPv4 address, 128 bits an IPv6 address.
    """

    notation: str | None = None

    def read(self, reader: Reader) -> Bits | str:
        value = size = 0
        for count in self.read_sizes(reader):
            if count and not self._is_short():
                reader.align()
            value, size = value << count | reader.uint(count), size + count
            if size > MOST_BITS_IN_STRING:
                raise DecodeError(f"{size} bits of {self.type_name or 'a field'} are too many", reader.place >> 3)
        bits = Bits(value, size)
        return NOTATIONS[self.notation].show(bits) if self.notation else bits

    def write(self, writer: Writer, value: Any) -> None:
        if self.notation and isinstance(value, str):
            value = NOTATIONS[self.notation].parse(value)
        check(isinstance(value, Bits) and _fits(value), "bits" + " or an address" * bool(self.notation), value)
        if value.size > MOST_BITS_IN_STRING:
            raise EncodeError("", f"must have at most {MOST_BITS_IN_STRING} bits, got {value.size}")
        left = value.size
        for count in self.write_sizes(writer, value.size):
            if count and not self._is_short():
                writer.align()
            left -= count
            writer.uint(value.value >> left & ((1 << count) - 1), count)

    def _is_short(self) -> bool:
        return self.lower == self.upper <= 16


def _fits(bits: Bits) -> bool:
    return type(bits.value) is type(bits.size) is int and bits.value >= 0 and bits.value.bit_length() <= bits.size


@dataclass(frozen=True, eq=False, slots=True)
class OctetString(Sized):
    """Octets, `bytes`, or a text where there is a notation for them, or what is encoded in them.

    Args:
        notation: `plmn`: a mobile country and network code, such as `999-70`.
        contains: What the octets are the encoding of. Octets that are not stay bytes.
    """

    notation: str | None = None
    contains: Kind | None = None

    def read(self, reader: Reader) -> Any:
        data = b"".join([self._read_part(reader, count) for count in self.read_sizes(reader)])
        if self.notation:
            return NOTATIONS[self.notation].show(data)
        if self.contains:
            try:
                return decode_kept(self.contains, data)
            except DecodeError:
                return data
        return data

    def _read_part(self, reader: Reader, count: int) -> bytes:
        if self._is_short():
            return reader.uint(count * 8).to_bytes(count, "big")
        if count:
            reader.align()
        return reader.octets(count)

    def write(self, writer: Writer, value: Any) -> None:
        if self.notation and isinstance(value, str):
            value = NOTATIONS[self.notation].parse(value)
        elif self.contains and isinstance(value, Fields):
            value = self.contains.encode(value)
        if isinstance(value, Message):
            raise EncodeError("", f"must be bytes, got a message {value.name}; encode it first, as with `map_nas`")
        must = "bytes" + " or fields" * bool(self.contains) + " or a text such as '999-70'" * bool(self.notation)
        check(isinstance(value, bytes), must, value)
        start = 0
        for count in self.write_sizes(writer, len(value)):
            if count and not self._is_short():
                writer.align()
            writer.octets(value[start : start + count])
            start += count

    def _is_short(self) -> bool:
        return self.lower == self.upper <= 2


@dataclass(frozen=True, eq=False, slots=True)
class Text(Sized):
    """Characters, a `str`.

    Args:
        charset: `printable` and `visible`, one octet each and the size is checked; `utf8`, whose size is not bounded.
    """

    charset: str

    def read(self, reader: Reader) -> str:
        data = b"".join([self._read_part(reader, count) for count in self.read_sizes(reader)])
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError(f"not {self.charset} text: {data[:16]!r}", reader.place >> 3) from error
        if self.charset in CHARSETS and not CHARSETS[self.charset].issuperset(text):
            raise DecodeError(f"not {self.charset} text: {text[:16]!r}", reader.place >> 3)
        return text

    def _read_part(self, reader: Reader, count: int) -> bytes:
        if self.bounded and count:
            reader.align()
        return reader.octets(count)

    def write(self, writer: Writer, value: Any) -> None:
        check(isinstance(value, str), "a text", value)
        allowed = CHARSETS.get(self.charset)
        check(allowed is None or allowed.issuperset(value), f"{self.charset} characters only", value)
        try:
            data = value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise EncodeError("", f"must be characters of Unicode, got {value!r}") from error
        start = 0
        for count in self.write_sizes(writer, len(data)):
            writer.align()
            writer.octets(data[start : start + count])
            start += count
