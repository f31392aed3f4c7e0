"""The AMF's end of a UE's security: challenges, key sets, and NAS opened and sealed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from gentwin.signaling import nas
from gentwin.signaling.core.protection import (
    CIPHERED,
    CIPHERED_NEW_CONTEXT,
    INTEGRITY,
    NEW_CONTEXT,
    PROTECTED,
    NasEnd,
)
from gentwin.signaling.core.subscribers import Subscriber
from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.messages import Message
from gentwin.signaling.security import (
    AuthenticationVector,
    Direction,
    Milenage,
    NasSecurityContext,
    SecurityError,
    SecurityHeader,
    Unprotected,
    check_autn,
    check_auts,
    derive_k_amf,
    derive_k_seaf,
    make_vector,
)

HEADERS = {
    INTEGRITY: SecurityHeader.INTEGRITY,
    CIPHERED: SecurityHeader.INTEGRITY_CIPHERED,
    NEW_CONTEXT: SecurityHeader.INTEGRITY_NEW_CONTEXT,
    CIPHERED_NEW_CONTEXT: SecurityHeader.INTEGRITY_CIPHERED_NEW_CONTEXT,
}
SYNCHRONISATION_FAILURE = 21
UNPROTECTED, VERIFIED, FAILED, REPEATED, NO_CONTEXT = "unprotected", "verified", "failed", "repeated", "no_context"
RESYNCHRONISED, UNUSABLE = "resynchronised", "unusable"


class Opened(NamedTuple):
    """A NAS message that was opened.

    Args:
        message: The message with what is ciphered in it opened, if it could be.
        plain: The plain message in it; None if it cannot be read.
        security: `unprotected`, `verified`, `failed`, `repeated` or `no_context`.
        count: NAS COUNT; 0 if it has none.
    """

    message: Message
    plain: Message | None
    security: str
    count: int = 0

    @property
    def trusted(self) -> bool:
        """Whether it is known who made it."""
        return self.security == VERIFIED


class Protection:
    """Key sets and open challenge of a UE.

    Args:
        serving_network: Name of the network, that keys are bound to.

    Attributes:
        current: Key set in use; None if there is none.
        pending: Key set of a security mode command that was not completed.
        vector: Challenge that was not answered.
        next_k_ausf: Key of the challenge answered last.
    """

    def __init__(self, serving_network: str) -> None:
        self.serving_network = serving_network
        self.current: NasEnd | None = None
        self.pending: NasEnd | None = None
        self.vector: AuthenticationVector | None = None
        self.next_k_ausf = b""

    # ------------------------------------------------------------ challenges

    def challenge(self, subscriber: Subscriber, rand: bytes, sqn: int) -> AuthenticationVector:
        """Returns a challenge for a sequence number."""
        milenage = Milenage(subscriber.k, subscriber.opc)
        return make_vector(milenage, rand, sqn, subscriber.amf, self.serving_network)

    def follow_challenge(self, subscriber: Subscriber, rand: Any, autn: Any) -> int | None:
        """Opens a challenge; returns its sequence number, None if it is not one of the subscriber's home network.

        Args:
            subscriber: Whom it is for.
            rand: Random challenge.
            autn: Authentication token.
        """
        try:
            checked = check_autn(Milenage(subscriber.k, subscriber.opc), rand, autn)
            if not checked.verified:
                return None
            self.vector = self.challenge(replace(subscriber, amf=checked.amf), rand, checked.sqn)
        except SecurityError:
            return None
        return checked.sqn

    def check_response(self, response: Any) -> str:
        """Returns what a response to the open challenge is: `verified`, `failed`, or `unusable` if there is none."""
        vector, self.vector = self.vector, None
        if vector is None:
            return UNUSABLE
        if not isinstance(response, bytes) or not vector.accepts(response):
            return FAILED
        self.next_k_ausf = vector.k_ausf
        return VERIFIED

    def check_failure(self, subscriber: Subscriber | None, cause: Any, token: Any) -> tuple[str, int]:
        """Returns what a refusal of the open challenge is, `resynchronised` or `unusable`, and the UE's number.

        Args:
            subscriber: Who refuses it; None if that is not known.
            cause: 5GMM cause.
            token: AUTS; None if there is none.
        """
        vector, self.vector = self.vector, None
        if vector is None or subscriber is None or cause != SYNCHRONISATION_FAILURE:
            return UNUSABLE, 0
        try:
            checked = check_auts(Milenage(subscriber.k, subscriber.opc), vector.rand, token)
        except SecurityError:
            return UNUSABLE, 0
        return (RESYNCHRONISED, checked.sqn_ms) if checked.verified else (UNUSABLE, 0)

    # ------------------------------------------------------------ key sets

    def command(self, plain: Message, supi: str) -> bool:
        """Makes the key set that a security mode command brings into use; returns whether it could be made."""
        chosen, ksi = plain.get("selected_nas_security_algorithms"), plain.get("ng_ksi.ksi")
        if not self.next_k_ausf or not supi or chosen is None:
            return False
        k_amf = derive_k_amf(derive_k_seaf(self.next_k_ausf, self.serving_network), supi)
        algorithms = chosen.get("ciphering"), chosen.get("integrity")
        known = self.pending
        if known is not None and known.context.k_amf == k_amf:
            return True
        try:
            context = NasSecurityContext(k_amf, *algorithms)
        except SecurityError:
            return False
        self.pending = NasEnd(context, ksi, Direction.DOWNLINK)
        return True

    @property
    def k_amf(self) -> bytes:
        """Key that those of base stations come from; empty if there is no key set."""
        return self.current.context.k_amf if self.current is not None else b""

    # ------------------------------------------------------------ what the UE says

    def open(self, message: Message) -> Opened:
        """Returns an uplink NAS message opened; a completed security mode brings its key set into use."""
        if message.name != PROTECTED:
            return Opened(message, message, UNPROTECTED)
        header = message.get("security_header_type")
        end = self.pending if header in (NEW_CONTEXT, CIPHERED_NEW_CONTEXT) else self.current
        if end is None:
            return _unread(message, NO_CONTEXT)
        found = _unprotect(end, message, Direction.UPLINK)
        if found is None or not (found.verified or found.repeated):
            return _unread(message, FAILED)
        plain = _read(message, found.plain)
        if found.verified and end is self.pending and plain is not None and plain.name == "SecurityModeComplete":
            self.current, self.pending, self.vector = self.pending, None, None
        if plain is not None:
            plain = _with_container(end, plain, found.count)
            message = message.with_value("payload", plain)
        return Opened(message, plain, VERIFIED if found.verified else REPEATED, found.count)

    # ------------------------------------------------------------ what the core says

    def follow(self, message: Message) -> Opened:
        """Returns a downlink NAS message that was sealed elsewhere opened, and counts it."""
        if message.name != PROTECTED:
            return Opened(message, message, UNPROTECTED)
        end = self._sends(message.get("security_header_type"))
        if end is None:
            return _unread(message, NO_CONTEXT)
        found = _unprotect(end, message, Direction.DOWNLINK)
        if found is None or not (found.verified or found.repeated):
            return _unread(message, FAILED)
        plain = _read(message, found.plain)
        if plain is not None:
            message = message.with_value("payload", plain)
        return Opened(message, plain, VERIFIED if found.verified else REPEATED, found.count)

    def seal(self, message: Message) -> Message:
        """Returns a downlink message with its code, its sequence number, and what is to be ciphered ciphered.

        Args:
            message: Protected, with its payload plain.

        Raises:
            SecurityError: If there is no key set for it, or the header is none.
            EncodeError: If its payload has something that cannot be encoded.
        """
        header, plain = message.get("security_header_type"), message.get("payload")
        end = self._sends(header)
        if end is None or header not in HEADERS or not isinstance(plain, Message):
            raise SecurityError(f"`security_header_type` {header!r} needs a key set and a plain payload.")
        sealed = end.seal(plain, header)
        for name, value in sealed.fields:
            message = message.with_value(name, value)
        return message

    def _sends(self, header: Any) -> NasEnd | None:
        return self.pending if header in (NEW_CONTEXT, CIPHERED_NEW_CONTEXT) else self.current

    # ------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Returns everything as numbers and texts. It holds keys: store it as a secret."""
        vector = self.vector
        values = None if vector is None else [vector.rand, vector.autn, vector.xres_star, vector.k_ausf]
        return {
            "current": _end_dict(self.current),
            "pending": _end_dict(self.pending),
            "vector": values and [value.hex() for value in values],
            "next_k_ausf": self.next_k_ausf.hex(),
        }

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """Takes what `state_dict` of another one gave."""
        self.current, self.pending = _end(values["current"]), _end(values["pending"])
        vector = values["vector"]
        self.vector = None if vector is None else AuthenticationVector(*(bytes.fromhex(value) for value in vector))
        self.next_k_ausf = bytes.fromhex(values["next_k_ausf"])


