"""What is said to a base station that speaks before its NG setup; nothing of it reaches the core.

Source: 3GPP TS 38.413 clauses 8.7.1 and 10.
"""

from __future__ import annotations

from gentwin.signaling import ngap
from gentwin.signaling.core import n2
from gentwin.signaling.errors import DecodeError
from gentwin.signaling.messages import Message

INITIATING, SUCCESSFUL, UNSUCCESSFUL = 0x00, 0x20, 0x40
NG_SETUP = 21  # procedure code
IDENTITIES = ("amf_ue_ngap_id", "ran_ue_ngap_id")
NOT_NOW = "protocol", "message-not-compatible-with-receiver-state"
NO_SYNTAX = "protocol", "transfer-syntax-error"


def is_setup_request(data: bytes) -> bool:
    """Returns whether a PDU says that it is an NG setup request."""
    return data[:2] == bytes((INITIATING, NG_SETUP))


def setup_outcome(data: bytes) -> bool | None:
    """Returns whether a PDU accepts an NG setup, or refuses it; None if it is neither."""
    return {bytes((SUCCESSFUL, NG_SETUP)): True, bytes((UNSUCCESSFUL, NG_SETUP)): False}.get(data[:2])


def refuse(data: bytes) -> tuple[str, Message | None]:
    """Returns why a PDU is refused that came before NG setup, and what is said to it; None for silence.

    An initiating message is answered with an error indication, or with its own failure where it has one that needs
    nothing from the core; what answers something, and an error indication, gets silence.

    Args:
        data: The PDU.
    """
    try:
        message = ngap.decode(data)
    except DecodeError as error:
        return str(error), n2.message("ErrorIndication", n2.cause(*NO_SYNTAX))
    reason = f"`{message.name}` came before NG setup"
    if data[0] != INITIATING or message.name == "ErrorIndication":
        return reason, None
    return reason, _answer(message)


def _answer(message: Message) -> Message:
    if message.name == "RANConfigurationUpdate":
        return n2.message("RANConfigurationUpdateFailure", n2.cause(*NOT_NOW))
    known = [(name, message[name]) for name in IDENTITIES if isinstance(message.get(name), int)]
    return n2.message("ErrorIndication", *known, n2.cause(*NOT_NOW))
