"""Value types: bits to trees and back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Fields
from gentwin.signaling.values import (
    Address,
    BySize,
    Count,
    Digits,
    Enum,
    Fixed,
    Flags,
    Framed,
    IfMore,
    Labels,
    ListOf,
    Lossless,
    Octets,
    Plmn,
    Size,
    Sized,
    Struct,
    Switch,
    Tagged,
    Text,
    UInt,
    Unless,
    When,
)
from tests.signaling.value_strategies import values_of

COLOUR = Enum(2, {0: "red", 1: "green"})
KINDS = {
    "number": (UInt(16, 1, 4000), 4000, "0fa0"),
    "less one": (UInt(8, 1, 16, minus=1), 16, "0f"),
    "flags": (Flags("c - - - b - - a"), "c a", "81"),
    "many flags": (Flags(" ".join(f"f{bit}" for bit in range(16))), "f1 f8", "0201"),
    "enum": (Struct(("colour", COLOUR), Fixed(6)), Fields.of(colour="green"), "40"),
    "unknown enum": (Struct(("colour", COLOUR), Fixed(6)), Fields.of(colour=3), "c0"),
    "closed enum": (Enum(8, {1: "a", 2: "b"}, closed=True), "b", "02"),
    "text": (Text(1, 10), "a b", "612062"),
    "wide text": (Text(1, 10, "utf-16-be"), "Ωa", "03a90061"),
    "even digits": (Digits(1, 10), "1234", "2143"),
    "odd digits": (Digits(1, 10), "123", "21f3"),
    "filled digits": (Digits(1, 4, octets=2), "0", "f0ff"),
    "labels": (Labels(), "ims.mnc070", "03696d73066d6e63303730"),
    "address": (Address(4), "10.45.0.2", "0a2d0002"),
    "long address": (Address(6), "fe80::1", "fe800000000000000000000000000001"),
    "two-digit mnc": (Plmn(), Fields.of(mcc="999", mnc="70"), "99f907"),
    "three-digit mnc": (Plmn(), Fields.of(mcc="310", mnc="012"), "132010"),
    "optional": (Struct(("a", UInt(8)), ("b", UInt(8), IfMore())), Fields.of(a=1), "01"),
    "optional there": (Struct(("a", UInt(8)), ("b", UInt(8), IfMore())), Fields.of(a=1, b=2), "0102"),
    "conditional": (
        Struct(("a", UInt(8)), ("b", UInt(8), When("a", 1, 2)), ("c", UInt(16), Unless("a", 1))),
        Fields.of(a=2, b=3, c=4),
        "02030004",
    ),
    "counted": (
        Struct(Count(4, "items", minus=1), Fixed(4), ("items", ListOf("item", UInt(8)))),
        Fields.of(items=Fields((("item", 7), ("item", 8)))),
        "100708",
    ),
    "flagged": (Struct(Count(1, "a"), ("b", UInt(7)), ("a", UInt(8))), Fields.of(b=1, a=9), "8109"),
    "not flagged": (Struct(Count(1, "a"), ("b", UInt(7)), ("a", UInt(8))), Fields.of(b=1), "01"),
    "size before": (
        Struct(Size(4, "b"), ("a", UInt(4)), ("b", Octets(1, 2)), ("c", UInt(8))),
        Fields.of(a=1, b=b"xy", c=2),
        "21787902",
    ),
    "put in": (Struct(Struct(("a", UInt(8))), Plmn()), Fields.of(a=1, mcc="001", mnc="01"), "0100f110"),
    "sized": (Struct(("a", Sized(Octets(0, 3), 16)), ("b", UInt(8))), Fields.of(a=b"xy", b=1), "0002787901"),
    "framed": (Framed(Fixed(4), UInt(3), Fixed(1)), 5, "0a"),
    "switch": (
        Switch("kind", UInt(8), {1: Struct(("a", UInt(8))), 2: Struct(("b", UInt(16)))}),
        Fields.of(kind=2, b=7),
        "020007",
    ),
    "switch inside": (
        Switch("colour", COLOUR, {"green": Struct(("a", UInt(3)), Fixed(2, 1), ("b", UInt(3)))}, at=3),
        Fields.of(colour="green", a=6, b=1),
        "c9",
    ),
    "by size": (
        BySize({1: Struct(("a", UInt(8))), 2: Struct(("a", UInt(8)), ("b", UInt(8)))}),
        Fields.of(a=1, b=2),
        "0102",
    ),
    "list": (ListOf("item", Sized(Octets(1, 2))), Fields((("item", b"a"), ("item", b"bc"))), "0161026263"),
    "tagged": (
        Tagged(8, 8, {1: ("one", UInt(8)), 2: ("two", UInt(8), 16)}),
        Fields((("two", 5), ("unknown_0x07", b"z"), ("one", b"xyz"))),
        "020001050701" + b"z".hex() + "0103" + b"xyz".hex(),
    ),
    "tagged, no length": (
        Tagged(8, 0, {1: ("one", UInt(8)), 2: ("two", UInt(16))}),
        Fields.of(two=1, one=2),
        "0200010102",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_decodes_and_encodes(name: str):
    kind, value, data = KINDS[name]
    assert kind.decode(bytes.fromhex(data)) == value
    assert kind.encode(value).hex() == data


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_values_of_the_description_round_trip(name: str, data: st.DataObject):
    kind = KINDS[name][0]
    value = data.draw(values_of(kind))
    encoded = kind.encode(value)
    assert kind.decode(encoded) == value
    assert kind.min_bits <= len(encoded) * 8 <= kind.max_bits + 7


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=15, deadline=None)
@given(data=st.binary(max_size=24))
def test_any_bytes_are_kept_or_refused(name: str, data: bytes):
    kind = KINDS[name][0]
    with contextlib.suppress(DecodeError):
        value = kind.decode(data)
        assert not kind.exact or kind.encode(value) == data
    lossless = Lossless(kind)
    assert lossless.encode(lossless.decode(data)) == data


@pytest.mark.parametrize(
    ("kind", "value", "path", "reason"),
    [
        (UInt(4), 16, "", "from 0 to 15"),
        (UInt(4), True, "", "number"),
        (Flags("a b -"), "a c", "", "no flag 'c'"),
        (COLOUR, "gren", "", "did you mean `green`"),
        (COLOUR, 1, "", "'green'"),
        (KINDS["closed enum"][0], 3, "", "has no value 3"),
        (Octets(2, 4), b"1", "", "from 2 to 4 bytes"),
        (Text(), "é", "", "ascii"),
        (Digits(1, 3), "12a", "", "digits"),
        (Labels(), "a..b", "", "labels"),
        (Address(4), "10.045.0.2", "", "IPv4"),
        (Address(6), "fe80::1%eth0", "", "IPv6"),
        (Struct(("a", UInt(8))), Fields(), "a", "missing"),
        (Struct(("alpha", UInt(8))), Fields.of(alpha=1, alhpa=2), "alhpa", "did you mean `alpha`"),
        (Struct(("a", UInt(8))), Fields((("a", 1), ("a", 1))), "a", "twice"),
        (Struct(("a", UInt(8))), 7, "", "fields"),
        (Struct(("a", UInt(8)), ("b", UInt(8), When("a", 1))), Fields.of(a=2, b=1), "b", "must not be there"),
        (Struct(("a", UInt(8), IfMore()), ("b", UInt(8), IfMore())), Fields.of(b=1), "b", "optional fields before"),
        (Struct(("a", Struct(("b", UInt(8))))), Fields.of(a=Fields.of(b=256)), "a.b", "from 0 to 255"),
        (KINDS["counted"][0], Fields.of(items=Fields([("item", 0)] * 17)), "items", "from 1 to 16 items"),
        (KINDS["switch"][0], Fields.of(kind=3), "kind", "one of 1, 2"),
        (KINDS["by size"][0], Fields.of(b=1), "", "a | a, b"),
        (KINDS["list"][0], Fields.of(thing=b"a"), "thing", "`item`"),
        (KINDS["list"][0], Fields(), "", "`item`"),
        (KINDS["tagged"][0], Fields.of(unknown_0x01=b"a"), "unknown_0x01", "no field"),
        (KINDS["sized"][0], Fields.of(a=b"1234", b=1), "a", "from 0 to 3 bytes"),
        (Plmn(), Fields.of(mcc="99", mnc="70"), "mcc", "text of 3 digits"),
    ],
)
def test_says_what_cannot_be_written(kind, value, path: str, reason: str):
    with pytest.raises(EncodeError) as caught:
        kind.encode(value)
    assert caught.value.path == path
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (UInt(8, 1, 4), "05"),
        (UInt(8), ""),
        (UInt(8), "0101"),
        (Flags("a - a a a a a a"), "02"),
        (Fixed(8, 3), None),
        (KINDS["closed enum"][0], "03"),
        (Digits(1, 4), "1a"),
        (Digits(1, 4), "21ff"),
        (Labels(), "03612e62"),
        (Digits(1, 4), "f12f"),
        (Labels(), "0361"),
        (Text(), "07"),
        (Text(1, 4, "utf-16-be"), "d800"),
        (Plmn(), "ff0000"),
        (KINDS["switch"][0], "0901"),
        (KINDS["by size"][0], "010203"),
        (KINDS["list"][0], "00"),
        (ListOf("item", Octets()), ""),
        (KINDS["tagged, no length"][0], "03"),
        (KINDS["sized"][0], "000500"),
    ],
)
def test_refuses_what_is_no_value(kind, data: str | None):
    if data is None:
        kind, data = Struct(kind), "04"
    with pytest.raises(DecodeError):
        kind.decode(bytes.fromhex(data))


class Caseless(Text):
    """Text that is always written in lower case."""

    exact = False

    def read(self, reader):
        return super().read(reader).lower()


def test_lossless_keeps_what_would_be_written_otherwise():
    kind = Lossless(Caseless())
    assert kind.decode(b"ab") == "ab"
    assert kind.decode(b"aB") == b"aB"
    assert kind.encode(b"aB") == b"aB"
