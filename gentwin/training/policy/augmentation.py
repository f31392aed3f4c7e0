"""Synthetic decisions that join a batch of recorded ones, drawn with torch's own random generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gentwin.models.policy import PolicyTwinModel
from gentwin.models.policy.state_space import FREE, QUEUED, REQUESTING, WAIT
from gentwin.training.arguments import ArgumentsError
from gentwin.training.policy.arguments import GENERATOR

MIXUP_SHAPE = 0.2  # both parameters of the Beta distribution (Zhang et al. 2018, section 4)
NUM_NEIGHBOURS = 5  # Chawla et al. 2002
FULL_WEIGHT_AT = 0.5  # share of the training after which pseudo-labels count as much as recorded ones


@dataclass(frozen=True)
class Batch:
    """Synthetic decisions.

    Args:
        states: `(B, K, S)` in physical units.
        masks: `(B, K + 1)` bool.
        shares: `(B, K + 1)`, how much each action is the label; they add up to 1.
        weight: What each counts beside a recorded decision, 0 … 1.
    """

    states: Tensor
    masks: Tensor
    shares: Tensor
    weight: float = 1.0


class Augmentation(Protocol):
    """Makes synthetic decisions for a batch."""

    def __call__(self, batch: dict[str, Tensor], count: int, progress: float) -> Batch:
        """Returns `count` synthetic decisions.

        Args:
            batch: Recorded decisions: `states`, `masks`, `labels`.
            count: How many to make, at least 1.
            progress: Share of the classifier's training that is done, 0 … 1.
        """


def one_hot(labels: Tensor, masks: Tensor) -> Tensor:
    """Returns labels `(B,)` as shares `(B, K + 1)`."""
    return torch.nn.functional.one_hot(labels, masks.shape[1]).float()


class PseudoLabels:
    """States of the state space, labelled by the twin as it is, with a weight that grows (Lee 2013).

    Args:
        twin: The twin in training.
    """

    def __init__(self, twin: PolicyTwinModel) -> None:
        self.twin = twin

    def __call__(self, batch: dict[str, Tensor], count: int, progress: float) -> Batch:
        states = self.twin.space.sample(count)
        masks = self.twin.space.masks(states)
        labels = self.twin.decide(states, masks).actions
        return Batch(states, masks, one_hot(labels, masks), min(1.0, progress / FULL_WEIGHT_AT))


class OracleLabels:
    """States of the state space, labelled by the policy itself: an upper bound.

    Args:
        twin: Gives the state space.
        oracle: Maps states and masks to actions `(B,)`.
    """

    def __init__(self, twin: PolicyTwinModel, oracle: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.twin, self.oracle = twin, oracle

    def __call__(self, batch: dict[str, Tensor], count: int, progress: float) -> Batch:
        states = self.twin.space.sample(count)
        masks = self.twin.space.masks(states)
        return Batch(states, masks, one_hot(self.oracle(states, masks), masks))


class Generated:
    """Decisions that the generator of the twin makes.

    Args:
        twin: With a generator.
    """

    def __init__(self, twin: PolicyTwinModel) -> None:
        self.twin = twin

    def __call__(self, batch: dict[str, Tensor], count: int, progress: float) -> Batch:
        states, masks, actions = self.twin.augment(count)
        return Batch(states, masks, one_hot(actions, masks))


class Mixup:
    """Mixtures of two recorded decisions and of their labels (Zhang et al. 2018)."""

    def __call__(self, batch: dict[str, Tensor], count: int, progress: float) -> Batch:
        states, masks = batch["states"], batch["masks"]
        shares = one_hot(batch["labels"], masks)
        first, second = (torch.randint(len(states), (count,), device=states.device) for _ in range(2))
        shape = torch.tensor(MIXUP_SHAPE, device=states.device)
        weight = torch.distributions.Beta(shape, shape).sample((count,))

        def mixed(values: Tensor) -> Tensor:
            column = weight.view(-1, *[1] * (values.ndim - 1))
            return column * values[first] + (1 - column) * values[second]

        return Batch(mixed(states), masks[first] | masks[second], mixed(shares))


class Smote:
    """States between a record and one near it of the same action, with all actions equally often (Chawla et al. 2002).

    Args:
        twin: Fitted; gives the features in which records are near, and the state space.
        records: All training decisions: `states`, `masks`, `labels`.
    """

    def __init__(self, twin: PolicyTwinModel, records: dict[str, Tensor]) -> None:
        self.twin = twin
        self.states, labels = records["states"], records["labels"]
        features = twin.features(self.states, records["masks"])
        self.groups = [(labels == action).nonzero().squeeze(1) for action in labels.unique()]
        self.actions = labels.unique()
        self.neighbours = []
        for group in self.groups:
            distance = torch.cdist(features[group], features[group])
            nearest = distance.topk(min(len(group), NUM_NEIGHBOURS + 1), largest=False).indices
            # The first is the record itself; one that is alone of its action stays as it is.
            self.neighbours.append(group[nearest[:, 1:]] if len(group) > 1 else group[nearest])

    def __call__(self, batch: dict[str, Tensor], count: int, progress: float) -> Batch:
        device = self.states.device
        # Somewhat more, as rounding may leave an action that is not allowed.
        chosen = torch.randint(len(self.groups), (2 * count,), device=device)
        place, other = torch.rand(2, 2 * count, device=device)
        first, second = torch.zeros(2, 2 * count, dtype=torch.long, device=device)
        for number, (group, near) in enumerate(zip(self.groups, self.neighbours, strict=True)):
            mine = chosen == number
            row = (place[mine] * len(group)).long().clamp(max=len(group) - 1)
            column = (other[mine] * near.shape[1]).long().clamp(max=near.shape[1] - 1)
            first[mine], second[mine] = group[row], near[row, column]
        step = torch.rand(2 * count, 1, 1, device=device)
        between = self.states[first] + step * (self.states[second] - self.states[first])
        between[..., REQUESTING] = self.states[first][..., REQUESTING]
        states = self.twin.space.project(between)
        masks, labels = self.twin.space.masks(states), self.actions[chosen]
        good = masks.gather(1, labels[:, None]).squeeze(1).nonzero().squeeze(1)[:count]
        return Batch(states[good], masks[good], one_hot(labels[good], masks))


class Monotone:
    """Recorded decisions in states that speak for them at least as much, with all actions equally often.

    Who is admitted would also be admitted if others had fewer requests or shorter waits, or none, if there were more
    requests of its slice that waited longer, and if there were more resources but nothing else would fit that did not
    before. Who is admitted nowhere would not be with fewer resources or fewer requests. So does every policy that
    compares slices by a score and keeps a reserve.

    Args:
        twin: Fitted; gives the state space.
        records: All training decisions: `states`, `masks`, `labels`.
    """

    def __init__(self, twin: PolicyTwinModel, records: dict[str, Tensor]) -> None:
        self.space = twin.space
        self.states, self.labels = records["states"], records["labels"]
        self.actions, inverse, counts = self.labels.unique(return_inverse=True, return_counts=True)
        self.chances = 1.0 / counts[inverse]

    def __call__(self, batch: dict[str, Tensor], count: int, progress: float) -> Batch:
        # Somewhat more, as nothing may be left to decide where nothing is admitted.
        rows = torch.multinomial(self.chances, 4 * count, replacement=True)
        states, labels = self.states[rows], self.labels[rows]
        own = one_hot(labels, labels.new_zeros(1, self.space.num_slices + 1))[:, :-1].bool()
        queues = self._queues(states, own)
        more, less = queues.clone(), queues.clone()
        chance = torch.rand(len(rows), 1, 1, device=states.device)
        more[..., FREE:] += chance * (1.0 - more[..., FREE:])
        less[..., FREE:] *= chance
        more, less = self.space.project(more), self.space.project(less)
        fits_as_before = (self.space.masks(more) == self.space.masks(queues)).all(dim=1)
        admitted = own.any(dim=1)
        moved = torch.where(admitted[:, None, None], more, less)
        states = torch.where((~admitted | fits_as_before)[:, None, None], moved, queues)
        masks = self.space.masks(states)
        good = masks[:, :-1].any(dim=1).nonzero().squeeze(1)[:count]
        return Batch(states[good], masks[good], one_hot(labels[good], masks))

    def _queues(self, states: Tensor, own: Tensor) -> Tensor:
        """Returns states with less of the queues of others, and more of the own one, `(B, K)` true where that is."""
        kept, cleared, grown = torch.rand(3, *own.shape, device=states.device)
        kept = kept * (cleared < 0.5)
        queued, wait = states[..., QUEUED], states[..., WAIT]
        longest = self.space.longest
        found = states.clone()
        found[..., QUEUED] = torch.where(own, queued + grown * (longest[:, 0] - queued).clamp(min=0), queued * kept)
        found[..., WAIT] = torch.where(own, wait + grown * (longest[:, 1] - wait).clamp(min=0), wait * kept)
        return self.space.project(found)


def make_augmentation(kind: str, twin: PolicyTwinModel, records: dict[str, Tensor]) -> Augmentation | None:
    """Returns an augmentation, nothing for `none`.

    Args:
        kind: One of `AUGMENTATIONS`.
        twin: The twin in training, fitted.
        records: All training decisions: `states`, `masks`, `labels`, on the device of the twin.

    Raises:
        ArgumentsError: If the twin has no generator but is to use it, or has one that is not used.
    """
    if (kind == GENERATOR) != (twin.config.generator != "none"):
        raise ArgumentsError(
            f"`augmentation` must be `{GENERATOR}` if and only if `model_config.generator` is not none, got {kind!r} "
            f"and {twin.config.generator!r}."
        )
    return None if kind == "none" else AUGMENTATIONS[kind](twin, records)


AUGMENTATIONS: dict[str, Callable[[PolicyTwinModel, dict[str, Tensor]], Augmentation]] = {
    "pseudo_labels": lambda twin, records: PseudoLabels(twin),
    "mixup": lambda twin, records: Mixup(),
    "smote": Smote,
    "monotone": Monotone,
    GENERATOR: lambda twin, records: Generated(twin),
}
"""Augmentations by name; those that need nothing but the twin and its records."""
