"""Rates of an admission network, learned from what happened in it."""

import dataclasses

import numpy as np
import pytest

from gentwin.networks.admission import AdmissionNetwork, admission_parameters, estimate_parameters
from gentwin.networks.admission.policies import fifo_greedy

RATES = ("arrivals_per_s", "service_s", "timeout_s")


def record(parameters, num_copies, num_steps, seed=0):
    """Returns states, actions, outcomes and next states of the greedy policy, `(num_copies * num_steps, …)`."""
    network, policy = AdmissionNetwork(parameters, num_copies, num_threads=1), fifo_greedy(parameters)
    network.reset(np.random.default_rng(seed).integers(2**64, size=num_copies, dtype=np.uint64))
    columns = [], [], [], []
    for _ in range(num_steps):
        before = network.state_values()
        actions = policy(before)
        network.step(actions)
        taken = (actions[:, None] == np.arange(parameters.num_slices)).astype(float)[..., None]
        for column, values in zip(
            columns, (before, taken, network.outcome_values(), network.state_values()), strict=True
        ):
            column.append(values.astype(np.float32))
    return [np.concatenate(column) for column in columns]


def unlike(parameters):
    """Returns the same network with rates that are far off."""
    changed = {"arrivals_per_s": 1.0, "service_s": 1.0, "timeout_s": 1.0}
    return parameters.replace(slices=tuple(dataclasses.replace(entry, **changed) for entry in parameters.slices))


@pytest.mark.parametrize(("preset", "tolerance"), [("busy", 0.05), ("small", 0.12)])
def test_rates_come_close_to_the_truth_whatever_was_thought_before(preset, tolerance):
    truth = admission_parameters(preset)
    found = estimate_parameters(unlike(truth), *record(truth, 64, 300))
    assert found.patience == truth.patience
    for ours, theirs in zip(found.slices, truth.slices, strict=True):
        for name in RATES:
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=tolerance), (ours.name, name)
        assert (ours.demand, ours.revenue, ours.penalty) == (theirs.demand, theirs.revenue, theirs.penalty)


def test_deterministic_time_outs_are_found_exactly():
    truth = admission_parameters("busy")
    found = estimate_parameters(truth, *record(truth, 16, 100))
    for ours, theirs in zip(found.slices, truth.slices, strict=True):
        assert ours.timeout_s == pytest.approx(theirs.timeout_s, rel=0.02)


def test_a_single_transition_gives_rates_above_zero():
    truth = admission_parameters("light", warmup_s=20.0)
    found = estimate_parameters(truth, *record(truth, 1, 4))
    assert all(0 < getattr(entry, name) < np.inf for entry in found.slices for name in RATES)


def test_records_that_do_not_fit_are_refused():
    truth = admission_parameters("small", warmup_s=20.0)
    states, actions, outcomes, following = record(truth, 1, 3)
    with pytest.raises(ValueError, match=r"`actions` must have shape \(3, 4, 1\), got \(3, 4, 2\)"):
        estimate_parameters(truth, states, np.repeat(actions, 2, axis=2), outcomes, following)
    with pytest.raises(ValueError, match="transitions in which time passes"):
        estimate_parameters(truth, states, actions, np.zeros_like(outcomes), following)
