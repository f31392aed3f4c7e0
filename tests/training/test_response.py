"""The answer of a twin to all actions, beside that of the network it was trained on."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from gentwin.datasets import Transitions, read_transitions
from gentwin.envs import TransitionRecorder
from gentwin.training import ModelArguments, build_twin
from gentwin.training.data import has_users
from gentwin.training.response import has_surface, plot_surface, utility_surface
from tests.training.conftest import SCHEMA

SIZES = {"embedding_size": 8, "hidden_size": 8, "head_hidden_size": 8, "num_members": 2, "num_quantiles": 8}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Transitions:
    """Random actions in the sequential network."""
    path = tmp_path_factory.mktemp("response") / "record.parquet"
    env = TransitionRecorder(
        gymnasium.make_vec("gentwin/RanSlicing-v0", num_envs=4, preset="dynamic", observation_fields="all"), path
    )
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(20):
        env.step(env.action_space.sample())
    env.close()
    return read_transitions(path)


def test_surface_covers_all_allocations(record: Transitions, tmp_path: Path):
    assert has_surface(record.schema)
    torch.manual_seed(0)
    twin = build_twin(ModelArguments(model_config=SIZES), record.schema)
    twin.fit_normalization(
        torch.from_numpy(record.state)[None],
        torch.from_numpy(record.action)[None],
        labels=torch.from_numpy(record.targets)[None],
    )
    surface = utility_surface(twin.eval(), num_decisions=100)
    assert surface.network.shape == surface.twin.shape == (len(surface.allocations),)
    assert ((surface.network > 0) & (surface.network < 4)).all()
    # Starving a slice costs the network utility; the twin is untrained and only has to be in range.
    equal = np.abs(surface.allocations - surface.allocations.mean()).sum(axis=1).argmin()
    assert surface.network[equal] > surface.network[surface.allocations.max(axis=1).argmax()]
    assert np.isfinite(surface.twin).all()
    assert plot_surface(surface, record.schema, tmp_path / "surface.png").stat().st_size > 10_000


def test_other_records_have_no_surface():
    assert not has_surface(SCHEMA)


def test_slices_without_users_are_known(record: Transitions):
    assert has_users(record.schema, record.context).all()
    schema = type(SCHEMA)(SCHEMA.slices, SCHEMA.state, SCHEMA.action, (type(SCHEMA.context[0])("num_ues"),))
    assert has_users(schema, np.array([[[0.0], [2.0]]])).tolist() == [[False, True]]
