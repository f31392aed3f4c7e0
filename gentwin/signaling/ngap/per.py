"""Aligned packed encoding rules: how numbers, lengths and padding are laid out in bits.

Only the one way to write a value is accepted when reading, so what was read is written as it was.

Source:
    ITU-T X.691, clauses 11.5 to 11.9.
"""

from __future__ import annotations

from collections.abc import Iterator

from gentwin.signaling.errors import DecodeError
from gentwin.signaling.values import base

FRAGMENT = 16384  # units; longer values are written in fragments of one to four times this many
MOST_BITS = 511  # of a number without bounds


def octets_of(number: int) -> int:
    """Returns how many octets a number from 0 on takes, at least one."""
    return (number.bit_length() + 7) // 8 or 1


class Reader(base.Reader):
    """Bits of some octets, read in order and from octet boundaries where the rules say so."""

    __slots__ = ()

    def align(self) -> None:
        """Goes to the next octet boundary.

        Raises:
            DecodeError: If the bits before it are not zero.
        """
        padding = -self.place & 7
        if padding and self.uint(padding):
            raise DecodeError("padding bits must be 0", (self.place - 1) >> 3)

    def constrained(self, span: int) -> int:
        """Returns a number between 0 and `span`.

        Raises:
            DecodeError: If it is larger, or in more octets than it needs.
        """
        if span < 255:
            number = self.uint(span.bit_length())
        elif span < 65536:
            self.align()
            number = self.uint(octets_of(span) * 8)
        else:
            count = self.constrained(octets_of(span) - 1) + 1
            self.align()
            number = self.uint(count * 8)
            if octets_of(number) != count:
                raise DecodeError(f"{number} is in {count} octets", self.place >> 3)
        if number > span:
            raise DecodeError(f"number must be at most {span}, got {number}", self.place >> 3)
        return number

    def unconstrained(self) -> int:
        """Returns a number with sign.

        Raises:
            DecodeError: If it is in more octets than it needs, or has more than 511 bits.
        """
        data = self.counted_octets()
        number = int.from_bytes(data, "big", signed=True)
        if number.bit_length() > MOST_BITS or data != _signed_octets(number):
            raise DecodeError(f"number is in {len(data)} octets", self.place >> 3)
        return number

    def fragments(self) -> Iterator[int]:
        """Yields how many units come next; the caller reads them before it asks for more.

        Raises:
            DecodeError: If there would have been a shorter way to say so.
        """
        blocks = 4
        while True:
            self.align()
            count = self.uint(8)
            if count < 128:
                break
            if count < 192:
                count = (count & 63) << 8 | self.uint(8)
                if count < 128:
                    raise DecodeError(f"length {count} is in two octets", self.place >> 3)
                break
            if blocks < 4 or not 192 < count <= 196:
                raise DecodeError(f"fragment must be the longest possible, got {count:#x}", self.place >> 3)
            blocks = count & 63
            yield blocks * FRAGMENT
        yield count

    def counted_octets(self) -> bytes:
        """Returns octets that are preceded by their number."""
        self.align()
        start = self.place >> 3
        if self.place < self.end and self.data[start] < 128:  # nearly always, so it has a short way
            self.place += 8
            return self.octets(self.data[start])
        return b"".join([self.octets(count) for count in self.fragments()])


class Writer(base.Writer):
    """Bits, written in order and from octet boundaries where the rules say so."""

    __slots__ = ()

    def align(self) -> None:
        """Writes zeros up to the next octet boundary."""
        if self.bits:
            self.uint(0, -self.bits & 7)

    def constrained(self, number: int, span: int) -> None:
        """Writes a number between 0 and `span`."""
        if span < 255:
            self.uint(number, span.bit_length())
        elif span < 65536:
            self.align()
            self.uint(number, octets_of(span) * 8)
        else:
            count = octets_of(number)
            self.constrained(count - 1, octets_of(span) - 1)
            self.align()
            self.uint(number, count * 8)

    def unconstrained(self, number: int) -> None:
        """Writes a number with sign."""
        self.counted_octets(_signed_octets(number))

    def fragments(self, total: int) -> Iterator[int]:
        """Writes lengths and yields how many units the caller writes after each."""
        while total >= FRAGMENT:
            blocks = min(total // FRAGMENT, 4)
            self.align()
            self.uint(192 | blocks, 8)
            yield blocks * FRAGMENT
            total -= blocks * FRAGMENT
        self.align()
        if total < 128:
            self.uint(total, 8)
        else:
            self.uint(1 << 15 | total, 16)
        yield total

    def counted_octets(self, data: bytes) -> None:
        """Writes octets, their number first."""
        start = 0
        for count in self.fragments(len(data)):
            self.octets(data[start : start + count])
            start += count


def _signed_octets(number: int) -> bytes:
    """Returns the fewest octets that hold a number in two's complement."""
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)
