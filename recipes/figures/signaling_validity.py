"""Whether whatever tokens come out at random under the grammar, they are a message that can be sent and read.

Every token is drawn from those that are allowed, all alike: what a network with random weights would write. Each
message must encode, decode to the same message and have the same tokens again. tshark, where it is installed, must find
nothing malformed. What tshark itself reads wrongly is not asked of it, and counted by reason. The baseline is the same
tokens without the grammar.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gentwin.signaling.capture import write_capture
from gentwin.signaling.dialogue import (
    END,
    Automaton,
    GrammarError,
    Sides,
    Vocabulary,
    message_names,
    message_token,
    to_message,
    to_tokens,
)
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NAS, NGAP, Message, Record
from gentwin.signaling.records import decode_message, encode_record
from recipes.figures.result import Result
from recipes.figures.signaling_dissect import dissect, find_tshark, version_of

GOAL = "of 10,000 messages 0 fail to encode, 0 change on decode-encode, 0 are malformed in tshark, if that is installed"
MESSAGES_FULL, MESSAGES_QUICK = 10_000, 1_000
ENDS = {
    "<gnb>amf>": ("127.0.1.1:40000", "127.0.0.5:38412"),
    "<amf>gnb>": ("127.0.0.5:38412", "127.0.1.1:40000"),
    "<smf>upf>": ("127.0.0.4:8805", "127.0.0.7:8805"),
    "<upf>smf>": ("127.0.0.7:8805", "127.0.0.4:8805"),
}
UTF8 = "UTF-8 name: its length is read as that of a constraint, which PER does not see"
MISREAD = {
    "extended_amf_name.amf_name_utf8_string": UTF8,
    "extended_ran_node_name.ran_node_name_utf8_string": UTF8,
    "mbs_distribution_setup_response_transfer": "answer to a multicast distribution: read as an earlier version has it",
    "multicast_transport_information": "multicast tunnel: the octets of its number are read twice",
    "packet_rate_status.valid_until": "validity of a packet rate: 8 octets, read as a number of at most 4",
    "eutran_reporting_status": "report of cells between systems: read as an earlier version has it",
    "ngran_reporting_status": "report of cells between systems: read as an earlier version has it",
    "source_ip_address.prefix_length": "prefix of a source address: read as longer than its octet",
    "ue_app_layer_meas_config_info": "quality of experience to be measured: read as an earlier version has it",
    "rejected.s_nssai.mapped_sst": "rejected slice with another one in the home network: the latter is not read",
}
"""Parts of paths of fields that tshark 4.0 reads otherwise than the specifications say."""


def sample(automaton: Automaton, kinds: np.ndarray, random: np.random.Generator) -> list[str]:
    """Returns the tokens of a random message: one of some kinds, and then any that are allowed.

    Args:
        automaton: Says which are.
        kinds: Tokens that begin messages.
        random: What is drawn from.
    """
    automaton.start([str(random.choice(kinds))])
    found: list[int] = []
    while not automaton.complete:
        found.append(int(random.choice(np.flatnonzero(automaton.allowed()))))
        automaton.advance(found[-1])
    return automaton.vocabulary.decode(found)


def carried(message: Message) -> Message:
    """Returns a message as it goes over a link: one of NAS in one of NGAP."""
    if message.protocol != NAS:
        return message
    return Message(NGAP, "DownlinkNASTransport", Fields.of(amf_ue_ngap_id=1, ran_ue_ngap_id=1, nas_pdu=message))


def misread(message: Message) -> str | None:
    """Returns why tshark does not read a message as it is; None if it does."""
    for path, _ in message.fields.walk():
        for part, reason in MISREAD.items():
            if f".{part}." in f".{path}.":
                return reason
    return None


def check(tokens: list[str], timestamp: float) -> tuple[Record, str | None]:
    """Returns the message of some tokens as it goes over a link, and what is wrong with it, if anything."""
    message = to_message(tokens)
    sent = carried(message)
    sender, receiver = ENDS[Sides().direction_of(Record(sent, timestamp, *ENDS["<gnb>amf>"]))]
    record = Record(sent, timestamp, sender, receiver)
    try:
        data = encode_record(record)
        decoded = decode_message(sent.protocol, data)
        again = encode_record(replace(record, message=decoded))
    except SignalingError as error:
        return record, f"{message.name}: {error}"
    if decoded != sent or again != data:
        return record, f"{message.name}: changed"
    inner = decoded if sent is message else decoded["nas_pdu"]
    return replace(record, raw=data), None if to_tokens(inner) == tokens else f"{message.name}: other tokens"


def malformed(tshark: str, records: list[Record]) -> Counter[str]:
    """Returns how many messages of each name tshark calls malformed."""
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "sampled.pcap"
        write_capture(capture, records)
        frames = dissect(tshark, capture, ciphered=False)
        return Counter(record.message.name for record, (_, bad) in zip(records, frames, strict=True) if bad)


def share_without_grammar(vocabulary: Vocabulary, lengths: list[int], kinds: np.ndarray, random: Any) -> float:
    """Returns the share of random tokens, as many as messages have, that are a message."""
    accepted = 0
    for length in lengths:
        inside = random.integers(len(vocabulary), size=max(0, length - 2))
        try:
            to_message([str(random.choice(kinds)), *vocabulary.decode(inside), END])
        except (GrammarError, SignalingError):
            continue
        accepted += 1
    return accepted / len(lengths)


def measure(full: bool, seed: int) -> Result:
    """Measures the figure."""
    vocabulary, random = Vocabulary.of_schema(), np.random.default_rng(seed)
    automaton, tshark = Automaton(vocabulary), find_tshark()
    kinds = np.array([message_token(p, name) for p in vocabulary.protocols for name in message_names(p)])
    wrong, not_asked = Counter(), Counter()
    records: list[Record] = []
    lengths: list[int] = []
    while len(records) < (MESSAGES_FULL if full else MESSAGES_QUICK):
        tokens = sample(automaton, kinds, random)
        lengths.append(len(tokens))
        record, reason = check(tokens, 1.0 + len(lengths) / 1000)
        if reason is not None:
            wrong[reason] += 1
        reason = misread(record.message)
        if reason is None and record.raw:
            records.append(record)
        else:
            not_asked[reason or "cannot be encoded"] += 1
    found = None if tshark is None else malformed(tshark, records)
    figure = {
        "messages": len(lengths),
        "names": len(kinds),
        "mean_tokens": float(np.mean(lengths)),
        "wrong": dict(wrong),
        "tshark": None if tshark is None else version_of(tshark),
        "shown_to_tshark": 0 if tshark is None else len(records),
        "malformed": None if found is None else dict(found),
        "not_shown": dict(not_asked),
    }
    without = share_without_grammar(vocabulary, lengths, kinds, random)
    share = 1 - wrong.total() / len(lengths)
    baseline = {"share_that_is_a_message_without_grammar": without}
    return Result(figure, GOAL, not wrong and not found, baseline, share / without if without else None)
