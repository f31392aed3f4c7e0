"""Open-loop roll-outs of forecasters from recorded histories, and their errors.

Letters in shapes: `K` starts, `W` warm-up steps, `H` horizon, `M` draws, `N` slices; `S`, `A`, `C` and `O` state,
action, context and target fields.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gentwin.metrics.distributions import coverage, crps_from_samples
from gentwin.schema import Field

if TYPE_CHECKING:
    from gentwin.datasets import Transitions
    from gentwin.models.modeling_dynamics import DynamicsTwin


@dataclass(frozen=True)
class History:
    """What was recorded before the starts of a roll-out; without warm-up, `W` is 0.

    Args:
        states: `(K, W, N, S)`.
        actions: `(K, W, N, A)`.
        contexts: `(K, W, N, C)`.
    """

    states: np.ndarray
    actions: np.ndarray
    contexts: np.ndarray


@dataclass(frozen=True)
class Cases:
    """Recorded stretches to roll out along.

    Args:
        history: The steps before each start.
        start_states: `(K, N, S)`, the state at the first decision.
        actions: `(K, H, N, A)`, the recorded actions.
        contexts: `(K, H, N, C)`, the recorded contexts.
        observed: `(K, H, N, O)`, the recorded targets.
        index: `(K,)` position of the first decision in the record.
    """

    history: History
    start_states: np.ndarray
    actions: np.ndarray
    contexts: np.ndarray
    observed: np.ndarray
    index: np.ndarray


class Forecaster(Protocol):
    """What can be rolled out: a twin in its adapter, or a baseline."""

    def start(self, history: History, num_samples: int, rng: np.random.Generator) -> None:
        """Forgets everything, then takes in the history of `K` starts, for `K * num_samples` copies."""

    def sample(
        self, state: np.ndarray, action: np.ndarray, context: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Draws targets `(B, N, O)` given state `(B, N, S)`, action `(B, N, A)` and context `(B, N, C)`."""


