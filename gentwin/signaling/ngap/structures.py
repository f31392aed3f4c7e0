"""Kinds of fields that hold other fields: sequences, choices and information elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Fields
from gentwin.signaling.ngap.leaves import Kind, Sized, decode_kept
from gentwin.signaling.ngap.per import Reader, Writer
from gentwin.signaling.values.base import check, closest, within

ITEM, OPAQUE, CRITICALITY = "item", "opaque", "criticality"
CRITICALITIES = ("reject", "ignore", "notify")
CRITICALITY_OCTETS = {number << 6: name for number, name in enumerate(CRITICALITIES)}


@dataclass(frozen=True, eq=False, slots=True)
class Component:
    """A part of a sequence, or an alternative of a choice.

    Args:
        name: Of the field, such as `pdu_session_id`.
        kind: What it holds.
        optional: Whether it may be absent.
    """

    name: str
    kind: Kind = field(repr=False)
    optional: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Sequence(Kind):
    """Components in a fixed order; fields with their names.

    Args:
        components: The parts.
        extensible: Whether later versions of the specification may add others; an element with those stays opaque.
    """

    components: tuple[Component, ...]
    extensible: bool
    names: frozenset[str] = field(init=False, repr=False)
    optional: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(known.name for known in self.components))
        object.__setattr__(self, "optional", sum(known.optional for known in self.components))

    def read(self, reader: Reader) -> Fields:
        if self.extensible and reader.uint(1):
            raise DecodeError(f"additions to {self.type_name or 'a sequence'} are not known", reader.place >> 3)
        present = reader.uint(self.optional)
        place, pairs = self.optional, []
        for known in self.components:
            if known.optional:
                place -= 1
                if not present >> place & 1:
                    continue
            pairs.append((known.name, known.kind.read(reader)))
        return Fields(pairs)

    def write(self, writer: Writer, value: Any) -> None:
        values = self._values(value)
        present = 0
        for known in self.components:
            if known.optional:
                present = present << 1 | (known.name in values)
            elif known.name not in values:
                raise EncodeError(known.name, f"is missing from {', '.join(values) or 'no fields'}; give it a value")
        writer.uint(present, self.extensible + self.optional)
        for known in self.components:
            if known.name in values:
                try:
                    known.kind.write(writer, values[known.name])
                except EncodeError as error:
                    raise within(known.name, error) from None

    def _values(self, value: Any) -> dict[str, Any]:
        check(isinstance(value, Fields), f"fields of {self.type_name or 'a sequence'}", value)
        values = dict(value)
        if len(values) != len(value):
            name = next(name for name in values if len(value.all(name)) > 1)
            raise EncodeError(name, f"must be there once, got {len(value.all(name))} of them")
        for name in values:
            if name not in self.names:
                raise EncodeError(name, f"is no field of {self.type_name or 'a sequence'}; {closest(name, self.names)}")
        return values


@dataclass(frozen=True, eq=False, slots=True)
class SequenceOf(Sized):
    """Items of one kind; fields that are all called `item`.

    Args:
        item: What every item holds.
    """

    item: Kind

    def read(self, reader: Reader) -> Fields:
        pairs: list[tuple[str, Any]] = []
        for count in self.read_sizes(reader):
            if count > reader.left:
                raise DecodeError(f"{count} items expected in {reader.left} bits", reader.place >> 3)
            pairs.extend([(ITEM, self.item.read(reader)) for _ in range(count)])
        return Fields(pairs)

    def write(self, writer: Writer, value: Any) -> None:
        check(isinstance(value, Fields), f"fields called `{ITEM}`", value)
        place = 0
        for count in self.write_sizes(writer, len(value)):
            for name, item in value[place : place + count]:
                if name != ITEM:
                    raise EncodeError(name, f"must be called `{ITEM}`")
                try:
                    self.item.write(writer, item)
                except EncodeError as error:
                    raise within(f"{ITEM}[{place}]", error) from None
                place += 1


@dataclass(frozen=True, eq=False, slots=True)
class Choice(Kind):
    """One of some alternatives; fields with exactly one entry.

    Args:
        alternatives: In their order.
    """

    alternatives: tuple[Component, ...]
    places: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places = {known.name: place for place, known in enumerate(self.alternatives)}
        object.__setattr__(self, "places", places)

    def read(self, reader: Reader) -> Fields:
        chosen = self.alternatives[reader.constrained(len(self.alternatives) - 1)]
        return Fields(((chosen.name, chosen.kind.read(reader)),))

    def write(self, writer: Writer, value: Any) -> None:
        check(isinstance(value, Fields) and len(value) == 1, f"fields with one of {', '.join(self.places)}", value)
        name, inner = value[0]
        if name not in self.places:
            raise EncodeError(name, f"is no choice of {self.type_name or 'these'}; {closest(name, self.places)}")
        place = self.places[name]
        writer.constrained(place, len(self.alternatives) - 1)
        try:
            self.alternatives[place].kind.write(writer, inner)
        except EncodeError as error:
            raise within(name, error) from None


@dataclass(frozen=True, eq=False, slots=True)
class Element:
    """An information element, which is found by its identifier.

    Args:
        name: Of the field, such as `amf_ue_ngap_id`.
        kind: What it holds.
        identifier: Its number in the specification, 0 to 65535.
        criticality: What a receiver does that does not know it: `reject`, `ignore` or `notify`.
        presence: `mandatory`, `optional` or `conditional`.
    """

    name: str
    kind: Kind = field(repr=False)
    identifier: int
    criticality: str
    presence: str


@dataclass(frozen=True, eq=False, slots=True)
class Elements(Kind):
    """Information elements; fields with their names, in the order in which they are sent.

    A field `criticality` says that of the element before it where it is not that of the specification. An element that
    is unknown or not well-formed is a field `opaque` with `id`, `criticality` and `value`.

    Args:
        elements: Those that there may be, in the order of the specification.
        form: `list`; `sequence`, a list that is all of an extensible sequence and takes its place in the tree;
            `single`, exactly one element.
        lower: Smallest number of elements.
        upper: Largest number of elements.
    """

    elements: tuple[Element, ...]
    form: str
    lower: int
    upper: int
    by_identifier: Mapping[int, Element] = field(init=False, repr=False)
    by_name: Mapping[str, Element] = field(init=False, repr=False)
    mandatory: Mapping[int, Element] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        required = [known for known in self.elements if known.presence == "mandatory" and self.form != "single"]
        object.__setattr__(self, "by_identifier", {known.identifier: known for known in self.elements})
        object.__setattr__(self, "by_name", {known.name: known for known in self.elements})
        object.__setattr__(self, "mandatory", {known.identifier: known for known in required})

    def read(self, reader: Reader) -> Fields:
        if self.form == "sequence" and reader.uint(1):
            raise DecodeError(f"additions to {self.type_name} are not known", reader.place >> 3)
        count = 1 if self.form == "single" else self.lower + reader.constrained(self.upper - self.lower)
        pairs: list[tuple[str, Any]] = []
        missing = dict(self.mandatory)
        for _ in range(count):
            missing.pop(self._read_element(reader, pairs), None)
        for known in missing.values():
            raise DecodeError(f"mandatory `{known.name}` is missing", reader.place >> 3)
        return Fields(pairs)

    def _read_element(self, reader: Reader, pairs: list[tuple[str, Any]]) -> int:
        identifier, criticality, data = _read_envelope(reader)
        known = self.by_identifier.get(identifier)
        try:
            if known is None:
                raise DecodeError(f"element {identifier} is not known")
            pairs.append((known.name, decode_kept(known.kind, data)))
            if criticality != known.criticality:
                pairs.append((CRITICALITY, criticality))
        except DecodeError:
            pairs.append((OPAQUE, Fields.of(id=identifier, criticality=criticality, value=data)))
        return identifier

    def write(self, writer: Writer, value: Any) -> None:
        check(isinstance(value, Fields), f"fields of {self.type_name or 'elements'}", value)
        written = self._written(value)
        missing = self.mandatory.keys() - {identifier for identifier, _, _ in written}
        if missing:
            raise EncodeError(self.mandatory[min(missing)].name, "is mandatory and missing; give it a value")
        lower, upper = (1, 1) if self.form == "single" else (self.lower, self.upper)
        check(lower <= len(written) <= upper, f"{lower} to {upper} elements", len(written))
        if self.form == "sequence":
            writer.uint(0, 1)
        if self.form != "single":
            writer.constrained(len(written) - self.lower, self.upper - self.lower)
        for identifier, criticality, data in written:
            writer.align()
            writer.uint(identifier << 8 | criticality << 6, 24)
            writer.counted_octets(data)

    def _written(self, value: Fields) -> list[tuple[int, int, bytes]]:
        """Returns identifier, criticality and content of every element."""
        written: list[tuple[int, int, bytes]] = []
        for place, (name, inner) in enumerate(value):
            if name == CRITICALITY:
                if not place or value[place - 1][0] in (OPAQUE, CRITICALITY):
                    raise EncodeError(name, "must come after the element it belongs to")
                written[-1] = (written[-1][0], criticality_number(inner), written[-1][2])
            elif name == OPAQUE:
                written.append(_opaque(inner))
            elif name in self.by_name:
                known = self.by_name[name]
                try:
                    data = known.kind.encode(inner)
                except EncodeError as error:
                    raise within(name, error) from None
                written.append((known.identifier, CRITICALITIES.index(known.criticality), data))
            else:
                raise EncodeError(name, f"is no element of {self.type_name or 'these'}; {closest(name, self.by_name)}")
        return written


def _read_envelope(reader: Reader) -> tuple[int, str, bytes]:
    """Returns identifier, criticality and content of an element."""
    reader.align()
    start, octets = reader.place >> 3, reader.data
    if reader.place + 32 <= reader.end and octets[start + 3] < 128:
        # Nearly all are as short as that, and are read at once.
        identifier, critical = octets[start] << 8 | octets[start + 1], octets[start + 2]
        reader.place += 32
        content = reader.octets(octets[start + 3])
    else:
        head = reader.uint(24)
        identifier, critical, content = head >> 8, head & 255, reader.counted_octets()
    if critical not in CRITICALITY_OCTETS:
        raise DecodeError(f"must be criticality 0 to 2 and padding, got {critical:#x}", start + 2)
    return identifier, CRITICALITY_OCTETS[critical], content


def criticality_number(criticality: Any) -> int:
    """Returns the number of a criticality.

    Raises:
        EncodeError: If it is none.
    """
    if criticality not in CRITICALITIES:
        raise EncodeError(CRITICALITY, f"must be one of {', '.join(CRITICALITIES)}, got {criticality!r}")
    return CRITICALITIES.index(criticality)


def _opaque(value: Any) -> tuple[int, int, bytes]:
    """Returns identifier, criticality and content of an element that is not known or not well-formed."""
    if not isinstance(value, Fields) or sorted(value.names()) != ["criticality", "id", "value"]:
        raise EncodeError(OPAQUE, f"must be fields `id`, `criticality` and `value`, got {value!r}")
    identifier, data = value["id"], value["value"]
    if type(identifier) is not int or not 0 <= identifier < 65536:
        raise EncodeError(f"{OPAQUE}.id", f"must be a number from 0 to 65535, got {identifier!r}")
    if not isinstance(data, bytes):
        raise EncodeError(f"{OPAQUE}.value", f"must be bytes, got {data!r}")
    return identifier, criticality_number(value["criticality"]), data
