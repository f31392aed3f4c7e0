"""Training of twins: arguments, trainer, evaluation on held-out episodes, plots and model card."""

from gentwin.training.arguments import (
    ArgumentsError,
    DataArguments,
    EvaluationArguments,
    ModelArguments,
    TwinTrainingArguments,
    given_arguments,
    parse_arguments,
)
from gentwin.training.checkpoints import prepare_output_dir, result_arguments
from gentwin.training.checks import check_arguments
from gentwin.training.data import Splits, load_splits
from gentwin.training.evaluation import Evaluation, evaluate_twin
from gentwin.training.model_card import write_model_card
from gentwin.training.trainer import TwinTrainer, build_twin

__all__ = [
    "ArgumentsError",
    "DataArguments",
    "Evaluation",
    "EvaluationArguments",
    "ModelArguments",
    "Splits",
    "TwinTrainer",
    "TwinTrainingArguments",
    "build_twin",
    "check_arguments",
    "evaluate_twin",
    "given_arguments",
    "load_splits",
    "parse_arguments",
    "prepare_output_dir",
    "result_arguments",
    "write_model_card",
]
