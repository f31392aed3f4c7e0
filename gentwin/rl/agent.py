"""Agents: Q-networks that fit an environment, their learners, and policies made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from accelerate import Accelerator
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from gentwin.envs import SliceAdmissionVectorEnv
from gentwin.envs.slicing import SlicingVectorEnv
from gentwin.models.q_network import QNetworkConfig, QNetworkModel
from gentwin.rl.evaluation import Policy
from gentwin.rl.gan_dqn import GanQLearner
from gentwin.rl.learner import LearnerArguments, QLearner, greedy_actions


class AgentError(ValueError):
    """An agent does not fit an environment or a twin."""


def observation_fields(env: VectorEnv) -> list[str]:
    """Returns the name of every entry of a flat observation, such as `gaming.arrived`; `observation.0`, … elsewhere."""
    base = env.unwrapped
    if isinstance(base, SlicingVectorEnv):
        return [f"{name}.{field}" for name in base.schema.slices for field in base.observation_fields]
    if isinstance(base, SliceAdmissionVectorEnv):
        return list(base.observation_names)
    return [f"observation.{index}" for index in range(_size(env))]


def observation_scales(env: VectorEnv) -> list[str]:
    """Returns `log1p` for entries that are counts or amounts without a practical bound, else `linear`."""
    base = env.unwrapped
    if not isinstance(base, SlicingVectorEnv):
        return ["linear"] * _size(env)
    fields = {field.name: field for field in base.schema.state}
    is_amount = [fields[name].low == 0 and fields[name].high > 100 for name in base.observation_fields]
    return [("log1p" if amount else "linear") for amount in is_amount] * len(base.schema.slices)


def q_network_config(env: VectorEnv, head: str = "plain", **fields: Any) -> QNetworkConfig:
    """Returns the configuration of a Q-network for an environment.

    Args:
        env: With a flat `Box` of observations and a `Discrete` set of actions.
        head: As in [`QNetworkConfig`][gentwin.models.q_network.QNetworkConfig]; `factorised` needs an environment of a
            sliced network.
        **fields: Other fields of the configuration.

    Raises:
        AgentError: If the spaces or the head do not fit.
    """
    space = env.single_action_space
    if not isinstance(space, spaces.Discrete) or space.start != 0:
        raise AgentError(f"`env` must have actions Discrete(n) from 0 for a Q-network, got {space}.")
    if not isinstance(env.single_observation_space, spaces.Box):
        raise AgentError(f"`env` must have observations in a Box for a Q-network, got {env.single_observation_space}.")
    if head == "factorised":
        base = env.unwrapped
        if not isinstance(base, SlicingVectorEnv):
            raise AgentError(
                "`head` must not be 'factorised' for an environment without allocations; choose 'dueling'."
            )
        parameters = base.parameters
        units = round(parameters.bandwidth_hz / parameters.resolution_hz)
        fields = {"num_slices": parameters.num_slices, "num_units": units, **fields}
    return QNetworkConfig(
        observation_fields=observation_fields(env),
        observation_scales=observation_scales(env),
        num_actions=int(space.n),
        head=head,
        **fields,
    )


def require_fit(network: QNetworkModel, env: VectorEnv) -> None:
    """Raises `AgentError` if a Q-network is not one for the spaces of a vector environment."""
    if not isinstance(network, QNetworkModel):
        raise AgentError(
            f"`network` must be a Q-network, got {type(network).__name__}; load it with `from_pretrained`."
        )
    if not isinstance(env, VectorEnv):
        raise AgentError(f"`env` must be a vector environment, got {type(env).__name__}; use `gymnasium.make_vec`.")
    config = network.config
    found = getattr(env.single_action_space, "n", env.single_action_space)
    if config.num_actions != found:
        raise AgentError(
            f"`num_actions` of the agent must be that of the environment, {found}, got {config.num_actions}; use an "
            "agent trained for this preset and resolution."
        )
    fields = observation_fields(env)
    if list(config.observation_fields) != fields:
        raise AgentError(
            f"`observation_fields` of the agent must be those of the environment, {fields}, got "
            f"{list(config.observation_fields)}; make the environment with the fields the agent was trained on."
        )


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


def greedy_policy(network: QNetworkModel, env: VectorEnv | None = None) -> Policy:
    """Returns the policy that takes the best action: observations `(B, F)`, and masks if any, to actions `(B,)`.

    Args:
        network: Of the agent.
        env: Environment it is meant for; if given, an agent for other spaces is refused here and now.

    Raises:
        AgentError: If agent and environment do not fit each other.
    """
    if env is not None:
        require_fit(network, env)

    def policy(observations: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
        return greedy_actions(network, observations, masks)

    return policy


def _size(env: VectorEnv) -> int:
    return int(np.prod(env.single_observation_space.shape))
