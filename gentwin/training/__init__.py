"""Training of twins: arguments, trainers, evaluation on held-out data, plots and model card.

What is about twins of slice dynamics is here, what is about message twins in `gentwin.training.signaling`.
"""

from gentwin.training.adaptation import Adaptation, adapt
from gentwin.training.arguments import (
    ArgumentsError,
    DataArguments,
    EvaluationArguments,
    ModelArguments,
    TransferArguments,
    TwinTrainingArguments,
    given_arguments,
    parse_arguments,
)
from gentwin.training.checkpoints import prepare_output_dir, result_arguments
from gentwin.training.checks import check_arguments
from gentwin.training.data import Splits, load_splits
from gentwin.training.dynamics_trainer import DynamicsTrainer, build_twin
from gentwin.training.evaluation import Evaluation, evaluate_twin
from gentwin.training.model_card import write_model_card
from gentwin.training.trainer import TwinTrainer

__all__ = [
    "Adaptation",
    "ArgumentsError",
    "DataArguments",
    "DynamicsTrainer",
    "Evaluation",
    "EvaluationArguments",
    "ModelArguments",
    "Splits",
    "TransferArguments",
    "TwinTrainer",
    "TwinTrainingArguments",
    "adapt",
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
