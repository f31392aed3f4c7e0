"""Compiled traffic sources and users of the slicing network: packets, sessions, movement."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gentwin.networks.draws import uniform
from gentwin.networks.slicing.bits import insert_user
from gentwin.networks.slicing.draws import (
    BURST,
    CATEGORY,
    MOBILITY,
    PACKET_SIZE,
    PLACEMENT_X,
    PLACEMENT_Y,
    READ_TIME,
    SESSION,
    standard_normal,
)
from gentwin.networks.slicing.state import ARRIVED, CALENDAR_SLOTS, DROPPED, LOMAX_SHAPE, WAIT_CELLS

MIN_DISTANCE_M = 10.0
PHASE_USER = 9000  # user numbers beyond the population name draws of the copy as a whole
BIRTH_USER = 8192
READ, PACKET, JOIN = 0, 1, 2  # columns of `draws`
ROOT_CELLS = 1024
INVERSE_SIXTH_ROOT = np.maximum(np.arange(ROOT_CELLS + 1) / ROOT_CELLS, 1e-300) ** (-1.0 / 6.0)


@njit(error_model="numpy", forceinline=True)
def calendar_insert(copy, user):
    """Enters `user` into the calendar slot of its next packet."""
    place = np.int64(copy.users[user].next_time) & (CALENDAR_SLOTS - 1)
    copy.users[user].next_user = copy.bucket[place]
    copy.bucket[place] = user


@njit(error_model="numpy", forceinline=True)
def calendar_remove(copy, user):
    """Takes `user` out of the calendar."""
    place = np.int64(copy.users[user].next_time) & (CALENDAR_SLOTS - 1)
    if copy.bucket[place] == user:
        copy.bucket[place] = copy.users[user].next_user
        return
    other = copy.bucket[place]
    while other >= 0:
        if copy.users[other].next_user == user:
            copy.users[other].next_user = copy.users[user].next_user
            return
        other = copy.users[other].next_user


@njit(error_model="numpy", forceinline=True)
def lomax(survival):
    """Returns the value that a Lomax variable of shape 1.2 = 6 / 5 and scale 1 exceeds with probability `survival`.

    That is `survival ** (-5 / 6) - 1`. The sixth root comes from a table and one Newton step, exact to 1e-9.
    """
    if survival < 1.0 / 16.0:
        return math.exp(math.log(survival) * (-1.0 / LOMAX_SHAPE)) - 1.0
    position = survival * ROOT_CELLS
    cell = np.int64(position)
    root = INVERSE_SIXTH_ROOT[cell] + (INVERSE_SIXTH_ROOT[cell + 1] - INVERSE_SIXTH_ROOT[cell]) * (position - cell)
    square = root * root
    root *= (7.0 - survival * square * square * square) * (1.0 / 6.0)
    square = root * root
    return root * square * square - 1.0


@njit(error_model="numpy", forceinline=True)
def draw_interarrival_ms(p, copy, user, n):
    """Draws the next time between packets of `user` of slice `n`, milliseconds."""
    index = copy.users[user].draws[READ]
    copy.users[user].draws[READ] += 1
    u = uniform(copy.key, READ_TIME, user, index)
    kind = p.interarrival[n]
    if kind == 0:
        return 2.0 * p.interarrival_ms[n] * u
    if kind == 1:
        if 1.0 - u <= p.interarrival_capped[n]:
            return p.interarrival_cap_ms[n]
        return p.interarrival_ms[n] * lomax(1.0 - u)
    if kind == 2:
        return -p.interarrival_ms[n] * math.log(1.0 - u)
    return p.interarrival_ms[n] * (0.9 + 0.2 * u)


@njit(error_model="numpy", forceinline=True)
def draw_wait_slots(p, copy, user, n):
    """Draws the next time between packets of a static source in whole slots, rounded up."""
    if p.interarrival[n] != 1:
        return np.int64(math.ceil(draw_interarrival_ms(p, copy, user, n) / (1e3 * p.slot_s)))
    # The few waits a capped Lomax source can draw are looked up: it is the busiest source, and powers are slow.
    index = copy.users[user].draws[READ]
    copy.users[user].draws[READ] += 1
    survival = 1.0 - uniform(copy.key, READ_TIME, user, index)
    wait = p.least_wait[n, np.int64(survival * WAIT_CELLS)]
    while survival <= p.wait_survival[n, wait]:
        wait += 1
    return wait


@njit(error_model="numpy", forceinline=True)
def draw_packet_bits(p, copy, user, n):
    """Draws the size of the next packet of `user` of slice `n`, bits."""
    index = copy.users[user].draws[PACKET]
    copy.users[user].draws[PACKET] += 1
    kind = p.packet_size[n]
    if kind == 0:
        return p.packet_bits[n, 0]
    u = uniform(copy.key, PACKET_SIZE, user, index)
    if kind == 1:
        if 1.0 - u <= p.packet_capped[n]:
            return p.packet_cap_bits[n]
        return p.packet_bits[n, 0] * lomax(1.0 - u)
    if kind == 2:
        return p.packet_bits[n, np.int64(p.num_packet_bits[n] * u)]
    spread = p.packet_log_std[n]
    return min(
        p.packet_bits[n, 0] * math.exp(spread * standard_normal(u) - 0.5 * spread * spread), p.packet_cap_bits[n]
    )


@njit(error_model="numpy", forceinline=True)
def enqueue(p, copy, user, n, slot):
    """Creates a packet of `user` in `slot`; the queue must have a free place."""
    bits = draw_packet_bits(p, copy, user, n)
    length = copy.users[user].queue_length
    place = copy.users[user].queue_first + length
    if place >= p.queue_packets:
        place -= p.queue_packets
    copy.users[user].queue[place].bits = bits
    copy.users[user].queue[place].birth = slot
    copy.users[user].queue_length = length + 1
    if length == 0:
        copy.users[user].head_bits = bits
        insert_user(copy.active[n], user)


@njit(error_model="numpy", forceinline=True)
def arrivals(p, copy, slot, out):
    """Creates the packets of `slot`. A static source with a full queue waits; a session's packet is lost."""
    place = slot & (CALENDAR_SLOTS - 1)
    user = copy.bucket[place]
    copy.bucket[place] = -1
    while user >= 0:
        following = copy.users[user].next_user
        n = copy.users[user].slice
        if copy.users[user].next_time >= slot + 1:
            calendar_insert(copy, user)  # a later round of the calendar
        elif p.sessions:
            while copy.users[user].next_time < slot + 1:
                out[n, ARRIVED] += 1
                if copy.users[user].queue_length < p.queue_packets:
                    enqueue(p, copy, user, n, slot)
                else:
                    out[n, DROPPED] += 1
                copy.users[user].next_time += session_interarrival_slots(p, copy, user, n)
            calendar_insert(copy, user)
        elif copy.users[user].queue_length < p.queue_packets:
            out[n, ARRIVED] += 1
            enqueue(p, copy, user, n, slot)
            copy.users[user].next_time = slot + draw_wait_slots(p, copy, user, n) + 1
            calendar_insert(copy, user)
        else:
            copy.users[user].blocked = True
        user = following


