"""Messages of the control plane as typed records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gentwin.signaling.fields import Fields, Value

NGAP, NAS, PFCP = "ngap", "nas", "pfcp"
NO_FIELDS = Fields()


@dataclass(frozen=True, slots=True)
class Message:
    """One message, or one carried in another.

    Args:
        protocol: `ngap`, `nas` or `pfcp`.
        name: As its specification calls it, without spaces: `InitialUEMessage`, `RegistrationRequest`,
            `SessionEstablishmentRequest`.
        fields: What it says. Elements that are not known, or not well-formed, are opaque bytes there.
    """

    protocol: str
    name: str
    fields: Fields = NO_FIELDS

    def __getitem__(self, path: str) -> Any:
        """Returns the first value at a path of the fields; see [`Fields`][gentwin.signaling.fields.Fields]."""
        return self.fields[path]

    def get(self, path: str, default: Any = None) -> Any:
        """Returns the first value at a path of the fields, or `default`."""
        return self.fields.get(path, default)

    def with_value(self, path: str, value: Value) -> Message:
        """Returns the message with another value at a path."""
        return replace(self, fields=self.fields.with_value(path, value))

    def without(self, path: str) -> Message:
        """Returns the message without the fields at a path."""
        return replace(self, fields=self.fields.without(path))


@dataclass(frozen=True, slots=True)
class Record:
    """A message on a link, as it was captured or is to be sent.

    Args:
        message: What was said.
        timestamp: When, in seconds since 1970.
        sender: Address `host:port` it came from.
        receiver: Address `host:port` it went to.
        stream: SCTP stream of NGAP; 0 elsewhere.
        raw: The bytes it was decoded from, without others of the same datagram; empty if it was made here.
    """

    message: Message
    timestamp: float
    sender: str
    receiver: str
    stream: int = 0
    raw: bytes = b""
