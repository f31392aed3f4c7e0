"""Dialogues written to sharded Parquet."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hmac import digest
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gentwin.datasets.signaling.card import render_card
from gentwin.datasets.signaling.columns import LISTS, arrow_schema
from gentwin.datasets.signaling.errors import DialogueError
from gentwin.datasets.signaling.splits import SPLITS, Splits
from gentwin.datasets.signaling.store import DialogueStore, StoredMessage
from gentwin.datasets.signaling.summary import CaptureSummary, SplitSummary, Summary
from gentwin.schema import did_you_mean
from gentwin.signaling.messages import NAS, Record
from gentwin.signaling.privacy import Pseudonymiser
from gentwin.signaling.records import RecordReader

MAX_MESSAGES = 1024
MAX_ROW_BYTES = 8 << 20
ROW_GROUP_ROWS, ROW_GROUP_BYTES = 1000, 2 << 20
SHARD_BYTES = 256 << 20
OTHER_BYTES = 96  # of a message in all columns but its data, about
DATA, CARD, STORE = "data", "README.md", "dialogues.sqlite"


def write_dataset(
    directory: str | os.PathLike[str],
    captures: Iterable[tuple[str, Iterable[Record]]],
    *,
    splits: Splits | None = None,
    pseudonymise: bool = True,
    key: bytes | None = None,
    provenance: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    max_messages: int = MAX_MESSAGES,
    shard_bytes: int = SHARD_BYTES,
) -> Summary:
    """Writes the dialogues of captures as a data set that `datasets.load_dataset(directory)` reads.

    Everything goes to `<directory>.partial`, which becomes `directory` when it is complete. Records are read once and
    wait on disk, with pseudonyms, so that memory grows with the number of UEs only; the disk must hold the messages
    three times. The same records, options and key give the same files.

    A UE is never in two splits. A dialogue without SUPI that may be of UEs in different splits is left out and counted;
    see [`Splits`][gentwin.datasets.signaling.Splits]. Where whole captures are, they have pseudonyms of their own each,
    so that one who is in two of them is two UEs in the data set.

    Args:
        directory: Folder to write.
        captures: Name and records of each, read one after the other. What a
            [`RecordReader`][gentwin.signaling.records.RecordReader] could not decode is in the summary and the card.
        splits: How dialogues are divided; by UE if not given.
        pseudonymise: Whether identities are replaced, as they must be if they are somebody's; see
            [`privacy`][gentwin.signaling.privacy].
        key: At least 16 random bytes that pseudonyms are made with: who has them can find out whose pseudonym one is.
            The same ones give a person the same pseudonym in several data sets. Drawn, and forgotten, if not given.
        provenance: JSON-able facts about the origin for the data card.
        overwrite: Whether a data set in `directory` may be replaced.
        max_messages: Number of messages in a row, at least 1; longer dialogues continue in further rows.
        shard_bytes: Bytes after which another file begins, before compression, at least 1.

    Returns:
        What was written.

    Raises:
        DialogueError: If there are no messages, a record cannot be encoded, two captures have one name, a test capture
            is not there, or a UE that has no pseudonym is in captures of two splits.
        FileExistsError: If `directory` exists and `overwrite` is false, or holds anything but a data set.
        TypeError: If `provenance` is not JSON-able.
        ValueError: If `key` is too short.
    """
    splits = splits or Splits()
    for name, value in (("max_messages", max_messages), ("shard_bytes", shard_bytes)):
        if value < 1:
            raise DialogueError(f"`{name}` must be at least 1, got {value}.")
    json.dumps(provenance)
    with _replaced_folder(Path(directory), overwrite) as folder:
        with DialogueStore(folder / STORE) as store:
            made_of = _read(store, captures, splits, _Pseudonyms(key, splits) if pseudonymise else None)
            store.assign_splits(splits)
            made_of = _without_ambiguous(made_of, store)
            (folder / DATA).mkdir()
            writer = _Writer(folder / DATA, max_messages, shard_bytes)
            writer.write(store.messages())
            for split, ues in store.count_ues().items():
                writer.splits[split].ues = ues
        (folder / STORE).unlink()
        summary = Summary(Path(directory), made_of, writer.splits, writer.messages, splits, pseudonymise)
        (folder / CARD).write_text(render_card(summary, provenance or {}), encoding="utf-8")
    return summary


class _Pseudonyms:
    """Pseudonyms of captures: the same in all that are divided, and others in each that is not."""

    def __init__(self, key: bytes | None, splits: Splits) -> None:
        self._key = secrets.token_bytes(32) if key is None else key
        self._splits = splits
        self._common = Pseudonymiser(self._key)

    def of(self, capture: str) -> Pseudonymiser:
        if not self._splits.as_a_whole(capture):
            return self._common
        return Pseudonymiser(digest(self._key, b"capture " + capture.encode(), "sha256"))


def _read(
    store: DialogueStore,
    captures: Iterable[tuple[str, Iterable[Record]]],
    splits: Splits,
    pseudonyms: _Pseudonyms | None,
) -> tuple[CaptureSummary, ...]:
    """Puts captures in the store and returns what became of them."""
    found: dict[str, CaptureSummary] = {}
    for name, records in captures:
        if name in found:
            raise DialogueError(f"two captures are named {name!r}; give one of them another name.")
        changed = map(pseudonyms.of(name), records) if pseudonyms else records
        scope = f"{name} " if pseudonyms and splits.as_a_whole(name) else ""
        messages, dialogues = store.add(name, changed, scope)
        counts = dict(records.counts) if isinstance(records, RecordReader) else {}
        found[name] = CaptureSummary(name, messages, dialogues, counts)
    for name in splits.test_captures:
        if name not in found:
            end = did_you_mean(name, found)
            raise DialogueError(f"`test_captures` must name captures that are there, got {name!r}{end}")
    if not any(capture.messages for capture in found.values()):
        counts = sum((Counter(capture.counts) for capture in found.values()), Counter())
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.most_common()) or "they are empty"
        raise DialogueError(f"no message of N2 or N4 in {', '.join(found) or 'no captures'} ({reasons}); give others.")
    return tuple(found.values())


def _without_ambiguous(captures: Iterable[CaptureSummary], store: DialogueStore) -> tuple[CaptureSummary, ...]:
    """Returns what became of captures when ambiguous dialogues were left out."""
    left_out = store.count_ambiguous()
    found = []
    for capture in captures:
        messages, dialogues = left_out.get(capture.name, (0, 0))
        counts = {"messages": capture.messages - messages, "dialogues": capture.dialogues - dialogues}
        found.append(replace(capture, **counts, ambiguous=dialogues))
    return tuple(found)


class _Writer:
    """Rows, row groups and files of all splits, one after the other."""

    def __init__(self, folder: Path, max_messages: int, shard_bytes: int) -> None:
        self.splits = {split: SplitSummary() for split in SPLITS}
        self.messages: Counter[tuple[str, str, str]] = Counter()
        self._folder, self._max_messages, self._shard_bytes = folder, max_messages, shard_bytes
        self._schema = arrow_schema()

    def write(self, messages: Iterable[StoredMessage]) -> None:
        """Writes messages that are in the order of splits and dialogues."""
        for split, of_split in groupby(messages, attrgetter("split")):
            self._write_split(split, of_split)

    def _write_split(self, split: str, messages: Iterator[StoredMessage]) -> None:
        shards: list[Path] = []
        rows = self._rows(split, messages)
        for first in rows:
            shards.append(self._folder / f"{split}-{len(shards):05d}.parquet")
            self._write_shard(shards[-1], first, rows)
        for number, path in enumerate(shards):
            path.rename(path.with_name(f"{split}-{number:05d}-of-{len(shards):05d}.parquet"))

    def _write_shard(self, path: Path, first: dict[str, Any], rows: Iterator[dict[str, Any]]) -> None:
        """Writes rows until there are enough bytes, or no more rows."""
        group, size, total = [first], _size(first), 0
        with open(path, "wb") as sink:
            with pq.ParquetWriter(sink, self._schema, compression="zstd", write_page_checksum=True) as writer:
                while total + size < self._shard_bytes and (row := next(rows, None)):
                    group.append(row)
                    size += _size(row)
                    if len(group) >= ROW_GROUP_ROWS or size >= ROW_GROUP_BYTES:
                        writer.write_table(pa.Table.from_pylist(group, schema=self._schema))
                        group, size, total = [], 0, total + size
                if group:
                    writer.write_table(pa.Table.from_pylist(group, schema=self._schema))
            sink.flush()
            os.fsync(sink.fileno())

    def _rows(self, split: str, messages: Iterator[StoredMessage]) -> Iterator[dict[str, Any]]:
        counts = self.splits[split]
        for _, of_dialogue in groupby(messages, attrgetter("dialogue")):
            counts.dialogues += 1
            for part, piece in enumerate(self._pieces(of_dialogue)):
                counts.rows += 1
                counts.messages += len(piece)
                for message in piece:
                    self.messages[message.protocol, message.name, split] += 1
                    for name in message.nas.split("+") if message.nas else ():
                        self.messages[NAS, name, split] += 1
                about = {name: getattr(piece[0], name) for name in ("capture", "context", "kind", "split", "supi")}
                yield {**about, "part": part, **{name: [getattr(message, name) for message in piece] for name in LISTS}}

    def _pieces(self, messages: Iterator[StoredMessage]) -> Iterator[list[StoredMessage]]:
        """Yields the messages of a dialogue, those of one row at a time."""
        piece: list[StoredMessage] = []
        size = 0
        for message in messages:
            if piece and (len(piece) >= self._max_messages or size + len(message.data) > MAX_ROW_BYTES):
                yield piece
                piece, size = [], 0
            piece.append(message)
            size += len(message.data)
        yield piece


def _size(row: Mapping[str, Any]) -> int:
    """Returns about how many bytes a row has."""
    return sum(map(len, row["data"])) + OTHER_BYTES * len(row["data"])


@contextlib.contextmanager
def _replaced_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Gives a new folder, which takes the place of another one if all goes well and disappears otherwise."""
    folder = Path(os.path.abspath(folder))
    if folder.exists() and not overwrite:
        raise FileExistsError(f"{folder} exists; choose another folder, or allow to overwrite it.")
    partial = folder.with_name(f"{folder.name}.partial")
    for path in (folder, partial):
        if path.exists() and (not path.is_dir() or {entry.name for entry in path.iterdir()} - {DATA, CARD, STORE}):
            raise FileExistsError(f"{path} is not a data set of dialogues, so it stays; choose another folder.")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            old = tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}.")
            folder.rename(Path(old, folder.name))
            partial.rename(folder)
            shutil.rmtree(old)
        else:
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
