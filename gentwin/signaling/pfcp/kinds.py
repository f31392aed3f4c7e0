"""Value types that only PFCP needs, beside those of [`gentwin.signaling.values`][]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.values import Count, Fixed, Flags, Kind, Reader, Struct, When, Writer
from gentwin.signaling.values.structures import fields_of, write_field

CACHED_FLAGS = 1024


class GrowingFlags(Flags):
    """Flags in as many octets as the highest one that is set needs, as each release has more of them.

    Args:
        names: As in [`Flags`][gentwin.signaling.values.Flags], in whole octets.
        least: Number of octets at least.
    """

    exact = False

    def __init__(self, names: str, least: int) -> None:
        super().__init__(names)
        self.least, self.min_bits = least, least * 8

    def read(self, reader: Reader) -> str:
        data = reader.octets()
        if not self.min_bits <= 8 * len(data) <= self.max_bits:
            least, most = self.least, self.max_bits >> 3
            raise DecodeError(f"{len(data)} octets of flags are not from {least} to {most}", reader.place >> 3)
        return super().read(Reader(data.ljust(self.max_bits >> 3, b"\0")))

    def write(self, writer: Writer, value: Any) -> None:
        whole = Writer()
        super().write(whole, value)
        writer.octets(whole.finish().rstrip(b"\0").ljust(self.least, b"\0"))


class SomeFlags(Flags):
    """Flags of which at least one is set."""

    def read(self, reader: Reader) -> str:
        value = super().read(reader)
        if not value:
            raise DecodeError(f"none of the flags {', '.join(self.places)}", reader.place >> 3)
        return value

    def write(self, writer: Writer, value: Any) -> None:
        super().write(writer, value)
        if not value.split():
            raise EncodeError("", f"must be at least one of {', '.join(self.places)}, got {value!r}")


class OneOf(Kind):
    """The first of several types that fits all octets that are left.

    Structures among them differ in bits that are fixed, so that only one can be read, and in names of their fields.

    Args:
        kinds: The types, the usual one first.
    """

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self.min_bits, self.max_bits = min(kind.min_bits for kind in kinds), max(kind.max_bits for kind in kinds)
        self._names = [(kind, kind.names if isinstance(kind, Struct) else frozenset()) for kind in kinds]

    @cached_property
    def exact(self) -> bool:
        earlier = ((kind, names) for place, kind in enumerate(self.kinds) for _, names in self._names[:place])
        return all(kind.exact for kind in self.kinds) and all(always_in(kind) - names for kind, names in earlier)

    def read(self, reader: Reader) -> Any:
        start, reasons = reader.place, []
        for kind in self.kinds:
            reader.place = start
            try:
                value = kind.read(reader)
                reader.finish()
                return value
            except DecodeError as error:
                reasons.append(error.reason)
        raise DecodeError("; ".join(reasons), start >> 3)

    def write(self, writer: Writer, value: Any) -> None:
        fields = isinstance(value, Fields)
        names = frozenset(value.names()) if fields else frozenset()
        fitting = [kind for kind, known in self._names if isinstance(kind, Struct) == fields and known >= names]
        fitting = fitting or [max(self._names, key=lambda entry: len(entry[1] & names))[0]]
        for kind in fitting[:-1]:
            try:
                writer.octets(kind.encode(value))
                return
            except EncodeError:
                continue
        fitting[-1].write(writer, value)


def always_in(kind: Kind) -> frozenset[str]:
    parts = kind.parts if isinstance(kind, Struct) else ()
    counted = {part.kind.of for part in parts if isinstance(part.kind, Count)}
    always = (part.name for part in parts if part.condition is None and part.name not in counted)
    return frozenset(name for name in always if name)


class Leaving(Kind):
    """A value in all octets but the last ones.

    Args:
        kind: Type of the value.
        octets: How many octets are left for what comes after it.
    """

    def __init__(self, kind: Kind, octets: int) -> None:
        self.kind, self.octets = kind, octets
        self.min_bits, self.max_bits, self.exact = kind.min_bits, kind.max_bits, kind.exact

    def read(self, reader: Reader) -> Any:
        part = reader.part(max(0, (reader.left >> 3) - self.octets))
        value = self.kind.read(part)
        part.finish()
        return value

    def write(self, writer: Writer, value: Any) -> None:
        self.kind.write(writer, value)


class Signed(Kind):
    """A number of so many bits in two's complement."""

    exact = True

    def __init__(self, bits: int) -> None:
        self.bits = self.min_bits = self.max_bits = bits
        self.low, self.high = -(1 << bits - 1), (1 << bits - 1) - 1

    def read(self, reader: Reader) -> int:
        value = reader.uint(self.bits)
        return value - (1 << self.bits) if value > self.high else value

    def write(self, writer: Writer, value: Any) -> None:
        if type(value) is not int or not self.low <= value <= self.high:
            raise EncodeError("", f"must be a number from {self.low} to {self.high}, got {value!r}")
        writer.uint(value & ((1 << self.bits) - 1), self.bits)


