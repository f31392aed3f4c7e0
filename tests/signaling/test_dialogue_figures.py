"""The figures of dialogues, on little data."""

from __future__ import annotations

import shutil
from random import Random

import numpy as np
import pytest

from gentwin.signaling.contexts import dialogues
from gentwin.signaling.dialogue import Automaton, Sides, Vocabulary
from gentwin.signaling.fields import Bits, Fields
from gentwin.signaling.messages import NAS, NGAP, PFCP, Message
from recipes.figures import signaling_equivariance, signaling_lossless, signaling_tokens, signaling_validity
from tests.signaling.dialogue_samples import vocabulary
from tests.signaling.record_samples import recorded

pytest.importorskip("pycrate_asn1dir.NGAP")
SCENARIO = "n2n4-rejects-suci"


def test_all_bytes_come_back_in_both_views():
    account = signaling_lossless.Account()
    signaling_lossless.follow(recorded(SCENARIO), vocabulary(), account)
    assert account.share == 1.0 and not account.exceptions
    assert account.messages == account.identical and account.interleaved == len(recorded(SCENARIO))


def test_made_messages_come_back():
    account = signaling_lossless.follow_synthesised(2, 60, 0, vocabulary())
    assert account.share == 1.0 and account.messages.total() == 60


def test_pycrate_rebuilds_some():
    shares = signaling_lossless.rebuilt(Random(0).sample(recorded(SCENARIO), 20), 20)
    assert set(shares) == {NGAP, NAS, PFCP} and all(0 <= share <= 1 for share in shares.values())


def test_tokens_are_counted_beside_bpe():
    records, lengths = recorded(SCENARIO), {NGAP: [], NAS: [], PFCP: []}
    for dialogue in dialogues(records):
        signaling_tokens.count_tokens(dialogue, Sides(records), lengths)
    assert len(lengths[NGAP]) + len(lengths[PFCP]) == len(records)
    data = [record.raw for record in records]
    bpe = signaling_tokens.bpe_lengths(signaling_tokens.train_bpe(data, 300), data)
    assert all(0 < found <= len(message) for found, message in zip(bpe, data, strict=True))
    assert signaling_tokens.described([1, 2, 3])["median"] == 2.0


def test_random_tokens_are_messages_and_tshark_agrees():
    random, automaton = np.random.default_rng(0), Automaton(vocabulary())
    kinds = np.array(
        ["nas:ServiceAccept", "nas:PDUSessionEstablishmentRequest", "pfcp:HeartbeatRequest", "ngap:Paging"]
    )
    records = []
    for place in range(40):
        tokens = signaling_validity.sample(automaton, kinds, random)
        record, reason = signaling_validity.check(tokens, float(place))
        assert reason is None
        if signaling_validity.misread(record.message) is None:
            records.append(record)
    tshark = shutil.which("tshark")
    if tshark is not None:
        assert not signaling_validity.malformed(tshark, records)


def test_what_tshark_misreads_is_told_by_its_fields():
    prefix = Fields.of(source_ip_address=Fields.of(ipv4="10.0.0.1", prefix_length=8))
    assert "prefix" in signaling_validity.misread(Message(PFCP, "HeartbeatRequest", prefix))
    assert signaling_validity.misread(Message(PFCP, "HeartbeatRequest", Fields.of(prefix_length=8))) is None


def test_random_tokens_without_grammar_are_hardly_ever_messages():
    kinds, random = np.array(["nas:RegistrationAccept"]), np.random.default_rng(0)
    assert signaling_validity.share_without_grammar(Vocabulary.of_schema((NAS,)), [12] * 20, kinds, random) == 0.0


@pytest.mark.parametrize(
    "value", [7, b"\x01\x02\x03\x04", Bits(5, 36), "10.0.0.1", "2001:db8::1", "999700000000001", "999-70"]
)
def test_renamed_identifiers_have_the_same_form_and_differ(value: object):
    renaming = signaling_equivariance.Renaming(3)
    kind = "NODE_IP" if isinstance(value, str) and ("." in value or ":" in value) else "SEID"
    other = renaming.value(kind, value)
    assert type(other) is type(value) and other != value
    assert renaming.value(kind, value) == other
    if isinstance(value, str) and kind == "SEID":
        assert [letter.isdigit() for letter in other] == [letter.isdigit() for letter in value]
    assert renaming.value("SEID", 0) == 0


def test_renaming_is_one_to_one():
    renaming = signaling_equivariance.Renaming(0)
    assert len({renaming.value("PTI", number) for number in range(256)}) == 256


@pytest.mark.parametrize("scenario", [SCENARIO, "n2n4-gnb-restart"])
def test_tokens_do_not_change_with_identifiers(scenario: str):
    records = recorded(scenario)[:300]
    counts = signaling_equivariance.compare(records, signaling_equivariance.Renaming(1))
    assert {counts[what] for what in ("messages", "tokens", "values", "output", "decoded")} == {len(records)}
    assert counts["bytes"] < len(records) / 10
