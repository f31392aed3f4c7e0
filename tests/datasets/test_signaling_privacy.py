"""Nothing that identifies somebody is in the files of a data set, wherever one looks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

from gentwin.datasets.signaling import Splits, write_dataset
from gentwin.signaling import nas
from gentwin.signaling.fields import Bits
from gentwin.signaling.messages import NGAP, Message, Record
from gentwin.signaling.privacy import SECRETS, Pseudonymiser
from gentwin.signaling.records import decode_message, encode_record, read_records
from tests.datasets.identifiers import LONG, Identifiers, saved, stored
from tests.signaling.recordings import find_capture

KEY = b"key of the pseudonyms in a data set"
SCENARIOS = ["n2n4-c02", "n2n4-rejects", "n2n4-nea2-c08"]
KEYS_OF_SUBSCRIBERS = ("465b5ce8b199b49faa5f0a2ee238a6bc", "e8ed289deba952e4283b54e88e6183ca")


class Renamed(Pseudonymiser):
    """Gives the recorded UEs, whose numbers are almost only zeros, others, but leaves keys as they are."""

    def _bits(self, name: str, value: Bits) -> Bits:
        return value if name in SECRETS else super()._bits(name, value)


@cache
def renamed(scenario: str) -> tuple[Record, ...]:
    with read_records(find_capture(scenario)) as records:
        return tuple(map(Renamed(b"key of the names"), islice(records, 800)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set without pseudonyms."""
    directory = tmp_path_factory.mktemp("plain") / "dialogues"
    write_dataset(directory, [(name, renamed(name)) for name in SCENARIOS], pseudonymise=False)
    return directory


@pytest.fixture(scope="module")
def known() -> Identifiers:
    """All that must not be found."""
    return Identifiers(record for scenario in SCENARIOS for record in renamed(scenario))


def test_the_search_finds_everything_that_is_there(plain: Path, known: Identifiers):
    found = known.found(saved(plain))
    assert known.kinds >= {
        *("msin", "imsi", "imeisv", "masked_imeisv", "msisdn", "tmsi", "five_g_tmsi", "address", "end"),
        *("rand", "autn", "res_star", "auts", "security_key", "ciphered", "ran_node_name", "amf_name"),
    }
    assert found.keys() == known.kinds
    for kind in known.kinds - {"end", "address"}:
        assert found[kind] == known.digits[kind] | known.bytes[kind] | known.texts[kind]
    assert found["address"] >= known.bytes["address"] and found["end"] >= known.texts["end"]


def test_the_search_finds_what_is_in_the_card(tmp_path: Path, known: Identifiers):
    name = min(known.digits["imsi"])
    write_dataset(tmp_path / "dialogues", [("c02", renamed("n2n4-c02"))], key=KEY, provenance={"command": name})
    assert known.found(saved(tmp_path)) == {"imsi": {name}, "msin": {name[5:]}}


@pytest.mark.parametrize("splits", [Splits(), Splits("capture"), Splits(test_captures=SCENARIOS[:1])], ids=str)
def test_nothing_is_found(tmp_path: Path, known: Identifiers, splits: Splits):
    write_dataset(tmp_path / "dialogues", [(name, renamed(name)) for name in SCENARIOS], splits=splits, key=KEY)
    assert not known.found(saved(tmp_path))
    assert not known.found(stored(tmp_path), LONG)
    assert not any(bytes.fromhex(key) in saved(tmp_path) for key in KEYS_OF_SUBSCRIBERS)
    assert KEY not in saved(tmp_path) and KEY.hex().encode() not in saved(tmp_path)


def test_nothing_of_the_recorded_subscribers_is_found(tmp_path: Path):
    """As recorded, with numbers of which those that are long enough are there only if they were left."""
    path = find_capture("n2n4-c02")
    with read_records(path) as records:
        original = Identifiers(records)
    assert min(original.digits.pop("msin")).startswith("0000000")
    with read_records(path) as records:
        write_dataset(tmp_path / "dialogues", [("c02", records)], key=KEY)
    assert not original.found(saved(tmp_path))


@pytest.mark.parametrize("hidden", ["tmsi", "msin", "rand"])
def test_what_cannot_be_decoded_hides_nothing(tmp_path: Path, hidden: str):
    """Identifiers in a NAS message that is none, in a ciphered one, and in an element that nobody knows."""
    secret = {"tmsi": b"\xc1\x37\x99\x42", "msin": bytes.fromhex("2143658709"), "rand": bytes(range(99, 115))}[hidden]
    first = next(record for record in renamed("n2n4-c02") if isinstance(record.message.get("nas_pdu"), Message))
    header = {"security_header_type": "integrity_protected_and_ciphered", "mac": b"\1\2\3\4", "sequence_number": 1}
    complete = nas.encode(nas.decode(bytes.fromhex("7e0054")))
    messages = [
        b"\xff\xff" + 3 * secret,
        nas.encode(nas.decode(b"\x7e\x02" + header["mac"] + b"\1" + 2 * secret)),
        complete + b"\x71" + bytes([0, len(secret)]) + secret,
    ]
    records = []
    for place, data in enumerate(messages):
        changed = replace(first, message=first.message.with_value("nas_pdu", data), timestamp=float(place))
        records.append(replace(changed, message=decode_message(NGAP, encode_record(changed))))
    write_dataset(tmp_path / "open", [("hidden", records)], pseudonymise=False)
    assert saved(tmp_path / "open").count(secret) >= 6
    write_dataset(tmp_path / "closed", [("hidden", records)], key=KEY)
    assert secret not in saved(tmp_path / "closed")
