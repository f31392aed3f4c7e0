"""A run of the recipe with a twin of slice dynamics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import set_seed

from gentwin.training.arguments import ARGUMENT_CLASSES
from gentwin.training.checks import caveats, check_arguments
from gentwin.training.data import load_splits
from gentwin.training.dynamics_trainer import DynamicsTrainer, build_twin
from gentwin.training.evaluation import evaluate_twin
from gentwin.training.families import TwinRun
from gentwin.training.model_card import write_model_card
from gentwin.training.report import print_report, write_metrics, write_plots


class DynamicsRun(TwinRun):
    """A run that trains a twin of slice dynamics on recorded transitions."""

    argument_classes = ARGUMENT_CLASSES
    trainer: DynamicsTrainer

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.data, model, self.evaluation, training = arguments
        self.splits = load_splits(self.data)
        self.fingerprint = self.splits.fingerprint
        check_arguments(self.splits, self.data, self.evaluation, training)
        set_seed(training.seed)
        lengths = self.data.sequence_length, self.data.sequence_stride
        twin = build_twin(model, self.splits.schema)
        self.trainer = DynamicsTrainer(twin, training, self.splits, *lengths, self.shaping(arguments))

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
