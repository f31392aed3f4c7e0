"""Reinforcement learning on networks, on their twins, and on both."""

from gentwin.rl.admission import AdmissionArguments, AdmissionTrainer, state_policy
from gentwin.rl.agent import AgentError, greedy_policy, make_learner, q_network_config, require_fit
from gentwin.rl.anchors import anchor_utilities
from gentwin.rl.cloning import clone_policy, fit_policy_twin
from gentwin.rl.collector import Collector
from gentwin.rl.distillation import DistillationArguments, DistillationReport, distil
from gentwin.rl.evaluation import Evaluation, evaluate, per_slice, per_state
from gentwin.rl.experience import Experience, branch_points
from gentwin.rl.gan_dqn import GanQLearner
from gentwin.rl.guard import ViolationGuard
from gentwin.rl.landscape import loss_along_gradient, loss_surface, sharpness
from gentwin.rl.learner import LearnerArguments, Pull, QLearner
from gentwin.rl.loop import Progress, train
from gentwin.rl.offline import OfflineTwinEnhancedTrainer, replay_from_transitions, train_offline
from gentwin.rl.plain import PlainTrainer
from gentwin.rl.replay import Batch, ReplayBuffer
from gentwin.rl.rounds import Round, RoundTrainer
from gentwin.rl.twin_enhanced import LoopArguments, TwinEnhancedArguments, TwinEnhancedTrainer
from gentwin.rl.twin_fitting import TwinFitArguments, fit_twin
from gentwin.rl.zhang2024 import zhang2024_arguments

__all__ = [
    "AdmissionArguments",
    "AdmissionTrainer",
    "AgentError",
    "Batch",
    "Collector",
    "DistillationArguments",
    "DistillationReport",
    "Evaluation",
    "Experience",
    "GanQLearner",
    "LearnerArguments",
    "LoopArguments",
    "OfflineTwinEnhancedTrainer",
    "PlainTrainer",
    "Progress",
    "Pull",
    "QLearner",
    "ReplayBuffer",
    "Round",
    "RoundTrainer",
    "TwinEnhancedArguments",
    "TwinEnhancedTrainer",
    "TwinFitArguments",
    "ViolationGuard",
    "anchor_utilities",
    "branch_points",
    "clone_policy",
    "distil",
    "evaluate",
    "fit_policy_twin",
    "fit_twin",
    "greedy_policy",
    "loss_along_gradient",
    "loss_surface",
    "make_learner",
    "per_slice",
    "per_state",
    "q_network_config",
    "replay_from_transitions",
    "require_fit",
    "sharpness",
    "state_policy",
    "train",
    "train_offline",
    "zhang2024_arguments",
]
