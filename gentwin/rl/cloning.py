"""Agents that begin as the policy a network already has: a policy twin of its decisions, and a Q-network like it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from gentwin.datasets import Transitions, decisions_of
from gentwin.models import PolicyTwinConfig, PolicyTwinModel
from gentwin.models.q_network import allowed_values
from gentwin.networks.admission import AdmissionParameters, resource_demand
from gentwin.rl.learner import QLearner

BATCH_SIZE = 128
POLICY_LEARNING_RATE, WEIGHT_DECAY = 5e-3, 0.01  # of the policy twin, as in recipes/policy.yaml
CLONE_LEARNING_RATE = 1e-3
SHARPNESS = 20.0  # logits of a cloned Q-network per unit of `return_scale`; its values stay small beside returns


def fit_policy_twin(
    record: Transitions, parameters: AdmissionParameters, num_updates: int, seed: int
) -> PolicyTwinModel:
    """Fits a policy twin to the decisions of a record in memory.

    For a record on disk, with augmentation, calibration and a card, use `recipes/train_twin.py`.

    Args:
        record: Transitions of an admission network under the policy to replicate.
        parameters: Of the network; tell demands and capacities.
        num_updates: Of AdamW, at least 1.
        seed: Of weights and batches.

    Returns:
        The twin, in evaluation mode.

    Raises:
        ValueError: If `num_updates` is not positive.
        TransitionError: If the record is not one of admission control, or a decision in it is faulty.
    """
    if num_updates < 1:
        raise ValueError(f"`num_updates` must be at least 1, got {num_updates}.")
    resources = resource_demand(parameters)
    decisions = decisions_of(record, **resources, on_fault="keep")  # policies of the network see no contradiction
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = PolicyTwinModel(PolicyTwinConfig(schema=decisions.schema.to_dict(), **resources)).train()
    columns = {"states": decisions.states, "masks": decisions.masks, "labels": decisions.actions}
    columns = {name: torch.from_numpy(values) for name, values in columns.items()}
    twin.fit_normalization(**columns)
    optimizer = torch.optim.AdamW(twin.parameters(), POLICY_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_updates)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(num_updates):
        rows = torch.randint(len(decisions), (BATCH_SIZE,), generator=generator)
        optimizer.zero_grad()
        twin(**{name: values[rows] for name, values in columns.items()}).loss.backward()
        optimizer.step()
        schedule.step()
    return twin.eval()


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
        rows = torch.from_numpy(rng.integers(len(labels), size=BATCH_SIZE)).to(device)
        logits = allowed_values(SHARPNESS * network.relative_values(seen[rows]), allowed[rows])
        loss = nn.functional.cross_entropy(logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    optimizer.zero_grad()
    learner.target.load_state_dict(network.state_dict())
