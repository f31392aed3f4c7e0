"""Writer of captures."""

from __future__ import annotations

import ipaddress
import os
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from gentwin.signaling.capture.checksums import crc32c, internet_checksum
from gentwin.signaling.capture.packets import SCTP_PROTOCOL, UDP_PROTOCOL, Packet
from gentwin.signaling.errors import EncodeError
from gentwin.signaling.messages import NGAP, PFCP, Record

MICROSECONDS = 10**6
ETHERNET_LINK, SNAP_LENGTH = 1, 262_144
FILE_HEADER = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_LENGTH, ETHERNET_LINK)
RECORD_HEADER = struct.Struct("<IIII")

MAC_ADDRESSES = bytes(12)
HOPS, DO_NOT_FRAGMENT = 64, 0x4000
IPV4_HEADER, IPV6_HEADER = struct.Struct(">BBHHHBBH"), struct.Struct(">IHBB")
# What an IP packet can carry: IPv4 counts its own header of 20 bytes.
MAX_SEGMENT = {4: 65_535 - 20, 6: 65_535}

DATA_HEADER = struct.Struct(">BBHIHHI")
DATA, WHOLE_MESSAGE, NGAP_PAYLOAD_PROTOCOL = 0, 3, 60


def write_capture(path: str | PathLike[str], packets: Iterable[Packet | Record]) -> int:
    """Writes messages as a pcap file: Ethernet, IP, and SCTP for NGAP or UDP for PFCP.

    Each message has a packet of its own. SCTP has running sequence numbers per direction and stream and valid
    checksums, but neither handshake nor acknowledgements; verification tags follow from the addresses. Times are
    rounded to microseconds. The file appears in one step when all is written; memory does not grow with the number of
    messages.

    Args:
        path: File to write; one that is there is replaced.
        packets: Messages in the order to be written. A record must have its `raw` bytes.

    Returns:
        Number of messages written.

    Raises:
        EncodeError: If a message cannot be carried; nothing is left behind then.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            written = _write_packets(file, packets)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return written


def _write_packets(file: BinaryIO, packets: Iterable[Packet | Record]) -> int:
    flows: dict[tuple[str, str, str], _Flow] = {}
    file.write(FILE_HEADER)
    written = 0
    for packet in map(_to_packet, packets):
        key = packet.protocol, packet.sender, packet.receiver
        flow = flows.get(key)
        if flow is None:
            flow = flows[key] = _FLOWS[packet.protocol](packet.sender, packet.receiver)
        frame = flow.frame(packet)
        file.write(RECORD_HEADER.pack(*_split_time(packet.timestamp), len(frame), len(frame)) + frame)
        written += 1
    return written


def _to_packet(item: Packet | Record) -> Packet:
    """Returns a packet or a record's as a packet that has what it takes to be written."""
    if isinstance(item, Record):
        if not item.raw:
            raise EncodeError("raw", "must be the bytes of the record's message, got none; encode the message first")
        item = Packet(item.raw, item.message.protocol, item.timestamp, item.sender, item.receiver, item.stream)
    if item.protocol not in _FLOWS:
        raise EncodeError("protocol", f"must be one of {tuple(_FLOWS)}, got {item.protocol!r}; write what carries it")
    if not item.payload:
        raise EncodeError("payload", "must not be empty, got no bytes; leave the message out")
    if not 0 <= item.stream <= 0xFFFF:
        raise EncodeError("stream", f"must be 0 to 65535, got {item.stream}; SCTP has no other streams")
    return item


def _split_time(timestamp: float) -> tuple[int, int]:
    """Returns seconds and microseconds of a time."""
    if not 0 <= timestamp < 2**32 - 1:
        raise EncodeError("timestamp", f"must be 0 s to 2**32 - 1 s, got {timestamp}; pcap has no other times")
    return divmod(round(timestamp * MICROSECONDS), MICROSECONDS)


