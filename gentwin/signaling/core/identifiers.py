"""Where identifiers come from: counters, pools, addresses; nothing that lives is given out twice."""

from __future__ import annotations

import ipaddress
from collections.abc import Container
from random import Random

from gentwin.signaling.errors import SignalingError


class ExhaustedError(SignalingError):
    """All identifiers of a kind are in use."""


class Counter:
    """Numbers one after the other, from the first again after the last.

    Args:
        first: Where to begin.
        last: Largest number.

    Attributes:
        next: Number that is given next, if it is not in use.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last, self.next = first, last, first

    def allocate(self, living: Container[int] = ()) -> int:
        """Returns the next number that is not among those in use.

        Raises:
            ExhaustedError: If all are.
        """
        for _ in range(self.last - self.first + 1):
            number = self.next
            self.next = number + 1 if number < self.last else self.first
            if number not in living:
                return number
        raise ExhaustedError(f"`number` must be from {self.first} to {self.last}, and all of these are in use.")


class Pool:
    """Random numbers of a range, none of them twice at a time.

    Args:
        first: Smallest number.
        last: Largest number.
        random: What they are drawn with.
    """

    def __init__(self, first: int, last: int, random: Random) -> None:
        self.first, self.last, self._random = first, last, random
        self.living: set[int] = set()

    def allocate(self) -> int:
        """Returns a number that is not in use.

        Raises:
            ExhaustedError: If all are in use.
        """
        if len(self.living) > self.last - self.first:
            raise ExhaustedError(f"`number` must be from {self.first} to {self.last}, and all of these are in use.")
        while (number := self._random.randint(self.first, self.last)) in self.living:
            pass
        self.living.add(number)
        return number

    def free(self, number: int) -> None:
        """Takes a number back; one that is not in use is ignored."""
        self.living.discard(number)


class Addresses:
    """IPv4 addresses of a network one after the other, after the one of the gateway.

    Args:
        network: Such as `10.45.0.0/16`.
    """

    def __init__(self, network: str) -> None:
        self.network = ipaddress.IPv4Network(network)
        self._base = int(self.network.network_address)
        self._hosts = Counter(2, self.network.num_addresses - 2)
        self.living: set[int] = set()

    def allocate(self, wanted: str | None = None) -> str:
        """Returns an address: the one that is wanted, else the next.

        Raises:
            ExhaustedError: If it, or all of them, are in use.
        """
        host = int(ipaddress.IPv4Address(wanted)) - self._base if wanted else self._hosts.allocate(self.living)
        if host in self.living:
            raise ExhaustedError(f"`wanted` must be an address not in use, got {wanted!r}.")
        self.living.add(host)
        return str(ipaddress.IPv4Address(self._base + host))

    def free(self, address: str) -> None:
        """Takes an address back."""
        self.living.discard(int(ipaddress.IPv4Address(address)) - self._base)


def lowest_free(living: Container[int], first: int, last: int) -> int:
    """Returns the smallest number of a range that is not in use.

    Raises:
        ExhaustedError: If all are in use.
    """
    for number in range(first, last + 1):
        if number not in living:
            return number
    raise ExhaustedError(f"`number` must be from {first} to {last}, and all of these are in use.")
