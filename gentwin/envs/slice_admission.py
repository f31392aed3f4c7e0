"""Admission control of a sliced network as a gymnasium environment: `gentwin/SliceAdmission-v0`."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gentwin.envs.single_copy import SingleCopyEnv
from gentwin.envs.spaces import checked_actions, field_box, observed_names
from gentwin.networks.admission import (
    AdmissionNetwork,
    AdmissionParameters,
    admission_parameters,
    admission_schema,
    slice_revenue,
)
from gentwin.schema import refuse_unknown_keys

MAX_KEY = np.iinfo(np.uint64).max
UNOBSERVED = ("in_service",)  # by default, as in the article


class SliceAdmissionVectorEnv(VectorEnv):
    """Batched form of [`SliceAdmissionEnv`][gentwin.envs.slice_admission.SliceAdmissionEnv]:
    `gymnasium.make_vec("gentwin/SliceAdmission-v0")`.

    Copies are independent; copy `i` after `reset(seed=s)` is what the scalar environment is after `reset(seed=s + i)`.
    They share the machine's cores. Autoreset is Gymnasium's next-step mode; all episodes have equally many decisions,
    so all copies are reset in the same step. Arguments are those of the scalar environment, with `num_envs` first.

    Attributes:
        num_decisions: Decisions of each copy since the environment was made.
        observation_names: Name of every entry of an observation, such as `hrllc.queued` or `free_radio`.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 (Gymnasium's form)
    length_argument = "episode_steps"  # what a subclass calls the length of its episodes

    def __init__(
        self,
        num_envs: int = 1,
        *,
        preset: str = "busy",
        load: float | None = None,
        observation_fields: tuple[str, ...] | str | None = None,
        episode_steps: int | None = 500,
        num_threads: int | None = None,
        **parameters: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"`num_envs` must be at least 1, got {num_envs}.")
        if episode_steps is not None and episode_steps < 1:
            raise ValueError(f"`{self.length_argument}` must be at least 1 or None, got {episode_steps}.")
        self.num_envs = num_envs
        self.parameters = admission_parameters(preset, load=load, **parameters)
        self.network = AdmissionNetwork(self._dynamics(), num_envs, num_threads)
        self.schema = admission_schema(self.parameters)
        self.episode_steps = episode_steps
        names = [field.name for field in self.schema.state]
        usual = tuple(name for name in names if name not in UNOBSERVED)
        self.observation_fields = observed_names(usual if observation_fields is None else observation_fields, names)
        self.num_decisions = 0
        self._num_steps = 0
        self._was_reset = self._episode_over = False
        self._generators: list[np.random.Generator] = []
        self.single_action_space = spaces.Discrete(self.parameters.num_slices + 1)
        self.action_space = batch_space(self.single_action_space, num_envs)
        # Columns of the flat form of the state: what is per slice of every slice, then what is of the network, once.
        state = np.arange(self.parameters.num_slices * len(names)).reshape(-1, len(names))
        chosen = [names.index(name) for name in self.observation_fields]
        per_slice = len(names) - self.parameters.num_resources
        ours, shared = ([index for index in chosen if (index < per_slice) == own] for own in (True, False))
        self._columns = np.concatenate([state[:, ours].reshape(-1), state[0, shared]])
        fields = [self.schema.state[column % len(names)] for column in self._columns]
        slices = [self.schema.slices[column // len(names)] for column in self._columns[: len(ours) * len(state)]]
        whole = [f"{name}.{field.name}" for name, field in zip(slices, fields, strict=False)]
        self.observation_names = (*whole, *(field.name for field in fields[len(whole) :]))
        self.single_observation_space = field_box(fields)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    def _dynamics(self) -> AdmissionParameters:
        """Returns the parameters of the network that is simulated; `self.parameters` are set."""
        return self.parameters

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a new episode in every copy; see Gymnasium. Copy `i` is what `seed + i` gives alone."""
        super().reset(seed=seed)
        refuse_unknown_keys(options or {}, [], "reset's `options` here")
        if seed is not None or not self._generators:
            start = int(self.np_random.integers(2**31)) if seed is None else seed
            self._generators = [np.random.default_rng(start + copy) for copy in range(self.num_envs)]
        keys = [generator.integers(MAX_KEY, dtype=np.uint64) for generator in self._generators]
        self.network.reset(np.array(keys, np.uint64))
        self._num_steps = 0
        self._was_reset, self._episode_over = True, False
        return self._observation(), self._state_info()

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Takes `actions` `(num_envs,)` in every copy; see Gymnasium. One that the mask forbids counts as none."""
        if not self._was_reset:
            raise gymnasium.error.ResetNeeded("call `reset` before the first `step`.")
        never = np.zeros(self.num_envs, dtype=np.bool_)
        if self._episode_over:
            observation, info = self.reset()
            return observation, np.zeros(self.num_envs), never, never.copy(), info
        actions = checked_actions(actions, self.num_envs, self.network.none + 1)
        forbidden = self.network.masks[np.arange(self.num_envs), actions] == 0
        self.network.step_allowed(np.where(forbidden, self.network.none, actions))
        info = self._state_info() | self._outcome_info()
        info["forbidden"] = forbidden
        self._num_steps += 1
        self.num_decisions += 1
        self._episode_over = self.episode_steps is not None and self._num_steps >= self.episode_steps
        rewards = info["revenue"].sum(axis=1)
        return self._observation(), rewards, never, np.full(self.num_envs, self._episode_over), info

    def action_values(self, actions: np.ndarray) -> np.ndarray:
        """Returns the action field of the schema, 1 for the slice admitted and else 0, `(num_envs, num_slices, 1)`."""
        slices = np.arange(self.parameters.num_slices)
        return (np.asarray(actions)[..., None] == slices).astype(np.float64)[..., None]

    def states(self, observations: np.ndarray) -> np.ndarray:
        """Returns states of the schema, as `gentwin.networks.admission.policies` take them, from observations.

        Args:
            observations: `(B, F)`. A field that is not observed is 0.

        Returns:
            `(B, num_slices, num_state)`.
        """
        num_state = len(self.schema.state)
        flat = np.zeros((len(observations), self.parameters.num_slices * num_state))
        flat[:, self._columns] = observations
        values = flat.reshape(-1, self.parameters.num_slices, num_state)
        resources = slice(num_state - self.parameters.num_resources, None)
        values[:, :, resources] = values[:, :1, resources]
        return values

    def observations(self, states: np.ndarray) -> np.ndarray:
        """Returns observations `(B, F)` float32 of states of the schema, `(B, num_slices, num_state)`."""
        return states.reshape(len(states), -1)[:, self._columns].astype(np.float32)

    def identity(self) -> dict[str, Any]:
        """Returns what a training that is gone on with must share with the one that was saved."""
        return {
            "network": dataclasses.asdict(self.parameters),
            "num_envs": self.num_envs,
            "episode_steps": self.episode_steps,
            "observation_fields": list(self.observation_fields),
        }

    def snapshot(self) -> dict[str, Any]:
        """Returns where all copies and their random generators stand, as arrays and JSON-able values.

        Raises:
            gymnasium.error.ResetNeeded: Before the first `reset`.
        """
        if not self._was_reset:
            raise gymnasium.error.ResetNeeded("call `reset` before `snapshot`.")
        return {
            **self.network.snapshot(),
            "generators": [generator.bit_generator.state for generator in self._generators],
            "num_steps": self._num_steps,
            "num_decisions": self.num_decisions,
            "episode_over": self._episode_over,
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Goes back to a snapshot of an environment with the same arguments."""
        self.network.restore(snapshot)
        self._generators = [np.random.default_rng() for _ in range(self.num_envs)]
        for generator, state in zip(self._generators, snapshot["generators"], strict=True):
            generator.bit_generator.state = state
        self._num_steps, self.num_decisions = int(snapshot["num_steps"]), int(snapshot["num_decisions"])
        self._episode_over, self._was_reset = bool(snapshot["episode_over"]), True

    def _observation(self) -> np.ndarray:
        return self.observations(self.network.state_values())

    def _state_info(self) -> dict[str, Any]:
        info = {name: self.network.values(name) for name in ("queued", "oldest_wait_s", "requesting", "in_service")}
        info |= {f"free_{name}": self.network.free[:, r] for r, name in enumerate(self.parameters.resources)}
        return info | {"action_mask": self.network.masks.copy()}

    def _outcome_info(self) -> dict[str, Any]:
        names = ("arrived", "admitted", "completed", "timed_out", "blocked")
        info = {name: self.network.values(name) for name in names}
        info |= {f"used_{name}": self.network.used[:, r] for r, name in enumerate(self.parameters.resources)}
        info["elapsed_s"] = self.network.elapsed_s.copy()
        lost = info["timed_out"] + info["blocked"]
        info["revenue"] = slice_revenue(self.parameters, info["admitted"], lost)
        return info


class SliceAdmissionEnv(SingleCopyEnv):
    """A sliced network decides whose request to admit, whenever one that waits would fit.

    ## Description

    Requests for services arrive in the queues of the slices' tenants as Poisson processes. A service holds units of
    radio, computing and storage for an exponential time. A request that has not been admitted waits until it times out.
    Whenever a waiting request fits into what is free, after an arrival, a departure or a time-out, the agent admits the
    oldest request of one slice or none, again and again until it says none or nothing fits; then time goes on. The
    setting is that of Tao et al. ("Wireless network digital twin for 6G: generative AI as a key enabler", section IV);
    all numbers are ours.

    | preset | slices | offered load | what it is |
    |---|---|---|---|
    | `light` | immersive, hrllc, massive, ubiquitous | 0.7 | almost everything is admitted, whatever the policy |
    | `busy` | the same | 1.75 | whom to admit matters, and when to wait |
    | `overload` | the same | 3 | most requests are lost |
    | `small` | the same, with demands of 1 to 4 units | 3 | its optimal policy is known exactly |

    ## Action space

    `Discrete(num_slices + 1)`: action `n` admits the oldest request of slice `n`; the last admits none. The actions
    allowed are in `info["action_mask"]`, an int8 array as `action_space.sample` takes it; none always is. An action
    that is not allowed counts as none and is reported in `info["forbidden"]`.

    ## Observation space

    `Box` of `float32`: the chosen fields of the first slice, of the second, …, then those of the whole network.

    | field | unit | min | max | by default |
    |---|---|---|---|---|
    | `queued`: requests waiting | requests | 0 | places of the queue + 1 | yes |
    | `oldest_wait_s`: time the oldest of them has waited | s | 0 | time-out (exponential: x 37) | yes |
    | `requesting`: 1 if an arrival in this slice was the last event | 1 | 0 | 1 | yes |
    | `in_service`: services in progress | services | 0 | all that fit | no |
    | `free_radio`, `free_computing`, `free_storage`: free shares, of the network | 1 | 0 | 1 | yes |

    ## Rewards

    The revenue of the request admitted, less the penalties of those that timed out or found their queue full before the
    next decision. The time between decisions varies (a semi-Markov decision process): `info["elapsed_s"]`. The long-run
    measure of a policy is the sum of its rewards over the sum of these times.

    ## Starting state

    The network starts empty and runs for `warmup_s` under the greedy policy, up to its next decision.

    ## Episode end

    Episodes never terminate. They are truncated after `episode_steps` decisions.

    ## Info

    Arrays per slice, shape `(num_slices,)`: `queued`, `oldest_wait_s`, `requesting`, `in_service`; since the last
    decision `arrived`, `admitted`, `completed`, `timed_out`, `blocked` (at a full queue), and `revenue`. `action_mask`
    `(num_slices + 1,)`. Numbers: `free_…` and `used_…` of every resource (`used` is the mean share in use since the
    last decision), `elapsed_s`, `forbidden`. After `reset` the state fields and the mask only.

    ## Arguments

    ```python
    import gentwin, gymnasium

    env = gymnasium.make("gentwin/SliceAdmission-v0", preset="busy", load=2.0)
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample(info["action_mask"]))
    ```

    Args:
        preset: `busy` (default), `light`, `overload` or `small`.
        load: Offered load of the busiest resource; scales all arrival rates.
        observation_fields: Names of the fields to observe, or `all`; all but `in_service` by default.
        episode_steps: Decisions per episode; `None` for endless ones.
        num_threads: Threads of the batched form.
        **parameters: Any field of [`AdmissionParameters`][gentwin.networks.admission.AdmissionParameters], such as
            `patience="exponential"` or `capacity=(300, 96, 224)`.

    ## Version history

    * v0: first version.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(SliceAdmissionVectorEnv(1, **arguments))
