"""How good a policy is: mean utility, or reward per second, on fresh episodes of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from gentwin.envs.autoreset import checked_autoreset_mode
from gentwin.models.modeling_twin import TwinModel

Policy = Callable[..., np.ndarray]
"""Maps observations `(B, F)` to actions `(B,)`; in an environment with masks it is called with those `(B, A)` too."""
MASKS, ELAPSED = "action_mask", "elapsed_s"  # keys of `info`


def ask(policy: Policy, observations: np.ndarray, info: dict[str, Any]) -> np.ndarray:
    """Returns the actions of a policy, which sees the masks if the environment says them in `info`."""
    return policy(observations, info[MASKS]) if MASKS in info else policy(observations)


@dataclass(frozen=True)
class Evaluation:
    """Result of a policy on some copies of an environment.

    Args:
        utility: `(num_envs,)`, mean utility of each copy; the mean reward if the environment knows no utility.
        reward: `(num_envs,)`, mean reward of each copy.
        elapsed_s: `(num_envs,)`, mean time between decisions of each copy, seconds; `None` if the environment says
            none.
    """

    utility: np.ndarray
    reward: np.ndarray
    elapsed_s: np.ndarray | None = None

    @property
    def mean(self) -> float:
        """Mean utility over all copies; where time passes, per second: the sum of utilities over that of times."""
        return float(self.utility.mean() if self.elapsed_s is None else self.utility.mean() / self.elapsed_s.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of `mean` over copies, of a ratio the linearised one; NaN for a single copy."""
        copies, values = len(self.utility), self.utility
        if self.elapsed_s is not None:
            values = (self.utility - self.mean * self.elapsed_s) / self.elapsed_s.mean()
        return float(values.std(ddof=1) / copies**0.5) if copies > 1 else float("nan")


def evaluate(policy: Policy, env: VectorEnv, num_steps: int, seed: int) -> Evaluation:
    """Runs a policy from one reset for a number of steps in every copy.

    Any agent can be judged: `policy` is one callable. With the same seed, different policies meet the same network.

    Args:
        policy: Maps observations `(num_envs, F)` to actions `(num_envs,)`; where `info` has an `action_mask`, it is
            called with observations and masks.
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
    observations, info = env.reset(seed=seed)
    utility, reward, elapsed_s, count = (np.zeros(env.num_envs) for _ in range(4))
    is_timed = False
    ended = np.zeros(env.num_envs, bool)
    for _ in range(num_steps):
        actions = np.asarray(ask(policy, observations, info))
        if actions.shape != (env.num_envs,):
            raise ValueError(f"`policy` must return {env.num_envs} actions, got shape {actions.shape}.")
        observations, rewards, terminated, truncated, info = env.step(actions)
        real = ~ended
        reward += np.where(real, rewards, 0)
        utility += np.where(real, info.get("utility", rewards), 0)
        if ELAPSED in info:
            is_timed = True
            elapsed_s += np.where(real, info[ELAPSED], 0)
        count += real
        ended = terminated | truncated
    return Evaluation(utility / count, reward / count, elapsed_s / count if is_timed else None)


def per_state(policy: Policy, env: VectorEnv) -> Policy:
    """Adapts a policy of `gentwin.networks.admission`, which sees states, to observations of its environment."""
    return lambda observations, masks=None: policy(env.unwrapped.states(observations))


def per_slice(policy: Policy, num_slices: int) -> Policy:
    """Adapts a policy of `gentwin.networks.slicing`, which sees `(num_envs, num_slices, F)`, to flat observations."""
    return lambda observations: policy(observations.reshape(len(observations), num_slices, -1))
