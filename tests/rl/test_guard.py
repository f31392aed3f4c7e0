"""The guard that keeps exploration within a predicted violation of the SLA."""

from __future__ import annotations

import copy

import gymnasium
import numpy as np
import pytest
import torch

import gentwin
from gentwin.rl import AgentError, Collector, Experience, ReplayBuffer
from gentwin.rl.guard import ViolationGuard, worst_violations


@pytest.fixture(scope="module")
def twin():
    return gentwin.from_pretrained("gentwin/slice-lstm-dynamic")


def make_env(num_envs: int = 4, **arguments):
    return gymnasium.make_vec(
        "gentwin/RanSlicing-v0",
        num_envs=num_envs,
        **{"preset": "dynamic", "observation_fields": "all", "num_threads": 1, "episode_steps": None} | arguments,
    )


def starving(env) -> int:
    """Returns the action that leaves the second and third slice one unit of the band each."""
    return int(env.unwrapped.allocations[:, 0].argmax())


def violations(twin, bound: float | None) -> tuple[float, ViolationGuard | None]:
    """Returns the mean largest share of packets outside their SLA under an agent that starves two slices."""
    env = make_env(8)
    guard = None if bound is None else ViolationGuard(twin, env, bound)
    seen = Experience(env)
    collector = Collector(env, 0, ReplayBuffer(500, 12), seen.add)

    def policy(observations: np.ndarray) -> np.ndarray:
        actions = np.full(len(observations), starving(env))
        return actions if guard is None else guard(observations, actions, collector.is_first)

    for _ in range(40):
        collector.step(policy)
    return float(worst_violations(seen.transitions()).mean()), guard


def test_guard_lowers_the_violations_of_a_reckless_agent(twin) -> None:
    reckless, _ = violations(twin, None)
    guarded, guard = violations(twin, 0.4)
    assert guard.num_decisions == 8 * 40
    assert 0 < guard.num_replaced <= guard.num_decisions
    assert guarded < 0.7 * reckless


def test_allowed_actions_are_left_alone(twin) -> None:
    env = make_env()
    guard = ViolationGuard(twin, env, 0.999)
    observations, _ = env.reset(seed=0)
    actions = np.array([0, 30, 60, 119])
    assert (guard(observations, actions, np.ones(4, bool)) == actions).all()
    assert guard.num_replaced == 0


def test_nothing_allowed_means_the_least_violation(twin) -> None:
    env = make_env()
    guard = ViolationGuard(twin, env, 1e-6)
    observations, _ = env.reset(seed=0)
    for _ in range(10):
        observations, *_ = env.step(np.full(4, starving(env)))
    without_choice = guard.num_without_choice
    first = guard(observations, np.zeros(4, np.int64), np.ones(4, bool))
    assert guard.num_without_choice - without_choice == 4
    guard.replace_twin(twin)
    second = guard(observations, np.full(4, 119), np.ones(4, bool))
    assert (first == second).all()


def test_memory_begins_anew_with_an_episode(twin) -> None:
    env = make_env()
    fresh, going_on, mixed = (ViolationGuard(twin, env, 0.4) for _ in range(3))
    actions, none, first_two = np.full(4, starving(env)), np.zeros(4, bool), np.array([True, True, False, False])
    observations, _ = env.reset(seed=0)
    for _ in range(8):
        for guard in (going_on, mixed):
            guard(observations, actions, none)
        observations, *_ = env.step(actions)
    without_past, with_past = fresh(observations, actions, none), going_on(observations, actions, none)
    assert (without_past != with_past)[:2].any() and (without_past != with_past)[2:].any()
    expected = np.where(first_two, without_past, with_past)
    np.testing.assert_array_equal(mixed(observations, actions, first_two), expected)


def another(twin):
    """Returns a twin with slightly other weights."""
    other = copy.deepcopy(twin)
    with torch.no_grad():
        for values in other.parameters():
            values.mul_(1.05)
    return other


def decisions(guard: ViolationGuard, env, num_steps: int) -> list[np.ndarray]:
    """Returns what a guard makes of the reckless agent, decision by decision."""
    observations, taken = env.reset(seed=1)[0], []
    for _ in range(num_steps):
        taken.append(guard(observations, np.full(len(observations), starving(env)), np.zeros(len(observations), bool)))
        observations, *_ = env.step(taken[-1])
    return taken


def test_a_restored_guard_decides_and_counts_as_the_saved_one(twin, tmp_path) -> None:
    env, better = make_env(), another(twin)
    saved, restored = ViolationGuard(twin, env, 0.3), ViolationGuard(twin, env, 0.3)
    before = saved.identity()
    saved.replace_twin(better)
    decisions(saved, env, 8)
    assert saved.identity() == before == restored.identity()
    torch.save(saved.state_dict(), tmp_path / "guard.pt")
    expected = decisions(saved, env, 8)
    restored.replace_twin(better)
    restored.load_state_dict(torch.load(tmp_path / "guard.pt", weights_only=True))
    assert restored.num_decisions == 8 * 4 and restored.num_replaced > 0
    np.testing.assert_array_equal(decisions(restored, env, 8), expected)
    for name in ("num_decisions", "num_replaced", "num_without_choice"):
        assert getattr(restored, name) == getattr(saved, name)
    torch.testing.assert_close(restored.state_dict(), saved.state_dict(), rtol=0, atol=0, equal_nan=True)


def test_the_state_of_another_guard_is_refused(twin) -> None:
    guard = ViolationGuard(twin, make_env(), 0.3)
    with pytest.raises(AgentError, match="`replace_twin`"):
        guard.load_state_dict(ViolationGuard(twin, make_env(3), 0.3).state_dict())
    assert guard.identity() != ViolationGuard(twin, make_env(), 0.4).identity()
    assert guard.identity() != ViolationGuard(another(twin), make_env(), 0.3).identity()


def test_misfits_are_refused(twin) -> None:
    with pytest.raises(ValueError, match="`bound`"):
        ViolationGuard(twin, make_env(), 0.0)
    with pytest.raises(AgentError, match="`observation_fields`"):
        ViolationGuard(twin, make_env(observation_fields=("arrived",)), 0.1)
    with pytest.raises(AgentError, match="`twin`"):
        ViolationGuard(twin, make_env(preset="hua2019"), 0.1)
    with pytest.raises(AgentError, match="`env`"):
        ViolationGuard(twin, gymnasium.make_vec("CartPole-v1", num_envs=2), 0.1)
