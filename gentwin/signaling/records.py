"""Captures as records: what was said on N2, with N1 inside, and on N4, and the bytes of it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from types import MappingProxyType
from typing import Any, BinaryIO

from gentwin.signaling import nas, ngap, pfcp
from gentwin.signaling.capture import Packet, read_capture, write_capture
from gentwin.signaling.capture.reader import PFCP_PORTS, CaptureReader
from gentwin.signaling.errors import DecodeError, EncodeError
from gentwin.signaling.fields import Value
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message, Record

KEPT_FAILURES = 32
SECURITY_PROTECTED = "SecurityProtected"

UNDECODED: Mapping[str, str] = MappingProxyType(
    {
        "undecoded_ngap": "user message of NGAP that is none: no record",
        "undecoded_pfcp": "PFCP datagram that is none: no record of any message in it",
        "undecoded_nas": "NAS message in NGAP that is none: its record has the bytes in its place",
        "closed_nas": "NAS that stays closed, as it is ciphered or no message; it is kept as bytes",
    }
)
"""Reasons why a part of a packet is not a message, as counted by a reader of records, with what they mean."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be decoded.

    Args:
        frame: Number of the frame in the capture that completed it, from 1, as other tools count them.
        timestamp: When, in seconds since 1970.
        protocol: `ngap`, `nas` or `pfcp`.
        offset: Place in `data`, in bytes.
        reason: What is wrong there.
        data: The bytes.
    """

    frame: int
    timestamp: float
    protocol: str
    offset: int
    reason: str
    data: bytes

    def __str__(self) -> str:
        return f"frame {self.frame}, {self.protocol}, byte {self.offset} of {len(self.data)}: {self.reason}"


def read_records(capture: str | PathLike[str] | BinaryIO, *, pfcp_ports: Collection[int] = PFCP_PORTS) -> RecordReader:
    """Opens a capture to read the messages in it.

    ```python
    with read_records("core.pcapng.gz") as reader:
        for record in reader:
            print(record.timestamp, record.sender, record.message.name)
    print(reader.counts, *reader.failures, sep="\\n")
    ```

    Args:
        capture: Path of a pcap or pcapng file, plain or gzip, or a binary stream of one.
        pfcp_ports: UDP ports, 0 to 65535, one of which a PFCP message must have at one of its ends.

    Returns:
        The records in the order of the capture, to be read once.

    Raises:
        DecodeError: If it is no capture.
        ImportError: If pycrate is not installed and there is NGAP in the capture; raised on reading.
    """
    return RecordReader(read_capture(capture, pfcp_ports=pfcp_ports))


class RecordReader(Iterator[Record]):
    """Records of a capture, with an account of everything else; made by `read_records`.

    A record's `raw` is the bytes of its message. Where a PFCP datagram bundles several, each has its own record, and
    its bytes are those it would have alone: without the mark that another one follows.

    Memory does not grow with the capture.

    Args:
        capture: The messages of the capture as bytes.

    Attributes:
        capture: What the packets are read with: numbers of frames, packets and bytes read.
        records: Number of records delivered.
        failures: The first 32 of what could not be decoded.
    """

    def __init__(self, capture: CaptureReader) -> None:
        self.capture = capture
        self.records = 0
        self.failures: list[Failure] = []
        self._undecoded: Counter[str] = Counter()
        self._records = self._read()

    @property
    def counts(self) -> Counter[str]:
        """Number of times that something was not delivered or not opened, by reason; final when all has been read.

        Reasons are those of [`REASONS`][gentwin.signaling.capture.REASONS] and
        [`UNDECODED`][gentwin.signaling.records.UNDECODED].
        """
        return self.capture.counts + self._undecoded

    def __iter__(self) -> Iterator[Record]:
        # The generator itself spares a call per record.
        return self._records

    def __next__(self) -> Record:
        return next(self._records)

    def __enter__(self) -> RecordReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends reading, and closes the file unless the caller opened it."""
        self._records.close()
        self.capture.close()

    def _read(self) -> Iterator[Record]:
        for packet in self.capture:
            for message, raw in self._messages(packet):
                self.records += 1
                yield Record(message, packet.timestamp, packet.sender, packet.receiver, packet.stream, raw)

    def _messages(self, packet: Packet) -> list[tuple[Message, bytes]]:
        try:
            if packet.protocol == NGAP:
                message = ngap.decode(packet.payload)
                return [(ngap.map_nas(message, lambda data: self._open(packet, data)), packet.payload)]
            messages = pfcp.decode_all(packet.payload)
        except DecodeError as error:
            self._fail(packet, packet.protocol, packet.payload, error)
            return []
        if len(messages) == 1:
            return [(messages[0], packet.payload)]
        return [(message, pfcp.encode(message)) for message in messages]

    def _open(self, packet: Packet, data: bytes) -> Value:
        try:
            message = nas.decode(data)
        except DecodeError as error:
            self._fail(packet, NAS, data, error)
            return data
        if message.name == SECURITY_PROTECTED and isinstance(message.get("payload"), bytes):
            self._undecoded["closed_nas"] += 1
        return message

    def _fail(self, packet: Packet, protocol: str, data: bytes, error: DecodeError) -> None:
        self._undecoded[f"undecoded_{protocol}"] += 1
        if len(self.failures) < KEPT_FAILURES:
            frame = self.capture.frames
            self.failures.append(Failure(frame, packet.timestamp, protocol, error.offset, error.reason, data))


