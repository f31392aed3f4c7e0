"""Safe exploration: actions whose predicted violation of the SLA is too large are not taken in the network."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from gentwin.datasets import Transitions
from gentwin.envs.slicing import SlicingVectorEnv
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.rl.agent import AgentError

QUANTILE_LEVELS = tuple((np.arange(8) + 0.5) / 8)
COUNTS = ("num_decisions", "num_replaced", "num_without_choice")


def worst_violations(record: Transitions) -> np.ndarray:
    """Returns how badly SLAs were broken in every window of a record.

    Args:
        record: Of a sliced network, whose outcomes hold `ssr`.

    Returns:
        `(num_steps,)`, the largest share, over slices, of packets outside their SLA, 0 … 1.
    """
    ssr = record.outcome[..., [field.name for field in record.schema.outcome].index("ssr")]
    return 1 - ssr.min(axis=1)


class ViolationGuard:
    """Holds actions to allocations under which no slice is expected to break its SLA too often.

    The violation of an allocation is the largest share, over slices, of packets outside their SLA in the next window,
    `1 - SSR`, in expectation under the twin after what was seen so far. An action above the bound is replaced by the
    allowed one whose allocation is nearest; if none is allowed, by the one with the smallest violation. Give the guard
    to [`train`][gentwin.rl.loop.train]. What the network then did is not the guard's to know: see
    [`worst_violations`][gentwin.rl.guard.worst_violations].

    Args:
        twin: Twin of the network; [`replace_twin`][gentwin.rl.guard.ViolationGuard.replace_twin] when there is a
            better one.
        env: Vector environment of the network, which observes all state fields.
        bound: Largest violation allowed, above 0 and below 1.

    Attributes:
        num_decisions: Actions asked about so far.
        num_replaced: Actions replaced so far.
        num_without_choice: Decisions at which no allocation was within the bound.

    Raises:
        AgentError: If environment and twin do not fit each other.
        ValueError: If the bound is out of range.
    """

    def __init__(self, twin: DynamicsTwin, env: VectorEnv, bound: float) -> None:
        if not 0 < bound < 1:
            raise ValueError(f"`bound` must be above 0 and below 1, got {bound}.")
        base = env.unwrapped
        if not isinstance(base, SlicingVectorEnv):
            raise AgentError(f"`env` must be an environment of a sliced network, got {type(base).__name__}.")
        names = tuple(field.name for field in base.schema.state)
        if base.observation_fields != names:
            raise AgentError(
                f"`observation_fields` must be all state fields {names} for a guard, got {base.observation_fields}; "
                "make the environment with observation_fields='all'."
            )
        self.bound, self.schema, self.allocations = bound, base.schema, base.allocations
        self.num_decisions = self.num_replaced = self.num_without_choice = 0
        self._ssr = len(names) + [field.name for field in base.schema.outcome].index("ssr")
        self._num_envs = env.num_envs
        self.replace_twin(twin)
        self._first_twin = _digest(twin)

    def replace_twin(self, twin: DynamicsTwin) -> None:
        """Goes on with another twin, whose memory begins empty.

        Raises:
            AgentError: If it is not a twin of the environment's network.
        """
        found = twin.transition_schema
        if found.slices != self.schema.slices:
            raise AgentError(
                f"`twin` must be one of the slices {list(self.schema.slices)}, got one of {list(found.slices)}."
            )
        if found.state != self.schema.state:
            other = set(found.state) ^ set(self.schema.state)
            raise AgentError(
                f"`twin` must be one of a network with the same state fields and their ranges, but "
                f"{sorted({field.name for field in other})} are not; use a twin of this network's parameters."
            )
        twin.require_fitted()
        self.twin = twin.eval()
        self._memory = twin.initial_state(self._num_envs)

    def identity(self) -> dict[str, Any]:
        """Returns what a guard must share with one whose state it loads, as JSON holds it.

        The bound, and a digest of the twin the guard was made with, which stays when the twin is replaced.
        """
        return {"bound": self.bound, "twin": self._first_twin}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Returns counts and the twin's memory; the twin itself is saved by whoever fitted it."""
        memory = {f"memory.{number}": part.clone() for number, part in enumerate(self._memory)}
        return {name: torch.tensor(getattr(self, name)) for name in COUNTS} | memory

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Puts back what `state_dict` returned; the twin must be the one of that time already.

        Raises:
            AgentError: If the memory is not one of the present twin; the guard is left as it is.
        """
        now = {name: tuple(part.shape) for name, part in self.state_dict().items()}
        found = {name: tuple(part.shape) for name, part in state.items()}
        if found != now:
            raise AgentError(
                f"`state` must have the shapes {now}, got {found}; call `replace_twin` with the twin of that time "
                "first, and make the guard with as many copies."
            )
        for name in COUNTS:
            setattr(self, name, int(state[name]))
        self._memory = tuple(
            state[f"memory.{number}"].to(part.device, copy=True) for number, part in enumerate(self._memory)
        )

    @torch.inference_mode()
    def __call__(self, observations: np.ndarray, actions: np.ndarray, is_first: np.ndarray) -> np.ndarray:
        """Returns the actions `(B,)` to take.

        Args:
            observations: `(B, N * S)`, all state fields.
            actions: `(B,)`, the actions meant.
            is_first: `(B,)` bool, true where an episode has just begun.
        """
        device = self.twin.device
        state = torch.from_numpy(observations.reshape(len(observations), len(self.schema.slices), -1)).to(device)
        if is_first.any():
            fresh, mask = self.twin.initial_state(len(state)), torch.from_numpy(is_first).to(device)
            self._memory = tuple(
                torch.where(mask.view(-1, *[1] * (old.ndim - 1)), new, old)
                for new, old in zip(fresh, self._memory, strict=True)
            )
        violation = self._violations(state)
        taken = self._nearest_allowed(actions, violation)
        bandwidths = torch.from_numpy(self.allocations[taken][..., None].astype(np.float32)).to(device)
        self._memory = self.twin.observe(state, bandwidths, self._memory)
        self.num_decisions += len(actions)
        self.num_replaced += int((taken != actions).sum())
        self.num_without_choice += int((violation.min(axis=1) > self.bound).sum())
        return taken

    def _violations(self, state: torch.Tensor) -> np.ndarray:
        """Returns the predicted violation `(B, A)` of every allocation."""
        copies, count = len(state), len(self.allocations)
        bandwidths = torch.from_numpy(self.allocations[..., None].astype(np.float32)).to(state.device)
        distribution = self.twin.predict(
            state.repeat_interleave(count, dim=0),
            bandwidths.repeat(copies, 1, 1),
            tuple(part.repeat_interleave(count, dim=0) for part in self._memory),
        )
        ssr = distribution.quantile(list(QUANTILE_LEVELS)).mean(dim=0)[..., self._ssr]
        return (1 - ssr.amin(dim=1)).view(copies, count).cpu().numpy()

    def _nearest_allowed(self, actions: np.ndarray, violation: np.ndarray) -> np.ndarray:
        meant = self.allocations[actions]
        distance = ((self.allocations[None] - meant[:, None]) ** 2).sum(axis=2)
        nearest = np.where(violation <= self.bound, distance, np.inf).argmin(axis=1)
        has_choice = (violation <= self.bound).any(axis=1)
        return np.where(has_choice, nearest, violation.argmin(axis=1))


def _digest(twin: DynamicsTwin) -> str:
    """Returns a fingerprint of a twin's parameters and statistics."""
    digest = hashlib.sha256()
    for name, values in twin.state_dict().items():
        digest.update(name.encode())
        digest.update(values.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
