"""Agents that begin as the policy a network already has: a policy twin of its decisions, and a Q-network like it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from transformers import get_scheduler

from gentwin.datasets import Decisions, Transitions, decisions_of
from gentwin.models import PolicyTwinConfig, PolicyTwinModel
from gentwin.models.q_network import allowed_values
from gentwin.networks.admission import AdmissionParameters, resource_demand
from gentwin.rl.learner import QLearner
from gentwin.training.policy.arguments import USUAL_OPTIMISATION, DecisionArguments
from gentwin.training.policy.data import DecisionDataset

CLONE_BATCH_SIZE, CLONE_LEARNING_RATE = 128, 1e-3
SHARPNESS = 20.0  # logits of a cloned Q-network per unit of `return_scale`; its values stay small beside returns


def fit_policy_twin(
    record: Transitions, parameters: AdmissionParameters, num_updates: int, seed: int
) -> PolicyTwinModel:
    """Fits a policy twin to the decisions of a record in memory, and calibrates its confidence.

    The optimisation is that of `recipes/policy.yaml`, in the loop of [`fit_twin`][gentwin.rl.twin_fitting.fit_twin]: a
    `PolicyTrainer` would reset the accelerator that agents compute with. For a record on disk, with augmentation, a
    choice of checkpoints and a card, use `recipes/train_twin.py`.

    Args:
        record: Transitions of an admission network under the policy to replicate. A tenth of its episodes, at least
            one, is held out for the calibration; of a single episode its last tenth.
        parameters: Of the network; tell demands and capacities.
        num_updates: Of AdamW, at least 1.
        seed: Of division, weights and batches.

    Returns:
        The twin, in evaluation mode.

    Raises:
        ValueError: If `num_updates` is not positive, or there are fewer than two decisions.
        TransitionError: If the record is not one of admission control, or a decision in it is faulty.
    """
    if num_updates < 1:
        raise ValueError(f"`num_updates` must be at least 1, got {num_updates}.")
    resources = resource_demand(parameters)
    decisions = decisions_of(record, **resources, on_fault="keep")  # policies of the network see no contradiction
    train, held_out = (DecisionDataset(part).columns for part in _divided(decisions, seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = PolicyTwinModel(PolicyTwinConfig(schema=decisions.schema.to_dict(), **resources)).train()
    twin.fit_normalization(**train)
    _optimise(twin, train, num_updates, torch.Generator().manual_seed(seed))
    twin.eval().calibrate(**held_out)
    return twin


def _divided(decisions: Decisions, seed: int) -> tuple[Decisions, Decisions]:
    """Returns decisions to train on, and those of other episodes for the calibration."""
    if len(decisions) < 2:
        raise ValueError(f"`record` must hold at least two decisions, one of them held out, got {len(decisions)}.")
    episodes = len(decisions.episodes)
    if episodes > 1:
        held_out = max(1, round(DecisionArguments.validation_size * episodes))
        return decisions.split([episodes - held_out, held_out], seed)
    first = len(decisions) - max(1, round(DecisionArguments.validation_size * len(decisions)))
    return decisions.take(np.arange(first)), decisions.take(np.arange(first, len(decisions)))


def _optimise(twin: PolicyTwinModel, columns: dict[str, Tensor], num_updates: int, generator: torch.Generator) -> None:
    """Makes `num_updates` steps of AdamW on decisions."""
    usual = USUAL_OPTIMISATION
    rate, decay = usual["learning_rate"], usual["weight_decay"]
    optimizer = torch.optim.AdamW(twin.classifier.parameters(), rate, weight_decay=decay)
    warmup = math.ceil(usual["warmup_steps"] * num_updates)
    schedule = get_scheduler(usual["lr_scheduler_type"], optimizer, warmup, num_updates)
    number = len(columns["labels"])
    for _ in range(num_updates):
        rows = torch.randint(number, (usual["global_batch_size"],), generator=generator)
        optimizer.zero_grad()
        twin(**{name: values[rows] for name, values in columns.items()}).loss.backward()
        nn.utils.clip_grad_norm_(twin.classifier.parameters(), usual["max_grad_norm"])
        optimizer.step()
        schedule.step()


def clone_policy(
    learner: QLearner,
    observations: np.ndarray,
    masks: np.ndarray,
    actions: np.ndarray,
    num_updates: int,
    rng: np.random.Generator,
) -> None:
    """Teaches a learner's network to take the actions of a policy, before it learns what they are worth.

    The network's relative values, times a constant, are the logits of a softmax over the allowed actions, whose cross
    entropy is minimised. The learner's optimiser is not touched.

    Args:
        learner: With its statistics set.
        observations: `(M, F)` in physical units.
        masks: `(M, A)`, true where an action is allowed.
        actions: `(M,)` those of the policy.
        num_updates: Of Adam.
        rng: Of the batches.
    """
    network, device = learner.network, learner.device
    network.require_fitted()
    seen = torch.from_numpy(np.ascontiguousarray(observations, np.float32)).to(device)
    allowed = torch.from_numpy(np.asarray(masks, bool)).to(device)
    labels = torch.from_numpy(np.asarray(actions, np.int64)).to(device)
    optimizer = torch.optim.Adam(network.parameters(), CLONE_LEARNING_RATE)
    for _ in range(num_updates):
        rows = torch.from_numpy(rng.integers(len(labels), size=CLONE_BATCH_SIZE)).to(device)
        logits = allowed_values(SHARPNESS * network.relative_values(seen[rows]), allowed[rows])
        loss = nn.functional.cross_entropy(logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    optimizer.zero_grad()
    learner.target.load_state_dict(network.state_dict())
