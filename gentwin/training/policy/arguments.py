"""Arguments of a policy twin's run: what decisions it learns from, and how they are enriched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from gentwin.datasets.decisions import ON_FAULT
from gentwin.training.arguments import about, require
from gentwin.yaml_text import load_yaml

GENERATOR = "generator"
USUAL_OPTIMISATION = {
    "global_batch_size": 128,
    "learning_rate": 5e-3,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
}
"""How policy twins are trained wherever nobody says otherwise, as fields of `TwinTrainingArguments`."""
KINDS = ("none", "pseudo_labels", "mixup", "smote", "dominance", GENERATOR)


@dataclass
class DecisionArguments:
    """What decisions to learn from, and how they are divided.

    Raises:
        ArgumentsError: If a value is out of range.
    """

    _argument_group_name = "data"
    # The decisions themselves are known by their fingerprint.
    shaping: ClassVar = ("validation_size", "test_size", "split_seed", "train_decisions", "on_fault")
    compared: ClassVar = ("data_path", "capacity", "demand")

    data_path: str = field(
        default="data/admission_busy/transitions.parquet",
        metadata=about("Parquet file of transitions of admission control. A relative path starts from here."),
    )
    capacity: dict | str | None = field(
        default=None, metadata=about("Units of each resource, by its name in the record: `{radio: 273, …}`.")
    )
    demand: dict | str | None = field(
        default=None,
        metadata=about("Units of each resource, in the order of the record, of a service of each slice, by its name."),
    )
    on_fault: str = field(
        default="refuse",
        metadata=about("What to do about faulty decisions: `refuse` them all, `drop` them, or `keep` what can be."),
    )
    validation_size: float = field(
        default=0.1, metadata=about("Episodes for the choice of checkpoint and for calibration: a share, or a number.")
    )
    test_size: float = field(default=0.2, metadata=about("Episodes for the final evaluation: a share, or a number."))
    train_decisions: int | None = field(
        default=None,
        metadata=about("Number of training decisions that are used, the first of the first episodes; all by default."),
    )
    split_seed: int = field(default=0, metadata=about("Seed of the division into parts."))

    def __post_init__(self) -> None:
        for name in ("capacity", "demand"):
            if isinstance(getattr(self, name), str):
                setattr(self, name, load_yaml(getattr(self, name)))
            value = getattr(self, name)
            require(isinstance(value, dict) and bool(value), name, "a mapping of names to units", value)
        require(self.on_fault in ON_FAULT, "on_fault", f"one of {', '.join(ON_FAULT)}", self.on_fault)
        for name in ("validation_size", "test_size"):
            value = getattr(self, name)
            require(0 < value < 1 or (value >= 1 and value == int(value)), name, "a share below 1 or a number", value)
        few = self.train_decisions
        require(few is None or few >= 1, "train_decisions", "at least 1", few)


@dataclass
class AugmentationArguments:
    """How the training decisions are enriched.

    Raises:
        ArgumentsError: If a value is out of range.
    """

    _argument_group_name = "augmentation"
    shaping: ClassVar = (
        *("augmentation", "synthetic_ratio", "adversarial_steps", "critic_updates"),
        *("generator_learning_rate", "critic_learning_rate"),
    )

    augmentation: str = field(
        default="none",
        metadata=about(f"What joins the recorded decisions: {', '.join(KINDS)}; `{GENERATOR}` is that of the twin."),
    )
    synthetic_ratio: float = field(default=1.0, metadata=about("Synthetic decisions of a batch over recorded ones."))
    adversarial_steps: int = field(
        default=0, metadata=about("First steps of the run, in which critic and generator are trained.")
    )
    critic_updates: int = field(default=5, metadata=about("Steps of the critic for each one of the generator."))
    generator_learning_rate: float = field(default=1e-3, metadata=about("Learning rate of the generator."))
    critic_learning_rate: float = field(default=1e-3, metadata=about("Learning rate of the critic."))

    def __post_init__(self) -> None:
        require(self.augmentation in KINDS, "augmentation", f"one of {', '.join(KINDS)}", self.augmentation)
        for name in ("synthetic_ratio", "generator_learning_rate", "critic_learning_rate"):
            require(getattr(self, name) > 0, name, "above 0", getattr(self, name))
        require(self.critic_updates >= 1, "critic_updates", "at least 1", self.critic_updates)
        uses = self.augmentation == GENERATOR
        wanted = "above 0 with" if uses else "0 without"
        fits = (self.adversarial_steps > 0) if uses else self.adversarial_steps == 0
        require(fits, "adversarial_steps", f"{wanted} `augmentation: {GENERATOR}`", self.adversarial_steps)


@dataclass
class PolicyEvaluationArguments:
    """How the trained twin is judged on the test episodes."""

    _argument_group_name = "evaluation"
    compared: ClassVar = ("evaluation_seed",)

    evaluation_seed: int = field(default=0, metadata=about("Seed of the synthetic decisions that are looked at."))
    sibling_runs: list[str] | None = field(
        default=None,
        metadata=about(
            "Output folders of runs that differ in the seed only; the model card then states mean and spread."
        ),
    )
