"""Policy twins of the greedy policy for figures: records, trainings with every augmentation, and their worth."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import set_seed
from transformers.utils import logging

from gentwin.datasets import Decisions, policy_schema
from gentwin.metrics.decisions import is_rare, macro_accuracy, rare_limits
from gentwin.models import PolicyTwinConfig, PolicyTwinModel
from gentwin.models.policy.state_space import QUEUED
from gentwin.networks.admission import AdmissionNetwork, AdmissionParameters, admission_parameters, resource_demand
from gentwin.networks.admission.performance import Performance, simulate
from gentwin.networks.admission.policies import Policy, fifo_greedy
from gentwin.training import TwinTrainingArguments
from gentwin.training.policy import AugmentationArguments, DecisionSplits, OracleLabels, PolicyTrainer
from gentwin.training.policy.arguments import USUAL_OPTIMISATION
from gentwin.training.policy.evaluation import NUM_SYNTHETIC, score_policy, score_synthetic

PARAMETERS = admission_parameters("busy")
REAL, PSEUDO, MIXUP, SMOTE, DOMINANCE, TABULAR, GAN, ORACLE = (
    "real only", "pseudo-labels", "mixup", "SMOTE", "dominance", "tabular GAN", "GAN of the article", "oracle labels"
)  # fmt: skip
ARMS = {
    REAL: ("none", "none"),
    PSEUDO: ("pseudo_labels", "none"),
    MIXUP: ("mixup", "none"),
    SMOTE: ("smote", "none"),
    DOMINANCE: ("dominance", "none"),
    TABULAR: ("generator", "decisions"),
    GAN: ("generator", "actions"),
    ORACLE: ("none", "none"),
}
"""Augmentation and generator of every arm; the oracle's labels are put in place of none."""
EPISODES, HELD_OUT = 10, 2  # stretches of decisions in a row that make a record, and those for calibration


@dataclass(frozen=True)
class Budget:
    """How long to train and to judge.

    Args:
        steps: Of the classifier.
        adversarial_steps: Of critic and generator before, in arms with a generator.
        test_copies: Copies of the network that the test comes from, 25 decisions each.
        loop_copies: Copies of the closed loop.
        loop_s: Time of the closed loop, seconds.
        settle_s: Time before it under the same policy, seconds.
    """

    steps: int
    adversarial_steps: int
    test_copies: int
    loop_copies: int
    loop_s: float
    settle_s: float


BRIEF = Budget(150, 150, 40, 8, 30.0, 5.0)
QUICK = Budget(300, 300, 80, 32, 100.0, 100.0)
MANY = Budget(1000, 1500, 400, 64, 200.0, 100.0)  # for comparisons of hundreds of trainings
FULL = Budget(2000, 3000, 800, 256, 400.0, 100.0)


def oracle(states: Tensor, masks: Tensor) -> Tensor:
    """Returns what the greedy policy does in states of the policy's schema."""
    return torch.from_numpy(fifo_greedy(PARAMETERS)(states.cpu().double().numpy())).to(states.device)


def record_decisions(
    num_copies: int, num_steps: int, seed: int, parameters: AdmissionParameters, policy: Policy | None = None
) -> Decisions:
    """Returns decisions of a policy, by default the greedy one: so many in a row from each of `num_copies` networks."""
    network, decide = AdmissionNetwork(parameters, num_copies, num_threads=1), policy or fifo_greedy(parameters)
    network.reset(np.random.default_rng(seed).integers(2**64, size=num_copies, dtype=np.uint64))
    schema, names = policy_schema(network.schema), [field.name for field in network.schema.state]
    columns = [names.index(field.name) for field in schema.state]
    states, masks, actions = [], [], []
    for _ in range(num_steps):
        values = network.state_values()
        chosen = decide(values)
        states.append(values[:, :, columns].astype(np.float32))
        masks.append(network.masks.astype(bool))
        actions.append(chosen)
        network.step(chosen)
    episode = np.tile(np.arange(num_copies), num_steps)
    order = np.argsort(episode, kind="stable")
    arrays = (np.concatenate(parts)[order] for parts in (states, masks, actions))
    return Decisions(schema, episode[order], *arrays)


def untrained_twin(decisions: Decisions, generator: str, seed: int, layout: str = "shared") -> PolicyTwinModel:
    """Returns a twin whose classifier has the weights of the seed, with whatever generator."""
    fields = {"schema": decisions.schema.to_dict(), "layout": layout, **resource_demand(PARAMETERS)}
    set_seed(seed)
    plain = PolicyTwinModel(PolicyTwinConfig(**fields))
    set_seed(seed)
    twin = PolicyTwinModel(PolicyTwinConfig(**fields, generator=generator))
    twin.classifier.load_state_dict(plain.classifier.state_dict())
    return twin


