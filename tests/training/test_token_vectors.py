"""Vectors of tokens begin as sums of those of their parts."""

import pytest
import torch
from torch import nn

from gentwin.signaling.dialogue import Vocabulary
from gentwin.training.signaling.token_vectors import compose_vectors, parts_of


@pytest.mark.parametrize(
    ("token", "parts"),
    [
        ("seid=<ref:SEID#6>", ["seid=", "ref", "#6"]),
        ("rand=<new:RAND>", ["rand=", "new"]),
        ("mac=<calc:MAC>", ["mac=", "calc"]),
        ("<security=verified>", ["<security=", "verified"]),
        ("sst=1", ["sst=", "1"]),
        ("ngap:Paging", ["ngap:", "Paging"]),
        ("<timer:T3550>", ["<timer:", "T3550>"]),
        ("<end>", ["<end>"]),
        ("#0f", ["#0f"]),
    ],
)
def test_parts(token, parts):
    assert parts_of(token) == parts
    assert token in Vocabulary.of_schema().ids


def test_tokens_that_share_a_part_begin_beside_each_other():
    vocabulary = Vocabulary.of_schema()
    torch.manual_seed(0)
    embeddings = nn.Embedding(len(vocabulary), 128)
    nn.init.normal_(embeddings.weight, std=0.02)
    compose_vectors(embeddings, vocabulary)
    assert embeddings.weight.std().item() == pytest.approx(0.02, rel=0.05)

    def likeness(one: str, other: str) -> float:
        rows = embeddings.weight[[vocabulary.ids[one], vocabulary.ids[other]]]
        return nn.functional.cosine_similarity(rows[0], rows[1], dim=0).item()

    assert likeness("seid=<ref:SEID#6>", "seid=<ref:SEID#2>") > 0.4
    assert likeness("seid=<ref:SEID#6>", "gtp_teid=<ref:TEID#6>") > 0.4
    assert abs(likeness("seid=<ref:SEID#6>", "rand=<new:RAND>")) < 0.3
