"""Whether tokens know nothing of identifiers: all those of a recording change, tokens stay, the output changes alike.

Every type of identifier (ids, tunnels, addresses, identities, numbers of requests, networks, areas, cells) gets a
random one-to-one map onto values of the same form, which holds for all messages and for the addresses of the packets. A
recording and its image must have the same dialogues with the same tokens, and the tokens of the one with the values of
the other must be the messages of the other, byte for byte. The baseline is the bytes: how many messages have the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from ipaddress import ip_address
from random import Random
from typing import Any

from gentwin.signaling.contexts import dialogues
from gentwin.signaling.dialogue import Slot, Utterance, read_utterances, separate, to_message, unframed
from gentwin.signaling.dialogue.slots import REF, slot_of
from gentwin.signaling.fields import Bits, Fields, Value
from gentwin.signaling.messages import PFCP, Message, Record
from gentwin.signaling.records import decode_message, encode_record, read_records
from recipes.figures.recordings import recordings
from recipes.figures.result import Result

BITS = {"AMF_UE_ID": 40, "PDU_SESSION_ID": 8, "PFCP_SEQ": 24, "PTI": 8, "RAN_UE_ID": 32, "SEID": 64, "TEID": 32}
"""Size of identifiers that are numbers. 0 is none in those that may be absent, and stays."""
ADDRESSES = ("NODE_IP", "UE_IP")
SCENARIO = "n2n4-rejects"


class Renaming:
    """A one-to-one map of identifiers onto others of the same form, for each type another one.

    Args:
        seed: Of the map.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        digits = [*"0123456789"]
        Random(f"{seed}/digits").shuffle(digits)
        # One for all types, as a SUPI is in one message as a whole and in another in parts.
        self._digits = str.maketrans("0123456789", "".join(digits))
        self._mask = cache(self._mask_of)

    def _mask_of(self, kind: str, bits: int) -> int:
        return Random(f"{self._seed}/{kind}/{bits}").randrange(1, 1 << bits)

    def value(self, kind: str, value: Any) -> Any:
        """Returns what an identifier of a type becomes."""
        if isinstance(value, Bits):
            return Bits(self._number(kind, value.value, value.size), value.size)
        if isinstance(value, bytes):
            return self._number(kind, int.from_bytes(value), 8 * len(value)).to_bytes(len(value))
        if isinstance(value, int):
            return self._number(kind, value, BITS[kind])
        if kind in ADDRESSES:
            address = ip_address(value)
            number = self._number(kind, int(address), address.max_prefixlen)
            return str(type(address)(number))
        return value.translate(self._digits)

    def _number(self, kind: str, value: int, bits: int) -> int:
        mask = self._mask(kind, bits)
        return value if value in (0, mask) else value ^ mask

    def record(self, record: Record) -> Record:
        """Returns a record with other identifiers, in its bytes too."""
        ends = (self._end(record.sender), self._end(record.receiver))
        message = self.message(record.message)
        renamed = Record(message, record.timestamp, *ends, record.stream)
        return replace(renamed, raw=encode_record(renamed))

    def _end(self, address: str) -> str:
        host, _, port = address.rpartition(":")
        return f"{self.value('NODE_IP', host)}:{port}"

    def message(self, message: Message) -> Message:
        """Returns a message with other identifiers."""
        scope = "header" if message.protocol == PFCP else message.name
        return replace(message, fields=self._fields(message.fields, message.protocol, (scope,)))

    def _fields(self, fields: Fields, protocol: str, scopes: tuple[str, ...]) -> Fields:
        return Fields((name, self._field(name, value, protocol, scopes)) for name, value in fields)

    def _field(self, name: str, value: Value, protocol: str, scopes: tuple[str, ...]) -> Value:
        if isinstance(value, Message):
            return self.message(value)
        if isinstance(value, Fields):
            return self._fields(value, protocol, (*scopes, name))
        kind = next((found for scope in scopes if (found := slot_of(protocol, scope, name))), None)
        return value if kind is None or ":" in kind else self.value(kind, value)


def renamed_values(utterance: Utterance, renaming: Renaming) -> tuple[Value, ...]:
    """Returns the values of an utterance, identifiers among them renamed."""
    message = to_message(unframed(utterance.tokens).tokens)
    slots = [slot for _, slot in message.fields.walk() if isinstance(slot, Slot) and slot.kind != REF]
    return tuple(
        renaming.value(slot.name, value) if slot.kind == "new" else value
        for slot, value in zip(slots, utterance.values, strict=True)
    )


def compare(records: Sequence[Record], renaming: Renaming) -> Counter[str]:
    """Returns how many messages there are, and of how many tokens, values, output or bytes are as they should be."""
    others = [renaming.record(record) for record in records]
    counts = Counter(messages=len(records))
    for one, other in zip(dialogues(records), dialogues(others), strict=True):
        here, there = separate(one), separate(other)
        swapped = [replace(utterance, values=renamed_values(utterance, renaming)) for utterance in here]
        for a, b, c, record, wanted, spoken in zip(
            here, there, swapped, one.records, other.records, read_utterances(swapped), strict=True
        ):
            resolved = encode_record(replace(wanted, message=spoken.message))
            counts["tokens"] += a.tokens == b.tokens
            counts["values"] += b.values == c.values
            counts["output"] += resolved == wanted.raw
            counts["decoded"] += decode_message(wanted.message.protocol, resolved) == wanted.message
            counts["bytes"] += record.raw == wanted.raw
    return counts


def measure(full: bool, seed: int) -> Result:
    """Measures the figure: one map for each of all recordings and two seeds, or one for a small recording."""
    counts: Counter[str] = Counter()
    for path in recordings(every=full):
        if not full and path.stem != SCENARIO:
            continue
        records = list(read_records(path))
        for number in range(seed, seed + (2 if full else 1)):
            counts += compare(records, Renaming(number))
    total = counts["messages"]
    figure = {
        "messages": total,
        "tokens_unchanged": counts["tokens"] / total,
        "values_permuted": counts["values"] / total,
        "output_permuted": min(counts["output"], counts["decoded"]) / total,
    }
    goal = "tokens unchanged, resolved output permuted accordingly, for all messages"
    met = min(figure["tokens_unchanged"], figure["values_permuted"], figure["output_permuted"]) == 1.0
    unchanged = counts["bytes"] / total
    baseline = {"bytes_unchanged": unchanged}
    return Result(figure, goal, met, baseline, figure["tokens_unchanged"] / unchanged if unchanged else None)
