"""Small records of decisions of the greedy policy."""

from __future__ import annotations

from pathlib import Path

import gymnasium

import gentwin.envs  # noqa: F401 (registers the environments)
from gentwin.envs.recorder import record_transitions
from gentwin.networks.admission import admission_parameters, resource_demand
from gentwin.networks.admission.policies import fifo_greedy

PARAMETERS = admission_parameters("busy", warmup_s=60.0)
RESOURCES = resource_demand(PARAMETERS)


def record(path: Path, num_episodes: int = 4, episode_steps: int = 20, seed: int = 0) -> Path:
    """Records decisions of the greedy policy in a busy network."""
    env = gymnasium.make_vec(
        "gentwin/SliceAdmission-v0", num_envs=num_episodes, preset="busy", warmup_s=60.0, num_threads=1
    )
    policy, network = fifo_greedy(env.unwrapped.parameters), env.unwrapped.network
    recorder = record_transitions(env, path)
    recorder.reset(seed=seed)
    for _ in range(episode_steps):
        recorder.step(policy(network.state_values()))
    recorder.close()
    return path
