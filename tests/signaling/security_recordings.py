"""Replay of recorded dialogues under the subscribers' keys, as an observer of N2 who knows them would do it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gentwin.signaling import messages
from gentwin.signaling.capture import read_capture
from gentwin.signaling.security import (
    AuthenticationVector,
    CipheringAlgorithm,
    Direction,
    Milenage,
    NasSecurityContext,
    SecurityHeader,
    SequenceNumbers,
    Unprotected,
    check_autn,
    check_auts,
    derive_k_amf,
    derive_k_gnb,
    derive_k_seaf,
    make_auts,
    make_vector,
    serving_network_name,
    unpack_msin,
)
from gentwin.signaling.security.nas import CIPHERED

# The sample subscription that the simulators publish; the README of the recordings names it.
SUBSCRIBER = Milenage(
    bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc"), bytes.fromhex("e8ed289deba952e4283b54e88e6183ca")
)
AMF = bytes.fromhex("8000")
NETWORK = serving_network_name("999", "70")
PLMN = bytes.fromhex("99f907")
AMF_PORT = ":38412"
PLAIN_5GMM = b"\x7e\x00"
REGISTRATION_REQUEST, SERVICE_REQUEST = 0x41, 0x4C
AUTHENTICATION_REQUEST, AUTHENTICATION_RESPONSE, AUTHENTICATION_FAILURE = 0x56, 0x57, 0x59
SECURITY_MODE_COMMAND, SECURITY_MODE_COMPLETE = 0x5D, 0x5E


class NgapMessage(NamedTuple):
    """One NGAP message: who sent it and what a UE's part of it is.

    Args:
        initial: Whether it opens a UE's connection.
        connection: The gNB and its identifier of the UE; None if the message is about no UE.
        direction: Of the NAS messages inside.
        nas: NAS messages inside, in order.
        k_gnb: The key that an initial context setup hands to the gNB; None elsewhere.
    """

    initial: bool
    connection: tuple[str, int] | None
    direction: Direction
    nas: list[bytes]
    k_gnb: bytes | None


def read_ngap(path: Path) -> Iterator[NgapMessage]:
    """Yields the NGAP messages of a recording."""
    from pycrate_asn1dir import NGAP

    pdu = NGAP.NGAP_PDU_Descriptions.NGAP_PDU
    with read_capture(path) as packets:
        for packet in packets:
            if packet.protocol != messages.NGAP:
                continue
            pdu.from_aper(packet.payload)
            uplink = packet.receiver.endswith(AMF_PORT)
            gnb = packet.sender if uplink else packet.receiver
            yield _read_message(pdu.get_val(), gnb, Direction(not uplink))


def _read_message(value: tuple[str, dict[str, Any]], gnb: str, direction: Direction) -> NgapMessage:
    name, content = value[1]["value"]
    elements = dict(entry["value"] for entry in content["protocolIEs"])
    ran_ue = elements.get("RAN-UE-NGAP-ID")
    key = elements.get("SecurityKey")
    return NgapMessage(
        initial=name == "InitialUEMessage",
        connection=None if ran_ue is None else (gnb, ran_ue),
        direction=direction,
        nas=list(_find_nas(content)),
        k_gnb=key[0].to_bytes(32) if key else None,
    )


def _find_nas(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for name, entry in value.items():
            if name.lower().endswith("nas-pdu") and isinstance(entry, bytes):
                yield entry
            else:
                yield from _find_nas(entry)
    elif isinstance(value, tuple) and value and value[0] == "NAS-PDU":
        yield value[1]
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _find_nas(entry)


@dataclass
class Ue:
    """What the observer knows of a UE: its identity, its security context, what its USIM accepted."""

    supi: str
    context: NasSecurityContext | None = None
    accepted: SequenceNumbers = field(default_factory=SequenceNumbers)


@dataclass
class Connection:
    """A UE's connection: the challenge that is open, and the count that K_gNB comes from."""

    ue: Ue | None = None
    vector: AuthenticationVector | None = None
    sqn: int = 0
    count: int | None = None


