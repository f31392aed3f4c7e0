"""Distillation: a small Q-network that decides as a large one does.

Source: Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks Slicing",
section IV-A.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from gentwin.models.q_network import QNetworkConfig, QNetworkModel

STATISTICS = ("observation_mean", "observation_deviation", "return_offset", "return_scale")


@dataclass(frozen=True)
class DistillationArguments:
    """How a student is trained.

    Args:
        hidden_sizes: Widths of the student's hidden layers; Zhang et al. use two of 4 or of 16 neurons.
        learning_rate: Of Adam in the first epoch; it falls to zero along a cosine.
        batch_size: States of an update.
        num_epochs: Passes over the states, at most.
        patience: Epochs without a better agreement after which training ends.
        held_out_share: Share of the states that agreement is measured on, above 0, below 1.

    Raises:
        ValueError: If a value is out of range.
    """

    hidden_sizes: tuple[int, ...] = (16, 16)
    learning_rate: float = 1e-2
    batch_size: int = 256
    num_epochs: int = 60
    patience: int = 15
    held_out_share: float = 0.1

    def __post_init__(self) -> None:
        if not self.hidden_sizes or min(self.hidden_sizes) < 1:
            raise ValueError(f"`hidden_sizes` must hold positive widths, got {self.hidden_sizes}.")
        for name in ("batch_size", "num_epochs", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"`learning_rate` must be above 0 and finite, got {self.learning_rate}.")
        if not 0 < self.held_out_share < 1:
            raise ValueError(f"`held_out_share` must be above 0 and below 1, got {self.held_out_share}.")


@dataclass(frozen=True)
class DistillationReport:
    """What distillation has brought.

    Args:
        agreement: Share of held-out states in which student and teacher take the same action.
        loss: Mean cross entropy on held-out states, nats.
        num_epochs: Passes made.
        student_parameters: Number of the student's parameters.
        teacher_parameters: Number of the teacher's.
    """

    agreement: float
    loss: float
    num_epochs: int
    student_parameters: int
    teacher_parameters: int


def distil(
    teacher: QNetworkModel, observations: Tensor, arguments: DistillationArguments, seed: int
) -> tuple[QNetworkModel, DistillationReport]:
    """Trains a student to take the actions of a teacher (eq. 12).

    The teacher's actions in `observations` are pseudo-labels. The student is a plain Q-network whose relative values
    are the logits of a softmax over actions: it takes the teacher's actions, but its values are no returns. Equation 12
    minimises `mean_i log p(a_i)` as printed, which would drive the student away from the teacher; the cross entropy
    minimised here is its negative. The student of the epoch with the best held-out agreement is returned, of several
    such the one with the lowest loss.

    Args:
        teacher: Any Q-network.
        observations: `(M, F)` states in physical units, such as an experience pool's, at least 2.
        arguments: How.
        seed: Of the split, the weights and the order of states.

    Returns:
        The student, in evaluation mode on the teacher's device, and how well it does.

    Raises:
        RuntimeError: If the teacher's statistics were never fitted.
        ValueError: If there are too few states.
    """
    count = len(observations)
    if count < 2:
        raise ValueError(f"`observations` must hold at least 2 states, got {count}.")
    teacher.require_fitted()
    states = observations.to(teacher.device)
    labels = pseudo_labels(teacher, states)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator).to(states.device)
    num_held_out = min(max(1, round(arguments.held_out_share * count)), count - 1)
    held_out, taught = order[:num_held_out], order[num_held_out:]
    student = _new_student(teacher, arguments, seed)
    batches = math.ceil(len(taught) / arguments.batch_size)
    optimizer = torch.optim.Adam(student.parameters(), arguments.learning_rate, fused=True)
    schedule = CosineAnnealingLR(optimizer, batches * arguments.num_epochs)
    best, best_weights, last_rise = (-1.0, math.inf), {}, 0
    for epoch in range(1, arguments.num_epochs + 1):
        shuffled = taught[torch.randperm(len(taught), generator=generator).to(states.device)]
        _teach(student, states, labels, shuffled.split(arguments.batch_size), optimizer, schedule)
        agreement, loss = _judge(student, states[held_out], labels[held_out])
        if agreement > best[0]:
            last_rise = epoch
        if (agreement, -loss) > (best[0], -best[1]):
            best = agreement, loss
            best_weights = {name: values.clone() for name, values in student.state_dict().items()}
        if epoch - last_rise >= arguments.patience:
            break
    student.load_state_dict(best_weights)
    sizes = [sum(values.numel() for values in network.parameters()) for network in (student, teacher)]
    return student.eval(), DistillationReport(*best, epoch, *sizes)


def pseudo_labels(teacher: QNetworkModel, observations: Tensor, chunk: int = 4096) -> Tensor:
    """Returns the teacher's actions `(M,)` int64 in states `(M, F)`."""
    return torch.cat([teacher.greedy(part) for part in observations.split(chunk)])


def microseconds_per_decision(network: QNetworkModel, observations: np.ndarray, num_rounds: int = 5) -> float:
    """Measures the time of one decision, one state at a time as in live use.

    Args:
        network: Decides on its own device.
        observations: `(M, F)` states, decided one by one.
        num_rounds: Passes; the fastest counts.

    Returns:
        Microseconds from a numpy state to an action.

    Raises:
        ValueError: If there are no states or rounds.
    """
    if len(observations) < 1 or num_rounds < 1:
        raise ValueError(
            f"`observations` and `num_rounds` must be at least 1, got {len(observations)} states, {num_rounds} rounds."
        )
    states = np.ascontiguousarray(observations, np.float32)[:, None]
    network.greedy(torch.from_numpy(states[0]).to(network.device))
    fastest = math.inf
    for _ in range(num_rounds):
        started = time.perf_counter()
        for state in states:
            int(network.greedy(torch.from_numpy(state).to(network.device)))
        fastest = min(fastest, time.perf_counter() - started)
    return 1e6 * fastest / len(states)


def _new_student(teacher: QNetworkModel, arguments: DistillationArguments, seed: int) -> QNetworkModel:
    config = QNetworkConfig(
        observation_fields=list(teacher.config.observation_fields),
        observation_scales=list(teacher.config.observation_scales),
        num_actions=teacher.config.num_actions,
        hidden_sizes=list(arguments.hidden_sizes),
        feature_clip=teacher.config.feature_clip,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = QNetworkModel(config)
    student = student.to(teacher.device).train()
    with torch.no_grad():
        for name in STATISTICS:
            getattr(student, name).copy_(getattr(teacher, name))
    student.mark_fitted()
    return student


def _teach(
    student: QNetworkModel,
    states: Tensor,
    labels: Tensor,
    batches: Iterable[Tensor],
    optimizer: Optimizer,
    schedule: LRScheduler,
) -> None:
    """Makes an update with each batch of row numbers."""
    for rows in batches:
        loss = functional.cross_entropy(student.relative_values(states[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def _judge(student: QNetworkModel, observations: Tensor, labels: Tensor) -> tuple[float, float]:
    """Returns the share of states decided alike and the mean cross entropy."""
    logits = student.relative_values(observations)
    agreement = (logits.argmax(dim=1) == labels).float().mean()
    return float(agreement), float(functional.cross_entropy(logits, labels))
