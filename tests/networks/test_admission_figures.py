"""What figures of admission control measure, with settings as small as can be."""

import numpy as np

from gentwin.networks.admission import admission_parameters
from gentwin.networks.admission.policies import fifo_greedy
from recipes.figures import admission_anchors, admission_speed
from recipes.figures.admission_anchors import BY_REVENUE, GREEDY, OPTIMUM, RANDOM, TRUNK


def test_anchors_meet_the_same_requests_and_the_small_network_has_its_optimum():
    small = admission_parameters("small", warmup_s=20.0)
    table = admission_anchors.anchors(small, num_copies=4, duration_s=10.0, seed=0)
    assert list(table["policies"]) == [GREEDY, RANDOM, BY_REVENUE, TRUNK, OPTIMUM]
    assert table["policies"][GREEDY]["gain_percent"] == table["policies"][GREEDY]["gain_standard_error"] == 0
    exact = table["exact_revenue_per_s"]
    assert exact[BY_REVENUE] < exact[OPTIMUM] < table["fluid_bound_per_s"]
    assert exact[TRUNK] <= exact[OPTIMUM]
    for row in table["policies"].values():
        assert ((row["admission"] >= 0) & (row["admission"] <= 1)).all() and row["utilisation"].shape == (3,)
    busy = admission_anchors.anchors(admission_parameters(load=1.5, warmup_s=20.0), 2, 5.0, seed=0)
    assert OPTIMUM not in busy["policies"] and "exact_revenue_per_s" not in busy


def test_the_table_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(admission_anchors, "CACHE", tmp_path / "agent_runs")
    row = {"revenue_per_s": 1.0, "utilisation": np.full(3, 0.5), "admission": np.full(4, 0.5)}
    tables = {
        load: {"fluid_bound_per_s": 2.0, "policies": dict.fromkeys((GREEDY, BY_REVENUE, TRUNK), row)} for load in (1, 2)
    }
    assert admission_anchors.draw(tables).stat().st_size > 10_000


def test_speeds_are_counted():
    rates = admission_speed.batched_per_second(fifo_greedy(admission_speed.PARAMETERS), 4, 0.02, seed=0)
    assert rates["events_per_s"] > rates["decisions_per_s"] > 0
    assert admission_speed.environment_per_second(4, 0.02, seed=0) > 0
    assert admission_speed.simulator_per_second(0.02, seed=0) > 0
