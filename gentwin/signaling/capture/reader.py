"""Reader of captures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from os import PathLike
from typing import BinaryIO

from gentwin.signaling.capture.files import open_frames
from gentwin.signaling.capture.network import NetworkLayer
from gentwin.signaling.capture.packets import SCTP_PROTOCOL, Packet, Skip
from gentwin.signaling.capture.source import ByteSource
from gentwin.signaling.capture.transport import SctpLayer, UdpLayer

PFCP_PORTS = (8805,)


def read_capture(capture: str | PathLike[str] | BinaryIO, *, pfcp_ports: Collection[int] = PFCP_PORTS) -> CaptureReader:
    """Opens a capture to read the NGAP and PFCP messages in it.

    ```python
    with read_capture("core.pcapng.gz") as reader:
        for packet in reader:
            print(packet.timestamp, packet.sender, packet.receiver, len(packet.payload))
    print(reader.counts)
    ```

    Args:
        capture: Path of a pcap or pcapng file, plain or gzip, or a binary stream of one.
        pfcp_ports: UDP ports, 0 to 65535, one of which a PFCP message must have at one of its ends.

    Returns:
        The messages in the order in which they became whole, to be read once.

    Raises:
        DecodeError: If it is no capture.
    """
    if hasattr(capture, "read"):
        return CaptureReader(capture, pfcp_ports)
    stream = open(capture, "rb", buffering=0)  # noqa: SIM115
    try:
        return CaptureReader(stream, pfcp_ports, close_stream=True)
    except BaseException:
        stream.close()
        raise


class CaptureReader(Iterator[Packet]):
    """Messages in a capture, with an account of everything else; made by `read_capture`.

    An SCTP message is taken for NGAP by its payload protocol, 60 in either byte order, whatever its ports. Messages
    come in the order of the capture, which need not be that of their streams. Memory is bounded, whatever the file
    holds: the oldest fragments and associations make room for newer ones, which is counted.

    Attributes:
        counts: Number of times that something was not delivered, by reason; final when all messages have been read, as
            are the numbers below. [`REASONS`][gentwin.signaling.capture.REASONS] says what they mean.
        frames: Number of frames in the file.
        packets: Number of messages delivered.
    """

    def __init__(self, stream: BinaryIO, pfcp_ports: Collection[int], *, close_stream: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.frames = self.packets = 0
        self._stream = stream if close_stream else None
        self._source = ByteSource(stream, self.counts)
        self._frames = open_frames(self._source, self.counts)
        self._network = NetworkLayer(self.counts)
        self._sctp, self._udp = SctpLayer(self.counts), UdpLayer(self.counts, pfcp_ports)
        self._packets = self._read()

    @property
    def bytes(self) -> int:
        """Number of bytes read of the file; of what it inflates to if it is compressed."""
        return self._source.offset

    @property
    def stopped_at(self) -> int | None:
        """Offset in bytes of the record at which reading ended early, `None` if the file was read to a good end."""
        return self._source.stopped_at

    def __iter__(self) -> Iterator[Packet]:
        # The generator itself spares a call per message.
        return self._packets

    def __next__(self) -> Packet:
        return next(self._packets)

    def __enter__(self) -> CaptureReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends reading, and closes the file unless the caller opened it."""
        self._packets.close()
        if self._stream:
            self._stream.close()

    def _read(self) -> Iterator[Packet]:
        for link_type, timestamp, frame in self._frames:
            self.frames += 1
            try:
                segment = self._network.unwrap(link_type, frame, timestamp)
                if segment is None:
                    continue
                transport = self._sctp if segment.transport == SCTP_PROTOCOL else self._udp
                for packet in transport.messages(segment, timestamp):
                    self.packets += 1
                    yield packet
            except Skip as skip:
                self.counts[skip.reason] += 1
        self._network.finish()
        self._sctp.finish()
        if self._stream:
            self._stream.close()
