"""Augmentations: allowed decisions, label noise and copies against the oracle, and what they promise by definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gentwin.datasets.decisions import Decisions
from gentwin.models.policy.state_space import QUEUED, REQUESTING, WAIT
from gentwin.training import ArgumentsError
from gentwin.training.policy import AUGMENTATIONS, OracleLabels, make_augmentation, score_policy
from gentwin.training.policy.evaluation import score_synthetic
from tests.models.policy_samples import SCHEMA, greedy, make_decisions, make_twin

COUNT = 400


def as_decisions(batch) -> Decisions:
    arrays = (batch[name].numpy() for name in ("states", "masks", "labels"))
    return Decisions(SCHEMA, np.zeros(len(batch["labels"]), np.int64), *arrays)


def made_by(kind, twin, records, seed=0, progress=1.0):
    torch.manual_seed(seed)
    batch = {name: tensor[:32] for name, tensor in records.items()}
    source = OracleLabels(twin, greedy) if kind == "oracle" else make_augmentation(kind, twin, records)
    return source(batch, COUNT, progress)


def scores(kind, twin, records):
    made = made_by(kind, twin, records)
    triple = made.states, made.masks, made.shares.argmax(dim=1)
    return score_synthetic(twin, triple, as_decisions(records), greedy)


@pytest.fixture(scope="module")
def records():
    return make_decisions(200, seed=4)


@pytest.mark.parametrize("kind", [*AUGMENTATIONS, "oracle"])
def test_labels_are_allowed_and_a_seed_gives_one_result(kind, records):
    twin = make_twin(generator="actions" if kind == "generator" else "none")
    made, same, other = (made_by(kind, twin, records, seed) for seed in (1, 1, 2))
    assert 0.5 * COUNT < len(made.states) <= COUNT and made.states.shape[1:] == (3, 5)
    assert (made.shares[~made.masks] == 0).all()
    torch.testing.assert_close(made.shares.sum(dim=1), torch.ones(len(made.states)))
    assert torch.equal(made.states, same.states) and torch.equal(made.shares, same.shares)
    assert made.states.shape != other.states.shape or not torch.equal(made.states, other.states)


def test_label_noise_and_copies_are_counted_against_the_oracle(records):
    twin = make_twin()
    found = {kind: scores(kind, twin, records) for kind in ("oracle", "pseudo_labels", "smote")}
    assert found["oracle"]["label_noise"] == 0 and found["oracle"]["copy_rate"] < 0.2
    assert found["pseudo_labels"]["label_noise"] > 0.2  # an untrained twin knows nothing
    assert found["smote"]["copy_rate"] > found["oracle"]["copy_rate"] + 0.2
    assert found["smote"]["label_noise"] < 0.5
    copied = records["states"], records["masks"], records["labels"]
    assert score_synthetic(twin, copied, as_decisions(records), greedy) == {"copy_rate": 1.0, "label_noise": 0.0}


def test_smote_draws_actions_evenly_and_keeps_requests(records):
    made = made_by("smote", make_twin(), records)
    shares = made.shares.mean(dim=0)
    recorded = torch.bincount(records["labels"], minlength=4) / len(records["labels"])
    assert shares[:3].min() > 0.2 and recorded[:3].min() < shares[:3].min()
    assert torch.equal(made.states[..., QUEUED], made.states[..., QUEUED].round())
    assert set(made.states[..., REQUESTING].unique().tolist()) <= {0.0, 1.0}


def test_smote_copes_with_an_action_that_occurs_once(records):
    first = (records["labels"] == 0).nonzero()[:1, 0]
    rest = (records["labels"] == 1).nonzero()[:5, 0]
    few = {name: tensor[torch.cat((first, rest))] for name, tensor in records.items()}
    made = made_by("smote", make_twin(), few)
    mine = made.states[made.shares[:, 0] == 1]
    torch.testing.assert_close(mine, few["states"][:1].expand_as(mine))


def by_price(states, masks):
    """The slice of the highest price per request and second of those allowed; who came this moment first."""
    score = states[:, :, WAIT] * torch.tensor([1.0, 3.0, 2.0]) + states[:, :, QUEUED]
    score = torch.where(masks[:, :-1], score, -1.0)
    return torch.where(masks[:, :-1].any(dim=1), score.argmax(dim=1), masks.shape[1] - 1)


@pytest.mark.parametrize("policy", [greedy, by_price])
def test_policies_of_scores_do_what_dominance_says(records, policy):
    labels = policy(records["states"], records["masks"])
    made = made_by("dominance", make_twin(), records | {"labels": labels})
    assert torch.equal(policy(made.states, made.masks), made.shares.argmax(dim=1))
    shares = made.shares.mean(dim=0)[:3]
    assert shares.min() > 0.5 * shares.max()
    assert (made.masks[:, :-1].sum(dim=1) > 1).float().mean() > 0.3  # there are rivals
    copies = (made.states[:, None] == records["states"]).flatten(2).all(dim=2).any(dim=1)
    assert copies.float().mean() < 0.2


def test_where_a_policy_keeps_a_reserve_nobody_is_admitted_with_less(records):
    refused = records | {"labels": torch.full_like(records["labels"], 3)}
    made = made_by("dominance", make_twin(), refused)
    assert (made.shares.argmax(dim=1) == 3).all() and made.masks[:, :-1].any(dim=1).all()
    assert made.states[..., QUEUED].mean() < 0.8 * records["states"][..., QUEUED].mean()


def test_mixtures_lie_between_and_share_their_labels(records):
    made = made_by("mixup", make_twin(), records)
    states = records["states"][:32]
    assert (made.states <= states.amax(dim=0) + 1e-5).all() and (made.states >= states.amin(dim=0) - 1e-5).all()
    mixed = (made.shares > 0).sum(dim=1)
    assert mixed.max() == 2 and (mixed == 2).float().mean() > 0.2


def test_pseudo_labels_count_more_as_the_twin_learns(records):
    twin = make_twin()
    assert [made_by("pseudo_labels", twin, records, progress=p).weight for p in (0.0, 0.25, 0.5, 1.0)] == [0, 0.5, 1, 1]


def test_the_generator_of_the_twin_and_the_augmentation_belong_together(records):
    for kind, generator in (("generator", "none"), ("smote", "actions")):
        with pytest.raises(ArgumentsError, match="`augmentation`"):
            make_augmentation(kind, make_twin(generator=generator), records)
    assert make_augmentation("none", make_twin(), records) is None


def test_scores_count_what_was_done(records):
    twin = make_twin()
    found = score_policy(twin, as_decisions(records), as_decisions(records))
    predicted = twin.decide(records["states"], records["masks"]).actions
    figures = found.figures()
    share = float((predicted == records["labels"]).float().mean())
    assert figures["test_accuracy"] == pytest.approx(share, abs=1e-4)
    assert found.confusion().sum() == 200 and found.confusion().trace() == found.right.sum()
    waiting = records["states"][:, :, QUEUED].sum(dim=1).numpy()
    low, high = np.quantile(waiting, (0.05, 0.95))
    np.testing.assert_array_equal(found.rare, (waiting < low) | (waiting > high))
    assert found.metrics()["video/decisions"] == int((records["labels"] == 0).sum())
