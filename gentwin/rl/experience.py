"""What was seen in a sliced network, as a record that a twin can learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from gentwin.datasets import Transitions
from gentwin.envs import SliceAdmissionVectorEnv
from gentwin.envs.slicing import SlicingVectorEnv
from gentwin.rl.agent import AgentError


class Experience:
    """Transitions of all copies of a network's environment, in memory.

    Give its [`add`][gentwin.rl.experience.Experience.add] to a [`Collector`][gentwin.rl.collector.Collector] as
    listener. It is the data acquisition module of Zhang et al., section III-B;
    [`record_transitions`][gentwin.envs.recorder.record_transitions] writes the same to a file.

    Args:
        env: A vector environment of a sliced network.

    Raises:
        AgentError: If it is another environment, which says no state in `info`.
    """

    def __init__(self, env: VectorEnv) -> None:
        base = env.unwrapped
        if not isinstance(base, (SlicingVectorEnv, SliceAdmissionVectorEnv)):
            raise AgentError(
                f"`env` must be an environment of a sliced network to learn a twin of it, got {type(base).__name__}."
            )
        self.schema, self._base, self._num_envs = base.schema, base, env.num_envs
        self._states: list[np.ndarray] = []
        self._actions: list[np.ndarray] = []
        self._outcomes: list[np.ndarray] = []
        self._is_real: list[np.ndarray] = []

    def __len__(self) -> int:
        return int(sum(real.sum() for real in self._is_real))

    def add(self, before: dict[str, Any], actions: np.ndarray, after: dict[str, Any], real: np.ndarray) -> None:
        """Notes one step of the environment.

        Args:
            before: `info` of the step before (or of the reset).
            actions: `(num_envs,)` indices of allocations, or of the slices admitted.
            after: `info` of this step.
            real: `(num_envs,)` bool, false where the step was a reset.
        """
        if not self._states:
            self._states.append(self._values(before, self.schema.state))
        self._states.append(self._values(after, self.schema.state))
        self._actions.append(self._base.action_values(actions).astype(np.float32))
        outcome = np.zeros((self._num_envs, len(self.schema.slices), len(self.schema.outcome)), np.float32)
        if real.any():
            outcome = self._values(after, self.schema.outcome)
        self._outcomes.append(outcome)
        self._is_real.append(real.copy())

    def transitions(self) -> Transitions:
        """Returns everything seen; every copy has its own episodes.

        Raises:
            ValueError: If nothing was seen.
        """
        if not len(self):
            raise ValueError("`transitions` needs at least one step; let a collector act first.")
        real = np.stack(self._is_real, axis=1)
        number = np.cumsum(~real, axis=1)
        most = int(number.max()) + 1
        episode = number + most * np.arange(self._num_envs)[:, None]
        step = np.tile(np.arange(real.shape[1]), (self._num_envs, 1))
        states = np.stack(self._states, axis=1)
        parts = states[:, :-1], np.stack(self._actions, axis=1), np.stack(self._outcomes, axis=1), states[:, 1:]
        state, action, outcome, following = (part[real] for part in parts)
        return Transitions(
            schema=self.schema,
            episode=episode[real],
            step=step[real],
            state=state,
            action=action,
            context=np.zeros((*state.shape[:2], 0), np.float32),
            outcome=outcome,
            next_state=following,
        )

    def restore(self, record: Transitions) -> None:
        """Puts back what `transitions` returned, in place of what was seen.

        Args:
            record: Of as many copies of the network, whose episodes all ended at the same steps.

        Raises:
            ValueError: If it is a record of something else.
        """
        if record.schema != self.schema or len(record.episodes) % self._num_envs or len(record) % self._num_envs:
            raise ValueError(
                f"`record` must be one of {self._num_envs} copies of the network {self.schema.name!r}, got "
                f"{len(record.episodes)} episodes and {len(record)} steps of {record.schema.name!r}."
            )
        state, action, outcome, following, step = (
            np.stack(np.split(part, self._num_envs), axis=1)
            for part in (record.state, record.action, record.outcome, record.next_state, record.step)
        )
        steps, size = step[:, 0], int(step[-1, 0]) + 1
        if (step != steps[:, None]).any():
            raise ValueError("`record` must hold the same steps of every copy.")
        states, actions, outcomes = (
            np.zeros((size + extra, *part.shape[1:]), np.float32)
            for part, extra in ((state, 1), (action, 0), (outcome, 0))
        )
        # What is missing was a reset; the states around it belong to the steps before and after.
        states[steps], states[steps + 1], actions[steps], outcomes[steps] = state, following, action, outcome
        is_real = np.zeros((size, self._num_envs), bool)
        is_real[steps] = True
        self._states, self._actions, self._outcomes = list(states), list(actions), list(outcomes)
        self._is_real = list(is_real)

    def _values(self, info: dict[str, Any], fields: tuple) -> np.ndarray:
        """Returns fields from `info`; what is said once of the whole network is true of every slice."""
        shape = (self._num_envs, len(self.schema.slices))
        columns = [np.asarray(info[field.name]) for field in fields]
        columns = [np.broadcast_to(values.reshape(self._num_envs, -1), shape) for values in columns]
        return np.stack(columns, axis=-1).astype(np.float32)


def branch_points(record: Transitions, history_steps: int) -> dict[str, np.ndarray]:
    """Returns every state of a record that has a long enough past, to start roll-outs of a twin from.

    Args:
        record: Of a sliced network.
        history_steps: Steps before each start, `T`, at least 0; runs that are shorter give none.

    Returns:
        `states` `(num_starts, T + 1, N, S)` and `actions` `(num_starts, T, N, A)`, as
        [`TwinSlicingEnv`][gentwin.envs.twin_slicing.TwinSlicingEnv] takes them.

    Raises:
        ValueError: If no run is long enough.
    """
    ranges = [np.arange(first + history_steps, last) for first, last in record.runs]
    index = np.concatenate(ranges) if ranges else np.zeros(0, np.int64)
    if not index.size:
        longest = int(np.diff(record.runs, axis=1).max(initial=0))
        raise ValueError(f"`history_steps` must be below the longest run, {longest} steps, got {history_steps}.")
    past = index[:, None] + np.arange(-history_steps, 1)
    return {"states": record.state[past], "actions": record.action[past[:, :-1]]}