class Mac(Kind):
    """An Ethernet address as text: `02:00:00:00:00:01`."""

    exact = True
    min_bits = max_bits = 48

    def read(self, reader: Reader) -> str:
        return reader.octets(6).hex(":")

    def write(self, writer: Writer, value: Any) -> None:
        try:
            data = bytes.fromhex(value.replace(":", "")) if isinstance(value, str) else b""
        except ValueError:
            data = b""
        if len(data) != 6 or data.hex(":") != value:
            raise EncodeError("", f"must be an Ethernet address such as '02:00:00:00:00:01', got {value!r}")
        writer.octets(data)


class Presence(Struct):
    """Fields each of which a bit of the first octets says to be there, from the lowest bit on.

    A structure like others, made of `Fixed` bits, a `Count` of one bit for each field and the fields; as most contents
    of PFCP are of this form, in whole octets, it is read and written without looking at single bits.

    Args:
        fields: Name and value type of each field that may be there, in the order of the octets.
        bits: Their names in the order of their bits, the lowest first, if not that of the octets.
        always: Fields that come before them, and are always there.
        octets: Number of octets that the bits are in; they are in the first of them.
    """

    def __init__(
        self,
        fields: Mapping[str, Kind],
        bits: Sequence[str] = (),
        always: Mapping[str, Kind] | None = None,
        octets: int = 1,
    ) -> None:
        bits, always = bits or list(fields), dict(always or {})
        spare = [Fixed(8 - len(bits))] if len(bits) < 8 else []
        marks = [Count(1, name) for name in reversed(bits)]
        rest = [Fixed(8 * octets - 8)] if octets > 1 else []
        super().__init__(*spare, *marks, *rest, *always.items(), *fields.items())
        self.octets, self.shift = octets, 8 * octets - 8
        self.always = frozenset(always)
        self.marks = {name: 1 << place for place, name in enumerate(bits)}
        self.plan = [(name, kind, self.marks.get(name, 0)) for name, kind in (always | fields).items()]

    def read(self, reader: Reader) -> Fields:
        marks = reader.uint(8 * self.octets)
        left = marks >> self.shift
        pairs = []
        for name, kind, mark in self.plan:
            if not mark or left & mark:
                pairs.append((name, kind.read(reader)))
                left &= ~mark
        if left or marks & ((1 << self.shift) - 1):
            raise DecodeError(f"spare bits set in {marks:#x}", reader.place >> 3)
        return Fields(pairs)

    def write(self, writer: Writer, value: Any) -> None:
        values = fields_of(value, self.names)
        missing = self.always - values.keys()
        if missing:
            raise EncodeError(min(missing), "is missing")
        writer.uint(sum(self.marks.get(name, 0) for name in values) << self.shift, 8 * self.octets)
        for name, kind, _ in self.plan:
            if name in values:
                write_field(writer, name, kind, values)


class Flagged(When):
    """A part is there when an earlier field, of [`Flags`][gentwin.signaling.values.Flags], has one of some flags."""

    def holds(self, known: Mapping[str, Value], more: int) -> bool:
        flags = known.get(self.field)
        return isinstance(flags, str) and not _flags_in(flags).isdisjoint(self.values)


@lru_cache(CACHED_FLAGS)
def _flags_in(text: str) -> frozenset[str]:
    return frozenset(text.split())


class With(When):
    """A part is there when an earlier field is."""

    def holds(self, known: Mapping[str, Value], more: int) -> bool:
        return self.field in known
