"""What belongs together: the context of a UE or of a node for every record.

A core answers a UE on N2, with N1 inside, and on N4. Nothing in a record says which UE it is about, but numbers do that
other records have too:

| number | given by | used by |
|---|---|---|
| NGAP ids of a connection | first message of either side | all of that connection |
| 5G-S-TMSI | `RegistrationAccept`, `ConfigurationUpdateCommand` | next connection, paging |
| SUPI | SUCI of the null scheme, PFCP `user_id` | registration; every session establishment |
| SEID | F-SEID in the session establishment | header of every message to that end |
| tunnel of the user plane | PFCP F-TEID | NGAP transfer, in every resource setup |
| tunnel of the base station | NGAP transfer | PFCP outer header creation |
| address of the UE | PFCP UE IP address | NAS PDU address |

Who gives a number takes it away from who had it before, for numbers are used again. Who uses a number that another
context was given belongs to that context: both become one, unless they are known to have different SUPIs. As a session
is established before the base station hears of its tunnel, a context may turn out later to be part of another one; see
`Context.current`.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from operator import itemgetter
from typing import Any

from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NGAP, Message, Record

UE, NODE = "ue", "node"
AMF_PORT = "38412"
MOST_KEYS, MEAN_KEYS = 256, 32  # of one context, and of all
LONGEST_IDENTITY = 512  # octets

Key = tuple[Any, ...]
"""Kind of a number, the node that it belongs to if it is not the same everywhere, and the number."""

IDENTITIES = frozenset({"supi", "suci", "s_tmsi", "address"})
"""Kinds of keys that identify a UE outside of one connection or session."""


class Context:
    """What is known of one UE, or of what two nodes say to each other that is about no UE.

    Attributes:
        number: Place in the order in which a tracker made its contexts, from 0.
        kind: `ue` or `node`.
        supi: Digits of the SUPI, or a pseudonym of them; None if it is not known, and of a node.
        links: Protocols that it was seen with: `ngap`, `pfcp`.
    """

    __slots__ = ("_keys", "_merged_into", "kind", "links", "number", "supi")

    def __init__(self, number: int, kind: str) -> None:
        self.number, self.kind = number, kind
        self.supi: str | None = None
        self.links: set[str] = set()
        self._keys: OrderedDict[Key, None] = OrderedDict()
        self._merged_into: Context | None = None

    @property
    def current(self) -> Context:
        """The context that this one turned out to be a part of, or this one itself."""
        found, merged = self, []
        while found._merged_into is not None:
            merged.append(found)
            found = found._merged_into
        for context in merged:
            context._merged_into = found
        return found

    @property
    def identities(self) -> list[Key]:
        """What it is known by now, oldest first: kind and value, such as `("s_tmsi", 1, 0, b"...")`."""
        return [key for key in self._keys if key[0] in IDENTITIES]

    def __repr__(self) -> str:
        return f"Context({self.number}, {self.kind!r}, supi={self.supi!r})"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """All records of a context, in the order of time.

    Args:
        context: Of all of them.
        records: At least one.
    """

    context: Context
    records: tuple[Record, ...]


def dialogues(records: Iterable[Record], tracker: ContextTracker | None = None) -> Iterator[Dialogue]:
    """Yields the dialogue of every context, when all that was found out about contexts is known.

    All records are held in memory until the last one was read, as the last one may say that two contexts are one.

    Args:
        records: Of one capture, in order.
        tracker: What finds their contexts; a new one if not given.

    Yields:
        Dialogues in the order in which their contexts began. Every record is in one of them.
    """
    tracker = tracker or ContextTracker()
    held: dict[Context, list[tuple[float, int, Record]]] = defaultdict(list)
    for place, record in enumerate(records):
        held[tracker.assign(record)].append((record.timestamp, place, record))
    merged: dict[Context, list[tuple[float, int, Record]]] = defaultdict(list)
    while held:
        context, entries = held.popitem()
        merged[context.current].extend(entries)
    for context in sorted(merged, key=lambda context: context.number):
        entries = sorted(merged.pop(context), key=itemgetter(0, 1))
        yield Dialogue(context, tuple(record for _, _, record in entries))


class ContextTracker:
    """Finds the context of one record after the other.

    Tables are bounded: when there are more contexts than `most_contexts`, or they have more than 32 numbers on average,
    the one that was quiet for longest is closed, and what comes of it later begins a new one. A context remembers its
    SUPI and its last 255 other numbers.

    Args:
        most_contexts: Number of contexts to remember, at least 1.
        most_requests: Number of PFCP requests to remember until they are answered, at least 1.
    """

    def __init__(self, most_contexts: int = 100_000, most_requests: int = 10_000) -> None:
        self.most_contexts, self.most_requests = most_contexts, most_requests
        self._most_keys = max(MOST_KEYS, MEAN_KEYS * most_contexts)
        self._number = 0
        self._contexts: OrderedDict[Context, None] = OrderedDict()
        self._owners: dict[Key, Context] = {}
        self._peers: dict[Key, int] = {}
        self._requests: OrderedDict[Key, Context] = OrderedDict()

    def assign(self, record: Record) -> Context:
        """Returns the context that a record belongs to, as far as this and earlier ones say.

        A later record may say that this context and another one are the same; `current` of a context is the one that
        stands for both.
        """
        message = record.message
        context = self._of_ngap(record) if message.protocol == NGAP else self._of_pfcp(record)
        context.links.add(message.protocol)
        self._contexts[context] = None
        self._contexts.move_to_end(context)
        while len(self._contexts) > self.most_contexts or len(self._owners) > self._most_keys:
            self._close(self._contexts.popitem(last=False)[0])
        return context

    # ---------------------------------------------------------------- contexts and what they are known by

    def _new(self, kind: str) -> Context:
        context = Context(self._number, kind)
        self._number += 1
        self._contexts[context] = None
        return context

    def _close(self, context: Context) -> None:
        for key in list(context._keys):
            self._drop(key)

    def _drop(self, key: Key) -> None:
        self._peers.pop(key, None)
        owner = self._owners.pop(key, None)
        if owner is not None:
            owner._keys.pop(key, None)

    def _owner(self, key: Key | None) -> Context | None:
        return self._owners.get(key) if key is not None else None

    def _give(self, key: Key, context: Context) -> None:
        """Makes a number one of a context, whoever had it before."""
        owner = self._owners.get(key)
        if owner is not context:
            if owner is not None:
                owner._keys.pop(key, None)
            self._owners[key] = context
        context._keys[key] = None
        context._keys.move_to_end(key)
        while len(context._keys) > MOST_KEYS:
            self._drop(next(known for known in context._keys if known[0] != "supi"))

    def _use(self, key: Key, context: Context) -> Context:
        """Returns what a context is now that it is known to use a number."""
        owner = self._owners.get(key)
        if owner is not None and owner is not context:
            context = self._merge(owner, context)
        self._give(key, context)
        return context

    def _use_supi(self, supi: str, context: Context) -> Context:
        if len(supi) > LONGEST_IDENTITY:
            return context
        if context.supi not in (None, supi):
            context = self._new(UE)
        context.supi = supi
        return self._use(("supi", supi), context)

    def _merge(self, one: Context, other: Context) -> Context:
        """Returns the context that two are, the older one; the second of them if they cannot be the same."""
        if one.kind != other.kind or (one.supi and other.supi and one.supi != other.supi):
            return other
        old, new = (one, other) if one.number < other.number else (other, one)
        keys, new._keys = list(new._keys), OrderedDict()
        for key in keys:
            self._owners[key] = old
            self._give(key, old)
        old.supi, old.links = old.supi or new.supi, old.links | new.links
        new._merged_into = old
        self._contexts.pop(new, None)
        return old

    def _of_node(self, *ends: str) -> Context:
        key = ("node", *sorted(ends))
        context = self._owners.get(key)
        if context is None:
            context = self._new(NODE)
            self._give(key, context)
        return context

    # ---------------------------------------------------------------- NGAP

    def _of_ngap(self, record: Record) -> Context:
        message = record.message
        paged = message.get("ue_paging_identity.five_g_s_tmsi")
        amf_id, ran_id = _ngap_ids(message)
        if message.name == "Paging" and isinstance(paged, Fields):
            key = _s_tmsi(paged)
            context = self._owner(key) or self._new(UE)
            if key:
                self._give(key, context)
            return context
        if amf_id is None and ran_id is None:
            return self._of_node(record.sender, record.receiver)
        amf, gnb = _ends(record)
        ran_key = None if ran_id is None else ("ran_ue_ngap_id", gnb, amf, ran_id)
        amf_key = None if amf_id is None else ("amf_ue_ngap_id", amf, amf_id)
        context = self._of_connection(message.name, amf_key, ran_key)
        if context is None and message.name == "ErrorIndication":
            return self._of_node(record.sender, record.receiver)
        context = context or self._new(UE)
        for fact, value in sorted(_facts(message.fields), key=_certainty):
            context = _FACTS[fact](self, value, context)
        for key in filter(None, (amf_key, ran_key)):
            self._give(key, context)
        if ran_key:
            self._peers[ran_key] = amf_id
        return context

    def _of_connection(self, name: str, amf_key: Key | None, ran_key: Key | None) -> Context | None:
        """Returns the context of a connection by its numbers at both ends."""
        context = None if name in _BEGINNINGS else self._owner(ran_key)
        if context is not None and amf_key is not None and self._peers[ran_key] not in (None, amf_key[-1]):
            context = None  # the number is that of an earlier connection, whose end was not seen
        return context or self._owner(amf_key)

    def _identity(self, value: Any, context: Context) -> Context:
        """A UE says who it is."""
        key = _s_tmsi(value)
        if key is not None:
            return self._use(key, context)
        supi = _supi(value)
        if supi is not None:
            return self._use_supi(supi, context)
        output = value.get("scheme_output") if isinstance(value, Fields) else None
        known = isinstance(output, bytes) and len(output) <= LONGEST_IDENTITY
        return self._use(("suci", output), context) if known else context

    def _assigned(self, value: Any, context: Context) -> Context:
        """The AMF gives a UE a temporary identity."""
        key = _s_tmsi(value)
        if key is not None:
            self._give(key, context)
        return context

    def _uplink_tunnel(self, value: Any, context: Context) -> Context:
        for key in _tunnels(value):
            if key in self._owners:
                context = self._use(key, context)
        return context

    def _downlink_tunnel(self, value: Any, context: Context) -> Context:
        for key in _tunnels(value):
            self._give(key, context)
        return context

    def _pdu_address(self, value: Any, context: Context) -> Context:
        address = value.get("ipv4_address") if isinstance(value, Fields) else None
        key = ("address", address)
        # Only if no tunnel said it: two data networks may use the same addresses.
        return self._use(key, context) if key in self._owners and "pfcp" not in context.links else context

    # ---------------------------------------------------------------- PFCP

    def _of_pfcp(self, record: Record) -> Context:
        message, sender, receiver = record.message, _host(record.sender), _host(record.receiver)
        seid, sequence = message.get("seid"), message.get("sequence_number")
        if message.name.endswith("Response"):
            request = (receiver, sender, message.name.removesuffix("Response"), sequence)
            context = self._requests.get(request) or self._owner(("seid", receiver, seid))
        else:
            request = (sender, receiver, message.name.removesuffix("Request"), sequence)
            context = self._of_request(record, request)
        context = context and context.current
        if context not in self._contexts:
            session = message.name.startswith("Session") and bool(seid)
            context = self._new(UE) if session else self._of_node(sender, receiver)
        if context.kind == UE:
            if seid:
                self._give(("seid", receiver, seid), context)
            context = self._of_session(message, sender, context)
        self._requests[request] = context
        if len(self._requests) > self.most_requests:
            self._requests.popitem(last=False)
        return context

    def _of_request(self, record: Record, request: Key) -> Context | None:
        message, (sender, receiver, *_) = record.message, request
        if message.name != "SessionEstablishmentRequest":
            return self._owner(("seid", receiver, message.get("seid")))
        sent, known = self._requests.get(request), self._owner(("seid", sender, message.get("f_seid.seid")))
        return known if sent is not None and sent.current is known else self._new(UE)

    def _of_session(self, message: Message, sender: str, context: Context) -> Context:
        """Returns what a context is after a message of one of its sessions."""
        seid = message.get("f_seid.seid")
        if isinstance(seid, int) and seid:
            for address in {sender, *(message.get(f"f_seid.{kind}", sender) for kind in ("ipv4", "ipv6"))}:
                self._give(("seid", address, seid), context)
        supi = _supi_of_user(message.get("user_id"))
        if supi is not None:
            context = self._use_supi(supi, context)
        for name, value in message.fields:
            if not isinstance(value, Fields):
                continue
            if name in _ENDPOINTS:
                part = value.get("pdi", value)
                if not isinstance(part, Fields):
                    continue
                given = [("address", address) for address in _addresses(part.get("ue_ip_address"))]
                for key in (*_tunnels(part.get("f_teid")), *given):
                    self._give(key, context)
            elif name == "update_far" and NGAP not in context.links:
                for key in _tunnels(value.get("update_forwarding_parameters.outer_header_creation")):
                    context = self._use(key, context) if key in self._owners else context
        return context


# ---------------------------------------------------------------- what fields say

_BEGINNINGS = frozenset({"InitialUEMessage", "HandoverRequestAcknowledge", "PathSwitchRequest"})
_FACTS: dict[str, Callable[[ContextTracker, Any, Context], Context]] = {
    "five_g_s_tmsi": ContextTracker._identity,
    "mobile_identity": ContextTracker._identity,
    "additional_guti": ContextTracker._identity,
    "guti": ContextTracker._assigned,
    "ul_ngu_up_tnl_information": ContextTracker._uplink_tunnel,
    "dl_qos_flow_per_tnl_information": ContextTracker._downlink_tunnel,
    "dl_ngu_up_tnl_information": ContextTracker._downlink_tunnel,
    "pdu_address": ContextTracker._pdu_address,
}
"""What the fields of an NGAP message, and of NAS in it, say about its context, the most certain first."""

_ORDER = {name: place for place, name in enumerate(_FACTS)}
_ENDPOINTS = frozenset({"create_pdr", "created_pdr", "create_traffic_endpoint", "created_traffic_endpoint"})


def _certainty(fact: tuple[str, Any]) -> int:
    return _ORDER[fact[0]]


def _facts(fields: Fields) -> Iterator[tuple[str, Any]]:
    for name, value in fields:
        if name in _FACTS:
            yield name, value
        elif isinstance(value, Fields):
            yield from _facts(value)
        elif isinstance(value, Message):
            yield from _facts(value.fields)


def _ngap_ids(message: Message) -> tuple[Any, Any]:
    fields = message.get("ue_ngap_ids", message.fields)
    fields = fields.get("ue_ngap_id_pair", fields) if isinstance(fields, Fields) else Fields()
    amf_id = fields.get("amf_ue_ngap_id", fields.get("source_amf_ue_ngap_id"))
    return amf_id, fields.get("ran_ue_ngap_id")


def _ends(record: Record) -> tuple[str, str]:
    """Returns the addresses of AMF and base station; the AMF listens at a port of its own (TS 38.412 clause 7)."""
    ends = record.receiver, record.sender
    if record.sender.endswith(f":{AMF_PORT}") and not record.receiver.endswith(f":{AMF_PORT}"):
        return ends[::-1]
    return ends if record.receiver.endswith(f":{AMF_PORT}") else (max(ends), min(ends))


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _s_tmsi(value: Any) -> Key | None:
    """Returns the key of the 5G-S-TMSI in an identity of NGAP or NAS."""
    if not isinstance(value, Fields):
        return None
    tmsi = value.get("tmsi", value.get("five_g_tmsi"))
    if not isinstance(tmsi, bytes):
        return None
    amf = (value.get("amf_set_id"), value.get("amf_pointer"))
    return ("s_tmsi", *(part.value if isinstance(part, Bits) else part for part in amf), tmsi)


def _supi(value: Any) -> str | None:
    """Returns the SUPI in a mobile identity that does not conceal it."""
    if not isinstance(value, Fields) or value.get("type") != "suci":
        return None
    msin = value.get("msin")
    if isinstance(msin, str):
        return f"{value.get('mcc')}{value.get('mnc')}{msin}"
    return value.get("nai")


def _supi_of_user(value: Any) -> str | None:
    supi = value.get("supi") if isinstance(value, Fields) else None
    if isinstance(supi, str):
        return supi.removeprefix("imsi-").removeprefix("nai-")
    return value.get("imsi") if isinstance(value, Fields) else None


def _addresses(value: Any) -> list[str]:
    if not isinstance(value, Fields):
        return []
    return [address for kind in ("ipv4", "ipv6") if isinstance(address := value.get(kind), str)]


def _tunnels(value: Any) -> list[Key]:
    """Returns the keys of a tunnel's end in NGAP or PFCP: address and number."""
    if not isinstance(value, Fields):
        return []
    inner = value.get("up_transport_layer_information", value)
    inner = inner.get("gtp_tunnel", inner) if isinstance(inner, Fields) else value
    teid = inner.get("teid", inner.get("gtp_teid"))
    number = int.from_bytes(teid, "big") if isinstance(teid, bytes) else teid
    address = inner.get("transport_layer_address")
    addresses = [address] if isinstance(address, str) else _both(address) or _addresses(inner)
    return [("tunnel", address, number) for address in addresses] if isinstance(number, int) else []


def _both(value: Any) -> list[str]:
    """Returns the two addresses in the 160 bits that NGAP has for an end with both."""
    if not isinstance(value, Bits) or value.size != 160:
        return []
    return [str(IPv4Address(value.value >> 128)), str(IPv6Address(value.value & ((1 << 128) - 1)))]
