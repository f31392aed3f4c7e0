"""Value types around others: lists, lengths, frames, and the bytes themselves where a type does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from gentwin.signaling.errors import DecodeError, EncodeError, SignalingError
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.values.base import LONGEST, Kind, Reader, Writer, check, closest
from gentwin.signaling.values.leaves import Octets
from gentwin.signaling.values.structures import Hidden, write_field

CACHED_VALUES, CACHED_OCTETS = 8192, 64  # of all types: so many values, of at most so many octets


class ListOf(Kind):
    """Items of one type, as fields of one name: counted by the structure around, else all that are left."""

    counted = True

    def __init__(self, name: str, item: Kind, low: int = 1, high: int = LONGEST) -> None:
        self.name, self.item, self.low, self.high = name, item, low, high

    @property
    def min_bits(self) -> int:
        return self.low * self.item.min_bits

    @property
    def max_bits(self) -> int:
        return self.high * self.item.max_bits

    @cached_property
    def exact(self) -> bool:
        return self.item.exact

    def read(self, reader: Reader, count: int | None = None) -> Fields:
        items = []
        while reader.left if count is None else len(items) < count:
            place = reader.place
            items.append((self.name, self.item.read(reader)))
            if reader.place == place or len(items) > self.high:
                raise DecodeError(f"more than {self.high} items, or an empty one", place >> 3)
        if len(items) < self.low:
            raise DecodeError(f"{len(items)} items are less than {self.low}", reader.place >> 3)
        return Fields(items)

    def write(self, writer: Writer, value: Any) -> None:
        check(isinstance(value, Fields), f"fields named `{self.name}`", value)
        if not self.low <= len(value) <= self.high:
            raise EncodeError("", f"must have {self.low} to {self.high} fields `{self.name}`, got {len(value)}")
        for name, item in value:
            if name != self.name:
                raise EncodeError(name, f"is no field here; {closest(name, [self.name])}")
            write_field(writer, name, self.item, {name: item})


class Entry(NamedTuple):
    """An item that a tag announces.

    Args:
        name: Of its field.
        kind: Its value type.
        length_bits: Size of its length, if not as in the rest of the list.
    """

    name: str
    kind: Kind
    length_bits: int | None = None


class Tagged(Kind):
    """Items that begin with a tag, each a field with the tag's name.

    An item of a tag without entry is the field `unknown_0x…` with opaque bytes. An item that is not of its type is
    opaque bytes too. Both need a length.

    Args:
        tag_bits: Size of the tag.
        length_bits: Size of the length of an item, in octets, after the tag; 0 if there is none.
        entries: Item for each tag.
        low: Least number of items.
        high: Largest.
    """

    counted = True

    def __init__(
        self, tag_bits: int, length_bits: int, entries: Mapping[int, tuple[Any, ...]], low: int = 0, high: int = 255
    ) -> None:
        self.tag_bits, self.length_bits, self.low, self.high = tag_bits, length_bits, low, high
        self.entries = {tag: Entry(*entry) for tag, entry in entries.items()}
        self.tags = {entry.name: tag for tag, entry in self.entries.items()}
        self._kinds = {tag: self._with_length(entry) for tag, entry in self.entries.items()}
        self._unknown = self._with_length(Entry("", Octets(0, min(LONGEST, (1 << length_bits) - 1))))

    def _with_length(self, entry: Entry) -> Kind:
        bits = self.length_bits if entry.length_bits is None else entry.length_bits
        return Sized(Lossless(entry.kind), bits) if bits else entry.kind

    @property
    def min_bits(self) -> int:
        return self.low * self.tag_bits

    @property
    def max_bits(self) -> int:
        kinds = [*self._kinds.values(), *([self._unknown] if self.length_bits else [])]
        return self.high * (self.tag_bits + max(kind.max_bits for kind in kinds))

    @cached_property
    def exact(self) -> bool:
        return len(self.tags) == len(self.entries) and all(kind.exact for kind in self._kinds.values())

    def read(self, reader: Reader, count: int | None = None) -> Fields:
        items: list[tuple[str, Value]] = []
        while reader.left if count is None else len(items) < count:
            tag = reader.uint(self.tag_bits)
            if (tag not in self.entries and not self.length_bits) or len(items) >= self.high:
                raise DecodeError(f"no item has the tag {tag:#x}, or more than {self.high} items", reader.place >> 3)
            name = self.entries[tag].name if tag in self.entries else f"unknown_{tag:#0{2 + self.tag_bits // 4}x}"
            items.append((name, self._kinds.get(tag, self._unknown).read(reader)))
        if len(items) < self.low:
            raise DecodeError(f"{len(items)} items are less than {self.low}", reader.place >> 3)
        return Fields(items)

    def write(self, writer: Writer, value: Any) -> None:
        check(isinstance(value, Fields), "fields", value)
        if not self.low <= len(value) <= self.high:
            raise EncodeError("", f"must have {self.low} to {self.high} fields, got {len(value)}")
        for name, item in value:
            tag = self.tags[name] if name in self.tags else self._unknown_tag(name)
            writer.uint(tag, self.tag_bits)
            write_field(writer, name, self._kinds.get(tag, self._unknown), {name: item})

    def _unknown_tag(self, name: str) -> int:
        tag = number_in(name)
        if tag is None or tag >= 1 << self.tag_bits or tag in self.entries or not self.length_bits:
            raise EncodeError(name, f"is no field here; {closest(name, self.tags)}")
        return tag


def number_in(name: str) -> int | None:
    """Returns the number in the name of an unknown item, such as 127 in `unknown_0x7f`; None for other names."""
    try:
        return int(name[8:], 16) if name.startswith("unknown_0x") else None
    except ValueError:
        return None


class Sized(Kind):
    """A value with its length in octets in front."""

    def __init__(self, kind: Kind, bits: int = 8) -> None:
        self.kind, self.bits = kind, bits

    @property
    def names(self) -> frozenset[str]:
        """Names of all fields there may be, if the value has fields."""
        return self.kind.names

    @property
    def min_bits(self) -> int:
        return self.bits + self.kind.min_bits

    @property
    def max_bits(self) -> int:
        return self.bits + min(self.kind.max_bits, ((1 << self.bits) - 1) * 8)

    @cached_property
    def exact(self) -> bool:
        return self.kind.exact

    def read(self, reader: Reader) -> Any:
        part = reader.part(reader.uint(self.bits))
        value = self.kind.read(part)
        part.finish()
        return value

    def write(self, writer: Writer, value: Any) -> None:
        data = self.kind.encode(value)
        check(len(data) < 1 << self.bits, f"of at most {(1 << self.bits) - 1} octets", value)
        writer.uint(len(data), self.bits)
        writer.octets(data)


class Framed(Kind):
    """One value among hidden bits: `Framed(Fixed(1), UInt(3))` is a number after a spare bit."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts
        self.kind: Kind = next(part for part in parts if isinstance(part, Kind))
        hidden = sum(part.bits for part in parts if isinstance(part, Hidden))
        self.min_bits, self.max_bits = self.kind.min_bits + hidden, self.kind.max_bits + hidden

    @cached_property
    def exact(self) -> bool:
        return self.kind.exact

    def read(self, reader: Reader) -> Any:
        return next(value for value in [part.read(reader) for part in self.parts] if value is not None)

    def write(self, writer: Writer, value: Any) -> None:
        for part in self.parts:
            part.write(*((writer, value) if part is self.kind else (writer,)))


class Lossless(Kind):
    """A value in all octets that are left, or these octets themselves where the type would not write them like that.

    Short values are kept, so that those seen before cost one look-up.

    Args:
        kind: The type.
    """

    exact = True

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    @property
    def min_bits(self) -> int:
        return self.kind.min_bits

    @property
    def max_bits(self) -> int:
        return self.kind.max_bits

    def decode(self, data: bytes) -> Any:
        if isinstance(self.kind, Octets):
            return data
        return _decode_kept(self.kind, data) if len(data) <= CACHED_OCTETS else _decode_lossless(self.kind, data)

    def read(self, reader: Reader) -> Any:
        return self.decode(reader.octets())

    def write(self, writer: Writer, value: Any) -> None:
        if isinstance(value, bytes):
            writer.octets(value)
        else:
            self.kind.write(writer, value)


def _decode_lossless(kind: Kind, data: bytes) -> Any:
    try:
        value = kind.decode(data)
        return value if kind.exact or kind.encode(value) == data else data
    except SignalingError:
        return data


_decode_kept = lru_cache(CACHED_VALUES)(_decode_lossless)
