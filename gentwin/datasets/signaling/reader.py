"""Dialogues read from Parquet."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gentwin.datasets.parquet import open_parquet
from gentwin.datasets.signaling.columns import FORMAT, FORMAT_KEY, LISTS, VALUES
from gentwin.datasets.signaling.errors import DialogueError
from gentwin.datasets.signaling.splits import SPLITS
from gentwin.datasets.validation import TransitionError
from gentwin.signaling.contexts import NODE, UE, Context, Dialogue
from gentwin.signaling.errors import DecodeError
from gentwin.signaling.messages import Record
from gentwin.signaling.records import decode_message

if TYPE_CHECKING:
    import datasets

BATCH_ROWS = 16
_SHARD = re.compile(r"([a-z]+)-[0-9]{5}-of-([0-9]{5})\.parquet")


@dataclass(frozen=True, slots=True)
class StoredDialogue(Dialogue):
    """A dialogue of a data set.

    Args:
        context: Of all its records: number in its capture, kind, SUPI and links.
        records: At least one.
        capture: Name of the capture it is from.
    """

    capture: str


def read_dialogues(directory: str | os.PathLike[str], split: str) -> Iterator[StoredDialogue]:
    """Opens a split to read its dialogues one after the other.

    Args:
        directory: A data set that [`write_dataset`][gentwin.datasets.signaling.write_dataset] wrote.
        split: `train`, `validation` or `test`.

    Returns:
        Dialogues in the order in which they are stored; none if nothing is in the split.

    Raises:
        DialogueError: If there is no such data set or split, or a file is missing; when read, if a file is damaged or
            has other columns, or values that no data set has.
    """
    if split not in SPLITS:
        raise DialogueError(f"`split` must be {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, got {split!r}.")
    return to_dialogues(chain.from_iterable(map(_rows, _shards(Path(directory)).get(split, []))))


def to_dialogues(rows: Iterable[Mapping[str, Any]]) -> Iterator[StoredDialogue]:
    """Yields the dialogues in rows of a data set, such as those of a `datasets.Dataset`.

    Args:
        rows: In the order in which they are stored, or any other that keeps the parts of a dialogue together.

    Raises:
        DialogueError: If parts of a dialogue are missing or not in order, a value is missing or out of range, or bytes
            are no message.
    """
    for (capture, context), parts in groupby(rows, itemgetter("capture", "context")):
        yield _dialogue(f"{capture}, context {context}", list(parts))


def load(directory: str | os.PathLike[str]) -> datasets.DatasetDict:
    """Returns all splits that are not empty as `datasets` reads them.

    Args:
        directory: A data set that [`write_dataset`][gentwin.datasets.signaling.write_dataset] wrote.

    Raises:
        DialogueError: If there is no such data set, or a file is missing.
    """
    from datasets import load_dataset

    _shards(Path(directory))
    return load_dataset(os.fspath(directory))


def _shards(directory: Path) -> dict[str, list[Path]]:
    """Returns the files of every split that is not empty.

    Raises:
        DialogueError: If there are none, or some are missing.
    """
    found: dict[str, list[Path]] = {}
    sizes: dict[str, int] = {}
    for path in sorted(directory.glob("data/*.parquet")):
        if (match := _SHARD.fullmatch(path.name)) and match[1] in SPLITS:
            found.setdefault(match[1], []).append(path)
            sizes[match[1]] = int(match[2])
    if not found:
        raise DialogueError(f"{directory} is not a data set of dialogues; write one with `capture-to-dataset`.")
    for split, paths in found.items():
        if len(paths) != sizes[split]:
            raise DialogueError(
                f"{directory}: `{split}` has {len(paths)} files of {sizes[split]}; write or fetch the data set again."
            )
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with open_parquet(path) as file:
            _check_columns(file.schema_arrow, path)
            for batch in file.iter_batches(BATCH_ROWS):
                yield from batch.to_pylist()
    except TransitionError as error:
        raise DialogueError(str(error)) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DialogueError(f"{path}: damaged Parquet file ({error}); write or fetch the data set again.") from error


def _check_columns(schema: pa.Schema, path: Path) -> None:
    version = (schema.metadata or {}).get(FORMAT_KEY)
    if version != FORMAT:
        found = "none" if version is None else repr(version.decode("utf-8", "replace"))
        raise DialogueError(
            f"{path}: metadata `{FORMAT_KEY.decode()}` must be {FORMAT.decode()!r}, got {found}; use the release of "
            "gentwin that wrote it, or write the data set again."
        )
    wanted = {name: pa.type_for_alias(kind) for name, kind in VALUES.items()}
    wanted |= {name: pa.list_(pa.type_for_alias(kind)) for name, kind in LISTS.items()}
    for name, kind in wanted.items():
        found = schema.field(name).type if schema.names.count(name) == 1 else "none or several"
        if found != kind:
            raise DialogueError(f"{path}: column `{name}` must be {kind}, got {found}; write the data set again.")


def _dialogue(place: str, parts: list[Mapping[str, Any]]) -> StoredDialogue:
    for part in parts:
        _check_values(place, part)
    numbers = [part["part"] for part in parts]
    if numbers != list(range(len(parts))):
        raise DialogueError(f"{place}: `part` must count from 0, got {numbers}; read rows in their order.")
    first, records = parts[0], []
    for part in parts:
        records.extend(_records(place, part))
    context = Context(first["context"], first["kind"])
    context.supi, context.links = first["supi"], {record.message.protocol for record in records}
    return StoredDialogue(context, tuple(records), first["capture"])


def _check_values(place: str, row: Mapping[str, Any]) -> None:
    for name in VALUES:
        if row[name] is None and name != "supi":
            raise DialogueError(f"{place}: `{name}` must not be null; write the data set again.")
    for name in LISTS:
        if row[name] is None or None in row[name]:
            raise DialogueError(f"{place}: `{name}` and its entries must not be null; write the data set again.")
    if row["kind"] not in (UE, NODE):
        raise DialogueError(
            f"{place}: `kind` must be `{UE}` or `{NODE}`, got {row['kind']!r}; write the data set again."
        )
    if len({len(row[name]) for name in LISTS}) != 1:
        raise DialogueError(f"{place}: lists of a row must have one length; write the data set again.")
    if not row["data"]:
        raise DialogueError(f"{place}: a row must have at least one message; write the data set again.")
    for timestamp in row["timestamp"]:
        if not math.isfinite(timestamp):
            raise DialogueError(f"{place}: `timestamp` must be finite, got {timestamp}; write the data set again.")


def _records(place: str, row: Mapping[str, Any]) -> Iterator[Record]:
    names = ("protocol", "data", "timestamp", "sender", "receiver", "stream")
    for protocol, data, *rest in zip(*(row[name] for name in names), strict=True):
        try:
            yield Record(decode_message(protocol, data), *rest, data)
        except DecodeError as error:
            raise DialogueError(f"{place}: {error}; write the data set again.") from error
