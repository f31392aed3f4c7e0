"""What a record carries, taken apart into the messages that people name."""

from __future__ import annotations

from typing import Any

from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, NGAP, Message
from gentwin.signaling.ngap import NAS_FIELDS
from gentwin.signaling.records import SECURITY_PROTECTED

CIPHERED, UNDECODED = "(ciphered)", "(undecoded)"
"""Names in place of that of a NAS message of which only the bytes are known."""

UPLINK = frozenset({"InitialUEMessage", "UplinkNASTransport"})
DOWNLINK = frozenset(
    {
        "DownlinkNASTransport",
        "InitialContextSetupRequest",
        "PDUSessionResourceSetupRequest",
        "PDUSessionResourceModifyRequest",
        "PDUSessionResourceReleaseCommand",
    }
)
"""Messages of NGAP that carry NAS from a UE, and to one."""


def parts(message: Message) -> tuple[Message, ...]:
    """Returns the message of a record and the plain NAS messages in it, a transport before what it carries.

    What a NAS message repeats of an earlier one, or completes it by, in its `nas_message_container`, is not among them.

    Args:
        message: Of NGAP or PFCP. NAS of which only the bytes are known is called `(ciphered)` or `(undecoded)`.
    """
    found = [message]
    if message.protocol == NGAP:
        _collect(message.fields, found)
    return tuple(found)


def _collect(fields: Fields, found: list[Message]) -> None:
    for name, value in fields:
        if name in NAS_FIELDS:
            _open(value, found)
        elif isinstance(value, Fields):
            _collect(value, found)


def _open(value: Any, found: list[Message]) -> None:
    if not isinstance(value, Message):
        found.append(Message(NAS, UNDECODED))
    elif value.name == SECURITY_PROTECTED:
        payload = value.get("payload")
        if isinstance(payload, Message):
            _open(payload, found)
        else:
            found.append(Message(NAS, CIPHERED))
    else:
        found.append(value)
        carried = value.get("payload_container")
        if isinstance(carried, Message):
            found.append(carried)
