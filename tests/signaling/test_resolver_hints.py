"""Hints: what a resolver tells that the dialogue does not, and whether the core's answers agree with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from gentwin.signaling.core import GENERIC, OPEN5GS, LoadLimits
from gentwin.signaling.core.configuration import EMBB, IOT
from gentwin.signaling.core.policy import ADMIT, reject
from gentwin.signaling.dialogue import Vocabulary, to_tokens
from gentwin.signaling.dialogue.hints import HINT_TOKENS, HINTS, STIMULI, WAIT, hint
from gentwin.signaling.messages import NAS
from gentwin.signaling.resolver import Followed, Resolver, follow, hints
from tests.signaling.resolver_networks import Recording, names, recorded, synthesised

ACCEPTS = {"RegistrationAccept", "ServiceAccept", "InitialContextSetupRequest", "PDUSessionEstablishmentAccept"}


def followed(recording: Recording) -> Iterator[Followed]:
    network = recording.network()
    for dialogue in recording.dialogues:
        yield from follow(dialogue, Resolver(network), recording.sides)


def said(found: Followed) -> set[str]:
    return {name for message in found.said for name in names(message)}


def test_all_tokens_of_hints_are_in_the_vocabulary():
    vocabulary = Vocabulary.of_schema((NAS,))
    assert {WAIT, *STIMULI, *HINT_TOKENS} <= vocabulary.ids.keys()
    assert len({*STIMULI, *HINT_TOKENS, WAIT}) == len(STIMULI) + len(HINT_TOKENS) + 1
    assert {hint(name, value) for name, values in HINTS.items() for value in values} < {*HINT_TOKENS}


@pytest.mark.parametrize("value", ["perhaps", ""])
def test_a_hint_has_one_of_its_values(value: str):
    with pytest.raises(ValueError, match="`security` must be one of unprotected, verified"):
        hint("security", value)


@pytest.mark.parametrize("name", ["n2n4-rejects", "n2n4-rejects-suci"])
def test_answers_in_recordings_agree_with_hints(name: str):
    pytest.importorskip("pycrate_asn1dir.NGAP")
    seen: Counter[str] = Counter()
    for found in followed(recorded(name)):
        spoken = said(found)
        known = [token for token in found.hints if token.startswith("<")]
        seen.update(known)
        refused = {"<security=failed>", "<security=no_context>", "<identity=unknown>", "<identity=concealed>"}
        refused |= {"<authentication=failed>", "<authentication=unusable>", "<session=unknown_dnn>"}
        refused |= {"<session=slice_not_allowed>", "<node=unknown_tac>", "<node=slice_not_supported>"}
        if refused & {*known}:
            assert not spoken & {*ACCEPTS, "SecurityModeCommand", "SessionEstablishmentRequest", "NGSetupResponse"}
        if "<authentication=verified>" in known:
            assert "SecurityModeCommand" in spoken
        if "<authentication=resynchronised>" in known:
            assert "AuthenticationRequest" in spoken
        if "NGSetupFailure" in spoken:
            assert "<node=known>" not in known
    assert seen


@pytest.mark.parametrize("flavour", [OPEN5GS, GENERIC], ids=lambda flavour: flavour.name)
def test_hints_have_the_tokens_of_the_answers(flavour):
    vocabulary, agreed = Vocabulary.of_schema(), Counter()
    for found in followed(synthesised(flavour)):
        assert all(token in vocabulary.ids for token in found.hints)
        tokens = [token for message in found.said for token in to_tokens(message)]
        compare(found.hints, tokens, "ciphering=", agreed)
        if "RegistrationAccept" in said(found):
            assert found.hints.count("tac=<new:TAC>") == tokens[tokens.index("tai_list") :].count("tac=<new:TAC>")
            agreed["period"] += " ".join(period_of(found.hints)) in " ".join(tokens)
        for setup in (message for message in found.said if message.name == "PDUSessionResourceSetupRequest"):
            assert ("<context=set_up>" in found.hints) == setup.fields.has("ue_aggregate_maximum_bit_rate")
            agreed["context"] += 1
    every = "ciphering=", "period", "context"
    assert min(agreed[name] for name in every) > 0


def period_of(tokens: Sequence[str]) -> Sequence[str]:
    """Returns how often a UE registers, as hints tell it, without the name of the field."""
    place = tokens.index("t3512_value")
    return tokens[place + 1 : place + 4]


def compare(told: tuple[str, ...], tokens: list[str], start: str, agreed: Counter[str]) -> None:
    """Checks that the tokens of fields in an answer are those that hints told, as far as there are both."""
    one = [token for token in told if token.startswith(start)]
    other = [token for token in tokens if token.startswith(start)]
    if one and other:
        assert one[: len(other)] == other
        agreed[start] += 1


def test_what_a_policy_decided_is_told():
    recording = synthesised(OPEN5GS, ues=8, duration=30.0, policy=LoadLimits(registered=2, sessions=2))
    outcomes: Counter[tuple[bool, bool]] = Counter()
    for found in followed(recording):
        asked = [token for token in found.hints if token.startswith("<policy=")]
        if asked:
            refused = said(found) & {"RegistrationReject", "ServiceReject", "PDUSessionEstablishmentReject"}
            outcomes["<policy=reject>" in asked, bool(refused)] += 1
    assert outcomes[True, True] > 5
    assert outcomes[False, False] > 5
    assert not outcomes[True, False]
    assert not outcomes[False, True]


@pytest.mark.parametrize(
    ("parts", "tokens"),
    [
        (hints.slices([EMBB, IOT]), "<allowed>"),
        (hints.slices([], [IOT], [EMBB]), "<default> <rejected> sst=2 sd #00 #00 #01"),
        (hints.number("cause_5gmm", 7), "cause_5gmm=7"),
        (hints.number("cause_5gmm", 22), "cause_5gmm #16"),
        (hints.decision(ADMIT, "cause_5gmm"), "<policy=admit>"),
        (
            hints.decision(reject(22, 30.0), "cause_5gmm"),
            "<policy=reject> cause_5gmm #16 <back_off>",
        ),
        (hints.decision(reject(26), ""), "<policy=reject>"),
        (hints.area([], 540.0), "t3512_value unit=30+s value #12"),
    ],
)
def test_hints_are_written_as_messages_are(parts: list[str], tokens: str):
    assert " ".join(parts) == tokens
    assert all(token in Vocabulary.of_schema().ids for token in parts)
