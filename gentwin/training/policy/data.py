"""Reading the decisions of a run and dividing them into training, validation and test episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gentwin.datasets import Decisions, TransitionError, read_decisions
from gentwin.training.arguments import ArgumentsError
from gentwin.training.policy.arguments import DecisionArguments


@dataclass(frozen=True)
class DecisionSplits:
    """Decisions, divided by whole episodes.

    Args:
        train: For weights and statistics.
        validation: For the choice of checkpoint and the temperature.
        test: For nothing but the final evaluation.
        fingerprint: SHA-256 of all decisions.
    """

    train: Decisions
    validation: Decisions
    test: Decisions
    fingerprint: str

    def describe(self) -> dict[str, dict[str, int]]:
        """Returns the numbers of episodes and decisions of each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: {"episodes": len(part.episodes), "decisions": len(part)} for name, part in parts.items()}


class DecisionDataset(Dataset):
    """Decisions as the columns that the twin's `forward` takes.

    Args:
        decisions: The decisions.
        repeats: How often each is in an epoch; of a short record an epoch would begin anew every few steps.
    """

    def __init__(self, decisions: Decisions, repeats: int = 1) -> None:
        self.num_decisions, self.repeats = len(decisions), repeats
        self.columns = {
            "states": torch.from_numpy(np.ascontiguousarray(decisions.states)),
            "masks": torch.from_numpy(np.ascontiguousarray(decisions.masks)),
            "labels": torch.from_numpy(np.ascontiguousarray(decisions.actions)),
        }

    def __len__(self) -> int:
        return self.num_decisions * self.repeats

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {name: column[index % self.num_decisions] for name, column in self.columns.items()}

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        """Returns a whole batch at once, which spares collating it entry by entry."""
        places = torch.as_tensor(indices) % self.num_decisions
        return {name: column[places] for name, column in self.columns.items()}


def whole_batch(batch: dict[str, Tensor] | list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Returns a batch of `DecisionDataset`, collated if it is not yet."""
    if isinstance(batch, dict):
        return batch
    return {name: torch.stack([entry[name] for entry in batch]) for name in batch[0]}


def load_decision_splits(arguments: DecisionArguments) -> DecisionSplits:
    """Reads, checks and divides the decisions of a run.

    Raises:
        FileNotFoundError: If there is no such file.
        TransitionError: If the file is damaged, or decisions are faulty and are not to be kept or left out.
        ArgumentsError: If capacity and demand do not fit, or there are too few episodes.
    """
    a = arguments
    try:
        decisions = read_decisions(a.data_path, a.capacity, a.demand, a.on_fault)
    except TransitionError:
        raise
    except (ValueError, TypeError) as error:
        raise ArgumentsError(str(error)) from error
    return split_decisions(decisions, a.validation_size, a.test_size, a.split_seed, a.train_decisions)


def split_decisions(
    decisions: Decisions, validation_size: float, test_size: float, seed: int, most: int | None = None
) -> DecisionSplits:
    """Divides decisions by whole episodes.

    Args:
        decisions: All of them.
        validation_size: A share of the episodes below 1, or their number.
        test_size: Likewise.
        seed: Of the division.
        most: Number of training decisions that are used; all by default.

    Raises:
        ArgumentsError: If no episode is left to train on.
    """
    total = len(decisions.episodes)
    counts = [max(1, round(size * total)) if size < 1 else int(size) for size in (validation_size, test_size)]
    if total - sum(counts) < 1:
        raise ArgumentsError(
            f"`validation_size` and `test_size` must leave episodes to train on, got {counts[0]} and {counts[1]} of "
            f"{total} episodes."
        )
    train, validation, test = decisions.split([total - sum(counts), *counts], seed)
    used = train if most is None else train.take(np.arange(min(most, len(train))))
    return DecisionSplits(used, validation, test, decisions.fingerprint())
