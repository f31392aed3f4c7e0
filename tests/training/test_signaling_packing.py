"""Dialogues as arrays, and packed into rows: nothing is lost, nothing is seen of another dialogue."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from gentwin.models import (
    SignalingLstmTwinConfig,
    SignalingLstmTwinForCausalLM,
    SignalingTwinConfig,
    SignalingTwinForCausalLM,
)
from gentwin.models.signaling.modeling_signaling import IGNORED
from gentwin.signaling.resolver.examples import Example
from gentwin.training.signaling import DialogueSet, PackedDialogues
from gentwin.training.signaling.dialogues import concatenate, marks_of

pytest.importorskip("pycrate_asn1dir.NGAP")
from gentwin.signaling.dialogue import Vocabulary

HEARD = ["<gnb>amf>", "ngap:NGReset", "misc=unspecified", "ng_interface=reset-all", "<end>"]
SECURITY, IDENTITY, POLICY = (
    ["<security=verified>"],
    ["<identity=known>", "ksi=0"],
    ["<policy=reject>", "cause_5gmm", "#16"],
)
HINTS = [*SECURITY, *IDENTITY, *POLICY, "<back_off>", "value", "#05"]
SAID = ["<amf>gnb>", "ngap:NGResetAcknowledge", "<end>", "<wait>"]
TURN = [*HEARD, *HINTS, *SAID]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.of_schema()


def example(turns: int) -> Example:
    said = [False] * (len(HEARD) + len(HINTS)) + [True] * len(SAID)
    return Example(TURN * turns, said * turns, "ue")


def dialogues(vocabulary: Vocabulary, *turns: int) -> DialogueSet:
    return DialogueSet.of_examples((example(number) for number in turns), vocabulary, "made")


def packed(vocabulary: Vocabulary, *turns: int, length: int = 40, **arguments) -> PackedDialogues:
    return PackedDialogues(dialogues(vocabulary, *turns), marks_of(vocabulary), length, 0, **arguments)


def test_dialogues_come_back_from_a_file(vocabulary, tmp_path: Path):
    made = concatenate([dialogues(vocabulary, 1, 2), DialogueSet.of_examples([example(3)], vocabulary, "other")])
    made.save(tmp_path / "some/dialogues.npz")
    read = DialogueSet.load(tmp_path / "some/dialogues.npz")
    assert read.fingerprint() == made.fingerprint() and read.sources == ("made", "other")
    assert [len(tokens) for tokens, _ in read] == [len(TURN) * turns for turns in (1, 2, 3)]
    few = read.take([2, 0])
    assert vocabulary.decode(few[1][0].tolist()) == TURN and few.source.tolist() == [1, 0]


def test_hints_are_told_from_what_is_said(vocabulary):
    marks = marks_of(vocabulary)
    tokens, _ = dialogues(vocabulary, 1)[0]
    kinds = [marks.kinds[kind] if kind >= 0 else "" for kind in marks.hints(tokens)]
    expected = ["security", "identity", "identity", *["policy"] * 6]
    assert kinds == [""] * len(HEARD) + expected + [""] * len(SAID)


def test_every_token_is_learnt_once_in_an_epoch(vocabulary):
    rows = packed(vocabulary, 1, 2, 7, length=40)
    learnt = np.zeros(3, int)
    for number in range(len(rows)):
        for piece in rows.pieces(number):
            learnt[piece.dialogue] += piece.end - piece.learnt
            assert len(piece) <= 40
    assert learnt.tolist() == [len(TURN) * turns for turns in (1, 2, 7)]


def test_cuts_are_between_turns_and_repeat_what_was_before(vocabulary):
    rows = packed(vocabulary, 12, length=200, seed=3)
    pieces = sorted((p for n in range(len(rows)) for p in rows.pieces(n)), key=lambda piece: piece.begin)
    assert len(pieces) > 1
    for before, after in pairwise(pieces):
        assert after.learnt == before.end and after.begin % len(TURN) == 0
        assert 0 < after.learnt - after.begin <= 200 // 8


def test_rows_change_with_the_epoch_and_follow_from_the_seed(vocabulary):
    def rows_of(seed: int, epoch: int) -> list[list[int]]:
        rows = packed(vocabulary, *range(1, 12), length=64, seed=seed, hint_dropout=0.5)
        rows.set_epoch(epoch)
        return [rows[number]["input_ids"].tolist() for number in range(len(rows))]

    assert rows_of(1, 0) == rows_of(1, 0) and rows_of(1, 2) == rows_of(1, 2)
    assert rows_of(1, 0) != rows_of(1, 1) and rows_of(1, 0) != rows_of(2, 0)


def test_hints_are_left_out_of_a_share_of_dialogues(vocabulary):
    rows = packed(vocabulary, *[1] * 400, length=40, seed=0, hint_dropout=0.5)
    pieces = [piece for number in range(len(rows)) for piece in rows.pieces(number)]
    assert 0.4 < sum(piece.dropped > 0 for piece in pieces) / len(pieces) < 0.6
    none = [piece for piece in pieces if len(piece) == len(HEARD) + len(SAID)]
    assert 0.15 < len(none) / len(pieces) < 0.35
    said = sum(int(rows[number]["said"].sum()) for number in range(len(rows)))
    assert said == len(SAID) * len(pieces)


@pytest.mark.parametrize(
    ("model_class", "config_class", "sizes"),
    [
        (
            SignalingTwinForCausalLM,
            SignalingTwinConfig,
            {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1},
        ),
        (SignalingLstmTwinForCausalLM, SignalingLstmTwinConfig, {"embedding_size": 8, "hidden_size": 8}),
    ],
)
def test_loss_of_packed_dialogues_is_that_of_each_alone(vocabulary, model_class, config_class, sizes):
    torch.manual_seed(0)
    model = model_class(config_class(vocab_size=len(vocabulary), num_hidden_layers=2, **sizes)).eval()
    together = [packed(vocabulary, 1, 2, 1, length=100)]
    alone = [packed(vocabulary, turns, length=len(TURN) * turns) for turns in (1, 2, 1)]
    assert [len(rows) for rows in (*together, *alone)] == [1, 1, 1, 1]

    def mean(parts: list[PackedDialogues]) -> float:
        batches = [{name: tensor[None] for name, tensor in rows[0].items()} for rows in parts]
        counts = [int((batch["said"] & (batch["labels"] != IGNORED)).sum()) for batch in batches]
        losses = [float(model(**batch, use_cache=False).loss) for batch in batches]
        return float(np.average(losses, weights=counts))

    assert mean(together) == pytest.approx(mean(alone), rel=1e-5)
