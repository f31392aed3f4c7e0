"""Value types of named parts: structures, choices between them, and what decides which parts are there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.values.base import Kind, Reader, Writer, check, closest, within
from gentwin.signaling.values.leaves import Digits, Enum, UInt


class Hidden:
    """Bits that are not in the tree."""

    names: frozenset[str] = frozenset()
    exact = True

    def __init__(self, bits: int) -> None:
        self.bits = self.min_bits = self.max_bits = bits


class Fixed(Hidden):
    """Bits that have one value: spare ones, or a constant."""

    def __init__(self, bits: int, value: int = 0) -> None:
        super().__init__(bits)
        self.value = value

    def read(self, reader: Reader) -> None:
        """Reads the bits.

        Raises:
            DecodeError: If they have another value.
        """
        found = reader.uint(self.bits)
        if found != self.value:
            raise DecodeError(f"{found} where only {self.value} may be", reader.place >> 3)

    def write(self, writer: Writer) -> None:
        """Writes the bits."""
        writer.uint(self.value, self.bits)


class Count(Hidden):
    """How many items the field `of` of the same structure has, less `minus`; with none there is no such field.

    A field that is no list counts as one item, for a count of one bit.
    """

    def __init__(self, bits: int, of: str, minus: int = 0) -> None:
        super().__init__(bits)
        self.of, self.minus = of, minus

    def items(self, values: Mapping[str, Value], kind: Kind) -> int:
        """Returns the number of items of type `kind` in the fields of a structure.

        Raises:
            EncodeError: If that cannot be written.
        """
        value = values.get(self.of)
        count = 0 if value is None else len(value) if kind.counted and isinstance(value, Fields) else 1
        if not self.minus <= count < self.minus + (1 << self.bits):
            high = self.minus + (1 << self.bits) - 1
            raise EncodeError(self.of, f"must have from {self.minus} to {high} items, got {count}")
        return count


class Size(Hidden):
    """Number of octets of the field `of` of the same structure, where it does not stand right before it."""

    def __init__(self, bits: int, of: str) -> None:
        super().__init__(bits)
        self.of, self.minus = of, 0

    def octets(self, values: Mapping[str, Value], kind: Kind) -> int:
        """Returns the number of octets of the field of type `kind`.

        Raises:
            EncodeError: If the field is missing, not of its type, or too long.
        """
        writer = Writer()
        write_field(writer, self.of, kind, values)
        size = len(writer.finish())
        if size >= 1 << self.bits:
            raise EncodeError(self.of, f"must have at most {(1 << self.bits) - 1} octets, got {size}")
        return size


class Condition(ABC):
    """Says whether a part of a structure is there."""

    @abstractmethod
    def holds(self, known: Mapping[str, Value], more: int) -> bool:
        """Returns whether the part is there.

        Args:
            known: Fields before it.
            more: Whether there is something for it: bits to read, or fields to write.
        """


class When(Condition):
    """A part is there when an earlier field has one of some values."""

    def __init__(self, field: str, *values: Value) -> None:
        self.field, self.values = field, values

    def holds(self, known: Mapping[str, Value], more: int) -> bool:
        return known.get(self.field) in self.values


class Unless(When):
    """A part is there when an earlier field has none of some values."""

    def holds(self, known: Mapping[str, Value], more: int) -> bool:
        return known.get(self.field) not in self.values


class IfMore(Condition):
    """A part is there when octets are left for it; optional ones after it can then only be there if it is."""

    def holds(self, known: Mapping[str, Value], more: int) -> bool:
        return more > 0


class Part(NamedTuple):
    """One part of a structure.

    Args:
        name: Of the field; None for bits that are not in the tree, and for a structure whose fields are put in here.
        kind: Its value type.
        condition: When it is there; always if None.
    """

    name: str | None
    kind: Any
    condition: Condition | None = None


class Struct(Kind):
    """Parts one after the other.

    Args:
        parts: Each `(name, kind)` or `(name, kind, condition)`; a hidden kind alone; or a structure alone, whose fields
            then belong to this one.
    """

    def __init__(self, *parts: Any) -> None:
        self.parts = tuple(Part(*part) if isinstance(part, tuple) else Part(None, part) for part in parts)
        self.kinds = {part.name: part.kind for part in self.parts if part.name}
        self.announced = {part.kind.of: part.kind for part in self.parts if isinstance(part.kind, Count | Size)}
        self.counts = {name for name, kind in self.announced.items() if isinstance(kind, Count)}

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all fields there may be."""
        return frozenset().union(*self._names)

    @cached_property
    def _names(self) -> tuple[frozenset[str], ...]:
        return tuple(frozenset({part.name}) if part.name else part.kind.names for part in self.parts)

    @cached_property
    def min_bits(self) -> int:
        always = (part for part in self.parts if part.condition is None and part.name not in self.counts)
        return sum(part.kind.min_bits for part in always)

    @cached_property
    def max_bits(self) -> int:
        return sum(part.kind.max_bits for part in self.parts)

    @cached_property
    def exact(self) -> bool:
        announced = [part for part in self.parts if part.name in self.announced or isinstance(part.kind, Count | Size)]
        return all(part.kind.exact for part in self.parts) and all(part.condition is None for part in announced)

    def read(self, reader: Reader) -> Fields:
        known: dict[str, Value] = {}
        announced: dict[str, int] = {}
        for name, kind, condition in self.parts:
            if condition is not None and not condition.holds(known, reader.left):
                continue
            if name is not None:
                if name not in self.announced:
                    known[name] = kind.read(reader)
                elif name in announced:
                    self._read_announced(reader, name, announced[name], known)
            elif isinstance(kind, Fixed):
                kind.read(reader)
            elif isinstance(kind, Count | Size):
                announced[kind.of] = reader.uint(kind.bits) + kind.minus
            else:
                known.update(kind.read(reader))
        return Fields(known.items())

    def _read_announced(self, reader: Reader, name: str, number: int, known: dict[str, Value]) -> None:
        """Reads a field with so many items, or of so many octets."""
        kind = self.kinds[name]
        if isinstance(self.announced[name], Size):
            part = reader.part(number)
            known[name] = kind.read(part)
            part.finish()
        elif number:
            known[name] = kind.read(reader, number) if kind.counted else kind.read(reader)

    def write(self, writer: Writer, value: Any) -> None:
        values = fields_of(value, self.names)
        ended = False
        for (name, kind, condition), names in zip(self.parts, self._names, strict=True):
            given = not names.isdisjoint(values)
            if condition is not None and not condition.holds(values, given):
                if given:
                    raise EncodeError(name or min(names & values.keys()), "must not be there with these fields")
                ended |= isinstance(condition, IfMore)
            elif isinstance(kind, Count):
                writer.uint(kind.items(values, self.kinds[kind.of]) - kind.minus, kind.bits)
            elif isinstance(kind, Size):
                writer.uint(kind.octets(values, self.kinds[kind.of]), kind.bits)
            elif isinstance(kind, Fixed):
                kind.write(writer)
            elif isinstance(condition, IfMore) and ended:
                raise EncodeError(name or min(names), "must not be there without the optional fields before it")
            elif name is None:
                kind.write(writer, Fields(pair for pair in value if pair[0] in kind.names))
            elif given or name not in self.counts:
                write_field(writer, name, kind, values)