def decode_message(protocol: str, data: bytes) -> Message:
    """Returns the message of a record in some bytes: what `encode_record` made, or a record's `raw`.

    Args:
        protocol: `ngap`, whose NAS is opened where it is NAS, or `pfcp`.
        data: One whole message.

    Raises:
        DecodeError: If it is no message of this protocol, or the protocol is another one.
        ImportError: If pycrate is not installed and the protocol is NGAP.
    """
    if protocol == PFCP:
        return pfcp.decode(data)
    if protocol != NGAP:
        raise DecodeError(f"`protocol` must be `{NGAP}` or `{PFCP}`, got {protocol!r}")
    return ngap.map_nas(ngap.decode(data), _opened)


def _opened(data: bytes) -> Value:
    try:
        return nas.decode(data)
    except DecodeError:
        return data


def encode_record(record: Record) -> bytes:
    """Returns the bytes of a record's message: those in its `raw` if it was read and not changed.

    Args:
        record: Of NGAP, with NAS as messages or as bytes, or of PFCP.

    Raises:
        EncodeError: If the message is of another protocol, or has a field that is unknown or cannot have its value.
        ImportError: If pycrate is not installed and the message is of NGAP.
    """
    message = record.message
    if message.protocol == NGAP:
        return ngap.encode(ngap.map_nas(message, _close))
    if message.protocol == PFCP:
        return pfcp.encode(message)
    raise EncodeError("message.protocol", f"must be `{NGAP}` or `{PFCP}`, got {message.protocol!r}")


def _close(value: Any) -> Value:
    return nas.encode(value) if isinstance(value, Message) else value


def to_packet(record: Record) -> Packet:
    """Returns the packet that carries a record, for [`write_capture`][gentwin.signaling.capture.write_capture].

    Args:
        record: Of NGAP or of PFCP.

    Raises:
        EncodeError: If its message cannot be encoded.
    """
    protocol = record.message.protocol
    return Packet(encode_record(record), protocol, record.timestamp, record.sender, record.receiver, record.stream)


def write_records(path: str | PathLike[str], records: Iterable[Record]) -> int:
    """Writes records as a pcap file, be they read or made; those made have no `raw` bytes and need none.

    ```python
    write_records("core.pcap", synthesize(SynthesisConfiguration(ues=100), seed=1))
    ```

    Args:
        path: File to write, as [`write_capture`][gentwin.signaling.capture.write_capture] does.
        records: Of NGAP or of PFCP, in the order to be written.

    Returns:
        Number of records written.

    Raises:
        EncodeError: If a message cannot be encoded or carried; nothing is left behind then.
    """
    return write_capture(path, map(to_packet, records))
