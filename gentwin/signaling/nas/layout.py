"""How the bytes of one message type are read and written, worked out once from its elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Bits, Fields, Value
from gentwin.signaling.messages import Message
from gentwin.signaling.nas.elements import SESSION, Carried, Depending, Element, MessageType
from gentwin.signaling.values import Kind, Lossless, Octets, Reader, UInt
from gentwin.signaling.values.base import closest, span, within
from gentwin.signaling.values.lists import number_in

SPARE, HEADER_SPARE, TRAILING = "spare_half_octet", "header_spare_half_octet", "trailing"
SPARE_BITS = UInt(4, 1)

Pairs = list[tuple[str, Value]]
Step = Callable[[bytes, int, Pairs, int], int]
"""Reads an element of bytes at a place, adds its field, and returns the place after it; at a depth of messages."""


class Layout:
    """Reads and writes the elements of one message type.

    Args:
        message: The type.
        carried: Returns the message in some bytes, for a type of messages and a depth, or the bytes if there is none.
        encode: Returns the bytes of a carried message at a depth.
    """

    def __init__(
        self,
        message: MessageType,
        carried: Callable[[bytes, Carried, int], Message | bytes],
        encode: Callable[[Any, Carried, int], bytes],
    ) -> None:
        self.message, self.carried, self.encode = message, carried, encode
        mandatory = list(message.mandatory.values())
        self.header = mandatory[:2] if message.discriminator == SESSION else []
        self.groups = list(_octets_of(mandatory[len(self.header) :]))
        self.has_spare = any(len(group) == 1 and group[0].is_half for group in self.groups)
        self.steps = [self._mandatory_step(group) for group in self.groups]
        self.table = list(UNKNOWN)
        for element in message.optional.values():
            steps = self._optional_steps(element)
            self.table[element.identifier : element.identifier + len(steps)] = steps

    # ---------------------------------------------------------------- reading

    def read(self, data: bytes, place: int, pairs: Pairs, depth: int) -> Fields:
        """Returns the fields of the elements from a place on.

        Args:
            data: The message.
            place: Octet after the message type.
            pairs: Fields before, which the others are added to.
            depth: Number of messages around this one.

        Raises:
            DecodeError: If the bytes end before the mandatory elements do.
        """
        end = len(data)
        for step in self.steps:
            after = step(data, place, pairs, depth)
            if after > end:
                name = self.groups[self.steps.index(step)][0].name
                raise DecodeError(f"`{name}` goes on after the last of {end} octets", place)
            place = after
        while place < end:
            after = self.table[data[place]](data, place, pairs, depth)
            if after > end:
                pairs.append((TRAILING, data[place:]))
                break
            place = after
        return Fields(pairs)

    def _mandatory_step(self, group: tuple[Element, ...]) -> Step:
        return _halves_step(*group) if group[0].is_half else self._value_step(group[0], 0)

    def _optional_steps(self, element: Element) -> list[Step]:
        """Returns the step for each octet that an element can begin with."""
        if element.is_half:
            return [_one_octet_step((element.name, value)) for value in _nibbles(element.kind)]
        return [self._value_step(element, 1)]

    def _value_step(self, element: Element, before: int) -> Step:
        """Returns the step for a value after so many octets of identifier: with length, of fixed size, or the rest."""
        name, length, size = element.name, element.format.length_octets, element.max_octets
        fixed = element.min_octets == size
        decode, inside = self._decoder(element.kind), isinstance(element.kind, Carried | Depending)

        def read_sized(data: bytes, place: int, pairs: Pairs, depth: int) -> int:
            start = place + before + length
            end = start + int.from_bytes(data[place + before : start], "big")
            if start <= len(data) >= end:
                octets = data[start:end]
                pairs.append((name, decode(octets, pairs, depth) if inside else decode(octets)))
            return max(start, end)

        def read_value(data: bytes, place: int, pairs: Pairs, depth: int) -> int:
            start = place + before
            end = start + size if fixed else len(data)
            if end <= len(data):
                octets = data[start:end]
                pairs.append((name, decode(octets, pairs, depth) if inside else decode(octets)))
            return end

        return read_sized if length else read_value

    def _decoder(self, kind: Kind) -> Callable[..., Any]:
        """Returns what decodes a value from its octets; one with messages, from the fields before and the depth too."""
        if isinstance(kind, Carried):
            return lambda data, pairs, depth: self.carried(data, kind, depth)
        if isinstance(kind, Depending):
            return lambda data, pairs, depth: self._decode_depending(data, kind, pairs, depth)
        return bytes if isinstance(kind, Octets) else Lossless(kind).decode

    def _decode_depending(self, data: bytes, kind: Depending, pairs: Pairs, depth: int) -> Any:
        case = kind.case_after(pairs[-1] if pairs else None)
        if isinstance(case, Carried):
            return self.carried(data, case, depth)
        return data if case is None else Lossless(case).decode(data)

    # ---------------------------------------------------------------- writing

    def write_header(self, fields: Fields) -> bytes:
        """Returns the octets of the elements before the message type.

        Raises:
            EncodeError: If one is missing or not what its element can hold.
        """
        given = self._given(fields)
        return b"".join(self._group((element,), given, 0) for element in self.header)

    def write(self, fields: Fields, depth: int) -> bytes:
        """Returns the octets of the elements after the message type.

        Args:
            fields: Of the message.
            depth: Number of messages around this one.

        Raises:
            EncodeError: If a field is unknown, missing or not what its element can hold.
        """
        given = self._given(fields)
        head = b"".join(self._group(group, given, depth) for group in self.groups)
        body = bytearray()
        before = None
        for field in fields:
            name, value = field
            if name in self.message.optional:
                body += self._element(self.message.optional[name], value, before, depth)
            elif name not in given:
                body += self._unknown(name, value)
            before = field
        tail = given.get(TRAILING, b"")
        if not isinstance(tail, bytes) or (TRAILING in given and fields[-1][0] != TRAILING):
            raise EncodeError(TRAILING, f"must be bytes in the last field, got {tail!r}")
        return head + bytes(body) + tail

    def _given(self, fields: Fields) -> dict[str, Value]:
        """Returns the fields that stand at a certain place, by name."""
        given: dict[str, Value] = {}
        for name, value in fields:
            if name in self.message.mandatory or name == TRAILING or (name == SPARE and self.has_spare):
                if name in given:
                    raise EncodeError(name, "must not occur twice")
                given[name] = value
        return given

    def _group(self, group: tuple[Element, ...], given: dict[str, Value], depth: int) -> bytes:
        """Returns the bytes of a mandatory element, or of two in one octet."""
        for element in group:
            if element.name not in given:
                raise EncodeError(element.name, f"is missing; `{self.message.name}` must have it")
        element = group[0]
        if not element.is_half:
            says = element.kind.element if isinstance(element.kind, Depending) else None
            return self._element(element, given[element.name], (says, given.get(says)), depth)
        low = self._nibble(group[0].name, group[0].kind, given[group[0].name])
        if len(group) == 2:
            return bytes([self._nibble(group[1].name, group[1].kind, given[group[1].name]) << 4 | low])
        return bytes([(self._nibble(SPARE, SPARE_BITS, given[SPARE]) if SPARE in given else 0) << 4 | low])

    def _element(self, element: Element, value: Any, before: tuple[str, Value] | None, depth: int) -> bytes:
        """Returns the bytes of an element with identifier and length, after the field that may say its type."""
        if element.is_half:
            return bytes([element.identifier | self._nibble(element.name, element.kind, value)])
        try:
            content = self._content(element.kind, value, before, depth)
        except EncodeError as error:
            raise within(element.name, error) from None
        length = element.format.length_octets
        low, high = (0, (1 << 8 * length) - 1) if length else (element.min_octets, element.max_octets)
        if not low <= len(content) <= high:
            raise EncodeError(element.name, f"must have {span(low, high)} octets, got {len(content)}")
        identifier = b"" if element.identifier is None else bytes([element.identifier])
        return identifier + (len(content).to_bytes(length, "big") if length else b"") + content

    def _content(self, kind: Kind, value: Any, before: tuple[str, Value] | None, depth: int) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(kind, Depending):
            kind = kind.case_after(before) or kind
        if isinstance(value, Message) and isinstance(kind, Carried):
            return self.encode(value, kind, depth)
        return kind.encode(value)

    @staticmethod
    def _nibble(name: str, kind: Kind, value: Any) -> int:
        if isinstance(value, Bits) and value.size == 4 and 0 <= value.value < 16:
            return value.value
        try:
            return kind.encode(value)[0] >> 4
        except EncodeError as error:
            raise within(name, error) from None

    def _unknown(self, name: str, value: Any) -> bytes:
        identifier = number_in(name)
        if identifier is None or identifier > 255 or self.table[identifier] is not UNKNOWN[identifier]:
            known = [*self.message.mandatory, *self.message.optional]
            raise EncodeError(name, f"is no field of `{self.message.name}`; {closest(name, known)}")
        length = _unknown_length(identifier)
        if not isinstance(value, bytes) or len(value) >= 1 << 8 * length:
            raise EncodeError(name, f"must be at most {(1 << 8 * length) - 1} bytes, got {value!r}")
        return bytes([identifier]) + len(value).to_bytes(length, "big") + value


def _octets_of(elements: list[Element]) -> Iterable[tuple[Element, ...]]:
    """Yields mandatory elements alone, or two half octets that share one."""
    waiting: Element | None = None
    for element in elements:
        if waiting is not None:
            yield (waiting, element) if element.is_half else (waiting,)
            shared, waiting = element.is_half, None
            if shared:
                continue
        if element.is_half:
            waiting = element
        else:
            yield (element,)
    if waiting is not None:
        yield (waiting,)


@cache
def _nibbles(kind: Kind) -> list[Any]:
    """Returns the value of each of the 16 half octets: its four bits where it is none of the type."""
    values: list[Any] = []
    for number in range(16):
        try:
            value = kind.read(Reader(bytes([number << 4]), 0, 4))
            values.append(value if kind.encode(value)[0] >> 4 == number else Bits(number, 4))
        except DecodeError:
            values.append(Bits(number, 4))
    return values


def _halves_step(low: Element, high: Element | None = None) -> Step:
    lows = [(low.name, value) for value in _nibbles(low.kind)]
    highs = [(high.name, value) for value in _nibbles(high.kind)] if high else None

    def step(data: bytes, place: int, pairs: Pairs, depth: int) -> int:
        if place < len(data):
            octet = data[place]
            if octet >> 4 and not highs:
                pairs.append((SPARE, octet >> 4))
            pairs.append(lows[octet & 15])
            if highs:
                pairs.append(highs[octet >> 4])
        return place + 1

    return step


def _one_octet_step(pair: tuple[str, Value]) -> Step:
    def step(data: bytes, place: int, pairs: Pairs, depth: int) -> int:
        pairs.append(pair)
        return place + 1

    return step


def _unknown_length(identifier: int) -> int:
    """Returns the size of the length of an unknown element.

    Source:
        TS 24.007 clause 11.2.4.
    """
    return 0 if identifier >= 0x80 else 2 if identifier >= 0x70 else 1


def _unknown_step(identifier: int) -> Step:
    name, length = f"unknown_{identifier:#04x}", _unknown_length(identifier)
    if not length:
        return _one_octet_step((name, b""))

    def step(data: bytes, place: int, pairs: Pairs, depth: int) -> int:
        start = place + 1 + length
        end = start + int.from_bytes(data[place + 1 : start], "big")
        if start <= len(data) >= end:
            pairs.append((name, data[start:end]))
        return max(start, end)

    return step


UNKNOWN = [_unknown_step(identifier) for identifier in range(256)]
