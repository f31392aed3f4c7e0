"""Records what happens in an environment as transitions in Parquet.

The data acquisition module of a network twin: what was configured (action), what the network looked like (state,
context) and how it performed (outcome), decision window by decision window.

Source: Z. Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks
Slicing", section III-B.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from gentwin.datasets import TransitionError, TransitionWriter
from gentwin.envs.autoreset import checked_autoreset_mode
from gentwin.schema import Field, TransitionSchema

# Gymnasium writes "no bound" as infinity or as the largest float32.
UNBOUNDED = float(np.finfo(np.float32).max)


class TransitionRecorder(VectorWrapper):
    """Writes every transition of a batched environment to Parquet; the environment behaves as before.

    An environment of a sliced network has a `schema` and says every state, context and outcome field in `info` under
    the field's name, as an array `(num_envs, num_slices)`, or `(num_envs,)` where all slices have the same value; its
    `action_values(actions)` gives the action fields `(num_envs, num_slices, num_action)`. Any other environment is
    recorded as one slice: `obs_0`, … and `action` or `action_0`, … from its spaces, outcome `reward` and `terminated`.

    Every episode of every copy has its own number. The step in which Gymnasium resets a copy is not a transition and is
    left out. The file appears at `close`, complete; after a crash there is only `<path>.partial`, which cannot be read.

    Args:
        env: The environment.
        path: Parquet file to write.
        provenance: JSON-able facts to store beside the environment's id and number of copies.
        chunk_steps: Steps kept in memory before they are written.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileExistsError: If `path` exists and `overwrite` is false.
        ValueError: If the environment resets copies within a step, or a space cannot be written as numbers.
    """

    def __init__(
        self,
        env: VectorEnv,
        path: str | os.PathLike,
        provenance: Mapping[str, Any] | None = None,
        chunk_steps: int = 16_384,
        overwrite: bool = False,
    ) -> None:
        super().__init__(env)
        mode = checked_autoreset_mode(env, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)
        self._adapter = _adapter(env, env.single_observation_space, env.single_action_space)
        self._log = _EpisodeLog(env, self._adapter.schema, env.num_envs, path, provenance, chunk_steps, overwrite, mode)

    def reset(self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None) -> tuple:
        """Resets the environment and begins new episodes."""
        observations, infos = self.env.reset(seed=seed, options=options)
        which = None if options is None else options.get("reset_mask")
        self._log.begin(*self._adapter.before(observations, infos), seed, which)
        return observations, infos

    def step(self, actions: Any) -> tuple:
        """Steps the environment and records what happened."""
        chosen = self._adapter.actions(actions)
        result = observations, rewards, terminations, truncations, infos = self.env.step(actions)
        outcome = self._adapter.outcome(rewards, terminations, infos) if self._log.is_live else None
        self._log.add(chosen, *self._adapter.before(observations, infos), outcome, terminations | truncations)
        return result

    def close(self, **kwargs: Any) -> None:
        """Completes the file and closes the environment."""
        try:
            self._log.close()
        finally:
            super().close(**kwargs)

    def abort(self) -> None:
        """Gives up the recording and removes the partial file; the environment stays open."""
        self._log.abort()


class ScalarTransitionRecorder(gymnasium.Wrapper):
    """The same for an environment with a single copy, whose arrays lack the axis `num_envs`.

    As a context manager it removes the partial file if the block fails.

    Args:
        env: The environment.
        path: Parquet file to write.
        provenance: As in `TransitionRecorder`.
        chunk_steps: As in `TransitionRecorder`.
        overwrite: As in `TransitionRecorder`.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        path: str | os.PathLike,
        provenance: Mapping[str, Any] | None = None,
        chunk_steps: int = 16_384,
        overwrite: bool = False,
    ) -> None:
        super().__init__(env)
        self._adapter = _adapter(env, env.observation_space, env.action_space)
        self._log = _EpisodeLog(
            env, self._adapter.schema, 1, path, provenance, chunk_steps, overwrite, AutoresetMode.DISABLED
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple:
        """Resets the environment and begins a new episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._log.begin(*self._adapter.before(observation, info), seed, None)
        return observation, info

    def step(self, action: Any) -> tuple:
        """Steps the environment and records what happened."""
        chosen = self._adapter.actions(action)
        result = observation, reward, terminated, truncated, info = self.env.step(action)
        outcome = self._adapter.outcome(reward, terminated, info) if self._log.is_live else None
        ended = np.array([terminated or truncated])
        self._log.add(chosen, *self._adapter.before(observation, info), outcome, ended)
        return result

    def close(self) -> None:
        """Completes the file and closes the environment."""
        try:
            self._log.close()
        finally:
            super().close()

    def abort(self) -> None:
        """Gives up the recording and removes the partial file; the environment stays open."""
        self._log.abort()

    def __exit__(self, *error: Any) -> bool:
        if error[0] is not None:
            self.abort()
        return super().__exit__(*error)


def record_transitions(
    env: gymnasium.Env | VectorEnv, path: str | os.PathLike, **options: Any
) -> TransitionRecorder | ScalarTransitionRecorder:
    """Wraps an environment in the recorder that fits it; `options` as in `TransitionRecorder`."""
    kind = TransitionRecorder if isinstance(env, VectorEnv) else ScalarTransitionRecorder
    return kind(env, path, **options)


class _EpisodeLog:
    """Numbers episodes and steps of each copy and hands transitions to the writer."""

    def __init__(
        self,
        env: Any,
        schema: TransitionSchema,
        num_copies: int,
        path: str | os.PathLike,
        provenance: Mapping[str, Any] | None,
        chunk_steps: int,
        overwrite: bool,
        mode: AutoresetMode,
    ) -> None:
        if os.path.exists(path) and not overwrite:
            raise FileExistsError(f"{os.fspath(path)} exists; choose another path or pass `overwrite=True`.")
        self.schema, self.num_copies = schema, num_copies
        self._resets_itself = mode is AutoresetMode.NEXT_STEP
        self._options = {"path": path, "chunk_steps": chunk_steps, "overwrite": overwrite}
        self._provenance = {
            "environment": getattr(env.spec, "id", None) or type(env.unwrapped).__name__,
            "num_envs": num_copies,
            "gymnasium": gymnasium.__version__,
            **(provenance or {}),
        }
        self._writer: TransitionWriter | None = None
        self._closed = False
        self._next_episode = 0
        self._episode = np.zeros(num_copies, np.int64)
        self._step = np.zeros(num_copies, np.int64)
        self._ended = np.ones(num_copies, bool)
        shapes = (len(schema.slices), len(schema.state)), (len(schema.slices), len(schema.context))
        self._state, self._context = (np.zeros((num_copies, *shape), np.float32) for shape in shapes)

    def begin(self, state: np.ndarray, context: np.ndarray, seed: Any, which: np.ndarray | None) -> None:
        if self._closed:
            return
        if self._writer is None:
            seeds = [int(value) if value is not None else None for value in np.atleast_1d(np.array(seed, object))]
            one = len(seeds) == 1
            facts = self._provenance if one else {**self._provenance, "seeds": seeds}
            self._writer = TransitionWriter(
                schema=self.schema, seed=seeds[0] if one else None, provenance=facts, **self._options
            )
        self._renew(np.ones(self.num_copies, bool) if which is None else np.asarray(which, bool), state, context)

    @property
    def is_live(self) -> bool:
        """Whether the next step is a transition of any copy; `info` need not tell an outcome where all are reset."""
        return not self._closed and not self._ended.all()

    def add(
        self, action: np.ndarray, state: np.ndarray, context: np.ndarray, outcome: np.ndarray | None, ended: np.ndarray
    ) -> None:
        if self._closed:
            return
        if self._writer is None:
            raise TransitionError("the environment must be reset before its first step.")
        live = ~self._ended
        if outcome is not None:
            self._writer.append(
                self._episode[live],
                self._step[live],
                self._state[live],
                action[live],
                state[live],
                self._context[live],
                outcome[live],
            )
        renewed = self._ended.copy()
        self._step += 1
        self._state[live], self._context[live] = state[live], context[live]
        self._ended = self._ended | np.asarray(ended, bool)
        if self._resets_itself and renewed.any():
            self._renew(renewed, state, context)

    def _renew(self, which: np.ndarray, state: np.ndarray, context: np.ndarray) -> None:
        count = int(which.sum())
        self._episode[which] = self._next_episode + np.arange(count)
        self._next_episode += count
        self._step[which] = 0
        self._ended[which] = False
        self._state[which], self._context[which] = state[which], context[which]

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer is not None and self._writer.is_empty:
            self._writer.abort()
            gymnasium.logger.warn(f"no transition was recorded, so {self._writer.path} was not written.")
        elif self._writer is not None:
            self._writer.close()

    def abort(self) -> None:
        self._closed = True
        if self._writer is not None:
            self._writer.abort()


def _adapter(env: Any, observation_space: spaces.Space, action_space: spaces.Space) -> _SlicingAdapter | _SpaceAdapter:
    schema = getattr(env.unwrapped, "schema", None)
    if isinstance(schema, TransitionSchema):
        return _SlicingAdapter(env.unwrapped, schema)
    return _SpaceAdapter(observation_space, action_space)


class _SlicingAdapter:
    """Takes transitions from the `info` of an environment of a sliced network."""

    def __init__(self, env: Any, schema: TransitionSchema) -> None:
        self.env, self.schema = env, schema

    def actions(self, actions: Any) -> np.ndarray:
        values = np.asarray(self.env.action_values(actions), np.float32)
        return values.reshape(-1, len(self.schema.slices), len(self.schema.action))

    def before(self, observations: Any, infos: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        return self._fields(infos, self.schema.state), self._fields(infos, self.schema.context)

    def outcome(self, rewards: Any, terminations: Any, infos: Mapping[str, Any]) -> np.ndarray:
        return self._fields(infos, self.schema.outcome)

    def _fields(self, infos: Mapping[str, Any], fields: tuple[Field, ...]) -> np.ndarray:
        num_copies, num_slices, columns = getattr(self.env, "num_envs", 1), len(self.schema.slices), []
        for field in fields:
            if field.name not in infos:
                raise TransitionError(
                    f"`info` lacks field `{field.name}`; the environment must report its whole schema."
                )
            values = np.asarray(infos[field.name], np.float32)
            # One number per copy is about the whole network: the same for every slice.
            per_slice = values.reshape(num_copies, -1)
            columns.append(np.broadcast_to(per_slice, (num_copies, num_slices)))
        if not columns:
            return np.zeros((num_copies, num_slices, 0), np.float32)
        return np.stack(columns, axis=-1)


class _SpaceAdapter:
    """Writes the observations and actions of any environment with simple spaces as one slice."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space) -> None:
        self._action_space = action_space
        reward = Field("reward", low=-math.inf)
        terminated = Field("terminated", high=1.0, atoms=(0.0, 1.0), description="1 where the episode ended by itself")
        self.schema = TransitionSchema(
            slices=("environment",),
            state=_space_fields(observation_space, "obs"),
            action=_space_fields(action_space, "action"),
            outcome=(reward, terminated),
        )
        self._offsets = [_offsets(space) for space in (observation_space, action_space)]
        self._sizes = len(self.schema.state), len(self.schema.action)

    def actions(self, actions: Any) -> np.ndarray:
        return (np.asarray(actions).reshape(-1, 1, self._sizes[1]) - self._offsets[1]).astype(np.float32)

    def before(self, observations: Any, infos: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        state = (np.asarray(observations).reshape(-1, 1, self._sizes[0]) - self._offsets[0]).astype(np.float32)
        return state, np.zeros((len(state), 1, 0), np.float32)

    def outcome(self, rewards: Any, terminations: Any, infos: Mapping[str, Any]) -> np.ndarray:
        return np.stack([np.atleast_1d(rewards), np.atleast_1d(terminations)], axis=-1).astype(np.float32)[:, None]


def _offsets(space: spaces.Space) -> np.ndarray:
    """What to subtract so that categories count from 0."""
    return np.asarray(getattr(space, "start", 0)).reshape(-1)


def _space_fields(space: spaces.Space, name: str) -> tuple[Field, ...]:
    if isinstance(space, spaces.Discrete):
        return (Field(name if name == "action" else f"{name}_0", categories=int(space.n)),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(Field(f"{name}_{index}", categories=int(n)) for index, n in enumerate(space.nvec.reshape(-1)))
    if isinstance(space, spaces.Box):
        ends = [np.asarray(end, np.float64).reshape(-1) for end in (space.low, space.high)]
        low, high = (np.where(np.abs(end) >= UNBOUNDED, np.copysign(np.inf, end), end) for end in ends)
        bounds = zip(low.tolist(), high.tolist(), strict=True)
        return tuple(Field(f"{name}_{index}", low=start, high=stop) for index, (start, stop) in enumerate(bounds))
    raise ValueError(f"`{name}` space must be Box, Discrete or MultiDiscrete, got {space}; flatten it with a wrapper.")
