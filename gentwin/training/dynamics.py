"""A run of the recipe with a twin of slice dynamics."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import set_seed

from gentwin.datasets import Transitions
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.models.modeling_twin import TwinModel
from gentwin.schema import TransitionSchema
from gentwin.training.arguments import (
    ARGUMENT_CLASSES,
    ArgumentsError,
    ModelArguments,
    TransferArguments,
    TwinTrainingArguments,
)
from gentwin.training.checks import caveats, check_arguments
from gentwin.training.data import Splits, load_splits
from gentwin.training.dynamics_trainer import DynamicsTrainer, build_twin
from gentwin.training.evaluation import evaluate_twin
from gentwin.training.families import TwinRun
from gentwin.training.model_card import write_model_card
from gentwin.training.report import print_report, write_metrics, write_plots
from gentwin.training.transfer import load_start, require_same_fields, restrict

SEQUENCE_LENGTH = 50  # of an adaptation, if the record has runs as long


class DynamicsRun(TwinRun):
    """A run that trains a twin of slice dynamics on recorded transitions."""

    argument_classes = ARGUMENT_CLASSES
    trainer: DynamicsTrainer

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.data, model, self.transfer, self.evaluation, training = arguments
        self.splits = load_splits(self.data)
        self.fingerprint = self.splits.fingerprint
        check_arguments(self.splits, self.data, self.evaluation, training)
        set_seed(training.seed)
        lengths = self.data.sequence_length, self.data.sequence_stride
        twin = _start(model, self.transfer, self.splits)
        self.trainer = DynamicsTrainer(twin, training, self.splits, *lengths, self.shaping(arguments))

    @staticmethod
    def copy_for(twin: TwinModel, train: Any) -> TwinModel:
        """Returns a copy of a twin with the ranges of the record's fields."""
        if isinstance(twin, DynamicsTwin) and isinstance(train, Transitions):
            require_same_fields(twin.name_or_path or type(twin).__name__, twin.transition_schema, train.schema)
            twin = _with_schema(twin, train.schema)
        return copy.deepcopy(twin)

    @staticmethod
    def make_trainer(
        twin: TwinModel, train: Any, validation: Any, training: TwinTrainingArguments, sequence_length: int | None
    ) -> DynamicsTrainer:
        """Returns the trainer of a twin and `Transitions` in memory."""
        if not isinstance(twin, DynamicsTwin):
            raise TypeError(f"`twin` must be of slice dynamics, a policy or messages, got a {type(twin).__name__}.")
        for name, part in (("train", train), ("validation", validation)):
            if not isinstance(part, Transitions):
                raise TypeError(f"`{name}` must be Transitions for {type(twin).__name__}, got {type(part).__name__}.")
            require_same_fields(twin.name_or_path or type(twin).__name__, twin.transition_schema, part.schema)
        length = sequence_length or min(SEQUENCE_LENGTH, int(np.diff(train.runs, axis=1).max()))
        splits = Splits(train, validation, validation, train.fingerprint())
        return DynamicsTrainer(twin, training, splits, length, max(1, length // 2))

    def describe_splits(self) -> dict[str, dict[str, int]]:
        """Returns the numbers of episodes and steps of each part."""
        return self.splits.describe()

    def report(self, folder: Path, siblings: Sequence[Mapping[str, float]], run: Mapping[str, Any]) -> None:
        """Evaluates roll-outs on the test episodes, and writes metrics, plots and card."""
        twin, splits = self.trainer.model, self.splits
        scores = evaluate_twin(twin, splits, self.evaluation)
        figures = {"test_loss": round(self.trainer.loss_of(splits.test), 4), **scores.figures()}
        captions = write_plots(folder, twin, splits, scores, self.evaluation, self.trainer.state.log_history)
        warnings = caveats(self.trainer.state.global_step, figures, self.trainer.args.max_steps)
        write_model_card(folder, twin, splits, self.data, scores, figures, siblings, run, captions, warnings)
        write_metrics(folder, figures, scores.metrics(), {**run, "evaluation_s": scores.seconds})
        print_report(scores, figures, folder, warnings)


def _start(model: ModelArguments, transfer: TransferArguments, splits: Splits) -> DynamicsTwin:
    """Returns the twin that a run begins with: untrained, or trained and partly frozen or adapted."""
    if transfer.init_from is None:
        return build_twin(model, splits.schema)
    twin = load_start(model, transfer.init_from)
    if not isinstance(twin, DynamicsTwin):
        raise ArgumentsError(f"`init_from` must be a twin of slice dynamics, got a {type(twin).__name__}.")
    require_same_fields(transfer.init_from, twin.transition_schema, splits.schema)
    twin = _with_schema(twin, splits.schema)
    restrict(twin, transfer)
    return twin


def _with_schema(twin: DynamicsTwin, schema: TransitionSchema) -> DynamicsTwin:
    """Returns a twin of equal weights with the schema of a record, whose ranges may be others."""
    if schema == twin.transition_schema:
        return twin
    config = type(twin.config).from_dict({**twin.config.to_dict(), "schema": schema.to_dict()})
    found = type(twin)(config)
    found.load_state_dict(twin.state_dict())
    return found.train(twin.training)
