"""The examples run, are short, and hand twins to other libraries without inventing or losing transitions."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np
import pytest
import torch

import gentwin

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
LIBRARY = {
    "cleanrl_dqn": "torch",
    "sb3_dqn": "stable_baselines3",
    "sb3_ppo": "stable_baselines3",
    "torchrl_dqn": "torchrl",
}
HORIZON = 3


def load(name: str) -> ModuleType:
    """Returns a module of the examples, which are no package."""
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def twin() -> gentwin.TwinModel:
    return gentwin.from_pretrained("gentwin/slice-lstm-dynamic")


def make_twin(twin: gentwin.TwinModel) -> gymnasium.vector.VectorEnv:
    return gymnasium.make_vec(
        "gentwin/TwinSlicing-v0", num_envs=4, twin=twin, horizon=HORIZON, observation_fields="all"
    )


def test_every_example_is_documented_and_short():
    for script in EXAMPLES.glob("*.py"):
        lines = script.read_text(encoding="utf-8").splitlines()
        assert len(lines) < 40, f"{script.name} has {len(lines)} lines"
        assert lines[0].startswith('"""')
        assert f"examples/{script.name}" in (ROOT / "docs/how-to/use-a-twin-in-your-rl-code.md").read_text()


@pytest.mark.parametrize("name", LIBRARY)
def test_example_trains_in_the_twin_and_is_judged_on_the_network(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    if importlib.util.find_spec(LIBRARY[name]) is None:
        pytest.skip(f"{LIBRARY[name]} is not installed")
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--steps", "20", "--decisions", "2"])
    with torch.random.fork_rng(devices=[]):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    output = capsys.readouterr().out
    rows = re.findall(r"^(random|equal split|DQN|PPO): (\d\.\d+), ([+-]\d\.\d+) ± ", output, re.MULTILINE)
    assert len(rows) == 3
    assert all(1 < float(utility) < 4 for _, utility, _ in rows)
    assert float(rows[1][2]) == 0


def test_stable_baselines3_sees_the_last_state_and_the_next_episode(twin: gentwin.TwinModel):
    pytest.importorskip("stable_baselines3")
    plain, envs = make_twin(twin), load("sb3_vec_env").GymnasiumVecEnv(make_twin(twin))
    envs.seed(7)
    np.testing.assert_array_equal(envs.reset(), plain.reset(seed=7)[0])
    actions = np.arange(4)
    for step in range(1, 3 * HORIZON + 1):
        observations, rewards, dones, infos = envs.step(actions)
        expected, plain_rewards, _, truncated, _ = plain.step(actions)
        np.testing.assert_allclose(rewards, plain_rewards, rtol=1e-6)
        assert dones.all() == truncated.all() == (step % HORIZON == 0)
        if dones.any():
            np.testing.assert_array_equal([info["terminal_observation"] for info in infos], expected)
            assert all(info["TimeLimit.truncated"] for info in infos)
            expected = plain.step(actions)[0]  # gymnasium's reset step, whose actions are ignored
        np.testing.assert_array_equal(observations, expected)


def test_torchrl_sees_the_last_state_and_the_next_episode(twin: gentwin.TwinModel):
    torchrl_envs = pytest.importorskip("torchrl.envs")
    env = torchrl_envs.GymWrapper(load("torchrl_env").ManualReset(make_twin(twin)), categorical_action_encoding=True)
    env.set_seed(7)
    data = env.rollout(3 * HORIZON, break_when_any_done=False)
    ends = data["next", "truncated"][..., 0].numpy()
    np.testing.assert_array_equal(ends, np.tile(np.arange(3 * HORIZON) % HORIZON == HORIZON - 1, (4, 1)))
    assert not data["next", "terminated"].any()
    inside = ~ends[:, :-1]
    after, before = data["next", "observation"].numpy()[:, :-1], data["observation"].numpy()[:, 1:]
    np.testing.assert_array_equal(after[inside], before[inside])
    assert (after[~inside] != before[~inside]).any(axis=1).all()
    assert (data["next", "reward"].numpy() > 0).all()


def test_scaling_stays_within_the_space_of_observations(twin: gentwin.TwinModel):
    raw, scaled = make_twin(twin), load("setting").scaled(make_twin(twin))
    (large, _), (small, _) = raw.reset(seed=0), scaled.reset(seed=0)
    assert scaled.observation_space.contains(small)
    assert np.abs(small).max() < 5 < np.abs(large).max()
    np.testing.assert_array_equal(np.sign(small), np.sign(large))
    actions = np.zeros(4, np.int64)
    np.testing.assert_allclose(scaled.step(actions)[1], raw.step(actions)[1] - 2)
