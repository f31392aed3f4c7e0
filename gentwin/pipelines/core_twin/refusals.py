"""What a core says where 3GPP prescribes the answer, or silence, and nothing is left to the model.

Source: 3GPP TS 38.413 clause 10; TS 29.244 clauses 7.2 and 7.6; TS 24.501 clauses 4.4.4.3 and 7.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple

from gentwin.signaling.core import n1, n2, n4
from gentwin.signaling.dialogue.bindings import Bindings, canonicalise
from gentwin.signaling.dialogue.directions import FROM_AMF, FROM_GNB, FROM_SMF, FROM_UPF
from gentwin.signaling.dialogue.linear import to_tokens
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message
from gentwin.signaling.resolver import Resolver
from gentwin.signaling.resolver.protection import REPEATED, Opened
from gentwin.signaling.resolver.reading import AMF_IDS, RAN_IDS, number
from gentwin.signaling.turns.names import PROTECTED, nas_of, plain

SET_UP, ERROR = "NGSetupRequest", "ErrorIndication"
UNSPECIFIED_ERROR = 111  # protocol error, unspecified; of 5GMM
UNPROTECTED_BEFORE_SECURITY = frozenset(
    {
        "RegistrationRequest",
        "IdentityResponse",
        "AuthenticationResponse",
        "AuthenticationFailure",
        "SecurityModeReject",
        "ServiceRequest",
        "DeregistrationRequestUEOriginating",
        "DeregistrationAcceptUETerminated",
    }
)
"""What a core processes although nobody vouches for it; anything else is discarded. Source: TS 24.501, 4.4.4.3."""


class Refusal(NamedTuple):
    """Why something is not answered as it was asked.

    Args:
        reason: For the log.
        answer: What is said; None for silence.
    """

    reason: str
    answer: Message | None = None


def of_bytes(protocol: str, data: bytes, reason: str) -> Refusal:
    """Returns what is said to bytes that are no message.

    Args:
        protocol: `ngap` or `pfcp`.
        data: The bytes.
        reason: What is wrong with them.
    """
    if protocol == NGAP:
        return Refusal(reason, n2.message(ERROR, n2.cause("protocol", "transfer-syntax-error")))
    if protocol == PFCP and len(data) >= 8 and data[0] >> 5 != 1:
        return Refusal(reason, n4.message("VersionNotSupportedResponse", int.from_bytes(data[4:7], "big")))
    return Refusal(reason)


def of_stranger(message: Message, peer: str, stations: Container[str]) -> Refusal | None:
    """Returns what is said to a message that a node may not send, or not now; None if it may.

    Args:
        message: That is heard.
        peer: Address of who sent it.
        stations: Addresses of base stations whose link is set up.
    """
    if message.protocol == PFCP:
        if message.name in FROM_SMF - FROM_UPF:
            return Refusal(f"`{message.name}` must not come from a user plane")
        return None
    if message.name in FROM_AMF - FROM_GNB:
        return _complain(message, "protocol", "message-not-compatible-with-receiver-state", "comes from a base station")
    if message.name != SET_UP and peer not in stations:
        return _complain(message, "protocol", "message-not-compatible-with-receiver-state", "comes before NG setup")
    return None


def of_connection(message: Message, peer: str, found: Resolver | None) -> Refusal | None:
    """Returns what is said to a message of a connection that is not there, or is another one's; None if it is right.

    Args:
        message: That is heard.
        peer: Address of who sent it.
        found: Context that it is for; None if none is known.
    """
    if message.protocol == PFCP:
        return _of_session(message, found)
    amf_id, ran_id = number(message, *AMF_IDS), number(message, *RAN_IDS)
    if message.name == "PathSwitchRequest":
        amf_id, ran_id, peer = number(message, "source_amf_ue_ngap_id"), None, ""
    if amf_id is None:
        return None
    if found is None:
        return _complain(message, "radio_network", "unknown-local-UE-NGAP-ID", f"AMF UE NGAP id {amf_id} is not known")
    known = found.state.connections.get(amf_id)
    if known is None:
        return _complain(message, "radio_network", "unknown-local-UE-NGAP-ID", f"AMF UE NGAP id {amf_id} is not known")
    if peer and known.station != peer:
        return _complain(message, "radio_network", "unknown-local-UE-NGAP-ID", "it is a connection of another station")
    if None not in (ran_id, known.ran_id) and ran_id != known.ran_id:
        reason = f"RAN UE NGAP id must be {known.ran_id}, got {ran_id}"
        return _complain(message, "radio_network", "inconsistent-remote-UE-NGAP-ID", reason)
    return None


def _of_session(message: Message, found: Resolver | None) -> Refusal | None:
    """Returns what is said to a message about a session on N4 that is not there."""
    if not message.fields.has("seid") or found is not None or not message.name.endswith("Request"):
        return None
    name = message.name.replace("Request", "Response")
    answer = n4.message(name, message["sequence_number"], ("cause", "session_context_not_found"), seid=0)
    return Refusal(f"SEID {message['seid']} is not known", answer)


def _complain(message: Message, group: str, cause: str, reason: str) -> Refusal:
    """Returns an error indication with the identities of the message; none about an error indication."""
    reason = f"`{message.name}`: {reason}"
    if message.name == ERROR:
        return Refusal(reason)
    identities = [
        (name, message[name]) for name in ("amf_ue_ngap_id", "ran_ue_ngap_id") if isinstance(message.get(name), int)
    ]
    return Refusal(reason, n2.message(ERROR, *identities, n2.cause(group, cause)))


def of_security(opened: Iterable[Opened]) -> Refusal | None:
    """Returns why NAS in a message is to be discarded: it came before, or nobody vouches for it; None if it is not.

    Args:
        opened: The NAS messages in it.
    """
    for found in opened:
        name = "NAS" if found.plain is None else found.plain.name
        if found.security == REPEATED:
            return Refusal(f"`{name}` came before: its NAS count is not new")
        if not found.trusted and name not in UNPROTECTED_BEFORE_SECURITY:
            return Refusal(f"`{name}` is not integrity protected by keys of this UE: {found.security}")
    return None


def of_length(message: Message, most: int) -> Refusal | None:
    """Returns why a message is too long to be read; None if it is not.

    Args:
        message: With NAS opened. Identifiers count as what stands for them, one token each.
        most: Tokens that it may have.
    """
    length = len(to_tokens(canonicalise(message, Bindings())[0]))
    return Refusal(f"`{message.name}` must be at most {most} tokens long, got {length}") if length > most else None


def of_silence(message: Message | None, resolver: Resolver, said: Container[str]) -> Message | None:
    """Returns the error that a UE or user plane is told whose message could not be answered; None for silence.

    Args:
        message: That was heard, opened; None if nobody said anything.
        resolver: Of the context.
        said: Protocols in which something was said in answer already.
    """
    if message is None or message.protocol in said:
        return None
    if message.protocol == PFCP:
        if not message.name.endswith("Request"):
            return None
        seid = 0 if message.fields.has("seid") else None
        name = message.name.replace("Request", "Response")
        return n4.message(name, message["sequence_number"], ("cause", "system_failure"), seid=seid)
    inner = next((found for found in map(plain, nas_of(message)) if found is not None), None)
    connection = resolver.state.connection or resolver.state.fresh
    if inner is None or connection is None or connection.ran_id is None:
        return None
    amf_id = connection.amf_id
    if amf_id is None:
        amf_id = resolver.network.allocators.allocate("AMF_UE_ID")
    nas = _nas_error(inner, resolver)
    return n2.message("DownlinkNASTransport", *n2.ids(amf_id, connection.ran_id), ("nas_pdu", nas))


def _nas_error(inner: Message, resolver: Resolver) -> Message:
    """Returns the NAS message that says that another one cannot be processed, protected if there are keys."""
    name = {"RegistrationRequest": "RegistrationReject", "ServiceRequest": "ServiceReject"}.get(inner.name)
    error = n1.reject(name, UNSPECIFIED_ERROR) if name else n1.status_5gmm(UNSPECIFIED_ERROR)
    if resolver.protection.current is None:
        return error
    header = Fields.of(
        security_header_type="integrity_protected_and_ciphered", mac=bytes(4), sequence_number=0, payload=error
    )
    return Message(NAS, PROTECTED, header)
