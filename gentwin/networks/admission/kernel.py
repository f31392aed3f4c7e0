"""The compiled kernel of the admission network: one call takes one decision in every copy and goes on to the next.

Services in progress are a binary heap by the time they end; a queue is an array by age with the place of the request
that expires next beside it. An event costs the comparison of a few times and a few moves in these.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

from numba import njit

from gentwin.networks.admission.draws import INTERARRIVAL, PATIENCE, SERVICE, exponential
from gentwin.networks.admission.state import (
    ADMITTED,
    ARRIVED,
    BLOCKED,
    COMPLETED,
    FREE,
    IN_SERVICE,
    OLDEST_WAIT_S,
    QUEUED,
    REQUESTING,
    TIMED_OUT,
    USED,
)

_NEVER = math.inf


# ---------------------------------------------------------------- services in progress


@njit(error_model="numpy")
def start_service(copy, n, ends_s):
    """Enters a service of slice `n` into the heap."""
    place = copy.num_services
    copy.num_services += 1
    while place > 0:
        parent = (place - 1) // 2
        if copy.services[parent].ends_s <= ends_s:
            break
        copy.services[place].ends_s = copy.services[parent].ends_s
        copy.services[place].slice = copy.services[parent].slice
        place = parent
    copy.services[place].ends_s = ends_s
    copy.services[place].slice = n


@njit(error_model="numpy")
def end_service(copy):
    """Takes the service that ends first out of the heap and returns its slice."""
    n = copy.services[0].slice
    copy.num_services -= 1
    last = copy.num_services
    ends_s, of = copy.services[last].ends_s, copy.services[last].slice
    place = 0
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and copy.services[child + 1].ends_s < copy.services[child].ends_s:
            child += 1
        if ends_s <= copy.services[child].ends_s:
            break
        copy.services[place].ends_s = copy.services[child].ends_s
        copy.services[place].slice = copy.services[child].slice
        place = child
    copy.services[place].ends_s = ends_s
    copy.services[place].slice = of
    return n


# ---------------------------------------------------------------- queues


@njit(error_model="numpy")
def find_expiring(p, copy, n):
    """Notes which request in the queue of slice `n` expires next."""
    copy.next_expiry_s[n] = _NEVER
    # With equal patience for all it is the oldest.
    places = copy.queued[n] if p.exponential_patience else min(copy.queued[n], 1)
    for place in range(places):
        if copy.queue[n, place].expires_s < copy.next_expiry_s[n]:
            copy.next_expiry_s[n] = copy.queue[n, place].expires_s
            copy.expiring[n] = place


@njit(error_model="numpy")
def enqueue(p, copy, n):
    """Puts the request that arrives now at the end of the queue of slice `n`."""
    number = copy.num_requests[n]
    copy.num_requests[n] += 1
    patience_s = p.timeout_s[n]
    if p.exponential_patience:
        patience_s = exponential(copy.key, PATIENCE, n, number, patience_s)
    place = copy.queued[n]
    copy.queued[n] += 1
    copy.queue[n, place].arrived_s = copy.time_s
    copy.queue[n, place].expires_s = copy.time_s + patience_s
    copy.queue[n, place].number = number
    if copy.time_s + patience_s < copy.next_expiry_s[n]:
        copy.next_expiry_s[n] = copy.time_s + patience_s
        copy.expiring[n] = place


@njit(error_model="numpy")
def leave_queue(p, copy, n, place):
    """Removes the request at `place` from the queue of slice `n`."""
    copy.queued[n] -= 1
    for follower in range(place, copy.queued[n]):
        copy.queue[n, follower].arrived_s = copy.queue[n, follower + 1].arrived_s
        copy.queue[n, follower].expires_s = copy.queue[n, follower + 1].expires_s
        copy.queue[n, follower].number = copy.queue[n, follower + 1].number
    find_expiring(p, copy, n)


@njit(error_model="numpy")
def turn_away(p, copy, slices):
    """Ends a round of decisions: a request that has come to a full queue and was not admitted is lost."""
    for n in range(p.num_slices):
        if copy.queued[n] > p.queue_places[n]:
            leave_queue(p, copy, n, copy.queued[n] - 1)
            slices[n, BLOCKED] += 1


# ---------------------------------------------------------------- decisions


@njit(error_model="numpy")
def may_admit(p, copy, n):
    """Tells whether a request of slice `n` waits and fits."""
    if copy.queued[n] == 0:
        return False
    for r in range(p.num_resources):  # noqa: SIM110 (compiled code has no generators)
        if p.demand[n, r] > copy.free[r]:
            return False
    return True


@njit(error_model="numpy")
def has_choice(p, copy):
    """Tells whether any request may be admitted."""
    for n in range(p.num_slices):  # noqa: SIM110 (compiled code has no generators)
        if may_admit(p, copy, n):
            return True
    return False


@njit(error_model="numpy")
def admit(p, copy, n, slices):
    """Admits the oldest request of slice `n`."""
    service_s = exponential(copy.key, SERVICE, n, copy.queue[n, 0].number, p.service_s[n])
    leave_queue(p, copy, n, 0)
    start_service(copy, n, copy.time_s + service_s)
    copy.in_service[n] += 1
    for r in range(p.num_resources):
        copy.free[r] -= p.demand[n, r]
    slices[n, ADMITTED] += 1


@njit(error_model="numpy")
def oldest_that_fits(p, copy):
    """Returns the slice of the longest waiting request that fits, -1 if there is none: the greedy policy."""
    found, oldest_s = -1, _NEVER
    for n in range(p.num_slices):
        if may_admit(p, copy, n) and copy.queue[n, 0].arrived_s < oldest_s:
            found, oldest_s = n, copy.queue[n, 0].arrived_s
    return found


# ---------------------------------------------------------------- events


@njit(error_model="numpy")
def next_event(p, copy):
    """Returns time, kind and slice of the next event; of equal times, a departure comes before a time-out before an
    arrival."""
    time_s, kind, of = _NEVER, COMPLETED, 0
    if copy.num_services > 0:
        time_s = copy.services[0].ends_s
    for n in range(p.num_slices):
        if copy.next_expiry_s[n] < time_s:
            time_s, kind, of = copy.next_expiry_s[n], TIMED_OUT, n
    for n in range(p.num_slices):
        if copy.next_arrival_s[n] < time_s:
            time_s, kind, of = copy.next_arrival_s[n], ARRIVED, n
    return time_s, kind, of


@njit(error_model="numpy")
def pass_event(p, copy, slices, resources):
    """Lets time pass until the next event, and lets it happen."""
    time_s, kind, n = next_event(p, copy)
    for r in range(p.num_resources):
        resources[r, USED] += (p.capacity[r] - copy.free[r]) * (time_s - copy.time_s)
    copy.time_s = time_s
    copy.requesting = -1
    if kind == COMPLETED:
        n = end_service(copy)
        copy.in_service[n] -= 1
        for r in range(p.num_resources):
            copy.free[r] += p.demand[n, r]
    elif kind == TIMED_OUT:
        leave_queue(p, copy, n, copy.expiring[n])
    else:
        copy.requesting = n
        enqueue(p, copy, n)
        gap_s = exponential(copy.key, INTERARRIVAL, n, copy.num_requests[n], p.interarrival_s[n])
        copy.next_arrival_s[n] = time_s + gap_s
    slices[n, kind] += 1


@njit(error_model="numpy")
def pass_events(p, copy, slices, resources):
    """Ends the round of decisions and goes on to the next event after which there is a choice."""
    while True:
        turn_away(p, copy, slices)
        pass_event(p, copy, slices, resources)
        if has_choice(p, copy):
            return


@njit(error_model="numpy")
def decide(p, copy, action, slices, resources):
    """Takes one decision and goes on to the next."""
    if action < p.num_slices:
        admit(p, copy, action, slices)
        if has_choice(p, copy):
            return
    pass_events(p, copy, slices, resources)


@njit(error_model="numpy")
def report(p, copy, since_s, slices, resources, mask):
    """Fills the outputs that describe the state at a decision."""
    elapsed_s = copy.time_s - since_s
    for r in range(p.num_resources):
        resources[r, FREE] = copy.free[r]
        resources[r, USED] = resources[r, USED] / elapsed_s if elapsed_s > 0.0 else p.capacity[r] - copy.free[r]
    for n in range(p.num_slices):
        slices[n, QUEUED] = copy.queued[n]
        slices[n, OLDEST_WAIT_S] = copy.time_s - copy.queue[n, 0].arrived_s if copy.queued[n] > 0 else 0.0
        slices[n, REQUESTING] = 1.0 if copy.requesting == n else 0.0
        slices[n, IN_SERVICE] = copy.in_service[n]
        mask[n] = may_admit(p, copy, n)
    mask[p.num_slices] = 1
    return elapsed_s


@njit(error_model="numpy")
def start_copy(p, copy, key, slices, resources):
    """Starts an empty copy with a random key, warms it up, and goes on to its first decision."""
    copy.key = key
    copy.requesting = -1
    for r in range(p.num_resources):
        copy.free[r] = p.capacity[r]
    for n in range(p.num_slices):
        copy.next_expiry_s[n] = _NEVER
        copy.next_arrival_s[n] = exponential(key, INTERARRIVAL, n, 0, p.interarrival_s[n])
    pass_events(p, copy, slices, resources)
    while copy.time_s < p.warmup_s:
        decide(p, copy, oldest_that_fits(p, copy), slices, resources)


def _entry_points(sources):
    """Returns the two functions that are compiled for use from Python, cached on disk.

    The cache notices changes of this file and of captured values only. Capturing a checksum of the modules whose code
    is compiled in makes it notice theirs.
    """

    @njit(cache=True, nogil=True, error_model="numpy")
    def reset_copies(p, state, keys, slices, resources, masks):
        """Starts all copies; their records must be zero."""
        _ = sources
        for c in range(keys.shape[0]):
            start_copy(p, state[c], keys[c], slices[c], resources[c])
            slices[c] = 0.0
            resources[c] = 0.0
            report(p, state[c], state[c].time_s, slices[c], resources[c], masks[c])

    @njit(cache=True, nogil=True, error_model="numpy")
    def step_copies(p, state, actions, slices, resources, masks, elapsed_s):
        """Takes one decision in every copy and goes on to the next.

        Args:
            p: Record of `state.PARAMETERS`.
            state: (C,) records of `state.COPY`, changed in place.
            actions: (C,) int64: a slice whose oldest request is admitted, or `num_slices` for none.
            slices: (C, num_slices, NUM_SLICE_OUTPUTS) written in place.
            resources: (C, num_resources, NUM_RESOURCE_OUTPUTS) written in place.
            masks: (C, num_slices + 1) int8 written in place: 1 where an action is allowed at the next decision.
            elapsed_s: (C,) written in place.
        """
        _ = sources
        for c in range(actions.shape[0]):
            slices[c] = 0.0
            resources[c] = 0.0
            since_s = state[c].time_s
            decide(p, state[c], actions[c], slices[c], resources[c])
            elapsed_s[c] = report(p, state[c], since_s, slices[c], resources[c], masks[c])

    return reset_copies, step_copies


_MODULES = ("../draws", "draws", "parameters", "state")
reset_copies, step_copies = _entry_points(
    zlib.crc32(b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in _MODULES))
)
