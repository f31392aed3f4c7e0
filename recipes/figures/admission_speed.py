"""Events per second of the admission network on one core, beside the event-driven simulator.

An event is an arrival, a departure or a time-out. Every decision is taken in Python, on the states of all copies at
once, as an agent would; the policy's time is included. Seconds are those of the processor.
"""

from __future__ import annotations

import time

import gymnasium
import numpy as np

import gentwin.envs  # noqa: F401 (registers the environments)
from gentwin.networks.admission import AdmissionNetwork, AdmissionSimulator, admission_parameters
from gentwin.networks.admission.event_driven import BLOCKING
from gentwin.networks.admission.policies import Policy, fifo_greedy, revenue_greedy
from recipes.figures.result import Result

GOAL = 1_000_000
PARAMETERS = admission_parameters("busy")
EVENTS = ("arrived", "completed", "timed_out")


def batched_per_second(policy: Policy, num_copies: int, seconds: float, seed: int) -> dict[str, float]:
    """Returns events and decisions per second of a batch on one core."""
    network = AdmissionNetwork(PARAMETERS, num_copies, num_threads=1)
    network.reset(np.random.default_rng(seed).integers(2**64, size=num_copies, dtype=np.uint64))
    events, decisions, started = 0.0, 0, time.process_time()
    while (elapsed := time.process_time() - started) < seconds:
        network.step(policy(network.state_values()))
        events += sum(network.values(name).sum() for name in EVENTS)
        decisions += num_copies
    return {"events_per_s": events / elapsed, "decisions_per_s": decisions / elapsed}


def environment_per_second(num_envs: int, seconds: float, seed: int) -> float:
    """Returns decisions per second of the vector environment, taking the first action allowed."""
    env = gymnasium.make_vec("gentwin/SliceAdmission-v0", num_envs=num_envs, num_threads=1, episode_steps=None)
    _, info = env.reset(seed=seed)
    count, started = 0, time.process_time()
    while (elapsed := time.process_time() - started) < seconds:
        *_, info = env.step(info["action_mask"].argmax(axis=1))
        count += num_envs
    return count / elapsed


def simulator_per_second(seconds: float, seed: int) -> float:
    """Returns events per second of the event-driven simulator under the greedy policy."""
    simulator = AdmissionSimulator(PARAMETERS, seed)
    events, started = 0, time.process_time()
    while (elapsed := time.process_time() - started) < seconds:
        events += sum(event.kind != BLOCKING for event in simulator.step(simulator.greedy_action()))
    return events / elapsed


def measure(full: bool, seed: int) -> Result:
    """Measures two policies, and batches of several sizes."""
    seconds = 10.0 if full else 2.0
    greedy, by_revenue = fifo_greedy(PARAMETERS), revenue_greedy(PARAMETERS)
    batched_per_second(greedy, 2, 0.1, seed)  # compiles
    figure = {
        "greedy": batched_per_second(greedy, 4096, seconds, seed),
        "greedy_by_revenue": batched_per_second(by_revenue, 4096, seconds, seed),
        "events_per_s_of_256_copies": batched_per_second(greedy, 256, seconds, seed)["events_per_s"],
        "environment_decisions_per_s": environment_per_second(4096, seconds, seed),
    }
    baseline = simulator_per_second(seconds, seed)
    slowest = min(figure["greedy"]["events_per_s"], figure["greedy_by_revenue"]["events_per_s"])
    goal = f">= {GOAL} events/s on one core, 4096 copies, decisions in Python included"
    return Result(figure, goal, slowest >= GOAL, {"event_driven_events_per_s": baseline}, slowest / baseline)
