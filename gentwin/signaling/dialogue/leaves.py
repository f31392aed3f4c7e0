"""Values that tokens spell octet by octet: numbers, flags, octets, texts, addresses."""

from __future__ import annotations

import ipaddress
import string
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gentwin.signaling.fields import Bits, Value

OCTETS = range(256)


class Unfit(Exception):
    """A value is not what a node says; it is written raw."""


class Coded(ABC):
    """A value in octets.

    Args:
        sizes: Numbers of octets that there may be; if there are several, the number comes first.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes

    @property
    def fixed(self) -> bool:
        """Whether there is only one size."""
        return len(self.sizes) == 1

    def pack(self, value: Value) -> bytes:
        """Returns the octets of a value.

        Raises:
            Unfit: If it has none.
        """
        data = self.to_bytes(value)
        if len(data) not in self.sizes or not self.accepts(data) or not same(self.unpack(data), value):
            raise Unfit(value)
        return data

    def accepts(self, data: bytes) -> bool:
        """Returns whether each octet is allowed after those before it."""
        return all(octet in self.allowed(self.state(data[:place], len(data))) for place, octet in enumerate(data))

    @abstractmethod
    def to_bytes(self, value: Any) -> bytes:
        """Returns the octets of a value of the right type.

        Raises:
            Unfit: If the value is none.
        """

    @abstractmethod
    def unpack(self, data: bytes) -> Value:
        """Returns the value of some octets that are allowed."""

    def state(self, data: bytes, size: int) -> Hashable:
        """Returns what decides which octet may follow some, of so many."""
        return None

    def allowed(self, state: Any) -> Iterable[int]:
        """Returns the octets that may follow in a state."""
        return OCTETS


@lru_cache(512)
def _octets_within(mask: int, needed: bool) -> list[int]:
    """Returns the octets with no other bits than a mask, without 0 if one of them is needed."""
    return [octet for octet in OCTETS if not octet & ~mask and (octet or not needed)]


def same(one: Any, other: Any) -> bool:
    """Returns whether values are equal and of one type: 1 is not True."""
    return type(one) is type(other) and one == other


class Number(Coded):
    """A whole number, in as many octets as the largest one needs; a negative one less the smallest.

    Args:
        low: Smallest number.
        high: Largest.
        without: Numbers that are left out: any of one octet; of more, some that differ in the last octet only.
    """

    def __init__(self, low: int, high: int, without: Iterable[int] = ()) -> None:
        self.low, self.high, self.minus = low, high, min(low, 0)
        self.width = max(1, (high - self.minus).bit_length() + 7 >> 3)
        self.least, self.most = ((end - self.minus).to_bytes(self.width, "big") for end in (low, high))
        self.without = frozenset(without)
        self.gap = frozenset((n - self.minus) & 255 for n in self.without)
        self.before_gap = min(self.without, default=self.minus).__sub__(self.minus).to_bytes(self.width, "big")[:-1]
        super().__init__((self.width,))

    def pack(self, value: Any) -> bytes:
        return self.to_bytes(value)

    def to_bytes(self, value: Any) -> bytes:
        if type(value) is not int or not self.low <= value <= self.high or value in self.without:
            raise Unfit(value)
        return (value - self.minus).to_bytes(self.width, "big")

    def unpack(self, data: bytes) -> int:
        return int.from_bytes(data, "big") + self.minus

    def state(self, data: bytes, size: int) -> tuple[int, bool, bool, bool]:
        place = len(data)
        gap = bool(self.without) and place == self.width - 1 and data == self.before_gap
        return place, data == self.least[:place], data == self.most[:place], gap

    def allowed(self, state: tuple[int, bool, bool, bool]) -> Iterable[int]:
        place, lowest, highest, gap = state
        octets = range(self.least[place] if lowest else 0, (self.most[place] if highest else 255) + 1)
        return [octet for octet in octets if octet not in self.gap] if gap else octets


class Named(Number):
    """Numbers many of which have names.

    Args:
        low: Smallest number.
        high: Largest.
        names: Name of each that has one.
    """

    def __init__(self, low: int, high: int, names: Mapping[int, str]) -> None:
        super().__init__(low, high)
        self.names, self.numbers = names, {name: number for number, name in names.items()}

    def pack(self, value: Any) -> bytes:
        if type(value) is int and value in self.names:
            raise Unfit(value)
        return self.to_bytes(self.numbers.get(value, value))

    def unpack(self, data: bytes) -> int | str:
        number = super().unpack(data)
        return self.names.get(number, number)


class FlagNames(Coded):
    """Names of flags joined by spaces, as one bit each.

    Args:
        places: Bit of each flag, in the order in which they are named.
        least: Number of flags there are at least, 0 or 1.
    """

    def __init__(self, places: Mapping[str, int], least: int = 0) -> None:
        self.places, self.least = dict(places), least
        self.mask = sum(1 << place for place in self.places.values())
        self.width = max(1, self.mask.bit_length() + 7 >> 3)
        self.masks = self.mask.to_bytes(self.width, "big")
        super().__init__((self.width,))

    def to_bytes(self, value: Any) -> bytes:
        names = value.split() if isinstance(value, str) else [None]
        if not self.places.keys() >= set(names) or len(names) < self.least:
            raise Unfit(value)
        return sum(1 << self.places[name] for name in names).to_bytes(self.width, "big")

    def unpack(self, data: bytes) -> str:
        number = int.from_bytes(data, "big")
        return " ".join([name for name, place in self.places.items() if number >> place & 1])

    def state(self, data: bytes, size: int) -> tuple[int, bool]:
        needed = self.least and not any(data) and not any(self.masks[len(data) + 1 :])
        return self.masks[len(data)], bool(needed)

    def allowed(self, state: tuple[int, bool]) -> Iterable[int]:
        return _octets_within(*state)


class Opaque(Coded):
    """Octets as they are."""

    def to_bytes(self, value: Any) -> bytes:
        if not isinstance(value, bytes):
            raise Unfit(value)
        return value

    def unpack(self, data: bytes) -> bytes:
        return data


class Letters(Coded):
    """A text of ASCII letters.

    Args:
        sizes: Numbers of letters there may be.
        alphabet: The letters.
        labels: Whether it is a name of labels, 1 to 63 letters each, joined by dots.
    """

    def __init__(self, sizes: Sequence[int], alphabet: Iterable[str], labels: bool = False) -> None:
        super().__init__(sizes)
        self.octets = sorted(ord(letter) for letter in alphabet if letter.isascii())
        self.letters, self.labels = frozenset(self.octets), labels

    def accepts(self, data: bytes) -> bool:
        return self.letters.issuperset(data) and (not self.labels or _are_labels(data))

    def to_bytes(self, value: Any) -> bytes:
        if not isinstance(value, str) or not value.isascii():
            raise Unfit(value)
        return value.encode()

    def unpack(self, data: bytes) -> str:
        return data.decode()

    def state(self, data: bytes, size: int) -> tuple[bool, bool]:
        if not self.labels:
            return True, True
        dot = bool(data) and data[-1:] != b"." and len(data) < size - 1
        return dot, len(data) - data.rfind(b".") <= 63

    def allowed(self, state: tuple[bool, bool]) -> Iterable[int]:
        dot, letter = state
        if dot and letter:
            return self.octets
        return [octet for octet in self.octets if (dot if octet == ord(".") else letter)]


def _are_labels(data: bytes) -> bool:
    return all(0 < len(label) < 64 for label in data.split(b"."))


class IpAddress(Coded):
    """The text of an IP address.

    Args:
        versions: 4, 6, or both.
    """

    def __init__(self, *versions: int) -> None:
        super().__init__(tuple({4: 4, 6: 16}[version] for version in versions))

    def to_bytes(self, value: Any) -> bytes:
        try:
            return ipaddress.ip_address(value if isinstance(value, str) else "").packed
        except ValueError:
            raise Unfit(value) from None

    def unpack(self, data: bytes) -> str:
        return str(ipaddress.ip_address(data))


class EthernetAddress(Coded):
    """The text of an Ethernet address."""

    def __init__(self) -> None:
        super().__init__((6,))

    def to_bytes(self, value: Any) -> bytes:
        try:
            return bytes.fromhex(value.replace(":", "")) if isinstance(value, str) else b""
        except ValueError:
            raise Unfit(value) from None

    def unpack(self, data: bytes) -> str:
        return data.hex(":")


class Network(Letters):
    """The text of a mobile country and network code, such as `999-70`, as its digits."""

    def __init__(self) -> None:
        super().__init__((5, 6), string.digits)

    def to_bytes(self, value: Any) -> bytes:
        return super().to_bytes(value).replace(b"-", b"")

    def unpack(self, data: bytes) -> str:
        return f"{data[:3].decode()}-{data[3:].decode()}"


class BitField(Coded):
    """A bit string, zeros in front of it up to whole octets.

    Args:
        bits: Its size.
    """

    def __init__(self, bits: int) -> None:
        super().__init__((bits + 7 >> 3,))
        self.bits, self.first = bits, range(1 << ((bits - 1) % 8 + 1)) if bits else OCTETS

    def to_bytes(self, value: Any) -> bytes:
        if type(value) is not Bits or value.size != self.bits:
            raise Unfit(value)
        return value.value.to_bytes(self.sizes[0], "big")

    def unpack(self, data: bytes) -> Bits:
        return Bits(int.from_bytes(data, "big"), self.bits)

    def state(self, data: bytes, size: int) -> bool:
        return not data

    def allowed(self, state: bool) -> Iterable[int]:
        return self.first if state else OCTETS
