"""What the environments of a sliced network and of its twin share: spaces, rewards, info and episodes."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gentwin.envs.single_copy import SingleCopyEnv
from gentwin.envs.slicing_reward import RewardShaping, SlicingUtility, default_shaping
from gentwin.envs.spaces import checked_actions, field_box, observed_names
from gentwin.networks.slicing import SlicingParameters, allocation_grid, slicing_schema
from gentwin.schema import refuse_unknown_keys

REWARDS = ("utility", "shaped")


class SlicingVectorEnv(VectorEnv):
    """Base of the batched environments of a sliced network; subclasses say how a window comes about.

    All copies have episodes of equal length, so they end and are reset together; by Gymnasium's next-step rule the
    step after the last one ignores its action and returns the first observation of the new episode with reward 0.

    Attributes:
        num_decisions: Decisions since the environment was made, by which the threshold of a shaped reward rises.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 (Gymnasium's form)
    length_argument = "episode_steps"  # what a subclass calls the length of its episodes
    reset_options: tuple[str, ...] = ()  # keys of `options` that `reset` understands

    def __init__(
        self,
        parameters: SlicingParameters,
        num_envs: int,
        utility_weights: tuple[float, ...] | None,
        reward: str,
        shaping: RewardShaping | dict[str, float] | None,
        observation_fields: tuple[str, ...] | str,
        episode_steps: int | None,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"`num_envs` must be at least 1, got {num_envs}.")
        if reward not in REWARDS:
            raise ValueError(f"`reward` must be one of {REWARDS}, got {reward!r}.")
        if episode_steps is not None and episode_steps < 1:
            raise ValueError(f"`{self.length_argument}` must be at least 1 or None, got {episode_steps}.")
        weights = (1.0,) * parameters.num_slices if utility_weights is None else tuple(utility_weights)
        if len(weights) != parameters.num_slices:
            raise ValueError(f"`utility_weights` must have {parameters.num_slices} entries, got {weights}.")
        self.num_envs = num_envs
        self.parameters = parameters
        self.schema = slicing_schema(parameters)
        self.allocations = allocation_grid(parameters)
        self.utility = SlicingUtility(weights, parameters.spectral_efficiency_weight)
        self.shaping = _shaping(reward, shaping, parameters.preset, weights)
        self.episode_steps = episode_steps
        self.observation_fields = observed_names(observation_fields, [field.name for field in self.schema.state])
        names = [field.name for field in self.schema.state]
        self._observed = [names.index(name) for name in self.observation_fields]
        self._blocks = np.floor(self.allocations / parameters.resource_block_hz + 1e-9).astype(np.int64)
        self._quantisation_loss_hz = (self.allocations - self._blocks * parameters.resource_block_hz).sum(axis=1)
        self._num_steps = 0
        self.num_decisions = 0
        self._was_reset = False
        self._episode_over = False
        self.single_action_space = spaces.Discrete(len(self.allocations))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = self._observation_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    @abstractmethod
    def _begin(self, seed: int | None, options: dict[str, Any]) -> None:
        """Starts a new episode in every copy; `seed` is `None` to go on with the present randomness."""

    @abstractmethod
    def _advance(self, actions: np.ndarray) -> None:
        """Simulates one window of every copy."""

    @abstractmethod
    def _state(self) -> np.ndarray:
        """Returns the state fields `(num_envs, num_slices, num_state)`."""

    @abstractmethod
    def _outcome(self) -> np.ndarray:
        """Returns the outcome fields of the last window `(num_envs, num_slices, num_outcome)`."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a new episode in every copy; see Gymnasium. Copy `i` of a network is what `seed + i` gives alone."""
        super().reset(seed=seed)
        refuse_unknown_keys(options or {}, list(self.reset_options), "reset's `options` here")
        self._begin(seed, options or {})
        self._num_steps = 0
        self._was_reset = True
        self._episode_over = False
        state = self._state()
        return self._observation(state), self._fields(self.schema.state, state)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Takes `actions` `(num_envs,)`, indices into `allocations`, in every copy; see Gymnasium."""
        if not self._was_reset:
            raise gymnasium.error.ResetNeeded("call `reset` before the first `step`.")
        never = np.zeros(self.num_envs, dtype=np.bool_)
        if self._episode_over:
            observation, info = self.reset()
            return observation, np.zeros(self.num_envs), never, never.copy(), info
        actions = self._checked(actions)
        self._advance(actions)
        state = self._state()
        info = self._info(actions, state, self._outcome())
        rewards = info["utility"] if self.shaping is None else self.shaping(info["utility"], self.num_decisions)
        self._num_steps += 1
        self.num_decisions += 1
        self._episode_over = self.episode_steps is not None and self._num_steps >= self.episode_steps
        truncations = np.full(self.num_envs, self._episode_over)
        return self._observation(state), np.array(rewards, dtype=np.float64), never, truncations, info

    def action_values(self, actions: np.ndarray) -> np.ndarray:
        """Returns the action fields of the schema, the bandwidths in Hz, `(num_envs, num_slices, 1)`."""
        return self.allocations[np.asarray(actions)][..., None]

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        return checked_actions(actions, self.num_envs, len(self.allocations))

    def _observation_space(self) -> spaces.Box:
        return field_box([self.schema.state[index] for index in self._observed] * self.parameters.num_slices)

    def _observation(self, state: np.ndarray) -> np.ndarray:
        return state[:, :, self._observed].reshape(self.num_envs, -1).astype(np.float32)

    @staticmethod
    def _fields(fields: tuple, values: np.ndarray) -> dict[str, Any]:
        return {field.name: values[:, :, index] for index, field in enumerate(fields)}

    def _info(self, actions: np.ndarray, state: np.ndarray, outcome: np.ndarray) -> dict[str, Any]:
        info = self._fields(self.schema.state, state) | self._fields(self.schema.outcome, outcome)
        names = [field.name for field in self.schema.outcome]
        first = names.index("delay_p50_ms")
        info["spectral_efficiency"] = info["slice_spectral_efficiency"].sum(axis=1)
        info["utility"] = self.utility(info["ssr"], info["spectral_efficiency"])
        info["delay_ms"] = outcome[:, :, first : first + 3]
        info["prb"] = self._blocks[actions]
        info["quantisation_loss_hz"] = self._quantisation_loss_hz[actions]
        return info


class SlicingEnv(SingleCopyEnv):
    """Base of the scalar environments of a sliced network."""

    def __init__(self, batched: SlicingVectorEnv) -> None:
        super().__init__(batched)
        self.allocations = batched.allocations


def refuse_foreign_arguments(given: dict[str, Any], foreign: dict[str, str], where: str) -> None:
    """Raises `TypeError` for an argument of the sibling environment, saying what stands for it here."""
    for name, remedy in foreign.items():
        if name in given:
            raise TypeError(f"`{name}` is not an argument of {where}, got {given[name]!r}; {remedy}.")


def _shaping(
    reward: str, shaping: RewardShaping | dict[str, float] | None, preset: str, weights: tuple[float, ...]
) -> RewardShaping | None:
    if reward == "utility":
        if shaping is not None:
            raise ValueError(f"`shaping` applies to reward='shaped' only, got {shaping!r}; leave one of the two out.")
        return None
    if isinstance(shaping, dict):
        known = ["gamma_min", "gamma_max", "sigma"]
        if sorted(shaping) != sorted(known) or not all(isinstance(value, int | float) for value in shaping.values()):
            raise ValueError(f"`shaping` must give the numbers {known}, got {shaping!r}.")
        return RewardShaping(**shaping)
    return shaping or default_shaping(preset, weights)


def check_finite(name: str, values: np.ndarray) -> None:
    """Raises `ValueError` if `values` holds NaN or infinity."""
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` must be finite, got {math.nan if np.isnan(values).any() else math.inf}.")
