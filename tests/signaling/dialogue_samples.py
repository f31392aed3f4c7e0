"""Messages drawn under the grammar, and messages of recordings."""

from __future__ import annotations

import os
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from gentwin.signaling import nas
from gentwin.signaling.dialogue import Automaton, Vocabulary
from gentwin.signaling.messages import NAS, Message, Record
from gentwin.signaling.records import decode_message, encode_record, read_records

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "data/signaling", ROOT.parent / "shared/data/captures")


@cache
def vocabulary() -> Vocabulary:
    """Returns the vocabulary of all protocols."""
    pytest.importorskip("pycrate_asn1dir.NGAP")
    return Vocabulary.of_schema()


@cache
def recorded(name: str, most: int = 500) -> tuple[Message, ...]:
    """Returns the first messages of a recording; skips the test where it is not there."""
    pytest.importorskip("pycrate_asn1dir.NGAP")
    folders = [Path(os.environ["GENTWIN_CAPTURES"])] if "GENTWIN_CAPTURES" in os.environ else FOLDERS
    path = next((p for folder in folders if (p := folder / name / f"{name}.pcap").exists()), None)
    if path is None:
        pytest.skip(f"no recording {name}; set GENTWIN_CAPTURES to the folder of the recordings")
    with read_records(path) as records:
        return tuple(record.message for record in islice(records, most))


def sampled(automaton: Automaton, kind: str, random: np.random.Generator, named: bool) -> list[str]:
    """Returns tokens of a random message: all allowed ones alike, or all names of fields alike."""
    automaton.start([kind])
    found: list[int] = []
    tokens = automaton.vocabulary.tokens
    while not automaton.complete:
        choices = np.flatnonzero(automaton.allowed())
        assert len(choices), f"nothing may come after {automaton.vocabulary.decode(found)}"
        if named:
            names = [tokens[choice].partition("=")[0] for choice in choices]
            chosen = random.choice(sorted(set(names)))
            choices = choices[[name == chosen for name in names]]
        found.append(int(random.choice(choices)))
        automaton.advance(found[-1])
    return automaton.vocabulary.decode(found)


def through_bytes(message: Message) -> Message:
    """Returns a message encoded and decoded again."""
    if message.protocol == NAS:
        return nas.decode(nas.encode(message))
    return decode_message(message.protocol, encode_record(Record(message, 0.0, "", "")))