def train_twin(
    decisions: Decisions, arm: str, budget: Budget, seed: int, layout: str = "shared"
) -> tuple[PolicyTwinModel, dict[str, float]]:
    """Trains a twin on a record of `EPISODES` episodes.

    Args:
        decisions: The record; some of its episodes are for calibration.
        arm: One of `ARMS`.
        budget: Steps.
        seed: Of division, weights and draws.
        layout: Of the twin.

    Returns:
        The twin, and what its synthetic decisions are worth, if there are any.
    """
    augmentation, generator = ARMS[arm]
    train, validation = decisions.split([EPISODES - HELD_OUT, HELD_OUT], seed)
    splits = DecisionSplits(train, validation, validation, decisions.fingerprint())
    twin = untrained_twin(decisions, generator, seed, layout)
    first = budget.adversarial_steps if generator != "none" else 0
    enrichment = AugmentationArguments(augmentation=augmentation, adversarial_steps=first)
    given = OracleLabels(twin, oracle) if arm == ORACLE else None
    with tempfile.TemporaryDirectory() as folder:
        batch = min(USUAL_OPTIMISATION["global_batch_size"], len(train))
        arguments = TwinTrainingArguments(
            output_dir=folder, max_steps=budget.steps + first, **USUAL_OPTIMISATION | {"global_batch_size": batch},
            seed=seed, save_strategy="no", eval_strategy="no", logging_strategy="no", use_cpu=True, torch_threads=1,
            disable_tqdm=True,
        )  # fmt: skip
        trainer = PolicyTrainer(twin, arguments, splits, enrichment, augmentation=given)
        trainer.train()
    if trainer.augmentation is None:
        return twin, {}
    torch.manual_seed(seed)
    records = trainer.train_dataset.columns
    made = trainer.augmentation(records, NUM_SYNTHETIC, 1.0)
    triple = made.states, made.masks, made.shares.argmax(dim=1)
    return twin, score_synthetic(twin, triple, train, oracle)


class Judge:
    """Judges twins on decisions of many networks and in closed loop; all of them meet the same requests.

    Args:
        budget: Sizes.
        seed: Of the networks.
    """

    def __init__(self, budget: Budget, seed: int) -> None:
        self.budget = budget
        rng = np.random.default_rng([seed, 1])
        self.test = record_decisions(budget.test_copies, 25, int(rng.integers(2**31)), PARAMETERS)
        self.keys = rng.integers(2**64, size=budget.loop_copies, dtype=np.uint64)
        self.schema = AdmissionNetwork(PARAMETERS).schema
        self.greedy = self._run(fifo_greedy(PARAMETERS))

    def __call__(self, twin: PolicyTwinModel) -> dict[str, float]:
        """Returns accuracies in percent and calibration, and the gap in closed loop to the greedy policy in percent."""
        scores = score_policy(twin, self.test, self.test)
        played, greedy = self._run(twin.policy(self.schema)), self.greedy
        return {
            "macro_accuracy": 100 * macro_accuracy(scores.actions, scores.predicted),
            "rare_accuracy": 100 * float(scores.right[scores.rare].mean()),
            "calibration_error": 100 * scores.figures()["test_expected_calibration_error"],
            "revenue_gap": 100 * abs(played.revenue_per_s / greedy.revenue_per_s - 1),
            "utilisation_gap": 100 * float(np.abs(played.utilisation - greedy.utilisation).max()),
            "admission_gap": 100 * float(np.abs(played.admission - greedy.admission).max()),
        }

    def majority(self, decisions: Decisions) -> dict[str, float]:
        """Returns the accuracies of the most frequent action of a record among those allowed."""
        counts = np.bincount(decisions.actions, minlength=self.test.masks.shape[1])
        predicted = np.where(self.test.masks, counts, -1).argmax(axis=1)
        waiting = self.test.states[:, :, QUEUED].sum(axis=1)
        rare = is_rare(waiting, rare_limits(waiting))
        return {
            "macro_accuracy": 100 * macro_accuracy(self.test.actions, predicted),
            "rare_accuracy": 100 * float((predicted == self.test.actions)[rare].mean()),
        }

    def _run(self, policy: Any) -> Performance:
        return simulate(policy, PARAMETERS, self.keys, self.budget.loop_s, self.budget.settle_s, num_threads=1)


def quiet() -> None:
    """Keeps transformers from printing a line for every training."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
