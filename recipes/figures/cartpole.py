"""Plain DQN outside our own field: CartPole-v1, beside stable-baselines3's DQN.

Judged is what each keeps: ours a slow average of the parameters, stable-baselines3 the last ones. Our last ones are
reported beside them.
"""

from __future__ import annotations

import gymnasium
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3 import DQN

from gentwin.models.q_network import QNetworkModel
from gentwin.rl import Collector, LearnerArguments, ReplayBuffer, greedy_policy, make_learner, q_network_config, train
from gentwin.rl.evaluation import Policy
from recipes.comparison.seeds import separate_seeds
from recipes.figures.result import Result

NUM_STEPS, NUM_EPISODES = 50_000, 100
HIDDEN_SIZES = [256, 256]
# Hyper-parameters of RL Baselines3 Zoo. There, 128 updates follow every 256 steps and the target is copied between;
# here an update follows every other step and the target trails by as much on average. Random actions, whose share falls
# linearly to 0.04 over 8,000 steps there and exponentially here, are as many. Nothing is normalised: with values in
# standard deviations of returns, here some 15, the same learning rate would mean a larger one.
ARGUMENTS = LearnerArguments(
    algorithm="dqn",
    discount=0.99,
    learning_rate=2.3e-3,
    batch_size=64,
    buffer_size=100_000,
    learning_starts=1000,
    updates_per_step=0.5,
    target_update_rate=1 / 64,
    exploration_final=0.04,
    exploration_decay_steps=4000,
    normalises=False,
)


def cartpole(num_envs: int) -> VectorEnv:
    """Returns copies of CartPole-v1."""
    return gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")


def mean_return(policy: Policy, seed: int) -> float:
    """Returns the mean over episodes of the sum of rewards, at most 500."""
    env = cartpole(NUM_EPISODES)
    observations, _ = env.reset(seed=seed)
    is_running, total = np.ones(NUM_EPISODES, bool), np.zeros(NUM_EPISODES)
    while is_running.any():
        observations, rewards, terminated, truncated, _ = env.step(policy(observations))
        total += rewards * is_running
        is_running &= ~(terminated | truncated)
    return float(total.mean())


def our_returns(seed: int) -> dict[str, float]:
    """Trains our DQN; returns what its slow average, which is kept, and its last network get, both greedy."""
    weights_seed, env_seed, draws_seed, evaluation_seed = separate_seeds(seed, 4)
    torch.manual_seed(weights_seed)
    env = cartpole(1)
    config = q_network_config(env, hidden_sizes=HIDDEN_SIZES)
    learner = make_learner(QNetworkModel(config), ARGUMENTS)
    buffer = ReplayBuffer(ARGUMENTS.buffer_size, env.single_observation_space.shape[0])
    train(learner, Collector(env, env_seed, buffer), NUM_STEPS, np.random.default_rng(draws_seed), stretch=NUM_STEPS)
    networks = {"averaged": learner.averaged, "last": learner.network}
    return {name: mean_return(greedy_policy(network), evaluation_seed) for name, network in networks.items()}


def sb3_return(seed: int) -> float:
    """Trains stable-baselines3's DQN; returns what its greedy policy gets."""
    agent = DQN(
        "MlpPolicy",
        gymnasium.make("CartPole-v1"),
        learning_rate=ARGUMENTS.learning_rate,
        buffer_size=ARGUMENTS.buffer_size,
        learning_starts=ARGUMENTS.learning_starts,
        batch_size=ARGUMENTS.batch_size,
        gamma=ARGUMENTS.discount,
        target_update_interval=10,
        train_freq=256,
        gradient_steps=128,
        exploration_fraction=0.16,
        exploration_final_eps=ARGUMENTS.exploration_final,
        policy_kwargs={"net_arch": HIDDEN_SIZES},
        device="cpu",
        seed=seed,
    )
    agent.learn(NUM_STEPS)
    return mean_return(
        lambda observations: agent.predict(observations, deterministic=True)[0], separate_seeds(seed, 4)[3]
    )


def summary(returns: list[float]) -> dict[str, object]:
    """Returns mean, standard error and the returns of all seeds."""
    error = np.std(returns, ddof=1) / len(returns) ** 0.5
    return {"mean": float(np.mean(returns)), "standard_error": float(error), "returns": returns}


def measure(full: bool, seed: int) -> Result:
    """Compares final greedy returns over 10 seeds, or 3."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seeds = range(seed, seed + (10 if full else 3))
        ours = [our_returns(each) for each in seeds]
        figure = {name: summary([returns[name] for returns in ours]) for name in ours[0]}
        baseline = summary([sb3_return(each) for each in seeds])
    finally:
        torch.set_num_threads(before)
    kept = figure["averaged"]
    error = np.hypot(kept["standard_error"], baseline["standard_error"])
    met = kept["mean"] >= baseline["mean"] - 2 * error
    goal = "mean return of stable-baselines3 less at most two standard errors of the difference"
    return Result(figure, goal, met, {"sb3": baseline}, kept["mean"] / baseline["mean"])
