"""What a message is called among turns, and which sessions it is about."""

from __future__ import annotations

from collections.abc import Iterator

from gentwin.signaling.fields import Fields, Value
from gentwin.signaling.messages import NAS, PFCP, Message

PROTECTED = "SecurityProtected"
ACTIVATION, DEACTIVATION, LIMITATION = "activation", "deactivation", "limitation"
ACKNOWLEDGED_UPDATE = "acknowledged_update"


def nas_of(value: Value) -> Iterator[Message]:
    """Yields the NAS messages in a message of NGAP, protected or not."""
    if isinstance(value, Message):
        if value.protocol == NAS:
            yield value
            return
        value = value.fields
    if isinstance(value, Fields):
        for _, inner in value:
            if isinstance(inner, Fields | Message):
                yield from nas_of(inner)


def plain(message: Message) -> Message | None:
    """Returns what is in a NAS message if it is protected; None if that cannot be read."""
    if message.name != PROTECTED:
        return message
    payload = message.get("payload")
    return payload if isinstance(payload, Message) else None


def names_of(message: Message) -> tuple[str, ...]:
    """Returns the names of a message and of those inside, from the outside to the inside."""
    if message.protocol == PFCP:
        return message.name, *_purpose(message)
    found = [message.name]
    for protected in nas_of(message):
        inner = plain(protected)
        while isinstance(inner, Message):
            found.append(inner.name)
            if "ack" in str(inner.get("configuration_update_indication", "")):
                found.append(ACKNOWLEDGED_UPDATE)
            inner = inner.get("payload_container")
    return tuple(found)


def _purpose(message: Message) -> tuple[str, ...]:
    """Returns what a modification of a session is for, if it is for one of these."""
    if message.name != "SessionModificationRequest":
        return ()
    action = message.get("update_far.apply_action", "")
    if not isinstance(action, str) or not action:
        return (LIMITATION,) if message.fields.has("update_qer") else ()
    words = action.split()
    return (DEACTIVATION,) if "buff" in words or "drop" in words else (ACTIVATION,) if "forw" in words else ()


def sessions_of(message: Message) -> frozenset[int]:
    """Returns the identities of the PDU sessions that a message of N2 or N1 names."""
    found = {value for path, value in message.fields.walk() if path.endswith("pdu_session_id")}
    return frozenset(value for value in found if isinstance(value, int))


class SessionNumbers:
    """Which PDU session a number of N4 belongs to, learnt from what is said."""

    def __init__(self) -> None:
        self._by_tunnel: dict[int, int] = {}
        self._by_seid: dict[int, int] = {}
        self._tunnels: dict[int, set[int]] = {}

    def learn(self, message: Message) -> None:
        """Takes note of the tunnels and endpoints in a message."""
        if message.protocol != PFCP:
            self._learn_tunnels(message.fields, None)
        elif message.name == "SessionEstablishmentResponse":
            tunnels = {rule["f_teid.teid"] for rule in message.fields.all("created_pdr") if rule.has("f_teid.teid")}
            for tunnel in tunnels:
                self._by_tunnel.pop(tunnel, None)
            for seid in (message.get("seid"), message.get("f_seid.seid")):
                if isinstance(seid, int) and seid:
                    self._tunnels[seid] = tunnels
                    self._by_seid.pop(seid, None)

    def _learn_tunnels(self, fields: Fields, session: int | None) -> None:
        session = fields.get("pdu_session_id", session)
        for name, value in fields:
            if name == "gtp_teid" and isinstance(value, bytes) and isinstance(session, int):
                self._by_tunnel[int.from_bytes(value, "big")] = session
            elif isinstance(value, Fields):
                self._learn_tunnels(value, session)

    def sessions_of(self, message: Message) -> frozenset[int]:
        """Returns the identities of the PDU sessions that a message of any link is about, as far as known."""
        return self.of_endpoint(message.get("seid")) if message.protocol == PFCP else sessions_of(message)

    def of_endpoint(self, seid: Value | None) -> frozenset[int]:
        """Returns the identity of the PDU session that an endpoint of N4 belongs to, as far as known."""
        if seid not in self._by_seid:
            known = {self._by_tunnel[teid] for teid in self._tunnels.get(seid, ()) if teid in self._by_tunnel}
            if len(known) != 1:
                return frozenset()
            self._by_seid[seid] = known.pop()
        return frozenset({self._by_seid[seid]})
