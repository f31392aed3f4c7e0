"""Training of policy twins: augmentations, trainer, evaluation, card."""

from gentwin.training.policy.arguments import AugmentationArguments, DecisionArguments, PolicyEvaluationArguments
from gentwin.training.policy.augmentation import AUGMENTATIONS, OracleLabels, make_augmentation
from gentwin.training.policy.data import DecisionSplits, load_decision_splits
from gentwin.training.policy.evaluation import PolicyScores, score_policy
from gentwin.training.policy.trainer import PolicyTrainer

__all__ = [
    "AUGMENTATIONS",
    "AugmentationArguments",
    "DecisionArguments",
    "DecisionSplits",
    "OracleLabels",
    "PolicyEvaluationArguments",
    "PolicyScores",
    "PolicyTrainer",
    "load_decision_splits",
    "make_augmentation",
    "score_policy",
]
