"""How good a policy is: mean utility on fresh episodes of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from gentwin.envs.autoreset import checked_autoreset_mode
from gentwin.models.modeling_twin import TwinModel

Policy = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """Result of a policy on some copies of an environment.

    Args:
        utility: `(num_envs,)`, mean utility of each copy; the mean reward if the environment knows no utility.
        reward: `(num_envs,)`, mean reward of each copy.
    """

    utility: np.ndarray
    reward: np.ndarray

    @property
    def mean(self) -> float:
        """Mean utility over all copies."""
        return float(self.utility.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean utility over copies; NaN for a single one."""
        copies = len(self.utility)
        return float(self.utility.std(ddof=1) / copies**0.5) if copies > 1 else float("nan")


def evaluate(policy: Policy, env: VectorEnv, num_steps: int, seed: int) -> Evaluation:
    """Runs a policy from one reset for a number of steps in every copy.

    Any agent can be judged: `policy` is one callable. With the same seed, different policies meet the same network.

    Args:
        policy: Maps observations `(num_envs, F)` to actions `(num_envs,)`.
        env: The environment, such as `gymnasium.make_vec("gentwin/RanSlicing-v0", …)`, with next-step autoreset; not
            one that somebody trains in, as it is reset.
        num_steps: Decisions of each copy, at least 1.
        seed: Of the reset.

    Raises:
        TypeError: If `policy` cannot be called, or `env` is no vector environment.
        ValueError: If `num_steps` is not positive, the environment has another autoreset, or the policy returns
            something else than one action per copy.
    """
    if not callable(policy) or isinstance(policy, TwinModel):
        raise TypeError(
            f"`policy` must map observations to actions, got {type(policy).__name__}; wrap an agent in `greedy_policy`."
        )
    if not isinstance(env, VectorEnv):
        raise TypeError(f"`env` must be a vector environment, got {type(env).__name__}; use `gymnasium.make_vec`.")
    if num_steps < 1:
        raise ValueError(f"`num_steps` must be at least 1, got {num_steps}.")
    checked_autoreset_mode(env, AutoresetMode.NEXT_STEP)
    observations, _ = env.reset(seed=seed)
    utility, reward, count = (np.zeros(env.num_envs) for _ in range(3))
    ended = np.zeros(env.num_envs, bool)
    for _ in range(num_steps):
        actions = np.asarray(policy(observations))
        if actions.shape != (env.num_envs,):
            raise ValueError(f"`policy` must return {env.num_envs} actions, got shape {actions.shape}.")
        observations, rewards, terminated, truncated, info = env.step(actions)
        real = ~ended
        reward += np.where(real, rewards, 0)
        utility += np.where(real, info.get("utility", rewards), 0)
        count += real
        ended = terminated | truncated
    return Evaluation(utility / count, reward / count)


def per_slice(policy: Policy, num_slices: int) -> Policy:
    """Adapts a policy of `gentwin.networks.slicing`, which sees `(num_envs, num_slices, F)`, to flat observations."""
    return lambda observations: policy(observations.reshape(len(observations), num_slices, -1))
