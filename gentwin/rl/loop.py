"""The loop in which a learner acts in an environment and learns from what it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from gentwin.rl.collector import Collector
from gentwin.rl.evaluation import ELAPSED
from gentwin.rl.learner import QLearner

ROUNDING = 1e-9
Guard = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(repr=False)
class Progress:
    """What happened in a training.

    Args:
        steps: Interactions at the end of each stretch.
        rewards: Mean reward of each stretch.
        utilities: Mean utility of each stretch; empty if the environment knows none.
        losses: Mean loss of each stretch; NaN before the first update.
        elapsed_s: Mean time between decisions of each stretch, seconds; empty if the environment says none.
    """

    steps: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    utilities: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    elapsed_s: list[float] = field(default_factory=list)

    def __repr__(self) -> str:
        last = f", the last one ends at {self.steps[-1]}" if self.steps else ""
        return f"Progress({len(self.steps)} stretches{last})"


def train(
    learner: QLearner,
    collector: Collector,
    num_steps: int,
    rng: np.random.Generator,
    *,
    exploration: float | None = None,
    guard: Guard | None = None,
    learns: bool = True,
    updates_per_step: float | None = None,
    stretch: int = 200,
) -> Progress:
    """Acts and learns until the collector has made `num_steps` more interactions.

    All copies act at once; every transition earns `updates_per_step` updates, and what is left of one is kept for the
    next call. Nothing is learned before `learning_starts` transitions, at which the statistics of the network are set
    if they are not yet.

    Args:
        learner: Acts and learns.
        collector: The environment, the buffer and the count of interactions.
        num_steps: Interactions to make, over all copies.
        rng: Of exploration and of the draws from the buffer.
        exploration: Share of random actions, in place of the learner's schedule.
        guard: Maps observations, the actions meant and which episodes have just begun to the actions taken.
        learns: Whether there are updates at all.
        updates_per_step: In place of the learner's own.
        stretch: Interactions of one entry of the progress (200 is a round of Zhang et al.).

    Raises:
        ValueError: If `num_steps` is not positive.
    """
    if num_steps < 1:
        raise ValueError(f"`num_steps` must be at least 1, got {num_steps}.")
    arguments, buffer = learner.arguments, collector.buffer
    ratio = arguments.updates_per_step if updates_per_step is None else updates_per_step
    progress, last = Progress(), collector.num_steps + num_steps
    seen: dict[str, list[np.ndarray]] = {"reward": [], "utility": [], ELAPSED: []}
    losses, mark = [], collector.num_steps + stretch

    def policy(observations: np.ndarray, masks: np.ndarray | None = None) -> np.ndarray:
        share = arguments.exploration(collector.num_steps) if exploration is None else exploration
        share = share if learner.is_prepared else 1.0
        actions = learner.act(observations.reshape(len(observations), -1), share, rng, masks)
        return actions if guard is None else guard(observations, actions, collector.is_first)

    while collector.num_steps < last:
        before = collector.num_steps
        for name, values in collector.step(policy).items():
            seen[name].append(values)
        if learns and buffer.num_added >= arguments.learning_starts:
            if not learner.is_prepared:
                learner.prepare(buffer.whole())
            learner.owed_updates += (collector.num_steps - before) * ratio
            while learner.owed_updates >= 1 - ROUNDING:
                losses.append(learner.update(buffer.sample(arguments.batch_size, rng), rng)["loss"])
                learner.owed_updates -= 1
        if collector.num_steps >= min(mark, last):
            _note(progress, collector.num_steps, seen, losses)
            mark = collector.num_steps + stretch
    return progress


def _note(progress: Progress, steps: int, seen: dict[str, list[np.ndarray]], losses: list) -> None:
    progress.steps.append(steps)
    progress.rewards.append(float(np.concatenate(seen["reward"]).mean()))
    if seen["utility"]:
        progress.utilities.append(float(np.concatenate(seen["utility"]).mean()))
    if seen[ELAPSED]:
        progress.elapsed_s.append(float(np.concatenate(seen[ELAPSED]).mean()))
    progress.losses.append(float(np.mean([float(loss) for loss in losses])) if losses else float("nan"))
    for values in (*seen.values(), losses):
        values.clear()