def _parse_endpoint(path: str, endpoint: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """Returns address and port of a `host:port`."""
    host, _, port = endpoint.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFFFF:
        raise EncodeError(path, f"must be an IP address and port such as `10.0.0.1:38412`, got {endpoint!r}")
    return address, number


class _Flow(ABC):
    """One direction between two endpoints: adds the headers below the transport."""

    transport: int

    def __init__(self, sender: str, receiver: str) -> None:
        source, source_port = _parse_endpoint("sender", sender)
        destination, destination_port = _parse_endpoint("receiver", receiver)
        if source.version != destination.version:
            raise EncodeError("receiver", f"must have an IPv{source.version} address like `sender`, got {receiver!r}")
        self.version = source.version
        self.addresses = source.packed + destination.packed
        self.ports = struct.pack(">HH", source_port, destination_port)

    @abstractmethod
    def segment(self, packet: Packet) -> bytes:
        """Returns a message with the header of the transport."""

    def frame(self, packet: Packet) -> bytes:
        """Returns the Ethernet frame that carries a message."""
        segment = self.segment(packet)
        size = len(segment)
        if size > MAX_SEGMENT[self.version]:
            raise EncodeError("payload", f"must fit into one IP packet, got {len(packet.payload)} bytes; split it")
        if self.version == 6:
            header = IPV6_HEADER.pack(6 << 28, size, self.transport, HOPS)
            return MAC_ADDRESSES + b"\x86\xdd" + header + self.addresses + segment
        fields = (0x45, 0, 20 + size, 0, DO_NOT_FRAGMENT, HOPS, self.transport)
        checksum = internet_checksum(IPV4_HEADER.pack(*fields, 0) + self.addresses)
        return MAC_ADDRESSES + b"\x08\x00" + IPV4_HEADER.pack(*fields, checksum) + self.addresses + segment


class _SctpFlow(_Flow):
    """NGAP: one DATA chunk per message."""

    transport = SCTP_PROTOCOL

    def __init__(self, sender: str, receiver: str) -> None:
        super().__init__(sender, receiver)
        self._header = self.ports + (zlib.crc32(f"{sender}>{receiver}".encode()) or 1).to_bytes(4, "big")
        self._number = 0
        self._sequence: dict[int, int] = {}

    def segment(self, packet: Packet) -> bytes:
        size, stream = len(packet.payload), packet.stream
        if DATA_HEADER.size + size > 0xFFFF:
            raise EncodeError("payload", f"must fit into one SCTP chunk, got {size} bytes; split it")
        self._number = (self._number + 1) & 0xFFFFFFFF
        sequence = self._sequence.get(stream, 0)
        self._sequence[stream] = (sequence + 1) & 0xFFFF
        chunk = DATA_HEADER.pack(
            *(DATA, WHOLE_MESSAGE, DATA_HEADER.size + size),
            *(self._number, stream, sequence, NGAP_PAYLOAD_PROTOCOL),
        )
        rest = chunk + packet.payload + bytes(-size % 4)
        return self._header + crc32c(self._header + bytes(4) + rest).to_bytes(4, "little") + rest


class _UdpFlow(_Flow):
    """PFCP: one datagram per message."""

    transport = UDP_PROTOCOL

    def segment(self, packet: Packet) -> bytes:
        size = 8 + len(packet.payload)
        if size > 0xFFFF:
            raise EncodeError("payload", f"must fit into one UDP datagram, got {len(packet.payload)} bytes; split it")
        header = self.ports + size.to_bytes(2, "big")
        pseudo = self.addresses + struct.pack(">HH", self.transport, size)
        # A checksum of 0 would mean that there is none.
        checksum = internet_checksum(pseudo + header + b"\0\0" + packet.payload) or 0xFFFF
        return header + checksum.to_bytes(2, "big") + packet.payload


_FLOWS: dict[str, type[_Flow]] = {NGAP: _SctpFlow, PFCP: _UdpFlow}
