"""Captures as commands look into them."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from gentwin.signaling.contexts import UE, Context, ContextTracker
from gentwin.signaling.errors import DecodeError, SignalingError
from gentwin.signaling.ladder import Ladder, Summariser, Summary, make_ladder
from gentwin.signaling.messages import Message, Record
from gentwin.signaling.privacy import Pseudonymiser
from gentwin.signaling.records import RecordReader, decode_message, read_records

NAMED, KEY_BYTES = 8, 32


class Held(NamedTuple):
    """A record without its message, which is made again of its bytes when it is needed.

    Args:
        timestamp: As of the record.
        place: Of the record in the capture.
        frame: That completed it.
        protocol: Of its message.
        raw: Bytes of its message.
        sender: As of the record.
        receiver: As of the record.
        stream: As of the record.
    """

    timestamp: float
    place: int
    frame: int
    protocol: str
    raw: bytes
    sender: str
    receiver: str
    stream: int

    def record(self) -> Record:
        """Returns the record."""
        message = decode_message(self.protocol, self.raw)
        return Record(message, self.timestamp, self.sender, self.receiver, self.stream, self.raw)


class CaptureFile:
    """A capture to be looked into.

    Args:
        path: Of its file.
        pseudonyms: Whether identities become pseudonyms.
    """

    def __init__(self, path: Path, pseudonyms: bool = False) -> None:
        self.path, self.pseudonyms = path, pseudonyms
        self._shown = _pseudonymised() if pseudonyms else lambda record: record

    def summary(self) -> tuple[Summary, RecordReader]:
        """Returns the summary of all records, and the reader that has read them.

        Raises:
            ValueError: If it is no capture, or has no message.
        """
        summariser = Summariser()
        with self._open() as reader:
            for record in reader:
                summariser.add(self._shown(record))
        return summariser.summary(), reader

    def records_of_frame(self, number: int) -> list[Record]:
        """Returns the records that a frame completed.

        Raises:
            ValueError: If it is no capture, or there are none.
        """
        found, before, after = [], None, None
        with self._open() as reader:
            for record in reader:
                frame = reader.capture.frames
                if frame == number:
                    found.append(self._shown(record))
                elif frame > number:
                    after = frame
                    break
                else:
                    before = frame
        if not found:
            near = " and ".join(str(frame) for frame in (before, after) if frame is not None)
            raise ValueError(
                f"`--message` must be the number of a frame with a message, got {number}; nearest: {near}."
            )
        return found

    def ladder(self, *, number: int | None = None, supi: str | None = None) -> Ladder:
        """Returns the chart of a UE.

        Args:
            number: Of its context; or
            supi: Its SUPI.

        Raises:
            ValueError: If it is no capture, or there is no such UE.
        """
        tracker, held = ContextTracker(), defaultdict[Context, list[Held]](list)
        origin = None
        with self._open() as reader:
            for record in reader:
                origin = record.timestamp if origin is None else origin
                entry = (record.timestamp, reader.records, reader.capture.frames, record.message.protocol, record.raw)
                held[tracker.assign(record)].append(Held(*entry, record.sender, record.receiver, record.stream))
        chosen = choose_ue({context.current for context in held}, number, supi)
        entries = sorted(entry for context, known in held.items() if context.current is chosen for entry in known)
        title = (
            f"UE {chosen.number}, SUPI {chosen.supi}" if chosen.supi and not self.pseudonyms else f"UE {chosen.number}"
        )
        return make_ladder(
            (self._shown(entry.record()) for entry in entries),
            title=f"{title} in {self.path.name}",
            numbers=[entry.frame for entry in entries],
            origin=origin,
        )

    @contextmanager
    def _open(self) -> Iterator[RecordReader]:
        """Opens the capture while a bar shows how much of it has been read.

        Raises:
            ValueError: If it is no capture, or nothing was in it after it was read.
        """
        if not self.path.is_file():
            raise ValueError(f"`FILE` must be a capture, got {str(self.path)!r}, which is no file.")
        console = Console(stderr=True)
        bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        with bar, bar.open(self.path, "rb", description=escape(self.path.name)) as stream:
            try:
                reader = read_records(stream)
            except DecodeError as error:
                raise ValueError(f"{self.path}: {error}") from error
            with reader:
                yield reader
        if not reader.records:
            counts = ", ".join(f"{count} {reason}" for reason, count in reader.counts.most_common(NAMED))
            frames = f"{reader.capture.frames} frames" + f" ({counts})" * bool(counts)
            raise ValueError(f"{self.path}: no message of NGAP or PFCP in {frames}.")


def choose_ue(contexts: Iterable[Context], number: int | None, supi: str | None) -> Context:
    """Returns the context of a UE, by its number or its SUPI.

    Raises:
        ValueError: If there is none; it names some that there are.
    """
    known = sorted((context for context in contexts if context.kind == UE), key=lambda context: context.number)
    digits = None if supi is None else supi.removeprefix("imsi-")
    for context in known:
        if context.number == number or (digits is not None and context.supi == digits):
            return context
    values = [context.number if supi is None else context.supi for context in known]
    named = [str(value) for value in values if value is not None]
    some = ", ".join(named[:NAMED]) + f" and {len(named) - NAMED} more" * (len(named) > NAMED)
    option, given = ("--ue", number) if supi is None else ("--supi", supi)
    raise ValueError(f"`{option}` must be a UE of the capture, got {given}; known: {some or 'none'}.")


def _pseudonymised() -> Callable[[Record], Record]:
    """Returns what replaces the identities in records, with a key that nobody knows."""
    pseudonymise = Pseudonymiser(secrets.token_bytes(KEY_BYTES))

    def replaced(record: Record) -> Record:
        try:
            return pseudonymise(record)
        except SignalingError:
            # What cannot be written with pseudonyms is named, and not shown.
            return pseudonymise(replace(record, message=Message(record.message.protocol, record.message.name)))

    return replaced
