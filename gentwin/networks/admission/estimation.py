"""Rates of an admission network, estimated from recorded transitions: the dynamics of a twin of it.

What a request holds, what it is worth, capacities and places of queues are agreed with tenants and known. How often
requests come, how long services last and how long requests wait is not: these numbers are learned.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gentwin.networks.admission.network import admission_schema
from gentwin.networks.admission.parameters import AdmissionParameters

UNSEEN = 0.5  # events counted where there was none, so that no rate is 0
MOST_ITERATIONS = 50
LOG_PATIENCE = (-9.0, 16.0)  # where the logarithm of a mean patience in seconds is looked for
TOLERANCE_S = 1e-3  # recorded times are of single precision


def estimate_parameters(
    known: AdmissionParameters,
    states: np.ndarray,
    actions: np.ndarray,
    outcomes: np.ndarray,
    next_states: np.ndarray,
) -> AdmissionParameters:
    """Returns the parameters of a network with its rates estimated from transitions under any policy.

    Arrivals are taken to be Poisson, services exponential: estimates are those of maximum likelihood, by expectation
    and maximisation where the times of single events are not recorded. A slice that is never served on record is given
    the mean service time of the others. Patience is deterministic if one time-out for each slice explains every wait on
    record, else exponential, with as many time-outs expected as were recorded.

    Args:
        known: What is known for sure: slices, demand, prices, capacities, places of queues. Its rates have no effect.
        states: `(B, num_slices, num_state)`, fields as in the schema of the network.
        actions: `(B, num_slices, 1)`.
        outcomes: `(B, num_slices, num_outcome)`.
        next_states: As states.

    Raises:
        ValueError: If no time passes in the transitions, or a shape does not fit.
    """
    schema = admission_schema(known)
    for name, values, fields in (
        ("states", states, schema.state), ("actions", actions, schema.action), ("outcomes", outcomes, schema.outcome)
    ):  # fmt: skip
        expected = (len(states), known.num_slices, len(fields))
        if np.shape(values) != expected:
            raise ValueError(f"`{name}` must have shape {expected}, got {np.shape(values)}.")
    seen = {field.name: states[..., at].astype(np.float64) for at, field in enumerate(schema.state)}
    seen |= {field.name: outcomes[..., at].astype(np.float64) for at, field in enumerate(schema.outcome)}
    seen["admitted"] = actions[..., 0].astype(np.float64)
    names = [field.name for field in schema.state]
    seen["next_requesting"] = next_states[..., names.index("requesting")].astype(np.float64)
    elapsed_s = seen["elapsed_s"]
    if not elapsed_s.sum() > 0:
        raise ValueError("`outcomes` must hold transitions in which time passes, got none; record more of them.")
    seen["at_end"] = _last_events(seen)
    arrivals_per_s = np.maximum(seen["arrived"].sum(axis=0), UNSEEN) / elapsed_s.sum(axis=0)
    service_s = _mean_time(seen["in_service"] + seen["admitted"], seen["completed"], seen)
    patience, timeout_s = _patience(known, seen)
    slices = [
        dataclasses.replace(entry, arrivals_per_s=float(rate), service_s=float(service), timeout_s=float(timeout))
        for entry, rate, service, timeout in zip(known.slices, arrivals_per_s, service_s, timeout_s, strict=True)
    ]
    return known.replace(slices=tuple(slices), patience=patience)


def _last_events(seen: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the chance that a departure or a time-out was the last event of a transition, `(B, 1)`.

    A transition ends at an event: an arrival if a slice is requesting in the next state, else one of the departures and
    time-outs counted, each with the same chance.
    """
    events = (seen["completed"] + seen["timed_out"]).sum(axis=1, keepdims=True)
    ended = (seen["next_requesting"].sum(axis=1, keepdims=True) == 0) & (seen["elapsed_s"][:, :1] > 0)
    return np.where(ended, 1 / np.maximum(events, 1), 0.0)