def _end_dict(end: NasEnd | None) -> dict[str, Any] | None:
    return None if end is None else {"context": end.context.to_dict(), "ksi": end.ksi}


def _end(values: dict[str, Any] | None) -> NasEnd | None:
    if values is None:
        return None
    return NasEnd(NasSecurityContext.from_dict(values["context"]), values["ksi"], Direction.DOWNLINK)


def _unprotect(end: NasEnd, message: Message, direction: Direction) -> Unprotected | None:
    try:
        return end.context.unprotect(nas.encode(message), direction)
    except (DecodeError, EncodeError, SecurityError):
        return None


def _read(message: Message, plain: bytes) -> Message | None:
    payload = message.get("payload")
    if isinstance(payload, Message):
        return payload
    try:
        return nas.decode(plain)
    except DecodeError:
        return None


def _unread(message: Message, security: str) -> Opened:
    payload = message.get("payload")
    return Opened(message, payload if isinstance(payload, Message) else None, security)


def _with_container(end: NasEnd, plain: Message, count: int) -> Message:
    """Returns an initial message with the whole message in it opened, which is ciphered alone."""
    container = plain.get("nas_message_container")
    if not isinstance(container, bytes) or plain.name == "SecurityModeComplete":
        return plain
    found = end.read_container(container, count)
    return plain if found is None else plain.with_value("nas_message_container", found)
