"""Messages on disk, from the order of captures to that of dialogues."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from gentwin.datasets.signaling.errors import DialogueError
from gentwin.datasets.signaling.splits import Splits
from gentwin.signaling.contexts import UE, Context, ContextTracker
from gentwin.signaling.errors import EncodeError
from gentwin.signaling.messages import NGAP, Message, Record
from gentwin.signaling.ngap import map_nas
from gentwin.signaling.records import SECURITY_PROTECTED, encode_record

# After so many messages, what contexts are known by is noted: they remember the last 255 numbers only.
BATCH = 256
CACHE_KIB = 16_384
NOTED = 65_536
FEW_CONTEXTS = 4096

# The first of the identities of a UE, in the order of text, is what it is called.
SUPI, CONTEXT = "1 supi", "4 context"
KINDS = {"s_tmsi": "2 s_tmsi", "suci": "3 suci"}

_TABLES = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -{CACHE_KIB};
CREATE TABLE message (context INTEGER, timestamp REAL, sender TEXT, receiver TEXT, stream INTEGER, protocol TEXT,
    name TEXT, nas TEXT, data BLOB);
CREATE TABLE context (id INTEGER PRIMARY KEY, dialogue INTEGER);
CREATE TABLE dialogue (id INTEGER PRIMARY KEY, capture TEXT, number INTEGER, kind TEXT, supi TEXT, ue TEXT, split TEXT);
CREATE TABLE identity (context INTEGER, value TEXT, PRIMARY KEY (context, value)) WITHOUT ROWID;
"""


class StoredMessage(NamedTuple):
    """A message and the dialogue it is in.

    The fields are those of a row, and entries of its lists; `dialogue` numbers the dialogues of all captures. See
    [`gentwin.datasets.signaling`][gentwin.datasets.signaling].
    """

    dialogue: int
    capture: str
    context: int
    kind: str
    split: str
    supi: str | None
    timestamp: float
    sender: str
    receiver: str
    stream: int
    protocol: str
    name: str
    nas: str
    data: bytes


