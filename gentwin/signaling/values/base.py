"""Bits in order, and the base class of value types."""

from __future__ import annotations

import difflib
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from gentwin.signaling.errors import DecodeError, EncodeError

LONGEST = 65535  # octets; no length field of the protocols at hand counts further


class Reader:
    """Bits of some octets, read in order.

    Args:
        data: The octets.
        place: Bit to start at.
        end: Bit to stop before; the end of `data` if not given.
    """

    __slots__ = ("data", "end", "place")

    def __init__(self, data: bytes, place: int = 0, end: int | None = None) -> None:
        self.data, self.place = data, place
        self.end = len(data) * 8 if end is None else end

    @property
    def left(self) -> int:
        """Number of bits left."""
        return self.end - self.place

    def uint(self, bits: int) -> int:
        """Returns the next bits as a number.

        Raises:
            DecodeError: If fewer bits are left.
        """
        start, stop = self.place, self.place + bits
        if stop > self.end:
            raise DecodeError(f"{bits} bits expected, {self.left} left", start >> 3)
        self.place = stop
        last = (stop + 7) >> 3
        return int.from_bytes(self.data[start >> 3 : last], "big") >> (last * 8 - stop) & ((1 << bits) - 1)

    def octets(self, count: int | None = None) -> bytes:
        """Returns the next octets, all that are left if not counted.

        Raises:
            DecodeError: If fewer are left, or they do not begin at an octet.
        """
        count = self.left >> 3 if count is None else count
        if self.place & 7 or count * 8 > self.left:
            raise DecodeError(f"{count} octets expected, {self.left} bits left", self.place >> 3)
        start = self.place >> 3
        self.place += count * 8
        return self.data[start : start + count]

    def part(self, octets: int) -> Reader:
        """Returns a reader of the next octets alone, and goes past them."""
        start = self.place
        self.octets(octets)
        return Reader(self.data, start, self.place)

    def finish(self) -> None:
        """Checks that nothing is left.

        Raises:
            DecodeError: If something is.
        """
        if self.left:
            raise DecodeError(f"{self.left} bits left over", self.place >> 3)


class Writer:
    """Bits, written in order."""

    __slots__ = ("bits", "data", "pending")

    def __init__(self) -> None:
        self.data, self.pending, self.bits = bytearray(), 0, 0

    def uint(self, value: int, bits: int) -> None:
        """Writes a number of at most so many bits."""
        self.pending, self.bits = self.pending << bits | value, self.bits + bits
        if not self.bits & 7:
            self.data += self.pending.to_bytes(self.bits >> 3, "big")
            self.pending = self.bits = 0

    def octets(self, data: bytes) -> None:
        """Writes octets."""
        if self.bits:
            self.uint(int.from_bytes(data, "big"), 8 * len(data))
        else:
            self.data += data

    def finish(self) -> bytes:
        """Returns the octets written; a half-written last one is filled with zeros."""
        if self.bits:
            self.uint(0, -self.bits % 8)
        return bytes(self.data)


def within(name: str, error: EncodeError) -> EncodeError:
    """Returns an error of a field as one of the field `name` that holds it."""
    return EncodeError(f"{name}.{error.path}" if error.path else name, error.reason)


def closest(name: str, names: Iterable[str]) -> str:
    """Returns a remedy for an unknown name: the closest known one, or all."""
    names = sorted(names)
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean `{near[0]}`?" if near else f"known: {', '.join(f'`{known}`' for known in names) or 'none'}"


def span(low: int, high: int) -> str:
    """Returns the words for a range of numbers."""
    return str(low) if low == high else f"from {low} to {high}"


class Kind(ABC):
    """A value type.

    Attributes:
        min_bits: Size of the smallest value, in bits.
        max_bits: Size of the largest.
        counted: Whether it holds items that a `Count` can count.
        exact: Whether all it reads is written as the same bits again.
    """

    counted = False
    exact = False
    min_bits: int
    max_bits: int

    @abstractmethod
    def read(self, reader: Reader) -> Any:
        """Reads one value.

        Raises:
            DecodeError: If there is none of this type.
        """

    @abstractmethod
    def write(self, writer: Writer, value: Any) -> None:
        """Writes one value.

        Raises:
            EncodeError: If the value is not of this type, with the path of the part that is not.
        """

    def decode(self, data: bytes) -> Any:
        """Returns the value that some octets are, all of them.

        Raises:
            DecodeError: If they are none.
        """
        reader = Reader(data)
        value = self.read(reader)
        reader.finish()
        return value

    def encode(self, value: Any) -> bytes:
        """Returns the octets of a value.

        Raises:
            EncodeError: If the value is not of this type, with the path of the part that is not.
        """
        writer = Writer()
        self.write(writer, value)
        return writer.finish()


def check(allowed: bool, must: str, value: Any) -> None:
    """Checks that a value is allowed.

    Raises:
        EncodeError: If it is not, with what it must be.
    """
    if not allowed:
        raise EncodeError("", f"must be {must}, got {reprlib.repr(value)}")
