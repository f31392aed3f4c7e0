"""Scalar environments: a batched environment with one copy."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv


class SingleCopyEnv(gymnasium.Env):
    """Base of the scalar environments.

    Args:
        batched: With one copy, a `schema`, `parameters` and `action_values`.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's form)

    def __init__(self, batched: VectorEnv) -> None:
        self.batched = batched
        self.action_space = batched.single_action_space
        self.observation_space = batched.single_observation_space
        self.schema = batched.schema
        self.parameters = batched.parameters

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a new episode; see Gymnasium."""
        super().reset(seed=seed)
        observation, info = self.batched.reset(seed=seed, options=options)
        return observation[0], _first(info)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Takes `action`; see Gymnasium."""
        chosen = np.asarray(action)
        if chosen.size != 1:
            raise ValueError(
                f"`action` must be one integer, got {action!r}; `make_vec` makes the form for many copies."
            )
        observation, reward, terminated, truncated, info = self.batched.step(chosen.reshape(1))
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), _first(info)

    def action_values(self, action: int) -> np.ndarray:
        """Returns the action fields of the schema, `(num_slices, num_action)`."""
        return self.batched.action_values(np.asarray(action))


def _first(info: dict[str, Any]) -> dict[str, Any]:
    return {key: values[0] if values.ndim > 1 else values[0].item() for key, values in info.items()}
