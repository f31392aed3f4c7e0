"""Algorithm 1 of Zhang et al. as it was published, by the arguments that make our loops do it."""

from __future__ import annotations

from gentwin.rl.learner import LearnerArguments
from gentwin.rl.twin_enhanced import TwinEnhancedArguments
from gentwin.rl.twin_fitting import TwinFitArguments

PUBLISHED_TWIN = "gentwin_slice_mean"


def zhang2024_arguments(
    algorithm: str = "dqn",
    *,
    collection_steps: int = 200,
    practice_steps: int = 1000,
    fine_tuning_steps: int = 200,
    empowerment: float = 0.5,
    fit: TwinFitArguments | None = None,
) -> tuple[TwinEnhancedArguments, LearnerArguments]:
    """Returns arguments with which `TwinEnhancedTrainer` is Algorithm 1, line by line.

    | lines | what happens |
    |---|---|
    | 1 | agent 2 begins with the parameters of agent 1 |
    | 3 | agent 1 acts for `collection_steps` interactions and does not learn |
    | 4 | an LSTM for the next state and a dense network for the reward are fitted with the squared errors of eq. 7 |
    | 5-11 | agent 2 acts greedily in one copy of the twin, with one update for each of the `practice_steps` |
    | 12 | `theta_1 = empowerment * theta_1 + (1 - empowerment) * theta_2` (eq. 8) |
    | 13-19 | agent 1 acts, at random with probability xi, and learns, for `fine_tuning_steps` interactions |
    | 20 | agent 2 takes over the parameters of agent 1 |

    Where the paper is silent: the data of line 3 are everything seen so far, and so is the buffer of agent 1; the first
    data come from random allocations, as xi begins at 1; the twin's one roll-out begins with an empty memory at a state
    seen in the network; the buffer of agent 2 is a new one in every round, as the twin is another; the optimisers of
    both agents and of the twin go on or begin anew as in our own loops; target networks mix as their networks do. The
    numbers of steps, zeta, discount and batch size are not printed either: the defaults are ours but for the 200
    interactions of a round, Adam and its learning rate. Line 8 lets agent 2 explore nothing but what its changing
    parameters make it try, so much of the twin is never asked; `practice_exploration` is ours for that reason.

    Args:
        algorithm: phi, one of `dqn`, `double_dqn` and `gan_dqn`.
        collection_steps: Interactions that only feed the twin, in every round.
        practice_steps: Steps and updates of agent 2 in the twin, `Phi`.
        fine_tuning_steps: Steps and updates of agent 1 in the network, `T`.
        empowerment: zeta, 0 … 1.
        fit: How the twin is fitted, if not as here: of type `gentwin_slice_mean`, without weight decay.

    Raises:
        ValueError: If a value is out of range.

    Source: Zhang et al., "Digital Twin-Enhanced Deep Reinforcement Learning for Resource Management in Networks
    Slicing", Algorithm 1 and section V-A.
    """
    loops = TwinEnhancedArguments(
        first_steps=collection_steps,
        hold_steps=1,
        steps_per_round=collection_steps,
        learns_in_network=False,
        practice_updates=practice_steps,
        practice_updates_per_step=1.0,
        practice_exploration=0.0,
        practice_copies=1,
        practice_horizon=None,
        history_steps=0,
        real_share=0.0,
        empowerment=empowerment,
        fine_tuning_steps=fine_tuning_steps,
        fit=fit or TwinFitArguments(model_type=PUBLISHED_TWIN, weight_decay=0.0),
    )
    return loops, LearnerArguments(algorithm=algorithm, learning_rate=1e-3, learning_starts=1, updates_per_step=1.0)
