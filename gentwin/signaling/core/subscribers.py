"""The subscriber database: who may do what, with which keys."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from os import PathLike

from gentwin.signaling.core.configuration import Slice
from gentwin.signaling.errors import SignalingError

SQN_STEP, SQN_LIMIT = 32, 1 << 48
ANY_RATE = 1_000_000_000  # bit/s, where none is given


@dataclass(frozen=True, slots=True)
class Subscription:
    """One data network that a subscriber may use in one slice.

    Args:
        slice: Where.
        dnn: Name of the data network.
        five_qi: 5QI of the default flow, 1 to 255.
        priority: Of allocation and retention, 1 (highest) to 15.
        uplink: Session AMBR in bit/s.
        downlink: Session AMBR in bit/s.
        session_types: Of `ipv4`, `ipv6`, `ipv4v6`.
        address: Static IPv4 address; None for one of the pool.
    """

    slice: Slice
    dnn: str
    five_qi: int = 9
    priority: int = 8
    uplink: int = ANY_RATE
    downlink: int = ANY_RATE
    session_types: tuple[str, ...] = ("ipv4",)
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscriber as the unified data management knows them.

    Args:
        supi: Digits of the IMSI.
        k: Key, 16 bytes.
        opc: Operator variant, 16 bytes.
        msisdn: Digits of the phone number.
        slices: That may be used; the first is the default.
        subscriptions: Data networks in them; the first is the default.
        uplink: UE AMBR in bit/s.
        downlink: UE AMBR in bit/s.
        amf: Authentication management field, 2 bytes.
        barred: Whether service is refused.
    """

    supi: str
    k: bytes = field(repr=False)
    opc: bytes = field(repr=False)
    msisdn: str
    slices: tuple[Slice, ...]
    subscriptions: tuple[Subscription, ...]
    uplink: int = ANY_RATE
    downlink: int = ANY_RATE
    amf: bytes = b"\x80\x00"
    barred: bool = False

    def find(self, of: Slice, dnn: str) -> Subscription | None:
        """Returns the subscription to a data network in a slice; None if there is none."""
        return next((known for known in self.subscriptions if known.slice == of and known.dnn == dnn), None)


class Subscribers:
    """Subscribers in SQLite, in a file or in memory.

    ```python
    >>> subscribers = Subscribers()
    >>> subscribers.add(Subscriber("999700000000001", bytes(16), bytes(16), "821000000001", (), ()))
    >>> subscribers.get("999700000000001").barred, subscribers.next_sqn("999700000000001"), len(subscribers)
    (False, 32, 1)
    ```

    Args:
        path: Of the file; it is created if there is none. In memory if not given.
    """

    def __init__(self, path: str | PathLike[str] = ":memory:") -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=MEMORY")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS subscriber (supi TEXT PRIMARY KEY, k BLOB NOT NULL, opc BLOB NOT NULL,"
            " sqn INTEGER NOT NULL, amf BLOB NOT NULL, barred INTEGER NOT NULL, profile TEXT NOT NULL)"
        )
        self._known: dict[str, Subscriber] = {}

    def add(self, subscriber: Subscriber, sqn: int = 0) -> None:
        """Adds a subscriber, or replaces one of the same SUPI.

        Args:
            subscriber: Whom.
            sqn: Sequence number that was used last, 48 bits.

        Raises:
            SignalingError: If the sequence number is out of range.
        """
        if not 0 <= sqn < SQN_LIMIT:
            raise SignalingError(f"`sqn` must be a number of 48 bits, got {sqn!r}.")
        values = asdict(subscriber)
        profile = {name: values[name] for name in ("msisdn", "slices", "subscriptions", "uplink", "downlink")}
        self._database.execute(
            "INSERT OR REPLACE INTO subscriber VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                subscriber.supi,
                subscriber.k,
                subscriber.opc,
                sqn,
                subscriber.amf,
                subscriber.barred,
                json.dumps(profile),
            ),
        )
        self._known.pop(subscriber.supi, None)

    def get(self, supi: str) -> Subscriber | None:
        """Returns a subscriber; None if nobody has that SUPI."""
        known = self._known.get(supi)
        if known is None:
            row = self._database.execute("SELECT * FROM subscriber WHERE supi = ?", (supi,)).fetchone()
            if row is None:
                return None
            known = self._known[supi] = _read(row)
        return known

    def next_sqn(self, supi: str) -> int:
        """Returns a fresh sequence number for a challenge, which is used from now on.

        Source: 3GPP TS 33.102 clause C.1.1.
        """
        (sqn,) = self._database.execute(
            "UPDATE subscriber SET sqn = (sqn + ?) & ? WHERE supi = ? RETURNING sqn", (SQN_STEP, SQN_LIMIT - 1, supi)
        ).fetchone()
        return sqn

    def set_sqn(self, supi: str, sqn: int) -> None:
        """Takes over the sequence number of a USIM that asked for resynchronisation."""
        self._database.execute("UPDATE subscriber SET sqn = ? WHERE supi = ?", (sqn, supi))

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def __len__(self) -> int:
        """Returns the number of subscribers."""
        return self._database.execute("SELECT count(*) FROM subscriber").fetchone()[0]

    def __iter__(self) -> Iterator[Subscriber]:
        """Yields the subscribers in the order of their SUPI."""
        for row in self._database.execute("SELECT * FROM subscriber ORDER BY supi"):
            yield _read(row)


def _read(row: tuple) -> Subscriber:
    supi, k, opc, _, amf, barred, text = row
    profile = json.loads(text)
    return Subscriber(
        supi=supi,
        k=k,
        opc=opc,
        amf=amf,
        barred=bool(barred),
        msisdn=profile["msisdn"],
        slices=tuple(Slice(**entry) for entry in profile["slices"]),
        subscriptions=tuple(
            Subscription(**{**entry, "slice": Slice(**entry["slice"]), "session_types": tuple(entry["session_types"])})
            for entry in profile["subscriptions"]
        ),
        uplink=profile["uplink"],
        downlink=profile["downlink"],
    )
