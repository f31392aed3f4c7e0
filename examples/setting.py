"""What the examples share: their arguments, the scale of observations, and the comparison on the network."""

import argparse

import gymnasium as gym
import numpy as np

from gentwin.networks.slicing.policies import RandomPolicy, equal_split
from gentwin.rl import evaluate


def parse_arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--steps", type=int, default=2000, help="decisions in each copy of the twin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--decisions", type=int, default=200, help="decisions of the evaluation, in each copy")
    return parser.parse_args()


def scaled(env):
    """Brings packets, bits, milliseconds and dB, which span six decades, to about 0 … 3, and rewards near 0."""
    env = gym.wrappers.vector.TransformObservation(env, lambda x: np.sign(x) * np.log1p(np.abs(x)) / 5)
    return gym.wrappers.vector.TransformReward(env, lambda utility: utility - 2)


def compare(name, policy, network, args):
    """Prints the mean utility of random allocations, of the equal split and of `policy`, on the same traffic."""
    chance = RandomPolicy(network.single_action_space.n, np.random.default_rng(args.seed))
    policies = {"random": chance, "equal split": equal_split(network.unwrapped.parameters), name: policy}
    results = {name: evaluate(policy, network, args.decisions, seed=1000) for name, policy in policies.items()}
    for name, result in results.items():
        gain = result.utility - results["equal split"].utility
        error = gain.std(ddof=1) / len(gain) ** 0.5
        print(f"{name}: {result.mean:.3f}, {gain.mean():+.3f} ± {error:.3f} over the equal split")
