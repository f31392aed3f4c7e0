"""What figures of policy twins measure, with settings as small as can be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from gentwin.networks.admission import admission_parameters
from recipes.comparison import policy_twins
from recipes.comparison.policy_twins import ARMS, EPISODES, GAN, ORACLE, REAL, SMOTE, Budget, Judge
from recipes.figures import policy_augmentation, policy_fidelity

TINY = Budget(steps=3, adversarial_steps=6, test_copies=8, loop_copies=2, loop_s=5.0, settle_s=1.0)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(policy_twins, "PARAMETERS", admission_parameters("busy", warmup_s=30.0))
    monkeypatch.setattr(policy_twins, "NUM_SYNTHETIC", 50)


def test_a_record_is_decisions_in_a_row_and_the_oracle_knows_them():
    record = policy_twins.record_decisions(EPISODES, 6, 0, policy_twins.PARAMETERS)
    assert len(record) == 60 and len(record.episodes) == EPISODES and (np.diff(record.episode) >= 0).all()
    states, masks = torch.from_numpy(record.states), torch.from_numpy(record.masks)
    np.testing.assert_array_equal(policy_twins.oracle(states, masks).numpy(), record.actions)
    again = policy_twins.record_decisions(EPISODES, 6, 0, policy_twins.PARAMETERS)
    assert again.fingerprint() == record.fingerprint()


def test_every_arm_is_trained_on_one_record_and_the_table_says_what_is_ahead():
    judge = Judge(TINY, seed=0)
    found = policy_augmentation.run_arms(50, range(2), judge)
    assert list(found) == list(ARMS) and all(len(rows) == 2 for rows in found.values())
    assert found[ORACLE][0]["label_noise"] == 0 and "label_noise" not in found[REAL][0]
    assert {"label_noise", "copy_rate", "revenue_gap"} <= found[GAN][0].keys()
    rows = policy_augmentation.table(found)
    first, real = found[SMOTE][0]["macro_accuracy"], found[REAL][0]["macro_accuracy"]
    assert np.isfinite([first, real, rows[SMOTE]["macro_accuracy_more"]["mean"]]).all()


def test_an_arm_is_ahead_if_its_seeds_agree():
    real = [{"macro_accuracy": value} for value in (90.0, 92.0, 94.0, 91.0, 95.0)]
    found = dict.fromkeys(ARMS, real)
    better, unsure = (
        [{"macro_accuracy": run["macro_accuracy"] + gain} for run, gain in zip(real, gains, strict=True)]
        for gains in ((2, 3, 2, 3, 2), (9, -4, 9, -4, 9))
    )
    assert policy_augmentation.ahead(found | {SMOTE: better, GAN: unsure, ORACLE: better}) == [SMOTE]
    single = {arm: runs[:1] for arm, runs in (found | {SMOTE: better}).items()}
    assert policy_augmentation.ahead(single) == []


def test_arms_begin_with_the_same_weights():
    record = policy_twins.record_decisions(EPISODES, 6, 0, policy_twins.PARAMETERS)
    twins = [policy_twins.untrained_twin(record, kind, 3).classifier for kind in ("none", "actions", "decisions")]
    for twin in twins[1:]:
        for name, weights in twins[0].state_dict().items():
            torch.testing.assert_close(twin.state_dict()[name], weights, rtol=0, atol=0)


def test_the_table_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(policy_augmentation, "CACHE", tmp_path / "agent_runs")
    score = {"mean": 50.0, "interval": [40.0, 60.0]}
    tables = {size: {arm: dict.fromkeys(policy_augmentation.COMPARED, score) for arm in ARMS} for size in (50, 100)}
    assert policy_augmentation.draw(tables).stat().st_size > 10_000


def test_the_policy_itself_has_no_gap():
    judge = Judge(dataclasses.replace(TINY, loop_s=20.0), seed=0)
    twin, _ = policy_twins.train_twin(
        policy_twins.record_decisions(EPISODES, 5, 0, policy_twins.PARAMETERS), REAL, TINY, 0
    )
    assert judge(twin)["revenue_gap"] > 0
    twin.policy = lambda schema: policy_twins.fifo_greedy(policy_twins.PARAMETERS)
    scores = judge(twin)
    assert scores["revenue_gap"] == scores["utilisation_gap"] == scores["admission_gap"] == 0


def test_fidelity_compares_layouts_and_the_majority(monkeypatch):
    monkeypatch.setattr(policy_fidelity, "QUICK", TINY)
    monkeypatch.setattr(policy_fidelity, "NUM_RECORDS", 50)
    result = policy_fidelity.measure(full=False, seed=0)
    assert not result.met and result.ratio > 0
    assert result.figure["twin"].keys() == result.baseline["joint"].keys() > result.baseline["majority"].keys()
