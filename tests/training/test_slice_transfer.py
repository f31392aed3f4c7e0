"""What the figure of adaptations measures, with settings as small as can be."""

from __future__ import annotations

import numpy as np
import pytest

from recipes.comparison import slice_types
from recipes.comparison.slice_types import FREEZE, FULL, SCRATCH, TYPES, Messages, Policies, Slices
from recipes.figures import slice_transfer
from recipes.figures.slice_transfer import QUICK_METHODS, best_elsewhere, draw, measure_type, table


@pytest.fixture(scope="module")
def policies():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"counts": (16,), "few": 16, "stretches": 4, "general_steps": 3, "steps": 2}.items():
            patch.setattr(Policies, name, value)
        yield Policies(0)


@pytest.fixture(scope="module")
def slices():
    small = {"counts": (2,), "few": 2, "general_steps": 2, "steps": 2, "general_episodes": 4, "test_episodes": 3}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (small | {"episode_steps": 24}).items():
            patch.setattr(Slices, name, value)
        yield Slices(0)


def test_every_method_is_scored_and_a_seed_gives_one_result(policies):
    found = measure_type(policies, "hrllc", {16: range(2)}, QUICK_METHODS)
    assert list(found) == [FULL, FREEZE, SCRATCH] and all(len(curve[16]) == 2 for curve in found.values())
    scores = [score for curve in found.values() for score in curve[16]]
    assert all(0 <= score <= 100 for score in scores) and len(set(scores)) > 2
    assert policies.run(FREEZE, "hrllc", 16, 1) == found[FREEZE][16][1]


def test_slices_are_scored_in_the_slice_of_the_type(slices):
    one, other = (slices.score(slices.general, kind) for kind in ("immersive", "massive"))
    assert np.isfinite([one, other]).all() and max(one, other) < 100 and one != other
    assert np.isfinite(slices.run(FULL, "massive", 2, 0))


def test_few_data_are_the_first_of_more_and_of_the_type_only(policies, slices):
    few, more = (policies.few_data("hrllc", count, 0) for count in (4, 12))
    np.testing.assert_array_equal(few.states, more.states[:4])
    assert len(np.unique(few.episode)) == 4  # each of another network
    assert len(policies.few_data("massive", 16, 0)) == 16
    assert not np.array_equal(policies.few_data("massive", 4, 0).states, few.states)
    cell, other = (slices.few_data(kind, 2, 0) for kind in ("immersive", "massive"))
    assert cell.schema.slices == other.schema.slices and not np.array_equal(cell.state, other.state)


def test_each_type_has_traffic_of_its_own_in_every_family():
    assert set(slice_types.TRAFFIC) == set(slice_types.SUBSCRIPTIONS) == set(slice_types.BEHAVIOUR) == set(TYPES)
    assert set(Messages.methods) == set(Policies.methods) == set(Slices.methods)
    assert all(family.few in family.counts for family in (Policies, Slices, Messages))


def test_the_adaptation_that_is_best_elsewhere_is_compared_with_scratch_seed_by_seed():
    here = {FULL: {10: [50.0, 60.0]}, FREEZE: {10: [70.0, 90.0]}, SCRATCH: {10: [40.0, 60.0]}}
    there = {FULL: {10: [95.0, 95.0]}, FREEZE: {10: [70.0, 70.0]}, SCRATCH: {10: [20.0, 20.0]}}
    assert best_elsewhere({"hrllc": here}, "hrllc", 10) == FULL
    assert best_elsewhere({"hrllc": here, "massive": there}, "hrllc", 10) == FULL
    assert best_elsewhere({"hrllc": here, "massive": there}, "massive", 10) == FREEZE
    rows = table(here, 10, FREEZE)
    assert rows["adapted_by"] == FREEZE and rows["more_than_scratch"] == {"mean": 30.0, "interval": (30.0, 30.0)}
    assert rows[SCRATCH]["10"]["mean"] == 50.0


def test_seeds_of_slices_share_no_cell(slices):
    states = [slices.few_data("massive", 2, seed).state for seed in (0, 1)]
    episodes = [part.reshape(2, -1, *part.shape[1:]) for part in states]
    assert not any(np.array_equal(one, other) for one in episodes[0] for other in episodes[1])


def test_curves_are_drawn(policies, tmp_path, monkeypatch):
    monkeypatch.setattr(slice_transfer, "CACHE", tmp_path / "agent_runs")
    curves = {method: {10: [50.0, 60.0], 30: [70.0, 80.0]} for method in QUICK_METHODS}
    found = {"policy": {"immersive": curves, "hrllc": curves}}
    before = {"policy": {"immersive": 40.0, "hrllc": 40.0}}
    assert draw(found, {"policy": policies}, before).stat().st_size > 10_000