def write_field(writer: Writer, name: str, kind: Kind, values: Mapping[str, Value]) -> None:
    """Writes one of some fields.

    Raises:
        EncodeError: If it is missing, or not of its type.
    """
    if name not in values:
        raise EncodeError(name, "is missing")
    try:
        kind.write(writer, values[name])
    except EncodeError as error:
        raise within(name, error) from None


def fields_of(value: Any, names: frozenset[str]) -> dict[str, Value]:
    """Returns fields by name.

    Raises:
        EncodeError: If the value has no fields, one of a name not in `names`, or one twice.
    """
    check(isinstance(value, Fields), "fields", value)
    values = dict(value)
    if len(values) != len(value):
        raise EncodeError(next(name for name in values if len(value.all(name)) > 1), "must not occur twice")
    unknown = next((name for name in values if name not in names), None)
    if unknown is not None:
        raise EncodeError(unknown, f"is no field here; {closest(unknown, names)}")
    return values


class Switch(Kind):
    """One of several structures, by a tag that becomes their first field.

    Args:
        name: Of the field with the tag.
        tag: Value type of the tag.
        cases: Structure for each value of the tag.
        otherwise: Structure for all other values; none if not given.
        at: None if the tag is in front of the structure; else the bit at which it is inside, where the structure has
            a `Fixed` of the same bits.
    """

    def __init__(
        self,
        name: str,
        tag: Enum | UInt,
        cases: Mapping[Any, Kind],
        otherwise: Kind | None = None,
        at: int | None = None,
    ) -> None:
        self.name, self.tag, self.cases, self.otherwise, self.at = name, tag, dict(cases), otherwise, at

    @cached_property
    def structures(self) -> tuple[Any, ...]:
        """All structures there may be."""
        return (*self.cases.values(), *(() if self.otherwise is None else (self.otherwise,)))

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all fields there may be."""
        return frozenset({self.name}).union(*(case.names for case in self.structures))

    @property
    def min_bits(self) -> int:
        return min(case.min_bits for case in self.structures) + (self.tag.bits if self.at is None else 0)

    @property
    def max_bits(self) -> int:
        return max(case.max_bits for case in self.structures) + (self.tag.bits if self.at is None else 0)

    @cached_property
    def exact(self) -> bool:
        return self.tag.exact and all(case.exact for case in self.structures)

    def read(self, reader: Reader) -> Fields:
        tag = self.tag.read(reader if self.at is None else Reader(reader.data, reader.place + self.at, reader.end))
        case = self.cases.get(tag, self.otherwise)
        if case is None:
            raise DecodeError(f"no `{self.name}` is {tag!r}", reader.place >> 3)
        return Fields(((self.name, tag), *case.read(reader)))

    def write(self, writer: Writer, value: Any) -> None:
        values = fields_of(value, self.names)
        write_field(writer if self.at is None else Writer(), self.name, self.tag, values)
        case = self.cases.get(values[self.name], self.otherwise)
        if case is None:
            known = ", ".join(map(repr, self.cases))
            raise EncodeError(self.name, f"must be one of {known}, got {values[self.name]!r}")
        case.write(writer, Fields(pair for pair in value if pair[0] != self.name))


class BySize(Kind):
    """One of several structures of named fields, by the number of octets left; no two have the same names."""

    def __init__(self, cases: Mapping[int, Struct]) -> None:
        self.cases = dict(cases)
        self.names = frozenset().union(*(case.names for case in cases.values()))
        self.min_bits, self.max_bits = min(cases) * 8, max(cases) * 8

    @cached_property
    def exact(self) -> bool:
        sizes = all(case.min_bits == case.max_bits == 8 * octets for octets, case in self.cases.items())
        return sizes and all(case.exact for case in self.cases.values())

    def read(self, reader: Reader) -> Fields:
        case = self.cases.get(reader.left >> 3)
        if case is None:
            raise DecodeError(f"{reader.left >> 3} octets are none of {sorted(self.cases)}", reader.place >> 3)
        return case.read(reader)

    def write(self, writer: Writer, value: Any) -> None:
        names = set(fields_of(value, self.names))
        case = next((case for case in self.cases.values() if case.names == names), None)
        if case is None:
            choices = " | ".join(", ".join(case.kinds) for case in self.cases.values())
            raise EncodeError("", f"must have the fields {choices}, got {', '.join(sorted(names)) or 'none'}")
        case.write(writer, value)


class Plmn(Struct):
    """Mobile country code and mobile network code in three octets.

    Source:
        TS 24.501 clause 9.11.3.4, figure 9.11.3.4.1.
    """

    exact = True

    def __init__(self) -> None:
        super().__init__(("mcc", Digits(3, 3)), ("mnc", Digits(2, 3)))
        self.min_bits = self.max_bits = 24

    def read(self, reader: Reader) -> Fields:
        plmn = _plmn_of(reader.octets(3))
        if plmn is None:
            raise DecodeError("octets of a PLMN are no decimal digits", reader.place >> 3)
        return plmn

    def write(self, writer: Writer, value: Any) -> None:
        values = fields_of(value, self.names)
        for name in ("mcc", "mnc"):
            write_field(Writer(), name, self.kinds[name], values)
        mcc, mnc = values["mcc"], values["mnc"].ljust(3, "f")
        writer.octets(bytes.fromhex(mcc[1] + mcc[0] + mnc[2] + mcc[2] + mnc[1] + mnc[0]))


@lru_cache(256)
def _plmn_of(data: bytes) -> Fields | None:
    digits = data.hex()
    mcc, mnc = digits[1] + digits[0] + digits[3], (digits[5] + digits[4] + digits[2]).removesuffix("f")
    return Fields((("mcc", mcc), ("mnc", mnc))) if (mcc + mnc).isdecimal() else None
