"""The learner of an algorithm."""

from __future__ import annotations

from accelerate import Accelerator

from gentwin.models.q_network import QNetworkModel
from gentwin.rl.gan_dqn import GanQLearner
from gentwin.rl.learner import LearnerArguments, QLearner


def make_learner(
    network: QNetworkModel, arguments: LearnerArguments, accelerator: Accelerator | None = None
) -> QLearner:
    """Returns the learner of `arguments.algorithm`.

    Args:
        network: What learns; with head `particles` for `gan_dqn`, with any other for `dqn` and `double_dqn`.
        arguments: Hyper-parameters.
        accelerator: Device and, in several processes, averaging of gradients; a new one by default.

    Raises:
        ValueError: If the head does not fit the algorithm.
    """
    learners = {name: kind for kind in (QLearner, GanQLearner) for name in kind.algorithms}
    return learners[arguments.algorithm](network, arguments, accelerator)
