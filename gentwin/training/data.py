"""Reading the record of a run and dividing it into training, validation and test episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gentwin.datasets import Transitions, read_transitions
from gentwin.datasets.converters import read_layout
from gentwin.schema import TransitionSchema
from gentwin.training.arguments import ArgumentsError, DataArguments

# Converters of KPI logs fill in slices without users; there is nothing to predict about them.
USERS = "num_ues"


def has_users(schema: TransitionSchema, context: np.ndarray) -> np.ndarray:
    """Returns where a slice has users, `(..., N)` bool for `context` `(..., N, C)`; everywhere if nobody counted."""
    names = [field.name for field in schema.context]
    return context[..., names.index(USERS)] > 0 if USERS in names else np.ones(context.shape[:-1], bool)


@dataclass(frozen=True)
class Splits:
    """A record, divided by whole episodes.

    Args:
        train: For the weights and the normalisation.
        validation: For the choice of checkpoint and, with training, the calibration.
        test: For nothing but the final evaluation.
        fingerprint: SHA-256 of the whole record.
    """

    train: Transitions
    validation: Transitions
    test: Transitions
    fingerprint: str

    @property
    def schema(self) -> TransitionSchema:
        """Fields of the record."""
        return self.train.schema

    def describe(self) -> dict[str, dict[str, int]]:
        """Returns the numbers of episodes and steps of each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: {"episodes": len(part.episodes), "steps": len(part)} for name, part in parts.items()}


def load_splits(arguments: DataArguments) -> Splits:
    """Reads, checks and divides the record of a run.

    Raises:
        FileNotFoundError: If there is no such file.
        TransitionError: If the record is damaged or breaks its schema; names file, column, row and remedy.
        ArgumentsError: If there are too few episodes.
    """
    path, layout = arguments.data_path, arguments.data_layout
    record = read_transitions(path) if layout is None else read_layout(path, layout)
    num_episodes = len(record.episodes)
    counts = [_count(size, num_episodes) for size in (arguments.validation_size, arguments.test_size)]
    if num_episodes - sum(counts) < 1:
        raise ArgumentsError(
            f"`validation_size` and `test_size` must leave episodes to train on, got {counts[0]} and {counts[1]} of "
            f"{num_episodes} episodes; "
            + ("record at least 3." if num_episodes < 3 else "`--validation_size 1 --test_size 1` would do.")
        )
    train, *others = record.split([num_episodes - sum(counts), *counts], seed=arguments.split_seed)
    if arguments.train_episodes is not None:
        train = train.select(train.episodes[: arguments.train_episodes])
    return Splits(train, *others, fingerprint=record.fingerprint())


def _count(size: float, num_episodes: int) -> int:
    return max(1, round(size * num_episodes)) if size < 1 else int(size)
