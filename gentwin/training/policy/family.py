"""A run of the recipe with a policy twin."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from rich.console import Console
from transformers import set_seed

from gentwin.datasets import Decisions
from gentwin.models.modeling_twin import TwinModel
from gentwin.models.policy import PolicyTwinConfig, PolicyTwinModel
from gentwin.schema import TransitionSchema, did_you_mean
from gentwin.training.arguments import (
    ArgumentsError,
    ModelArguments,
    TransferArguments,
    TwinTrainingArguments,
    require,
)
from gentwin.training.checks import few_steps
from gentwin.training.families import TwinRun
from gentwin.training.policy.arguments import (
    GENERATOR,
    AugmentationArguments,
    DecisionArguments,
    PolicyEvaluationArguments,
)
from gentwin.training.policy.card import write_policy_card
from gentwin.training.policy.data import DecisionSplits, load_decision_splits
from gentwin.training.policy.evaluation import NUM_SYNTHETIC, score_policy, score_synthetic
from gentwin.training.policy.plots import write_policy_plots
from gentwin.training.policy.trainer import PolicyTrainer
from gentwin.training.report import portable_path, write_metrics
from gentwin.training.transfer import load_start, require_same_fields, restrict

_FOLLOWS = ("schema", "capacity", "demand")


class PolicyRun(TwinRun):
    """A run that trains a policy twin on recorded decisions."""

    argument_classes = (
        *(DecisionArguments, ModelArguments, TransferArguments, AugmentationArguments),
        *(PolicyEvaluationArguments, TwinTrainingArguments),
    )
    trainer: PolicyTrainer

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.data, model, self.transfer, self.enrichment, self.evaluation, training = arguments
        self.splits = load_decision_splits(self.data)
        self.fingerprint = self.splits.fingerprint
        first = self.enrichment.adversarial_steps
        if first:
            require(training.max_steps > first, "max_steps", f"above `adversarial_steps` {first}", training.max_steps)
        set_seed(training.seed)
        twin = _start(model, self.transfer, self.splits.train.schema, self.data)
        require(
            (self.enrichment.augmentation == GENERATOR) == (twin.config.generator != "none"),
            "augmentation",
            f"`{GENERATOR}` if and only if `model_config.generator` is not none",
            self.enrichment.augmentation,
        )
        self.trainer = PolicyTrainer(twin, training, self.splits, self.enrichment, self.shaping(arguments))

    @staticmethod
    def make_trainer(
        twin: TwinModel, train: Any, validation: Any, training: TwinTrainingArguments, sequence_length: int | None
    ) -> PolicyTrainer:
        """Returns the trainer of a twin and `Decisions` in memory."""
        require(sequence_length is None, "sequence_length", "left out for decisions", sequence_length)
        for name, part in (("train", train), ("validation", validation)):
            if not isinstance(part, Decisions):
                raise TypeError(f"`{name}` must be Decisions for {type(twin).__name__}, got {type(part).__name__}.")
            require_same_fields(twin.name_or_path or type(twin).__name__, twin.policy_schema, part.schema, timed=False)
        if twin.config.generator != "none":
            raise ArgumentsError(
                f"`generator` of the twin must be none to adapt it like this, got {twin.config.generator!r}; use "
                "`recipes/train_twin.py --init_from` with `--augmentation generator` and `--adversarial_steps`."
            )
        splits = DecisionSplits(train, validation, validation, train.fingerprint())
        return PolicyTrainer(twin, training, splits, AugmentationArguments())

    def describe_splits(self) -> dict[str, dict[str, int]]:
        """Returns the numbers of episodes and decisions of each part."""
        return self.splits.describe()

    def report(self, folder: Path, siblings: Sequence[Mapping[str, float]], run: Mapping[str, Any]) -> None:
        """Judges the twin on the test episodes, and writes metrics, plots and card."""
        begin = time.perf_counter()
        twin, splits = self.trainer.model, self.splits
        scores = score_policy(twin, splits.test, splits.train)
        figures = scores.figures()
        if twin.config.generator != "none":
            generator = torch.Generator(twin.device).manual_seed(self.evaluation.evaluation_seed)
            made = score_synthetic(twin, twin.augment(NUM_SYNTHETIC, generator), splits.train)
            figures |= {f"generator_{name}": value for name, value in made.items()}
        captions = write_policy_plots(folder, scores, self.trainer.state.log_history)
        warnings = few_steps(self.trainer.state.global_step, self.trainer.args.max_steps)
        arguments = self.data, self.enrichment
        write_policy_card(folder, twin, splits, arguments, scores, figures, siblings, run, captions, warnings)
        facts = {**run, "faults": dict(splits.train.faults), "evaluation_s": round(time.perf_counter() - begin, 1)}
        metrics = scores.metrics() | {"temperature": round(float(twin.temperature), 5)}
        write_metrics(folder, figures, metrics, facts)
        console = Console()
        for name, value in figures.items():
            console.print(f"{name:<34}[bold]{value:.4g}[/]")
        for kind, count in splits.train.faults.items():
            console.print(f"faulty decisions: {kind:<16}[bold]{count}[/]")
        for text in warnings:
            console.print(f"[bold red]warning[/] {text}", highlight=False)
        console.print(f"twin, card, metrics and plots: [bold]{portable_path(folder)}[/]")


def _start(
    model: ModelArguments, transfer: TransferArguments, schema: TransitionSchema, data: DecisionArguments
) -> PolicyTwinModel:
    """Returns the twin that a run begins with: untrained, or trained and partly frozen or adapted."""
    if transfer.init_from is None:
        return build_policy_twin(model, schema, data)
    twin = load_start(model, transfer.init_from)
    require_same_fields(transfer.init_from, twin.policy_schema, schema, timed=False)
    for name in ("capacity", "demand"):
        known, given = getattr(twin.config, name), getattr(data, name)
        require(known == given, name, f"that of `init_from` {transfer.init_from!r}, {known}", given)
    restrict(twin, transfer)
    return twin


def build_policy_twin(arguments: ModelArguments, schema: TransitionSchema, data: DecisionArguments) -> PolicyTwinModel:
    """Returns an untrained policy twin; set the seed before.

    Args:
        arguments: Its configuration.
        schema: Of the decisions.
        data: Capacity and demand.

    Raises:
        ArgumentsError: If there is no such twin, or its configuration refuses a field.
    """
    name, known = arguments.model_type, PolicyTwinConfig.model_type
    if name != known:
        raise ArgumentsError(f"`model_type` must be {known!r}, got {name!r}{did_you_mean(name, [known])}.")
    taken = [field for field in _FOLLOWS if field in arguments.model_config]
    if taken:
        raise ArgumentsError(f"`model_config` must leave `{taken[0]}` to the record, got one; remove it.")
    try:
        config = PolicyTwinConfig(
            schema=schema.to_dict(),
            capacity=data.capacity,
            demand={slice_name: list(data.demand[slice_name]) for slice_name in schema.slices},
            **arguments.model_config,
        )
    except (ValueError, TypeError, StrictDataclassError) as error:
        raise ArgumentsError(f"`model_config`: {' '.join(str(error).split())}") from error
    return PolicyTwinModel(config)
