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


class Dominance:
    """Decisions that follow from recorded ones if the policy admits, of what fits, what has the highest score.

    A score belongs to a slice and grows with its queue and its wait. So who is admitted with a queue and a wait beats
    all rivals, fewer of their requests and shorter waits, and the rivals that the same slice has beaten elsewhere with
    no more of either, whatever is free as long as no other rival fits. Where nobody is admitted though somebody could
    be, nobody would be with fewer requests or resources. All actions are drawn equally often.

    Args:
        twin: Fitted; gives the state space.
        records: All training decisions: `states`, `masks`, `labels`.
    """

    def __init__(self, twin: PolicyTwinModel, records: dict[str, Tensor]) -> None:
        self.space = twin.space
        self.states, self.masks, self.labels = (records[name] for name in ("states", "masks", "labels"))
        _, self.group, self.sizes = self.labels.unique(return_inverse=True, return_counts=True)
        self.grouped = self.group.argsort(stable=True)
        self.begins = self.sizes.cumsum(0) - self.sizes

    def __call__(self, batch: dict[str, Tensor], count: int, progress: float) -> Batch:
        # Somewhat more, as nothing may be left to decide where nobody is admitted.
        rows = torch.multinomial(1.0 / self.sizes[self.group], 2 * count, replacement=True)
        own = one_hot(self.labels[rows], self.masks)[:, :-1].bool()
        admitted = own.any(dim=1)[:, None, None]
        states = torch.where(admitted, self._with_rivals(rows, own), self._with_less(rows))
        masks, labels = self.space.masks(states), self.labels[rows]
        good = masks[:, :-1].any(dim=1).nonzero().squeeze(1)[:count]
        return Batch(states[good], masks[good], one_hot(labels[good], masks))

    def _with_rivals(self, rows: Tensor, own: Tensor) -> Tensor:
        """Returns states in which the slice that is admitted, true in `own`, `(B, K)`, has beaten all that fits."""
        states, device = self.states[rows].clone(), self.states.device
        queues, longest = states[..., :REQUESTING], self.space.longest
        grown = queues + torch.rand(queues.shape, device=device) * (longest - queues).clamp(min=0.0)
        grown = torch.stack((grown[..., QUEUED].round(), grown[..., WAIT]), dim=-1)
        mine = (grown * own[..., None]).sum(dim=1)
        group = self.group[rows, None]
        place = (torch.rand(own.shape, device=device) * self.sizes[group]).long()
        other = self.grouped[self.begins[group] + place.minimum(self.sizes[group] - 1)]  # (B, K), same action
        theirs = (self.states[other][..., :REQUESTING] * own[:, None, :, None]).sum(dim=2)
        slices = torch.arange(own.shape[1], device=device)
        beaten = self.masks[other, slices] & (theirs <= mine[:, None]).all(dim=-1)
        rivals = torch.where(beaten[..., None], self.states[other, slices][..., :REQUESTING], queues)
        beaten = beaten | self.masks[rows][:, :-1]
        kept, shrunk = torch.rand(2, *own.shape, 1, device=device)
        rivals = rivals * torch.where(shrunk < 0.5, kept, 1.0) * (kept < 0.75)
        states[..., :REQUESTING] = torch.where(own[..., None], grown, rivals)
        states[..., REQUESTING] *= states[..., QUEUED] > 0.5
        states = self.space.project(states)
        freer = states.clone()
        drawn = torch.randint(len(self.states), rows.shape, device=device)
        freer[..., FREE:] = self.states[drawn][..., FREE:]
        fits = self.space.masks(freer)[:, :-1]
        right = ((fits & own).any(dim=1) & ~(fits & ~own & ~beaten).any(dim=1))[:, None, None]
        return torch.where(right, freer, states)

    def _with_less(self, rows: Tensor) -> Tensor:
        """Returns states with fewer requests and resources."""
        states = self.states[rows].clone()
        states[..., QUEUED] *= torch.rand(states.shape[:2], device=states.device)
        states[..., REQUESTING] *= states[..., QUEUED] > 0.5
        states[..., FREE:] *= torch.rand(len(rows), 1, 1, device=states.device)
        return self.space.project(states)


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
    "dominance": Dominance,
    GENERATOR: lambda twin, records: Generated(twin),
}
"""Augmentations by name; those that need nothing but the twin and its records."""
