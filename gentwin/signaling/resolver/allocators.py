"""Where new identifiers come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from random import Random
from typing import Any, Protocol

from gentwin.signaling.core.configuration import NetworkConfiguration
from gentwin.signaling.core.identifiers import Addresses, Counter, Pool
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Value

LAST_AMF_ID, LAST_TEID, LAST_SEQUENCE = (1 << 40) - 1, (1 << 32) - 1, (1 << 24) - 1
FIRST_TMSI = 0xC0000001  # as in the recorded core
ANY = ""

AMF_UE_ID, TMSI, SEID, TEID, SEQUENCE, ADDRESS = "AMF_UE_ID", "TMSI", "SEID", "TEID", "PFCP_SEQ", "UE_IP"
RANDOM, INTERFACE, SQN = "RAND", "UE_INTERFACE", "SQN"


class Allocators(Protocol):
    """Gives identifiers, none twice at a time."""

    def allocate(self, kind: str, scope: str = ANY, wanted: Value | None = None) -> Any:
        """Returns a new identifier.

        Args:
            kind: Type, as slots call it: `AMF_UE_ID`, `TMSI`, `SEID`, `TEID`, `PFCP_SEQ`, `UE_IP`, `RAND`,
                `UE_INTERFACE`.
            scope: Data network of an address, peer of a sequence number.
            wanted: A certain one.

        Raises:
            SignalingError: If there is none left, or no such kind or scope.
        """
        ...

    def claim(self, kind: str, value: Any, scope: str = ANY) -> None:
        """Takes note that an identifier is in use."""
        ...

    def free(self, kind: str, value: Any, scope: str = ANY) -> None:
        """Takes an identifier back; one that is not in use is ignored."""
        ...

    def state_dict(self) -> dict[str, int]:
        """Returns what cannot be known from the identifiers in use."""
        ...

    def load_state_dict(self, values: Mapping[str, int]) -> None:
        """Takes what `state_dict` of another one gave."""
        ...


class NetworkAllocators:
    """Counters and pools as a core has them: identities and endpoints at random, everything else in order.

    Args:
        configuration: Of the network, with its data networks and the number of its UEs.
        random: Of what is random; challenges come from it, so in earnest it is `random.SystemRandom()`.
    """

    def __init__(self, configuration: NetworkConfiguration, random: Random) -> None:
        ues = configuration.max_ues
        self._random = random
        self._pools = {TMSI: Pool(FIRST_TMSI, FIRST_TMSI + 2 * ues - 1, random), SEID: Pool(1, 4 * ues - 3, random)}
        self._counters = {AMF_UE_ID: Counter(1, LAST_AMF_ID), TEID: Counter(1, LAST_TEID)}
        self._living: dict[str, set[int]] = {AMF_UE_ID: set(), TEID: set()}
        self._sequences: dict[str, Counter] = {}
        self._addresses = {entry.dnn: Addresses(entry.addresses) for entry in configuration.data_networks}

    def allocate(self, kind: str, scope: str = ANY, wanted: Value | None = None) -> Any:
        """Returns a new identifier; see [`Allocators`][gentwin.signaling.resolver.allocators.Allocators]."""
        if kind in self._pools:
            number = self._pools[kind].allocate()
            return number.to_bytes(4, "big") if kind == TMSI else number
        if kind in self._counters:
            number = self._counters[kind].allocate(self._living[kind])
            self._living[kind].add(number)
            return number.to_bytes(4, "big") if kind == TEID else number
        if kind == SEQUENCE:
            return self._sequences.setdefault(scope, Counter(1, LAST_SEQUENCE)).allocate()
        if kind == ADDRESS and scope in self._addresses:
            return self._addresses[scope].allocate(wanted if isinstance(wanted, str) else None)
        if kind == RANDOM:
            return self._random.randbytes(16)
        if kind == INTERFACE:
            return self._random.randbytes(8)
        raise SignalingError(f"`kind` must be one that is allocated in this network, got {kind!r} for {scope!r}.")

    def state_dict(self) -> dict[str, int]:
        """Returns the next sequence number to each peer; what else is in use is known from the contexts."""
        return {scope: counter.next for scope, counter in self._sequences.items()}

    def load_state_dict(self, values: Mapping[str, int]) -> None:
        """Takes what `state_dict` of another one gave."""
        for scope, number in values.items():
            self._sequences.setdefault(scope, Counter(1, LAST_SEQUENCE)).next = number

    def claim(self, kind: str, value: Any, scope: str = ANY) -> None:
        """Takes note that an identifier is in use."""
        living = self._in_use(kind, scope)
        if living is not None:
            living.add(self._number(kind, value, scope))

    def free(self, kind: str, value: Any, scope: str = ANY) -> None:
        """Takes an identifier back; one that is not in use is ignored."""
        living = self._in_use(kind, scope)
        if living is not None:
            living.discard(self._number(kind, value, scope))

    def _in_use(self, kind: str, scope: str) -> set[int] | None:
        if kind in self._pools:
            return self._pools[kind].living
        if kind == ADDRESS:
            return self._addresses[scope].living if scope in self._addresses else None
        return self._living.get(kind)

    def _number(self, kind: str, value: Any, scope: str) -> int:
        if kind == ADDRESS:
            return int(ipaddress.IPv4Address(value)) - int(self._addresses[scope].network.network_address)
        return int.from_bytes(value, "big") if isinstance(value, bytes) else value