@njit(error_model="numpy", forceinline=True)
def session_interarrival_slots(p, copy, user, n):
    """Draws the next interarrival time of a session in slots, at its current rate factor."""
    spread = p.rate_log_std[n]
    factor = math.exp(copy.users[user].log_rate - 0.5 * spread * spread)
    return draw_interarrival_ms(p, copy, user, n) / (1e3 * p.slot_s * factor)


@njit(error_model="numpy", forceinline=True)
def update_channel(p, copy, user):
    """Recomputes the mean SNR of `user` on one RB from its position and shadowing."""
    distance = math.hypot(copy.users[user].x_m, copy.users[user].y_m)
    if p.sessions:
        distance = max(distance, MIN_DISTANCE_M)
    loss = p.path_loss_db + 10.0 * p.path_loss_exponent * math.log10(distance / p.path_loss_reference_m)
    copy.users[user].block_snr_db = p.link_budget_db - loss + copy.users[user].shadowing_db


@njit(error_model="numpy", forceinline=True)
def place_user(p, copy, user, index):
    """Draws the position of `user`, for its placement number `index`."""
    x = uniform(copy.placement_key, PLACEMENT_X, user, index)
    y = uniform(copy.placement_key, PLACEMENT_Y, user, index)
    if p.disc:
        radius = p.cell_radius_m * math.sqrt(x)
        copy.users[user].x_m = radius * math.cos(2.0 * math.pi * y)
        copy.users[user].y_m = radius * math.sin(2.0 * math.pi * y)
    else:
        copy.users[user].x_m = p.cell_radius_m * (2.0 * x - 1.0)
        copy.users[user].y_m = p.cell_radius_m * (2.0 * y - 1.0)


@njit(error_model="numpy", forceinline=True)
def place_static_users(p, copy):
    """Places the static population and starts its sources."""
    for user in range(p.num_users):
        place_user(p, copy, user, 0)
        u = uniform(copy.placement_key, CATEGORY, user, 0)
        n = 0
        while n < p.num_slices - 1 and u >= p.cumulative_share[n]:
            n += 1
        copy.users[user].slice = n
        update_channel(p, copy, user)
        copy.users[user].next_time = copy.slot + draw_wait_slots(p, copy, user, n)
        calendar_insert(copy, user)


