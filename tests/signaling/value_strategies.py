"""Random valid values of a value type, drawn from nothing but its description."""

from __future__ import annotations

import ipaddress
import string

from hypothesis import strategies as st

from gentwin.signaling import values as v
from gentwin.signaling.fields import Fields

MANY = 3  # items drawn above the least number of them
BASIC = st.characters(min_codepoint=32, max_codepoint=0x2FFF)
LABELS = st.lists(st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=8), min_size=1, max_size=3)


def upto(low: int, high: int, many: int = 12) -> int:
    """Returns the largest number of items to draw."""
    return min(high, low + many)


def values_of(kind: v.Kind) -> st.SearchStrategy:
    """Returns a strategy of valid values of a type."""
    if isinstance(kind, v.Plmn):
        return st.builds(
            lambda mcc, mnc: Fields.of(mcc=mcc, mnc=mnc),
            st.text(string.digits, min_size=3, max_size=3),
            st.text(string.digits, min_size=2, max_size=3),
        )
    return STRATEGIES[next(base for base in type(kind).__mro__ if base in STRATEGIES)](kind)


@st.composite
def struct_values(draw: st.DrawFn, kind: v.Struct) -> Fields:
    pairs, known, ended = [], {}, False
    for part in kind.parts:
        if isinstance(part.kind, v.Hidden):
            continue
        optional = isinstance(part.condition, v.IfMore) or part.name in kind.counts
        there = (ended is False and draw(st.booleans())) if optional and not least_items(kind, part.name) else True
        if isinstance(part.condition, v.When):
            there = there and part.condition.holds(known, 1)
        ended |= isinstance(part.condition, v.IfMore) and not there
        if not there:
            continue
        value = draw(counted_values(kind, part))
        inner = value if part.name is None else ((part.name, value),)
        pairs += inner
        known.update(inner)
    return Fields(pairs)


def count_of(kind: v.Struct, name: str | None) -> v.Count | None:
    """Returns the hidden count of a field."""
    return next((part.kind for part in kind.parts if isinstance(part.kind, v.Count) and part.kind.of == name), None)


def least_items(kind: v.Struct, name: str | None) -> int:
    """Returns how many items a counted field has at least."""
    count = count_of(kind, name)
    return count.minus if count else 0


def counted_values(kind: v.Struct, part: v.Part) -> st.SearchStrategy:
    """Returns a strategy of values of a part that its count can count."""
    count = count_of(kind, part.name)
    high = count.minus + (1 << count.bits) - 1 if count else None
    return values_of(part.kind) if high is None or not part.kind.counted else list_values(part.kind, high)


def list_values(kind: v.ListOf | v.Tagged, most: int = v.base.LONGEST) -> st.SearchStrategy:
    if isinstance(kind, v.ListOf):
        pairs = st.tuples(st.just(kind.name), values_of(kind.item))
    else:
        pairs = st.one_of([st.tuples(st.just(entry.name), values_of(entry.kind)) for entry in kind.entries.values()])
    high = min(kind.high, most)
    return st.lists(pairs, min_size=kind.low, max_size=upto(kind.low, high, MANY)).map(Fields)


def switch_values(kind: v.Switch) -> st.SearchStrategy:
    cases = [
        values_of(case).map(lambda fields, tag=tag: Fields(((kind.name, tag), *fields)))
        for tag, case in kind.cases.items()
    ]
    return st.one_of(cases)


def named_octets(kind: v.Octets) -> st.SearchStrategy:
    return st.binary(min_size=kind.low, max_size=upto(kind.low, kind.high))


STRATEGIES = {
    v.UInt: lambda kind: st.integers(kind.low, kind.high),
    v.Flags: lambda kind: st.sets(st.sampled_from(sorted(kind.places))).map(
        lambda names: " ".join(name for name in kind.places if name in names)
    ),
    v.Enum: lambda kind: st.sampled_from(
        list(kind.numbers) if kind.closed else [kind.names.get(number, number) for number in range(1 << kind.bits)]
    ),
    v.Octets: named_octets,
    v.Text: lambda kind: st.text(
        BASIC if kind.alphabet is None else sorted(kind.alphabet), min_size=kind.low, max_size=upto(kind.low, kind.high)
    ),
    v.Digits: lambda kind: st.text(string.digits, min_size=kind.low, max_size=upto(kind.low, kind.high)),
    v.Labels: lambda kind: LABELS.map(".".join),
    v.Address: lambda kind: st.binary(min_size=kind.octets, max_size=kind.octets).map(
        lambda data: str(ipaddress.ip_address(data))
    ),
    v.Struct: struct_values,
    v.Switch: switch_values,
    v.BySize: lambda kind: st.one_of([values_of(case) for case in kind.cases.values()]),
    v.ListOf: list_values,
    v.Tagged: list_values,
    v.Sized: lambda kind: values_of(kind.kind),
    v.Framed: lambda kind: values_of(kind.kind),
    v.Lossless: lambda kind: values_of(kind.kind),
}
