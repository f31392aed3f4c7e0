"""Whether bytes come back as they were: bytes, record, canonical tokens, their numbers, record, bytes.

Every message of recordings and of synthesised traffic goes through both views of concurrency. What does not come back,
or was no message to begin with, is listed by name and reason. The baseline is what pycrate makes of the same messages
when they are taken apart into values and put into a new object again.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from gentwin.signaling import ngap
from gentwin.signaling.contexts import Dialogue, dialogues
from gentwin.signaling.core import GENERIC, OPEN5GS
from gentwin.signaling.dialogue import (
    Sides,
    Utterance,
    Vocabulary,
    interleave,
    read_utterances,
    separate,
)
from gentwin.signaling.messages import NAS, NGAP, PFCP, Record
from gentwin.signaling.records import UNDECODED, decode_message, encode_record, read_records
from recipes.figures.recordings import recordings
from recipes.figures.result import Result
from recipes.figures.signaling_dissect import synthesised

GOAL = "100 % identical, exceptions by name and reason"
UES_FULL, UES_QUICK = 320, 32
SYNTHESISED_FULL, SYNTHESISED_QUICK = 100_000, 5_000
COMPARED_FULL, COMPARED_QUICK = 5_000, 600  # messages of each protocol that pycrate rebuilds


@dataclass
class Account:
    """What became of messages.

    Args:
        messages: How many there were, by protocol.
        identical: How many of them had the same bytes after all, by protocol.
        interleaved: How many had in the view of several contexts, of all protocols.
        exceptions: How many did not, by name and reason.
        left_opaque: How many messages inside others nobody could read, so that their bytes are kept.
    """

    messages: Counter[str] = field(default_factory=Counter)
    identical: Counter[str] = field(default_factory=Counter)
    interleaved: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)
    left_opaque: int = 0

    @property
    def share(self) -> float:
        """Share of messages that came back in both views."""
        return min(self.identical.total(), self.interleaved) / max(1, self.messages.total())

    def summary(self) -> dict[str, Any]:
        """Returns the account as plain numbers."""
        return {
            "messages": dict(self.messages),
            "identical": self.share,
            "exceptions": dict(self.exceptions),
            "nas_left_opaque": self.left_opaque,
        }


def numbered(utterances: Iterable[Utterance], vocabulary: Vocabulary) -> Iterator[Utterance]:
    """Yields utterances of which the tokens were numbers in between."""
    for utterance in utterances:
        yield replace(utterance, tokens=tuple(vocabulary.decode(vocabulary.encode(utterance.tokens))))


def follow(records: Sequence[Record], vocabulary: Vocabulary, account: Account) -> None:
    """Takes records through both views, and notes which bytes come back."""
    found, sides = list(dialogues(records)), Sides(records)
    for dialogue in found:
        _follow_one(dialogue, numbered(separate(dialogue, sides), vocabulary), account)
    there = Counter(record.raw for record in records)
    back = Counter(
        encode_record(replace(records[0], message=spoken.message))
        for spoken in read_utterances(numbered(interleave(found, sides=sides), vocabulary))
    )
    account.interleaved += (there & back).total()


def _follow_one(dialogue: Dialogue, utterances: Iterator[Utterance], account: Account) -> None:
    for record, spoken in zip(dialogue.records, read_utterances(utterances), strict=True):
        protocol, name = record.message.protocol, record.message.name
        account.messages[protocol] += 1
        if spoken.message != record.message:
            account.exceptions[f"{name}: another message"] += 1
        elif encode_record(replace(record, message=spoken.message)) != record.raw:
            account.exceptions[f"{name}: other bytes"] += 1
        else:
            account.identical[protocol] += 1


def follow_recordings(every: bool, vocabulary: Vocabulary, sample: list[Record], random: Random) -> Account:
    """Returns what became of the messages of recordings; adds some of them to a sample."""
    account = Account()
    for path in recordings(every):
        with read_records(path) as reader:
            records = list(reader)
        for reason, count in reader.counts.items():
            if reason == "closed_nas":
                account.left_opaque += count
            elif reason in UNDECODED:
                account.messages[reason] += count
                account.exceptions[f"{path.stem}: {UNDECODED[reason]}"] += count
        follow(records, vocabulary, account)
        sample += random.sample(records, min(len(records), COMPARED_FULL))
    return account


def follow_synthesised(ues: int, count: int, seed: int, vocabulary: Vocabulary) -> Account:
    """Returns what became of messages that were made, of each flavour of the core a half."""
    account = Account()
    for flavour in (OPEN5GS, GENERIC):
        records = []
        for record in synthesised(flavour, ues, 140.0, seed)[: count // 2]:
            data = encode_record(record)
            decoded = replace(record, message=decode_message(record.message.protocol, data), raw=data)
            if decoded.message != record.message:
                account.messages[record.message.protocol] += 1
                account.exceptions[f"{record.message.name}: decoded to another message than was made"] += 1
            else:
                records.append(decoded)
        follow(records, vocabulary, account)
    return account


# ---------------------------------------------------------------- pycrate's value trees


def rebuilt(records: Sequence[Record], most: int) -> dict[str, float]:
    """Returns the share of messages, by protocol, that pycrate writes the same from their values alone.

    A message counts if its tree of names, or that of places, gives the same bytes.

    Args:
        records: To take messages from.
        most: How many of each protocol.
    """
    data: dict[str, list[bytes]] = {NGAP: [], NAS: [], PFCP: []}
    for record in records:
        data[record.message.protocol].append(record.raw)
    for outer in data[NGAP][:most]:
        ngap.map_nas(ngap.decode(outer), lambda inner: data[NAS].append(inner) or inner)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from pycrate_mobile.NAS5G import parse_NAS5G
        from pycrate_mobile.TS29244_PFCP import parse_PFCP

        checks = {NGAP: _ngap_is_rebuilt, NAS: _is_rebuilt(parse_NAS5G), PFCP: _is_rebuilt(parse_PFCP)}
        return {
            protocol: sum(map(checks[protocol], found[:most])) / max(1, len(found[:most]))
            for protocol, found in data.items()
        }


def _ngap_is_rebuilt(data: bytes) -> bool:
    from pycrate_asn1dir.NGAP import NGAP_PDU_Descriptions

    pdu = NGAP_PDU_Descriptions.NGAP_PDU
    pdu.from_aper(data)
    pdu.set_val(pdu.get_val())
    return pdu.to_aper() == data


def _is_rebuilt(parse: Callable[[bytes], tuple[Any, int]]) -> Callable[[bytes], bool]:
    """Returns what says whether pycrate writes the same bytes from the values of a message in a new object."""

    def check(data: bytes) -> bool:
        parsed, _ = parse(data)
        for values in (parsed.get_val_d, parsed.get_val):
            other = type(parsed)()
            # Whatever pycrate raises, the message is not rebuilt.
            with contextlib.suppress(Exception):
                other.set_val(values())
                if other.to_bytes() == data:
                    return True
        return False

    return check


def measure(full: bool, seed: int) -> Result:
    """Measures the figure."""
    vocabulary, sample, random = Vocabulary.of_schema(), [], Random(seed)
    accounts = {
        "recorded": follow_recordings(full, vocabulary, sample, random),
        "synthesised": follow_synthesised(
            UES_FULL if full else UES_QUICK, SYNTHESISED_FULL if full else SYNTHESISED_QUICK, seed, vocabulary
        ),
    }
    figure = {name: account.summary() for name, account in accounts.items()}
    share = min(account.share for account in accounts.values())
    random.shuffle(sample)
    shares = rebuilt(sample, COMPARED_FULL if full else COMPARED_QUICK)
    return Result(figure, GOAL, share == 1.0, {"pycrate value trees": shares}, share / min(shares.values()))
