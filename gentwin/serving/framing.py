"""NGAP over a stream of bytes, for machines without SCTP: every PDU in a frame of its own.

| octets | what |
|---|---|
| 4 | number of octets of the PDU, big-endian |
| 2 | SCTP stream, big-endian |
| as many as said | the PDU |
"""

from __future__ import annotations

import struct

HEAD = struct.Struct(">IH")
LAST_STREAM = (1 << 16) - 1


class FrameError(ValueError):
    """Bytes that cannot be a frame; nothing after them can be read."""


def encode_frame(data: bytes, stream: int = 0) -> bytes:
    """Returns the frame of a PDU.

    Args:
        data: The PDU, at least one byte.
        stream: Of SCTP, 0 to 65535.

    Raises:
        ValueError: If there is no PDU, or no such stream.
    """
    if not data:
        raise ValueError("`data` must have at least one byte, got none.")
    if not 0 <= stream <= LAST_STREAM:
        raise ValueError(f"`stream` must be from 0 to {LAST_STREAM}, got {stream!r}.")
    return HEAD.pack(len(data), stream) + data


class FrameReader:
    """Takes frames from bytes as they come.

    ```python
    >>> reader = FrameReader(most_octets=100)
    >>> reader.add(encode_frame(b"first", 1) + encode_frame(b"second")[:-1])
    >>> reader.take(8), reader.is_partial
    ([(b'first', 1)], True)
    ```

    Args:
        most_octets: Longest PDU that is taken.
    """

    def __init__(self, most_octets: int) -> None:
        self._most_octets = most_octets
        self._buffer = bytearray()

    def __len__(self) -> int:
        """Returns the number of octets that wait."""
        return len(self._buffer)

    @property
    def is_partial(self) -> bool:
        """Whether a frame has begun that is not there as a whole, with no other before it."""
        return bool(self._buffer) and self._end_at(0) is None

    def add(self, data: bytes) -> None:
        """Takes bytes that came."""
        self._buffer += data

    def take(self, count: int) -> list[tuple[bytes, int]]:
        """Returns the next frames that are there as a whole, as pairs of PDU and stream.

        Args:
            count: How many at most.

        Raises:
            FrameError: If what comes next is no frame, or one that is too long.
        """
        frames, start = [], 0
        try:
            while len(frames) < count and (end := self._end_at(start)) is not None:
                stream = HEAD.unpack_from(self._buffer, start)[1]
                frames.append((bytes(self._buffer[start + HEAD.size : end]), stream))
                start = end
        except FrameError:
            if not frames:
                raise
        del self._buffer[:start]
        return frames

    def _end_at(self, start: int) -> int | None:
        """Returns where the frame ends that begins somewhere; None if it is not there as a whole."""
        if len(self._buffer) < start + HEAD.size:
            return None
        octets = HEAD.unpack_from(self._buffer, start)[0]
        if not 1 <= octets <= self._most_octets:
            raise FrameError(f"a frame must have from 1 to {self._most_octets} octets, got {octets}")
        end = start + HEAD.size + octets
        return end if len(self._buffer) >= end else None