def _mean_time(present: np.ndarray, ended: np.ndarray, seen: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the mean of exponential times of which some ended in each transition, `(num_slices,)`, by expectation
    and maximisation.

    Args:
        present: `(B, num_slices)` in progress when the transition began.
        ended: `(B, num_slices)` of these that ended in it.
        seen: Columns of the transitions.
    """
    elapsed_s = seen["elapsed_s"]
    last = ended * seen["at_end"]
    whole_s = (np.maximum(present - ended, 0) + last) * elapsed_s
    count = np.maximum(ended.sum(axis=0), UNSEEN)
    mean_s = (whole_s + (ended - last) * elapsed_s / 2).sum(axis=0) / count
    seen_at_all = mean_s > 0
    mean_s = np.where(seen_at_all, mean_s, mean_s[seen_at_all].mean() if seen_at_all.any() else elapsed_s.sum())
    for _ in range(MOST_ITERATIONS):
        # Mean of an exponential time that is known to be below t: m - t / (exp(t / m) - 1), t / 2 for short t.
        ratio = np.maximum(elapsed_s / mean_s, 1e-6)
        within_s = np.where(ratio > 1e-4, mean_s - elapsed_s / np.expm1(np.minimum(ratio, 700)), elapsed_s / 2)
        found_s = np.where(seen_at_all, (whole_s + (ended - last) * within_s).sum(axis=0) / count, mean_s)
        if np.allclose(found_s, mean_s, rtol=1e-9):
            break
        mean_s = found_s
    return mean_s


def _patience(known: AdmissionParameters, seen: dict[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """Returns the kind of patience and the time-out of each slice, `(num_slices,)`."""
    stays = (seen["queued"] > 0) & (seen["admitted"] == 0) & (seen["blocked"] == 0)
    age_s = seen["oldest_wait_s"] + seen["elapsed_s"]
    timed_out = seen["timed_out"] > 0
    # The oldest request has waited longer than this without a time-out, and no longer than that with one.
    longest_s = np.where(stays & ~timed_out, age_s, 0.0).max(axis=0)
    shortest_s = np.where(stays & timed_out, age_s, np.inf).min(axis=0)
    if (longest_s <= shortest_s + TOLERANCE_S).all():
        # Where nobody has timed out on record, the longest wait is all that is known; where nobody waits, nothing is.
        known_s = np.where(np.isfinite(shortest_s), (longest_s + shortest_s) / 2, longest_s)
        return "deterministic", np.where(known_s > 0, known_s, known_s.max() or seen["elapsed_s"].sum())
    places = np.array([entry.queue_places for entry in known.slices])
    left = seen["queued"] - seen["admitted"]
    waiting = np.minimum(left, places)
    turned_away = np.where(seen["elapsed_s"] > 0, left - waiting, 0)
    # Of those that come within the transition, the one that ends it and those turned away do not wait.
    came = np.maximum(seen["arrived"] - seen["next_requesting"] - (seen["blocked"] - turned_away), 0)
    return "exponential", _exponential_patience(waiting, came, seen["timed_out"], seen["elapsed_s"])


def _exponential_patience(
    waiting: np.ndarray, came: np.ndarray, timed_out: np.ndarray, elapsed_s: np.ndarray
) -> np.ndarray:
    """Returns the mean patience of each slice, under which as many time-outs are expected as there were.

    Who waits when a transition of length t begins has timed out in it with probability 1 - exp(-t / m), who comes at a
    random time within it with probability 1 - m / t (1 - exp(-t / m)). All arguments `(B, num_slices)`.
    """
    wanted = np.maximum(timed_out.sum(axis=0), UNSEEN)
    low, high = (np.full(waiting.shape[1], bound) for bound in LOG_PATIENCE)
    for _ in range(MOST_ITERATIONS):
        middle = (low + high) / 2
        ratio = np.maximum(elapsed_s / np.exp(middle), 1e-12)
        stays = -np.expm1(-ratio)
        expected = (waiting * stays + came * (1 - stays / ratio)).sum(axis=0)
        low, high = np.where(expected > wanted, middle, low), np.where(expected > wanted, high, middle)
    return np.exp((low + high) / 2)