class Replay:
    """Replays a recording under the keys of its subscribers.

    Attributes:
        tally: How often each check held; one that did not counts under its name with `wrong` in front.
        messages: Number of NAS messages.
    """

    def __init__(self) -> None:
        self.tally: Counter[str] = Counter()
        self.messages = 0
        self._connections: dict[tuple[str, int], Connection] = {}
        self._by_supi: dict[str, Ue] = {}
        self._by_tmsi: dict[bytes, Ue] = {}

    def run(self, path: Path) -> Replay:
        """Replays a whole recording."""
        for message in read_ngap(path):
            self._ngap(message)
        return self

    def _note(self, name: str, holds: bool) -> None:
        self.tally[name if holds else f"wrong {name}"] += 1

    def _ngap(self, message: NgapMessage) -> None:
        if message.connection is None:
            return
        if message.initial:
            self._connections[message.connection] = Connection()
        connection = self._connections[message.connection]
        if message.k_gnb is not None:
            expected = derive_k_gnb(connection.ue.context.k_amf, connection.count)
            self._note("K_gNB", message.k_gnb == expected)
        # The sequence number tells the order in which NAS messages of one NGAP message were made.
        for data in sorted(message.nas, key=lambda data: data[6] if data[1] else 0):
            self._nas(connection, data, message.direction)

    def _nas(self, connection: Connection, data: bytes, direction: Direction) -> None:
        self.messages += 1
        if not data[1]:
            self._plain(connection, data, direction)
            return
        if connection.ue is None:
            connection.ue = self._by_tmsi.get(_tmsi_of_request(data[7:]))
        if data[1] == SecurityHeader.INTEGRITY_NEW_CONTEXT and data[9] == SECURITY_MODE_COMMAND:
            self._new_context(connection, data[7:])
        context = connection.ue.context if connection.ue else None
        if context is None:
            self.tally[f"no context {direction.name.lower()}"] += 1
            return
        found = context.unprotect(data, direction)
        if found.repeated:
            self.tally[f"repeated {direction.name.lower()}"] += 1
            return
        self._note(f"MAC {direction.name.lower()}", found.verified)
        self._note("protected again", self._protect_again(context, found, direction) == data)
        if found.header in CIPHERED and context.ciphering == CipheringAlgorithm.NEA2:
            self._note("deciphered", found.plain.startswith(PLAIN_5GMM))
        if direction is Direction.UPLINK and (connection.count is None or found.plain[2] == SECURITY_MODE_COMPLETE):
            connection.count = found.count
        self._container(context, found)
        self._plain(connection, found.plain, direction)

    def _protect_again(self, context: NasSecurityContext, found: Unprotected, direction: Direction) -> bytes:
        """Returns what its sender makes of a message whose security context was saved before."""
        counts = {"uplink_count": found.count, "downlink_count": found.count}
        sender = NasSecurityContext.from_dict(context.to_dict() | counts)
        return sender.protect(found.plain, direction, found.header)

    def _plain(self, connection: Connection, data: bytes, direction: Direction) -> None:
        """Follows a message that is plain, or was made so."""
        handler = {
            REGISTRATION_REQUEST: self._registration_request,
            AUTHENTICATION_REQUEST: self._authentication_request,
            AUTHENTICATION_RESPONSE: self._authentication_response,
            AUTHENTICATION_FAILURE: self._authentication_failure,
        }.get(data[2])
        if handler:
            handler(connection, data)
        place = data.find(b"\x77\x00\x0b\xf2" + PLMN) if direction is Direction.DOWNLINK else -1
        if place >= 0:
            self._by_tmsi[data[place + 10 : place + 14]] = connection.ue

    def _registration_request(self, connection: Connection, data: bytes) -> None:
        identity = data[6 : 6 + int.from_bytes(data[4:6])]
        if identity[0] & 7 == 1 and not identity[6] & 0xF:
            supi = "99970" + unpack_msin(identity[8:])
            connection.ue = self._by_supi.setdefault(supi, Ue(supi))
        elif identity[0] & 7 == 2:
            connection.ue = self._by_tmsi.get(identity[-4:], connection.ue)

    def _authentication_request(self, connection: Connection, data: bytes) -> None:
        after_abba = 5 + data[4]
        rand, autn = data[after_abba + 1 : after_abba + 17], data[after_abba + 19 : after_abba + 35]
        checked = check_autn(SUBSCRIBER, rand, autn)
        self._note("AUTN", checked.verified and checked.amf == AMF and checked.separation_bit)
        connection.vector = make_vector(SUBSCRIBER, rand, checked.sqn, AMF, NETWORK)
        connection.sqn = checked.sqn
        self._note("AUTN made again", connection.vector.autn == autn)

    def _authentication_response(self, connection: Connection, data: bytes) -> None:
        self._note("RES*", connection.vector.accepts(data[5:21]))
        if connection.ue:
            self._note("fresh SQN", connection.ue.accepted.accepts(connection.sqn))
            connection.ue.accepted = connection.ue.accepted.with_sqn(connection.sqn)

    def _authentication_failure(self, connection: Connection, data: bytes) -> None:
        if len(data) < 20:
            self.tally["MAC failure at the UE"] += 1
            return
        auts, rand = data[6:20], connection.vector.rand
        checked = check_auts(SUBSCRIBER, rand, auts)
        self._note("AUTS", checked.verified and make_auts(SUBSCRIBER, rand, checked.sqn_ms) == auts)
        self._note("SQN_MS", checked.sqn_ms == connection.ue.accepted.sqn_ms)
        self._note("stale SQN", not connection.ue.accepted.accepts(connection.sqn))

    def _new_context(self, connection: Connection, command: bytes) -> None:
        k_seaf = derive_k_seaf(connection.vector.k_ausf, NETWORK)
        k_amf = derive_k_amf(k_seaf, connection.ue.supi)
        connection.ue.context = NasSecurityContext(k_amf, ciphering=command[3] >> 4, integrity=command[3] & 0xF)

    def _container(self, context: NasSecurityContext, found: Unprotected) -> None:
        """Deciphers the NAS message container of an initial message, which is ciphered alone."""
        if found.plain[2] not in (REGISTRATION_REQUEST, SERVICE_REQUEST):
            return
        place = found.plain.find(b"\x71", 6 + int.from_bytes(found.plain[4:6]))
        if place >= 0:
            inner = context.cipher(found.plain[place + 3 :], Direction.UPLINK, found.count)
            self._note("NAS message container", inner.startswith(PLAIN_5GMM + found.plain[2:3]))


def _tmsi_of_request(plain: bytes) -> bytes:
    """Returns the 5G-TMSI in a registration request or service request."""
    size = int.from_bytes(plain[4:6])
    return plain[6 : 6 + size][-4:]
