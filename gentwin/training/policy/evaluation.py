"""How a policy twin is judged: on recorded decisions, and by what its generator makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gentwin.datasets import Decisions
from gentwin.metrics.decisions import (
    copy_rate,
    expected_calibration_error,
    is_rare,
    macro_accuracy,
    rare_limits,
)
from gentwin.models.policy import PolicyTwinModel
from gentwin.models.policy.state_space import QUEUED

NUM_SYNTHETIC = 2000
SMALLEST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class PolicyScores:
    """What a twin says of recorded decisions.

    Args:
        names: Of the actions.
        actions: `(N,)` int64, what was done.
        predicted: `(N,)` int64.
        confidence: `(N,)` 0 … 1.
        likelihood: `(N,)` probability that the twin gives to what was done.
        rare: `(N,)` bool.
    """

    names: tuple[str, ...]
    actions: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    likelihood: np.ndarray
    rare: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """`(N,)` bool: where the twin says what was done."""
        return self.actions == self.predicted

    def figures(self) -> dict[str, float]:
        """Returns the headline numbers; that of rare states only if there are any."""
        figures = {
            "accuracy": float(self.right.mean()),
            "macro_accuracy": macro_accuracy(self.actions, self.predicted),
            "negative_log_likelihood": float(-np.log(self.likelihood.clip(SMALLEST_PROBABILITY)).mean()),
            "expected_calibration_error": expected_calibration_error(self.confidence, self.right),
        }
        if self.rare.any():
            figures["rare_accuracy"] = float(self.right[self.rare].mean())
        return {f"test_{name}": round(value, 5) for name, value in figures.items()}

    def metrics(self) -> dict[str, float]:
        """Returns number and accuracy of every action that occurs."""
        found = {}
        for action in np.unique(self.actions):
            mine = self.actions == action
            found[f"{self.names[action]}/decisions"] = int(mine.sum())
            found[f"{self.names[action]}/accuracy"] = round(float(self.right[mine].mean()), 5)
        return found

    def confusion(self) -> np.ndarray:
        """Returns how often the twin says what for what was done, `(K + 1, K + 1)`; rows are what was done."""
        table = np.zeros((len(self.names), len(self.names)), np.int64)
        np.add.at(table, (self.actions, self.predicted), 1)
        return table


def score_policy(twin: PolicyTwinModel, test: Decisions, train: Decisions) -> PolicyScores:
    """Compares a twin with recorded decisions.

    Args:
        twin: The trained twin.
        test: Decisions it has not seen.
        train: Decisions that say which states are rare.
    """
    states, masks = (torch.from_numpy(array).to(twin.device) for array in (test.states, test.masks))
    decision = twin.decide(states, masks)
    probabilities = decision.probabilities.cpu().numpy()
    waiting, seen = (part.states[:, :, QUEUED].sum(axis=1) for part in (test, train))
    return PolicyScores(
        (*test.schema.slices, "none"),
        test.actions,
        decision.actions.cpu().numpy(),
        decision.confidence.cpu().numpy(),
        np.take_along_axis(probabilities, test.actions[:, None], axis=1)[:, 0],
        is_rare(waiting, rare_limits(seen)),
    )


def score_synthetic(
    twin: PolicyTwinModel,
    made: tuple[Tensor, Tensor, Tensor],
    train: Decisions,
    oracle: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> dict[str, float]:
    """Returns what synthetic decisions are worth: their copy rate and, with an oracle, their label noise.

    Args:
        twin: Its features are those in which distances are measured.
        made: States, masks, actions.
        train: The decisions that whatever made them has seen, at least two different ones.
        oracle: The policy itself: maps states and masks to actions `(B,)`.
    """
    states, masks, actions = made
    records = twin.features(*(torch.from_numpy(array).to(twin.device) for array in (train.states, train.masks)))
    found = {"copy_rate": copy_rate(twin.features(states, masks).cpu().numpy(), records.cpu().numpy())}
    if oracle is not None:
        found["label_noise"] = float((oracle(states, masks) != actions).float().mean())
    return {name: round(value, 5) for name, value in found.items()}
