"""What a core learns from base stations and user planes about themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.dialogue.hints import hint
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import Message
from gentwin.signaling.resolver import hints, reading
from gentwin.signaling.resolver.hints import Part
from gentwin.signaling.resolver.network import STATION, node

if TYPE_CHECKING:
    from gentwin.signaling.resolver.network import CoreNetwork
    from gentwin.signaling.resolver.resolver import Resolver

NUMBER, RESET_PART = "global_ran_node_id.global_gnb_id.gnb_id.gnb_id", "reset_type.part_of_ng_interface"
REDUCTION = "amf_traffic_load_reduction_indication"


def station(network: CoreNetwork, identity: Any) -> str:
    """Returns the address of a base station that has set up its link; empty if there is none.

    Args:
        network: It belongs to.
        identity: Of the base station, bits.
    """
    known = network.contexts.get((STATION, _number(identity)))
    return known.peer if known is not None else ""


def _number(identity: Any) -> int | None:
    return identity.value if isinstance(identity, Bits) else None


def _set_up(resolver: Resolver, message: Message) -> list[Part]:
    network = resolver.network
    known = _judge(network, message)
    number = _number(message.get(NUMBER))
    again = network.contexts.get((STATION, number)) is resolver and number is not None
    if known == "known" and number is not None:
        network.claim(STATION, number, resolver)
    network.claim("NODE", node(message, resolver.peer), resolver)
    return [hint("node", known), *([hint("node", "again")] if again else []), *relief(network)]


def relief(network: CoreNetwork) -> list[Part]:
    """Returns the hint of how many percent of new connections base stations are asked to refuse; none if none are."""
    return hints.number(REDUCTION, network.relief) if network.relief else []


def _judge(network: CoreNetwork, message: Message) -> str:
    """Returns whether a base station can belong to a network, or why not."""
    plmn = tac = False
    configuration = network.configuration
    for area in reading.group(message, "supported_ta_list").all("item"):
        code = area.get("tac") if isinstance(area, Fields) else None
        for broadcast in reading.group(area, "broadcast_plmn_list").all("item") if isinstance(area, Fields) else ():
            if not isinstance(broadcast, Fields) or broadcast.get("plmn_identity") != configuration.plmn:
                continue
            plmn = True
            if not isinstance(code, bytes) or code.hex() not in configuration.areas:
                continue
            tac = True
            if _slices(broadcast) & {*configuration.slices}:
                return "known"
    return "slice_not_supported" if tac else "unknown_tac" if plmn else "unknown_plmn"


def _slices(broadcast: Fields) -> set[Slice]:
    listed = reading.group(broadcast, "tai_slice_support_list").all("item")
    found = (reading.slice_of(item.get("s_nssai")) for item in listed if isinstance(item, Fields))
    return {of for of in found if of is not None}


def _associated(resolver: Resolver, message: Message) -> list[Part]:
    network = resolver.network
    address = node(message, resolver.peer)
    again = network.contexts.get(("NODE", address)) is resolver
    network.claim("NODE", address, resolver)
    return [hint("node", "again" if again else "known")]


def _accepted(resolver: Resolver, message: Message) -> list[Part]:
    resolver.state.peer_started = reading.number(message, "recovery_time_stamp")
    return []


def _beats(resolver: Resolver, message: Message) -> list[Part]:
    """Takes the answer to a heartbeat: a user plane that has started again since the association has lost sessions."""
    started, before = reading.number(message, "recovery_time_stamp"), resolver.state.peer_started
    if started is None or before is None or started <= before:
        return []
    resolver.state.peer_started = started
    resolver.network.lose_sessions()
    return [hint("node", "again")]


TAKES: dict[str, Callable[[Resolver, Message], list[Part]]] = {
    "NGSetupRequest": _set_up,
    "AssociationSetupRequest": _associated,
    "AssociationSetupResponse": _accepted,
    "HeartbeatResponse": _beats,
}
"""By name of a message of a node, what takes it and returns the hints after it."""