@njit(error_model="numpy", forceinline=True)
def join(p, copy, user, n):
    """Starts a session of slice `n` at the place `user`."""
    index = copy.users[user].draws[JOIN]
    copy.users[user].draws[JOIN] += 1
    key = copy.key
    copy.users[user].slice = n
    place_user(p, copy, user, index)
    copy.users[user].heading = 2.0 * math.pi * uniform(key, MOBILITY, user, 4 * index)
    copy.users[user].shadowing_db = p.shadowing_std_db * standard_normal(uniform(key, MOBILITY, user, 4 * index + 1))
    copy.users[user].fading_slot = -1
    update_channel(p, copy, user)
    copy.users[user].sending = uniform(key, MOBILITY, user, 4 * index + 2) < p.active_share[n]
    copy.users[user].log_rate = p.rate_log_std[n] * standard_normal(uniform(key, MOBILITY, user, 4 * index + 3))
    if copy.users[user].sending:
        start_source(p, copy, user, n)


@njit(error_model="numpy", forceinline=True)
def start_source(p, copy, user, n):
    """Enters the first packet of an active phase into the calendar."""
    copy.users[user].next_time = copy.slot + session_interarrival_slots(p, copy, user, n)
    calendar_insert(copy, user)


@njit(error_model="numpy", forceinline=True)
def continue_session(p, copy, user, n, window):
    """Moves a connected user by one window: leaving, active phases, rate, position.

    A user that leaves stops its source at once and frees its place when its queue is empty.
    """
    key = copy.key
    if copy.users[user].leaving or uniform(key, SESSION, user, window) < p.leave_probability[n]:
        if copy.users[user].sending:
            calendar_remove(copy, user)
            copy.users[user].sending = False
        copy.users[user].leaving = copy.users[user].queue_length > 0
        if not copy.users[user].leaving:
            copy.users[user].slice = -1
        return
    memory = p.rate_correlation[n]
    innovation = p.rate_log_std[n] * math.sqrt(1.0 - memory * memory)
    copy.users[user].log_rate = memory * copy.users[user].log_rate + innovation * standard_normal(
        uniform(key, BURST, user, 4 * window)
    )
    u = uniform(key, BURST, user, 4 * window + 1)
    if copy.users[user].sending:
        if u < p.stop_probability[n]:
            copy.users[user].sending = False
            calendar_remove(copy, user)
    elif u < p.start_probability[n]:
        copy.users[user].sending = True
        start_source(p, copy, user, n)
    if p.step_m > 0.0:
        move(p, copy, user, window)


@njit(error_model="numpy", forceinline=True)
def move(p, copy, user, window):
    """Walks `user` for one window; at the edge of the cell it turns to a random inward direction."""
    copy.users[user].x_m += p.step_m * math.cos(copy.users[user].heading)
    copy.users[user].y_m += p.step_m * math.sin(copy.users[user].heading)
    if math.hypot(copy.users[user].x_m, copy.users[user].y_m) > p.cell_radius_m:
        inward = math.atan2(-copy.users[user].y_m, -copy.users[user].x_m)
        turn = uniform(copy.key, BURST, user, 4 * window + 2) - 0.5
        copy.users[user].heading = inward + math.pi * turn
    memory = p.shadowing_step
    innovation = p.shadowing_std_db * math.sqrt(1.0 - memory * memory)
    noise = standard_normal(uniform(copy.key, BURST, user, 4 * window + 3))
    copy.users[user].shadowing_db = memory * copy.users[user].shadowing_db + innovation * noise
    update_channel(p, copy, user)


@njit(error_model="numpy", forceinline=True)
def poisson(mean, u):
    """Returns the Poisson quantile of `u` by summing the probabilities."""
    probability = math.exp(-mean)
    cumulative = probability
    count = 0
    while u > cumulative and count < 128:
        count += 1
        probability *= mean / count
        cumulative += probability
    return count


@njit(error_model="numpy", forceinline=True)
def day_factor(p, copy, n, window):
    """Returns the session arrival rate of slice `n` relative to its mean; the day of a copy starts at random."""
    time = window / p.day_steps + copy.day_phase
    return 1.0 + p.daily_depth[n] * math.cos(2.0 * math.pi * (time - p.daily_peak[n]))


@njit(error_model="numpy", forceinline=True)
def begin_window(p, copy, window, first):
    """Updates the sessions at the start of a window; the `first` one fills the places with the mean population."""
    if first:
        copy.day_phase = uniform(copy.key, SESSION, PHASE_USER, 0)
    for n in range(p.num_slices):
        mean = (p.mean_sessions[n] if first else p.births_per_step[n]) * day_factor(p, copy, n, window)
        births = poisson(mean, uniform(copy.key, SESSION, BIRTH_USER + n, window))
        for user in range(p.first_user[n], p.first_user[n + 1]):
            if copy.users[user].slice >= 0:
                continue_session(p, copy, user, n, window)
            elif births > 0:
                births -= 1
                join(p, copy, user, n)
