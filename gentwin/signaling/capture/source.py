"""Bytes of a capture from any binary stream, a bounded piece at a time."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

CHUNK_BYTES = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"


class ByteSource:
    """Window on the bytes of a capture that moves forward.

    Readers of file formats look at `data` from `position` on, once `has` said that enough is there, and move `position`
    themselves. What is in front of it is not kept.

    Args:
        stream: Binary stream from which `read(n)` gives bytes; a gzip stream is inflated.
        counts: Where the end of the file is counted if it is not a good one.
    """

    def __init__(self, stream: BinaryIO, counts: Counter[str]) -> None:
        self.data, self.position = b"", 0
        self.stopped_at: int | None = None
        self._counts = counts
        self._base = 0
        self._damaged = False
        self._chunks = _read_chunks(stream)
        if self.has(2) and self.data[:2] == GZIP_MAGIC:
            head, self.data = self.data, b""
            self._chunks = _inflate(head, self._chunks)

    @property
    def offset(self) -> int:
        """Number of bytes passed so far, of the inflated file."""
        return self._base + self.position

    def has(self, size: int) -> bool:
        """Returns whether that many bytes are in `data` from `position` on, reading on if need be."""
        return len(self.data) - self.position >= size or self._fetch(size)

    def skip(self, size: int) -> bool:
        """Passes bytes unseen and returns whether there were as many."""
        while size:
            if not self.has(1):
                return False
            step = min(size, len(self.data) - self.position)
            self.position += step
            size -= step
        return True

    def finish(self) -> None:
        """Ends reading where no whole record follows, which is good only if nothing follows."""
        if self._damaged:
            self.stop("damaged_file")
        elif self.position < len(self.data):
            self.stop("truncated_file")

    def stop(self, reason: str, offset: int | None = None) -> None:
        """Ends reading for a reason, at the record that begins at `offset`, here if not given."""
        self._counts[reason] += 1
        self.stopped_at = self.offset if offset is None else offset

    def _fetch(self, size: int) -> bool:
        self._base += self.position
        parts = [self.data[self.position :]]
        self.position, available = 0, len(parts[0])
        while available < size and not self._damaged:
            try:
                chunk = next(self._chunks, b"")
            except zlib.error:
                self._damaged = True
                break
            if not chunk:
                break
            parts.append(chunk)
            available += len(chunk)
        self.data = b"".join(parts)
        return available >= size


def _read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _inflate(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields what gzip members hold, in pieces of bounded size whatever they inflate to.

    Raises:
        zlib.error: If a member is damaged or ends early.
    """
    waiting, inflater = head, zlib.decompressobj(wbits=31)
    while waiting or (waiting := next(chunks, b"")):
        if inflater.eof:
            inflater = zlib.decompressobj(wbits=31)
        if piece := inflater.decompress(waiting, CHUNK_BYTES):
            yield piece
        waiting = inflater.unused_data.lstrip(b"\0") if inflater.eof else inflater.unconsumed_tail
    if not inflater.eof:
        raise zlib.error("gzip member ends early")
