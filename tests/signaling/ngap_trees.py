"""Random NGAP fields, made from what the specification allows, and bytes of known messages."""

from __future__ import annotations

from random import Random
from typing import Any

from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NGAP, Message
from gentwin.signaling.ngap import (
    BitString,
    Choice,
    Element,
    Elements,
    Enumerated,
    Integer,
    Kind,
    Null,
    OctetString,
    Sequence,
    SequenceOf,
    Text,
    schema,
)
from gentwin.signaling.ngap.leaves import Sized

CHARACTERS = {"printable": "azAZ09 '()+,-./:=?", "visible": "azAZ09 ~{}@", "utf8": "azäß€😀"}
UNKNOWN = ("opaque", Fields.of(id=60000, criticality="ignore", value=b"ab"))


def random_message(name: str, random: Random) -> Message:
    """Returns a message that is allowed, with more or fewer of its optional parts."""
    return Message(NGAP, name, random_value(schema(name).content, random, random.choice((0.2, 0.5, 0.7))))


def random_value(kind: Kind, random: Random, share: float) -> Any:
    """Returns a value of a kind; `share` of the optional parts are there, fewer further in."""
    match kind:
        case Null():
            return Fields()
        case Integer():
            return _number(kind, random)
        case Enumerated():
            return random.choice(kind.values + kind.extension_values)
        case BitString():
            return _bits(kind, random)
        case OctetString():
            return _octets(kind, random, share)
        case Text():
            return "".join(random.choice(CHARACTERS[kind.charset]) for _ in range(_size(kind, random, 20)))
        case Sequence():
            present = [part for part in kind.components if not part.optional or random.random() < share]
            return Fields((part.name, random_value(part.kind, random, share * 0.8)) for part in present)
        case SequenceOf():
            count = min(kind.upper, kind.lower + int(random.random() ** 3 * 4))
            return Fields(("item", random_value(kind.item, random, share * 0.8)) for _ in range(count))
        case Choice():
            chosen = random.choice(kind.alternatives)
            return Fields(((chosen.name, random_value(chosen.kind, random, share * 0.8)),))
        case Elements():
            return _elements(kind, random, share)
    raise TypeError(kind)


def _number(kind: Integer, random: Random) -> int:
    if kind.extensible and random.random() < 0.15:
        return random.choice((kind.upper + 1, kind.upper + random.randrange(1, 10**6), kind.lower - 1, -(10**9)))
    low, high = random.choice(kind.ranges)
    return random.choice((low, high, random.randint(low, high), min(high, low + random.randrange(300))))


def _size(kind: Sized, random: Random, more: int) -> int:
    upper = kind.lower + more if kind.upper is None else kind.upper
    if kind.extensible and random.random() < 0.1:
        return upper + 1 + random.randrange(3)
    return min(upper, kind.lower + random.randrange(more + 1))


def _bits(kind: BitString, random: Random) -> Bits | str:
    size = _size(kind, random, 200)
    if kind.notation and (size in (32, 128) or random.random() < 0.6):
        return random.choice(("10.0.0.1", "2001:db8::1"))
    return Bits(random.getrandbits(size) if size else 0, size)


def _octets(kind: OctetString, random: Random, share: float) -> Any:
    if kind.contains:
        return random_value(kind.contains, random, share)
    if kind.notation:
        return random.choice(("999-70", "001-001", b"\xff\xff\xff"))
    return random.randbytes(_size(kind, random, 40))


def _elements(kind: Elements, random: Random, share: float) -> Fields:
    def pair(element: Element) -> tuple[str, Any]:
        return element.name, random_value(element.kind, random, share * 0.8)

    if kind.form == "single":
        return Fields((pair(random.choice(kind.elements)) if kind.elements else UNKNOWN,))
    pairs = [pair(known) for known in kind.elements if known.presence == "mandatory" or random.random() < share]
    while len(pairs) < kind.lower:
        pairs.append(pair(random.choice(kind.elements)) if kind.elements else UNKNOWN)
    return Fields(pairs)