class TwinForecaster:
    """Rolls out a twin of slice dynamics.

    Args:
        twin: A fitted twin.
        random_member: Whether each copy uses a random member of the ensemble at each step, or the average of all.
    """

    def __init__(self, twin: DynamicsTwin, random_member: bool = True) -> None:
        self.twin, self.random_member = twin, random_member
        self._memory: tuple = ()

    def start(self, history: History, num_samples: int, rng: np.random.Generator) -> None:
        """See `Forecaster`; the draws made on the way through the history are thrown away."""
        num_starts, warmup = history.states.shape[:2]
        self._memory = self.twin.initial_state(num_starts)
        for step in range(warmup):
            self.sample(history.states[:, step], history.actions[:, step], history.contexts[:, step], rng)
        self._memory = tuple(part.repeat_interleave(num_samples, dim=0) for part in self._memory)

    def sample(
        self, state: np.ndarray, action: np.ndarray, context: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """See `Forecaster`."""
        import torch

        twin, schema = self.twin, self.twin.transition_schema
        noise = rng.standard_normal((*state.shape[:2], len(schema.targets)), dtype=np.float32)
        arrays = [state, action, noise] + ([context] if schema.context else [])
        observation, chosen, noise, *rest = (torch.as_tensor(array, device=twin.device) for array in arrays)
        member = None
        if self.random_member:
            member = torch.as_tensor(rng.integers(twin.config.num_members, size=len(state)), device=twin.device)
        with torch.no_grad():
            targets, self._memory = twin.step(observation, chosen, self._memory, noise, *rest, member=member)
        return targets.cpu().numpy()


def rollout_cases(transitions: Transitions, num_starts: int, horizon: int, seed: int, warmup: int = 0) -> Cases:
    """Draws stretches of `warmup + horizon` consecutive steps, none of which starts at the same step.

    Args:
        transitions: The record, held out from training.
        num_starts: Number of stretches; all there are if fewer.
        horizon: Steps to roll out, at least 1.
        seed: The same seed gives the same stretches.
        warmup: Steps before the start given to the forecaster.

    Raises:
        ValueError: If no run of the record is long enough.
    """
    if horizon < 1 or warmup < 0 or num_starts < 1:
        raise ValueError(
            "`horizon` and `num_starts` must be at least 1 and `warmup` at least 0, "
            f"got {horizon}, {num_starts} and {warmup}."
        )
    starts = [np.arange(start + warmup, stop - horizon + 1) for start, stop in transitions.runs]
    candidates = np.concatenate(starts) if starts else np.zeros(0, np.int64)
    if not candidates.size:
        longest = int(np.diff(transitions.runs, axis=1).max(initial=0))
        raise ValueError(
            f"`warmup + horizon` must be at most the longest run, {longest} steps, got {warmup + horizon}."
        )
    rng = np.random.default_rng(seed)
    index = np.sort(rng.choice(candidates, min(num_starts, len(candidates)), replace=False))
    past, future = index[:, None] + np.arange(-warmup, 0), index[:, None] + np.arange(horizon)
    history = History(transitions.state[past], transitions.action[past], transitions.context[past])
    observed = transitions.targets[future]
    return Cases(
        history, transitions.state[index], transitions.action[future], transitions.context[future], observed, index
    )


def rollout(forecaster: Forecaster, cases: Cases, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Rolls out from the starts under the recorded actions and contexts, feeding predicted states back.

    Args:
        forecaster: A twin in its adapter, or a fitted baseline.
        cases: Where from and along what.
        num_samples: Draws per start.
        rng: Source of all randomness.

    Returns:
        `(M, K, H, N, O)` float32 targets.
    """
    num_starts, horizon, num_slices, num_targets = cases.observed.shape
    num_state = cases.start_states.shape[-1]
    forecaster.start(cases.history, num_samples, rng)
    state = cases.start_states.repeat(num_samples, axis=0)
    samples = np.empty((num_samples, num_starts, horizon, num_slices, num_targets), np.float32)
    for step in range(horizon):
        action = cases.actions[:, step].repeat(num_samples, axis=0)
        context = cases.contexts[:, step].repeat(num_samples, axis=0)
        targets = forecaster.sample(state, action, context, rng)
        samples[:, :, step] = targets.reshape(num_starts, num_samples, num_slices, num_targets).swapaxes(0, 1)
        state = targets[..., :num_state]
    return samples


def rollout_errors(
    samples: np.ndarray,
    observed: np.ndarray,
    fields: Sequence[Field],
    rng: np.random.Generator,
    steps: Sequence[int] = (1, 10, 50),
    linear: Collection[str] = (),
    level: float = 0.9,
) -> list[dict[str, float | int | str]]:
    """Errors of roll-outs per target and step, averaged over starts and slices.

    Args:
        samples: `(M, K, H, N, O)` draws from `rollout`.
        observed: `(K, H, N, O)` what was recorded.
        fields: The `O` targets; those with `log1p` scale are compared as `log(1 + value)`.
        rng: Breaks ties in the coverage.
        steps: Steps to report, counted from 1.
        linear: Names of `log1p` targets to compare in physical units all the same.
        level: Probability of the interval whose coverage is reported.

    Returns:
        One row per target and step: `target`, `unit`, `step`, `mae` (of the median), `crps` (fair), `coverage`.

    Raises:
        ValueError: If shapes do not fit or a step lies beyond the horizon.
    """
    if samples.ndim != 5 or samples.shape[1:] != observed.shape or observed.shape[-1] != len(fields):
        raise ValueError(
            f"`samples` must have shape (M, K, H, N, O) over `observed` (K, H, N, O) with O = {len(fields)}, "
            f"got {samples.shape} and {observed.shape}."
        )
    if not steps or min(steps) < 1 or max(steps) > observed.shape[1]:
        raise ValueError(f"`steps` must be from 1 to the horizon, {observed.shape[1]}, got {list(steps)}.")
    rows = []
    for index, field in enumerate(fields):
        is_log = field.scale == "log1p" and field.name not in linear
        for step in steps:
            drawn, seen = samples[:, :, step - 1, :, index], observed[:, step - 1, :, index]
            if is_log:
                drawn, seen = np.log1p(drawn), np.log1p(seen)
            rows.append(
                {
                    "target": field.name,
                    "unit": f"log1p({field.unit})" if is_log else field.unit,
                    "step": int(step),
                    "mae": float(np.abs(np.median(drawn, axis=0) - seen).mean()),
                    "crps": float(crps_from_samples(drawn, seen).mean()),
                    "coverage": float(coverage(drawn, seen, level, rng)),
                }
            )
    return rows
