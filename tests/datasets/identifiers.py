"""Search for what identifies somebody, or is made of a key, in the files of a data set."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pyarrow.parquet as pq

from gentwin.signaling.fields import Bits
from gentwin.signaling.messages import Record
from gentwin.signaling.privacy import SECRETS

DIGITS = {"msin", "imsi", "imei", "imeisv", "msisdn"}
BYTES = {"tmsi", "five_g_tmsi", "rand", "autn", "auts", "res_star", "scheme_output", "security_key", "masked_imeisv"}
TEXTS = {"supi", "gpsi", "pei", "ran_node_name", "amf_name"}
ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}|[0-9a-f]*:[0-9a-f:]*")
# Shorter ones may be in compressed data by chance.
LONG = 6


def leaves(records: Iterable[Record]) -> Iterator[tuple[str, object]]:
    """Yields the last name and the value of every field, those of NAS inside too."""
    for record in records:
        for path, value in record.message.fields.walk():
            yield path.rpartition(".")[2], value


def as_bytes(value: object) -> bytes:
    return value.value.to_bytes(-(-value.size // 8), "big") if isinstance(value, Bits) else bytes(value)


class Identifiers:
    """What identifies somebody in records, or is made of a key, by kind.

    Digits are looked for as text and as half octets in both orders, addresses as text and as bytes.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        records = list(records)
        self.digits: dict[str, set[str]] = defaultdict(set)
        self.bytes: dict[str, set[bytes]] = defaultdict(set)
        self.texts: dict[str, set[str]] = defaultdict(set)
        for name, value in leaves(records):
            if name in DIGITS:
                self.digits[name].add(value)
            elif name in BYTES or name in SECRETS:
                self.bytes[name].add(as_bytes(value))
            elif name in TEXTS:
                self.texts[name].add(value)
            elif name == "payload" and isinstance(value, bytes):
                self.bytes["ciphered"].update(value[place : place + 8] for place in range(0, len(value) - 7, 8))
            elif isinstance(value, str) and ADDRESS.fullmatch(value):
                self._add_address("address", value)
        for record in records:
            for end in (record.sender, record.receiver):
                self._add_address("end", end.rpartition(":")[0].strip("[]"))

    def _add_address(self, kind: str, text: str) -> None:
        self.texts[kind].add(text)
        self.bytes[kind].add(ip_address(text).packed)

    @property
    def kinds(self) -> set[str]:
        """Kinds of which there is something to look for."""
        return {kind for known in (self.digits, self.bytes, self.texts) for kind, values in known.items() if values}

    def found(self, data: bytes, shortest: int = 1) -> dict[str, set[object]]:
        """Returns those that occur anywhere in some bytes, by kind, but for those of fewer bytes than `shortest`."""
        straight = data.hex()
        swapped = "".join(f"{second}{first}" for first, second in zip(straight[::2], straight[1::2], strict=True))
        found: dict[str, set[object]] = defaultdict(set)
        for kind, values in self.digits.items():
            for text in values:
                halves = len(text) // 2 >= shortest and (text in swapped or text in straight)
                if text.encode() in data or halves:
                    found[kind].add(text)
        for kind, values in self.bytes.items():
            found[kind] |= {part for part in values if len(part) >= shortest and part in data}
        for kind, values in self.texts.items():
            found[kind] |= {text for text in values if text.encode() in data}
        return {kind: values for kind, values in found.items() if values}


def saved(directory: Path) -> bytes:
    """Returns all bytes of a data set with Parquet as plain as it can be, then column by column."""
    parts = []
    for path in sorted(directory.rglob("*")):
        if path.suffix != ".parquet":
            parts.append(path.read_bytes() if path.is_file() else path.name.encode())
            continue
        table = pq.read_table(path)
        plain = io.BytesIO()
        pq.write_table(table, plain, compression="none", use_dictionary=False)
        parts.append(plain.getvalue())
        for column in table.to_pydict().values():
            for value in column:
                for entry in value if isinstance(value, list) else [value]:
                    parts.append(entry if isinstance(entry, bytes) else str(entry).encode())
    return b"\xa5\x5a".join(parts)


def stored(directory: Path) -> bytes:
    """Returns all bytes of a data set as they are on disk."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())
