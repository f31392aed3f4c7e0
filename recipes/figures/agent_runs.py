"""Runs of the compared agents, cached by setting and seed, two at a time."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from gentwin.models import QNetworkModel
from gentwin.rl import (
    Collector,
    Evaluation,
    QLearner,
    ReplayBuffer,
    TwinEnhancedTrainer,
    evaluate,
    greedy_policy,
    q_network_config,
    train,
)
from gentwin.rl.anchors import ANCHORS, anchor_utilities
from recipes.figures.agent_settings import Setting

__all__ = ["ANCHORS", "ARMS", "anchors", "curves", "judge"]
CACHE = Path(__file__).parents[2] / "outputs" / "agent_runs"
EVALUATION_SEED = 999_000
SEED_DISTANCE = 1000  # copy `i` of an environment has seed `seed + i`


def judge(setting: Setting, policy: Any, seed: int) -> Evaluation:
    """Returns how good a policy is on fresh episodes; every policy of one seed meets the same ones."""
    env = setting.make_env(setting.evaluation_copies, seed)
    return evaluate(policy, env, setting.evaluation_steps, EVALUATION_SEED)


def run_with_twin(setting: Setting, seed: int) -> dict[str, list]:
    """Trains the agent with a twin; returns real steps, utilities and updates after every round."""
    env, start = setting.make_env(setting.num_envs, seed), SEED_DISTANCE * (seed + 1)
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    trainer = TwinEnhancedTrainer(env, config, setting.learning, setting.enhanced, start)
    curve: dict[str, list] = {"steps": [], "utility": [], "updates": [], "acting": []}
    for _ in range(setting.rounds):
        done = trainer.round()
        curve["steps"].append(done.real_steps)
        curve["updates"].append(done.num_updates)
        curve["acting"].append(done.acting.rewards[-1])
        curve["utility"].append(judge(setting, greedy_policy(trainer.agent.network), seed).mean)
    return curve


def run_without_twin(setting: Setting, seed: int) -> dict[str, list]:
    """Trains the same agent with as many updates, spread over `plain_steps` interactions."""
    env, start = setting.make_env(setting.num_envs, seed), SEED_DISTANCE * (seed + 1)
    config = q_network_config(env, setting.head, hidden_sizes=setting.hidden_sizes)
    with torch.random.fork_rng():
        torch.manual_seed(start)
        learning = dataclasses.replace(
            setting.learning,
            updates_per_step=setting.num_updates / (setting.plain_steps - setting.plain_starts),
            learning_starts=setting.plain_starts,
            **setting.plain_learning,
        )
        learner = QLearner(QNetworkModel(config), learning)
    collector = Collector(env, start, ReplayBuffer(learning.buffer_size, len(config.observation_fields)))
    rng = np.random.default_rng(start)
    curve: dict[str, list] = {"steps": [], "utility": [], "updates": [], "acting": []}
    while collector.num_steps < setting.plain_steps:
        progress = train(learner, collector, setting.plain_stretch, rng)
        curve["steps"].append(collector.num_steps)
        curve["updates"].append(learner.num_updates)
        curve["acting"].append(float(np.mean(progress.rewards)))
        curve["utility"].append(judge(setting, greedy_policy(learner.network), seed).mean)
    return curve


def anchors(setting: Setting, seed: int) -> dict[str, float]:
    """Returns the utilities of the policies without deep learning on the episodes of `judge`, cached like runs."""
    path = _folder(setting, "anchors") / (f"{seed}.json" if setting.fixed_placement else "all.json")
    if not path.exists():
        env = setting.make_env(setting.evaluation_copies, seed)
        found = anchor_utilities(env, setting.evaluation_steps, EVALUATION_SEED, search_steps=40)
        path.write_text(json.dumps({name: entry.mean for name, entry in found.items()}))
    return json.loads(path.read_text())


ARMS = {"with_twin": run_with_twin, "without_twin": run_without_twin}


def curves(setting: Setting, arm: str, seeds: list[int], workers: int = 2) -> list[dict[str, list]]:
    """Returns the curves of an arm for every seed; what was run before with the same setting is read, not run again."""
    folder = _folder(setting, arm)
    missing = [seed for seed in seeds if not (folder / f"{seed}.json").exists()]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        jobs = [pool.submit(_run, setting, arm, seed, folder) for seed in missing]
        for job in tqdm(jobs, desc=f"{setting.network['preset']} {arm}", unit="run", disable=not jobs):
            job.result()
    return [json.loads((folder / f"{seed}.json").read_text()) for seed in seeds]


def _folder(setting: Setting, what: str) -> Path:
    parts = dataclasses.asdict(setting)
    if what == "anchors":  # which do not depend on agents
        parts = {name: parts[name] for name in ("network", "fixed_placement", "evaluation_copies", "evaluation_steps")}
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    folder = CACHE / f"{setting.network['preset']}-{what}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(setting: Setting, arm: str, seed: int, folder: Path) -> None:
    torch.set_num_threads(1)
    curve = ARMS[arm](setting, seed)
    (folder / f"{seed}.json").write_text(json.dumps(curve))
