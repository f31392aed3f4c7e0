"""Interaction with a batched environment, transition by transition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from gentwin.envs.autoreset import checked_autoreset_mode
from gentwin.rl.evaluation import ELAPSED, MASKS, Policy, ask
from gentwin.rl.replay import ReplayBuffer

SAID = {"next_masks": MASKS, "elapsed_s": ELAPSED}  # columns of the buffer by keys of `info`
Listener = Callable[[dict[str, Any], np.ndarray, dict[str, Any], np.ndarray], None]


class Collector:
    """Steps all copies of an environment and keeps count of the interactions.

    The step in which a copy is reset is not a transition: it is not counted and not stored.

    Args:
        env: A vector environment with next-step autoreset.
        seed: Of its first reset.
        buffer: Where transitions go.
        listener: Called after every step of the environment with the `info` before, the actions, the `info` after and
            which copies made a real transition.

    Attributes:
        num_steps: Interactions so far, over all copies.
        is_first: `(num_envs,)` bool, true where the episode has just begun.

    Raises:
        ValueError: If the environment has another autoreset.
    """

    def __init__(
        self,
        env: VectorEnv,
        seed: int | None,
        buffer: ReplayBuffer,
        listener: Listener | None = None,
    ) -> None:
        checked_autoreset_mode(env, AutoresetMode.NEXT_STEP)
        self.env, self.buffer, self.listener = env, buffer, listener
        self.num_steps = 0
        self.observations, self.info = env.reset(seed=seed)
        self.is_first = np.ones(env.num_envs, bool)
        self._ended = np.zeros(env.num_envs, bool)
        self._decisions = self._decisions_of_all()

    def _decisions_of_all(self) -> int | None:
        """Returns how many decisions were made in the environment, by whomever; `None` if it does not count them."""
        return getattr(self.env.unwrapped, "num_decisions", None)

    def step(self, policy: Policy) -> dict[str, np.ndarray]:
        """Acts once in every copy.

        Args:
            policy: Maps observations `(num_envs, F)` to actions `(num_envs,)`; where `info` has an `action_mask`, it
                is called with observations and masks.

        Returns:
            `reward` of every real transition and, if the environment tells, `utility` and `elapsed_s`; shapes
            `(num_real,)`.

        Raises:
            RuntimeError: If somebody else has stepped the environment of a sliced network.
        """
        if self._decisions != self._decisions_of_all():
            raise RuntimeError(
                f"`env` must be stepped by its collector only, but has made {self._decisions_of_all()} decisions where "
                f"{self._decisions} are known; evaluate in an environment of its own."
            )
        before, actions = self.observations, ask(policy, self.observations, self.info)
        after, rewards, terminated, truncated, info = self.env.step(actions)
        real = ~self._ended
        if self.listener is not None:
            self.listener(self.info, actions, info, real)
        flat = before.reshape(len(before), -1), after.reshape(len(after), -1)
        columns = {"observations": flat[0], "actions": actions, "rewards": rewards, "next_observations": flat[1]}
        columns |= {"terminated": terminated}
        if real.any():  # a step that resets all copies says no time
            columns |= {ours: info[theirs] for ours, theirs in SAID.items() if theirs in info}
            self.buffer.add(**(columns if real.all() else {name: values[real] for name, values in columns.items()}))
        self.is_first = ~real
        self.observations, self.info, self._ended = after, info, terminated | truncated
        self._decisions = self._decisions_of_all()
        self.num_steps += int(real.sum())
        told = {name: info[name][real] for name in ("utility", ELAPSED) if name in info}
        return {"reward": rewards[real], **told}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Returns where the interaction stands, but for environment and buffer, as arrays."""
        return {
            "num_steps": np.array(self.num_steps),
            "observations": self.observations,
            "is_first": self.is_first,
            "ended": self._ended,
            **{f"info.{name}": np.asarray(values) for name, values in self.info.items()},
        }

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Puts back what `state_dict` returned; environment and buffer must be put back too.

        Raises:
            ValueError: If it is of another number of copies or other observations.
        """
        if state["observations"].shape != self.observations.shape:
            raise ValueError(
                f"`observations` must have shape {self.observations.shape}, got {state['observations'].shape}; make "
                "the environment with the `num_envs` and `observation_fields` it had."
            )
        self.num_steps, self.observations = int(state["num_steps"]), state["observations"]
        self.is_first, self._ended = state["is_first"], state["ended"]
        self.info = {name.removeprefix("info."): state[name] for name in state if name.startswith("info.")}
        self._decisions = self._decisions_of_all()
