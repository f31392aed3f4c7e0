"""What captures are read to, and why some of their content is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

UDP_PROTOCOL, SCTP_PROTOCOL = 17, 132

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "truncated_file": "the file ends inside a record, so what comes last is missing",
        "damaged_file": "a record of the file cannot be right, so nothing after it can be found",
        "other_block": "pcapng block that holds no packet",
        "oversized_block": "pcapng block longer than any packet",
        "damaged_block": "pcapng block with content that does not fit its length, or of an interface not described",
        "no_timestamp": "packet of a pcapng simple packet block: delivered, with timestamp 0",
        "unknown_link_type": "frame of a link type that is not read",
        "truncated_packet": "frame of which less was captured than its own lengths say",
        "not_ip": "frame that carries no IP packet",
        "damaged_ip": "IP header that cannot be right, or IP fragments that contradict each other",
        "other_transport": "IP packet that is neither SCTP nor UDP",
        "incomplete_datagram": "fragmented IP datagram of which a part is missing",
        "repeated_fragment": "IP fragment seen before",
        "other_port": "UDP datagram of no PFCP port",
        "damaged_udp": "UDP datagram whose length cannot be right, or without payload",
        "repeated_datagram": "PFCP datagram seen within the last millisecond, as in captures of several interfaces",
        "damaged_sctp": "SCTP chunk whose length cannot be right",
        "control_chunk": "SCTP chunk that carries no user data",
        "other_payload_protocol": "SCTP user data that is not NGAP",
        "repeated_chunk": "SCTP user data sent again, or captured on several interfaces",
        "incomplete_message": "part of a fragmented SCTP user message of which another part is missing",
        "forgotten_association": "SCTP association of which nothing is remembered any more, as there are too many",
    }
)
"""Reasons why content of a capture is not delivered, as counted by a reader, with what they mean."""


class Skip(Exception):
    """The rest of a frame is not read.

    Args:
        reason: Key of [`REASONS`][gentwin.signaling.capture.REASONS].
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Packet:
    """A whole message as it was carried on a link, not yet decoded.

    Args:
        payload: Bytes of an SCTP user message or of a UDP datagram's content.
        protocol: `ngap` or `pfcp`.
        timestamp: When its last part was captured, in seconds since 1970.
        sender: Address `host:port` it came from; an IPv6 host is in brackets.
        receiver: Address `host:port` it went to.
        stream: SCTP stream of NGAP, 0 to 65535; 0 for PFCP.
    """

    payload: bytes
    protocol: str
    timestamp: float
    sender: str
    receiver: str
    stream: int = 0