class DialogueStore:
    """Puts messages of captures in the order of dialogues, on disk.

    The last message of a capture may say that two contexts are one, so no dialogue is complete before. Memory grows
    with the number of UEs, not with that of messages.

    Args:
        path: File for what has been read. Sorting takes about as much space again where temporary files are.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(_TABLES)
        self._base = 0
        self._note = lru_cache(NOTED)(self._insert_identity)

    def __enter__(self) -> DialogueStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, capture: str, records: Iterable[Record], scope: str = "") -> tuple[int, int]:
        """Stores a capture.

        Args:
            capture: Its name, which no other has.
            records: What was said, in the order of the capture.
            scope: Identities are those of the same UEs in captures of the same scope.

        Returns:
            Number of messages and of dialogues.

        Raises:
            DialogueError: If a record cannot be encoded.
        """
        tracker, contexts = ContextTracker(), _Contexts()
        records, messages = iter(records), 0
        while batch := list(islice(records, BATCH)):
            found = [tracker.assign(record) for record in batch]
            rows = []
            for context, record in zip(found, batch, strict=True):
                messages += 1
                rows.append((self._base + context.number, *_columns(record, f"{capture}, message {messages}")))
            self._database.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            for context in dict.fromkeys(found):
                contexts.see(context)
                self._note_identities(context.current, scope)
        return messages, self._resolve(capture, scope, contexts)

    def assign_splits(self, splits: Splits) -> None:
        """Finds out which dialogues are those of one UE, and puts every dialogue in a split but those left out.

        Raises:
            DialogueError: If a UE is in captures that are in two splits.
        """

        def split_of(capture: str, ue: str | None) -> str:
            return splits.of_capture(capture) if ue is None or splits.as_a_whole(capture) else splits.of_ue(ue)

        self._database.create_function("ue_of", 1, self._link_identities(split_of), deterministic=True)
        self._database.create_function("split_of", 2, split_of, deterministic=True)
        self._database.execute(
            """UPDATE dialogue SET ue = ue_of(coalesce(
                (SELECT min(value) FROM identity WHERE identity.context = dialogue.id),
                ? || ' ' || capture || ' ' || number)) WHERE kind = ?""",
            (CONTEXT, UE),
        )
        query = "UPDATE dialogue SET split = split_of(capture, ue) WHERE kind != ? OR ue IS NOT NULL"
        self._database.execute(query, (UE,))
        query = """SELECT ue, group_concat(DISTINCT capture) FROM dialogue WHERE kind = ?
            GROUP BY ue HAVING count(DISTINCT split) > 1 LIMIT 1"""
        for ue, captures in self._database.execute(query, (UE,)):
            raise DialogueError(
                f"the UE known by {ue[2:]!r} is in captures of different splits ({captures}); leave `pseudonymise` on, "
                "which makes their UEs different ones, or divide by UE."
            )

    def count_ues(self) -> dict[str, int]:
        """Returns the number of UEs in every split that has some."""
        query = "SELECT split, count(DISTINCT ue) FROM dialogue WHERE kind = ? AND split IS NOT NULL GROUP BY split"
        return dict(self._database.execute(query, (UE,)))

    def count_ambiguous(self) -> dict[str, tuple[int, int]]:
        """Returns the number of messages and of dialogues left out of every capture that has some."""
        query = """SELECT capture, count(*), count(DISTINCT dialogue.id)
            FROM message CROSS JOIN context ON context.id = message.context
                CROSS JOIN dialogue ON dialogue.id = context.dialogue
            WHERE split IS NULL GROUP BY capture"""
        return {capture: (messages, dialogues) for capture, messages, dialogues in self._database.execute(query)}

    def messages(self) -> Iterator[StoredMessage]:
        """Yields messages by split, dialogue and time; those of the same time in the order of the capture."""
        query = """SELECT dialogue.id, capture, number, kind, split, supi,
                timestamp, sender, receiver, stream, protocol, name, nas, data
            FROM message CROSS JOIN context ON context.id = message.context
                CROSS JOIN dialogue ON dialogue.id = context.dialogue
            WHERE split IS NOT NULL ORDER BY split, dialogue.id, timestamp, message.rowid"""
        return map(StoredMessage._make, self._database.execute(query))

    def _insert_identity(self, context: int, value: str) -> None:
        self._database.execute("INSERT OR IGNORE INTO identity VALUES (?, ?)", (context, value))

    def _note_identities(self, context: Context, scope: str) -> None:
        for kind, *parts in context.identities:
            if kind in KINDS:
                value = " ".join(part.hex() if isinstance(part, bytes) else str(part) for part in parts)
                self._note(self._base + context.number, f"{scope}{KINDS[kind]} {value}")

    def _resolve(self, capture: str, scope: str, contexts: _Contexts) -> int:
        """Stores what the contexts of a capture turned out to be, and returns the number of dialogues."""
        base, roots = self._base, contexts.finish()
        rows = ((base + number, base + root) for number, root in enumerate(roots))
        self._database.executemany("INSERT INTO context VALUES (?, ?)", rows)
        self._database.execute(
            """INSERT OR IGNORE INTO identity SELECT dialogue, value FROM context CROSS JOIN identity ON context = id
            WHERE id >= ? AND id != dialogue""",
            (base,),
        )
        for context in contexts.standing.values():
            row = (base + context.number, capture, context.number, context.kind, context.supi)
            self._database.execute("INSERT INTO dialogue VALUES (?, ?, ?, ?, ?, NULL, NULL)", row)
            if context.supi is not None:
                self._note(base + context.number, f"{scope}{SUPI} {context.supi}")
        self._base += len(roots)
        return len(contexts.standing)

    def _link_identities(self, split_of: Callable[[str, str], str]) -> Callable[[str], str | None]:
        """Returns the function from the first identity of a dialogue to what its UE is called, None if it is ambiguous.

        A SUPI is its own answer. Two UEs of different SUPIs may have had one temporary identity after another, so what
        is found by a temporary identity alone may be either of them: it is taken for the first if both are in one
        split, and is ambiguous otherwise.

        Args:
            split_of: Split of a UE in a capture.
        """
        parents: dict[str, str] = {}
        owners: dict[str, set[tuple[str, str]]] = {}

        def root_of(value: str) -> str:
            while (parent := parents.get(value, value)) != value:
                parents[value] = parents.get(parent, parent)
                value = parent
            return value

        def join(one: str, other: str) -> None:
            first, second = sorted((root_of(one), root_of(other)))
            parents[second] = first

        def ue_of(value: str) -> str | None:
            root = root_of(value)
            found = owners.get(root)
            if found is None:
                return root
            return None if len({split for split, _ in found}) > 1 else min(found)[1]

        for _, (first, *others) in self._identities("IS NULL"):
            for value in (first, *others):
                join(first, value)
        for capture, (supi, *others) in self._identities("IS NOT NULL"):
            for value in others:
                if value in parents:
                    owners.setdefault(root_of(value), set()).add((split_of(capture, supi), supi))
        return ue_of

    def _identities(self, condition: str) -> Iterator[tuple[str, list[str]]]:
        """Yields capture and identities, in the order of text, of each dialogue whose SUPI meets a condition."""
        query = f"""SELECT context, capture, value FROM identity CROSS JOIN dialogue ON id = context
            WHERE supi {condition} ORDER BY context, value"""
        for (_, capture), rows in groupby(self._database.execute(query), itemgetter(0, 1)):
            yield capture, [value for _, _, value in rows]


class _Contexts:
    """Contexts of a capture, without those that turned out to be parts of others.

    Attributes:
        standing: The others, by number.
    """

    def __init__(self) -> None:
        self.standing: dict[int, Context] = {}
        self._parents = array("q")
        self._limit = FEW_CONTEXTS

    def see(self, context: Context) -> None:
        """Takes note of a context that a message belongs to."""
        self.standing[context.number] = context
        if len(self.standing) > self._limit:
            self._merge()
            self._limit = 2 * max(FEW_CONTEXTS, len(self.standing))

    def finish(self) -> array:
        """Returns the number of the context that each one, in the order of their numbers, turned out to be."""
        self._merge()
        roots = self._parents
        for number, parent in enumerate(roots):
            roots[number] = roots[parent]  # contexts become parts of older ones
        return roots

    def _merge(self) -> None:
        for context in list(self.standing.values()):
            current = context.current
            self._parents.extend(range(len(self._parents), context.number + 1))
            if current is not context:
                self._parents[context.number] = current.number
                del self.standing[context.number]
                self.standing[current.number] = current


def _columns(record: Record, place: str) -> tuple[Any, ...]:
    """Returns the columns of a record from `timestamp` on."""
    message = record.message
    try:
        data = encode_record(record)
    except EncodeError as error:
        raise DialogueError(f"{place} ({message.name}): {error}") from error
    ends = record.sender, record.receiver
    names = "+".join(_names_of_nas(message)) if message.protocol == NGAP else ""
    return (record.timestamp, *ends, record.stream, message.protocol, message.name, names, data)


def _names_of_nas(message: Message) -> list[str]:
    """Returns the names of the NAS messages in one of NGAP, outermost first."""
    names: list[str] = []

    def note(value: Any) -> Any:
        if isinstance(value, Message):
            # What is protected is named by what is in it, if it can be opened.
            if value.name != SECURITY_PROTECTED or isinstance(value.get("payload"), bytes):
                names.append(value.name)
            for _, inner in value.fields:
                note(inner)
        return value

    map_nas(message, note)
    return names
