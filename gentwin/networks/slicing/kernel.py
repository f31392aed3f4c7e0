"""The event-driven kernel of the slicing network: one call simulates one decision window of every copy.

Nothing is done for users without packets: arrivals come from a calendar queue, the users with a non-empty queue are
flags in two words per slice, packets carry their slot of birth instead of an age, and channels are drawn only for users
that are scheduled.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
from numba import njit

from gentwin.networks.draws import uniform
from gentwin.networks.slicing.bits import count_bits, first_users, last_user, lowest_bit, remove_user, words_from
from gentwin.networks.slicing.draws import FADING, FADING_QUADRATURE, standard_normal
from gentwin.networks.slicing.state import (
    ARRIVED,
    CHANNEL_DB,
    COMPLETED,
    CONNECTED,
    DELAY_BINS,
    DELAY_LEVELS,
    DELAY_P50_MS,
    DELIVERED,
    DROPPED,
    HEAD_OF_LINE_MS,
    QUEUED_BITS,
    SPECTRAL_EFFICIENCY,
    SSR,
    USED_RB,
)
from gentwin.networks.slicing.traffic import arrivals, begin_window, calendar_insert, place_static_users

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_LOG10 = math.log(10.0)


@njit(error_model="numpy", forceinline=True)
def fading_db(p, copy, user, slot):
    """Returns the fading of `user` in `slot`, dB."""
    u = uniform(copy.key, FADING, user, slot)
    if p.fading == 0:
        return p.fading_std_db * standard_normal(u)
    if p.fading == 1:
        return (10.0 / _LOG10) * math.log(-math.log(1.0 - u))
    # The complex gain is only advanced in slots where it matters; over a gap of n slots its correlation is rho**n.
    memory = 0.0
    if copy.users[user].fading_slot >= 0:
        memory = math.exp(p.log_correlation * (slot - copy.users[user].fading_slot))
    innovation = math.sqrt(0.5 * (1.0 - memory * memory))
    v = uniform(copy.key, FADING_QUADRATURE, user, slot)
    in_phase = memory * copy.users[user].in_phase + innovation * standard_normal(u)
    quadrature = memory * copy.users[user].quadrature + innovation * standard_normal(v)
    copy.users[user].in_phase = in_phase
    copy.users[user].quadrature = quadrature
    copy.users[user].fading_slot = slot
    return (10.0 / _LOG10) * math.log(in_phase * in_phase + quadrature * quadrature + 1e-30)


@njit(error_model="numpy", forceinline=True)
def log_one_plus_snr(p, snr_db):
    """Returns log(1 + SNR) in the base of the rate; from 40 dB on by its first-order series, exact to 1e-9."""
    natural = snr_db * (_LOG10 / 10.0)
    if snr_db < 40.0:
        natural = math.log1p(math.exp(natural))
    elif snr_db < 80.0:
        natural += math.exp(-natural)
    return min(natural / p.log_base, p.max_spectral_efficiency)


@njit(error_model="numpy", forceinline=True)
def pop_packet(p, copy, user, n):
    """Removes the first packet of `user`."""
    length = copy.users[user].queue_length - 1
    copy.users[user].queue_length = length
    if length == 0:
        copy.users[user].queue_first = 0
        remove_user(copy.active[n], user)
        return
    first = copy.users[user].queue_first + 1
    if first == p.queue_packets:
        first = 0
    copy.users[user].queue_first = first
    copy.users[user].head_bits = copy.users[user].queue[first].bits


@njit(error_model="numpy", forceinline=True)
def complete_packet(p, copy, user, n, slot, rate_bps, out, delays):
    """Accounts for the first packet of `user`, served to its end in `slot`, and removes it."""
    first = copy.users[user].queue_first
    bits = copy.users[user].queue[first].bits
    age = slot - copy.users[user].queue[first].birth + 1
    out[n, COMPLETED] += 1
    delays[n, min(age, DELAY_BINS - 1)] += 1
    achieved = rate_bps if age == 1 else bits / (age * p.slot_s)
    if age <= p.latency_slots[n] and achieved >= p.rate_sla_bps[n]:
        out[n, DELIVERED] += 1
        if p.count_delivered:
            out[n, SPECTRAL_EFFICIENCY] += bits
    pop_packet(p, copy, user, n)


@njit(error_model="numpy", forceinline=True)
def extra_block_users(low, high, active, pointer, remainder):
    """Chooses who gets one RB more: the published round robin with its pointer rule. Returns two words, new pointer.

    With enough active users beyond the pointer, the active ones among the next `remainder` indices are chosen (the rest
    of the remainder is lost); otherwise all beyond the pointer and the first ones from the start.
    """
    beyond_low, beyond_high = words_from(pointer + 1)
    beyond_low, beyond_high = beyond_low & low, beyond_high & high
    beyond = count_bits(beyond_low) + count_bits(beyond_high)
    if beyond >= remainder:
        from_low, from_high = words_from(pointer)
        end_low, end_high = words_from(pointer + remainder)
        chosen_low, chosen_high = low & from_low & ~end_low, high & from_high & ~end_high
        if (chosen_low | chosen_high) != _ZERO:
            pointer = last_user(chosen_low, chosen_high) + 1
        return chosen_low, chosen_high, pointer
    first_low, first_high = first_users(low, high, remainder - beyond)
    return first_low | beyond_low, first_high | beyond_high, last_user(first_low, first_high) + 1


@njit(error_model="numpy", forceinline=True)
def serve_index_window(p, copy, n, blocks, slot, block_db, out, delays):
    """Schedules and serves slice `n` in `slot` as the published environment does, its service rule included."""
    low, high = copy.active[n, 0], copy.active[n, 1]
    active = count_bits(low) + count_bits(high)
    share = blocks // active
    remainder = blocks - share * active
    extra_low, extra_high = _ZERO, _ZERO
    if remainder > 0:
        extra_low, extra_high, copy.pointer[n] = extra_block_users(low, high, active, copy.pointer[n], remainder)
    if share == 0:
        low, high = extra_low, extra_high
    for word_index in range(2):
        word, extra = (low, extra_low) if word_index == 0 else (high, extra_high)
        while word != _ZERO:
            bit = word & (~word + _ONE)
            user = lowest_bit(word) + 64 * word_index
            word ^= bit
            granted = share + (1 if extra & bit != _ZERO else 0)
            snr_db = copy.users[user].block_snr_db + fading_db(p, copy, user, slot) - block_db[granted]
            rate_bps = granted * p.block_hz * p.rate_factor * log_one_plus_snr(p, snr_db)
            out[n, USED_RB] += granted
            out[n, SPECTRAL_EFFICIENCY] += rate_bps
            left_bps = rate_bps
            while copy.users[user].queue_length > 0:
                capacity = left_bps * p.slot_s
                if copy.users[user].head_bits >= capacity:
                    copy.users[user].head_bits -= capacity
                    break
                # The published code takes the packet's bits off the rate, so the next packet sees almost all of it.
                left_bps -= copy.users[user].head_bits
                complete_packet(p, copy, user, n, slot, rate_bps, out, delays)
                if copy.users[user].blocked:
                    copy.users[user].blocked = False
                    copy.users[user].next_time = slot + 1
                    calendar_insert(copy, user)


@njit(error_model="numpy", forceinline=True)
def drop_late_packets(p, copy, user, n, slot, out, delays):
    """Drops the packets of `user` that could not be in time even if served now."""
    while copy.users[user].queue_length > 0:
        age = slot - copy.users[user].queue[copy.users[user].queue_first].birth + 1
        if age <= p.latency_slots[n]:
            return
        out[n, DROPPED] += 1
        delays[n, min(age - 1, DELAY_BINS - 1)] += 1
        pop_packet(p, copy, user, n)


@njit(error_model="numpy", forceinline=True)
def serve_work_conserving(p, copy, n, blocks, slot, out, delays):
    """Schedules and serves slice `n` in `slot`: round robin that passes on what a user does not need."""
    left = blocks
    start = copy.pointer[n]
    while left > 0 and (copy.active[n, 0] | copy.active[n, 1]) != _ZERO:
        waiting = count_bits(copy.active[n, 0]) + count_bits(copy.active[n, 1])
        for turn in range(2):  # users from the pointer on, then those before it
            from_low, from_high = words_from(start)
            if turn == 1:
                from_low, from_high = ~from_low, ~from_high
            for word_index in range(2):
                word = copy.active[n, word_index] & (from_low if word_index == 0 else from_high)
                while word != _ZERO and left > 0:
                    user = lowest_bit(word) + 64 * word_index
                    word ^= word & (~word + _ONE)
                    drop_late_packets(p, copy, user, n, slot, out, delays)
                    if copy.users[user].queue_length > 0:
                        if left == blocks:
                            copy.pointer[n] = user + 1
                        left -= serve_share(p, copy, user, n, (left + waiting - 1) // waiting, slot, out, delays)
                    waiting -= 1
    out[n, USED_RB] += blocks - left


@njit(error_model="numpy", forceinline=True)
def serve_share(p, copy, user, n, granted, slot, out, delays):
    """Serves `user` on up to `granted` RBs; returns how many it used."""
    snr_db = copy.users[user].block_snr_db + fading_db(p, copy, user, slot)
    block_bps = p.block_hz * p.rate_factor * log_one_plus_snr(p, snr_db)
    offered = granted * block_bps * p.slot_s
    left = offered
    while copy.users[user].queue_length > 0:
        if copy.users[user].head_bits > left:
            copy.users[user].head_bits -= left
            return granted
        left -= copy.users[user].head_bits
        complete_packet(p, copy, user, n, slot, granted * block_bps, out, delays)
    return min(granted, np.int64(math.ceil((offered - left) / (block_bps * p.slot_s))))


@njit(error_model="numpy", forceinline=True)
def clear_queues(p, copy, n, slot, out, delays):
    """Empties the queues of slice `n` at the end of a window; blocked sources go on in the next slot."""
    for user in range(p.num_users):
        if copy.users[user].slice != n:
            continue
        while copy.users[user].queue_length > 0:
            age = slot - copy.users[user].queue[copy.users[user].queue_first].birth
            out[n, DROPPED] += 1
            delays[n, min(age, DELAY_BINS - 1)] += 1
            pop_packet(p, copy, user, n)
        if copy.users[user].blocked:
            copy.users[user].blocked = False
            copy.users[user].next_time = slot
            calendar_insert(copy, user)


@njit(error_model="numpy", forceinline=True)
def report(p, copy, n, slot, out, delays):
    """Fills the outputs of slice `n` that describe the end of a window."""
    connected, snr_sum, queued, oldest = 0, 0.0, 0.0, slot
    for user in range(p.num_users):
        if copy.users[user].slice != n:
            continue
        connected += 1
        snr_sum += copy.users[user].block_snr_db
        length, first = copy.users[user].queue_length, copy.users[user].queue_first
        if length > 0:
            oldest = min(oldest, copy.users[user].queue[first].birth)
            queued += copy.users[user].head_bits
            for place in range(1, length):
                queued += copy.users[user].queue[(first + place) % p.queue_packets].bits
    if connected > 0:
        copy.channel_db[n] = snr_sum / connected
    out[n, CONNECTED] = connected
    out[n, CHANNEL_DB] = copy.channel_db[n]
    out[n, QUEUED_BITS] = queued
    out[n, HEAD_OF_LINE_MS] = (slot - oldest) * p.slot_s * 1e3
    settled = out[n, DELIVERED] + out[n, DROPPED] if p.work_conserving else out[n, ARRIVED]
    out[n, SSR] = out[n, DELIVERED] / settled if settled > 0 else 1.0
    seconds = p.slots_per_step * p.slot_s if p.count_delivered else p.slots_per_step
    out[n, SPECTRAL_EFFICIENCY] /= seconds * p.bandwidth_hz
    out[n, USED_RB] /= p.slots_per_step
    delay_percentiles(p, n, out, delays)


@njit(error_model="numpy", forceinline=True)
def delay_percentiles(p, n, out, delays):
    """Writes the delay percentiles of the packets that left; if none did, the head-of-line delay stands for them."""
    total = 0
    for age in range(DELAY_BINS):
        total += delays[n, age]
    for index in range(len(DELAY_LEVELS)):
        out[n, DELAY_P50_MS + index] = out[n, HEAD_OF_LINE_MS]
    cumulative, index = 0, 0
    for age in range(DELAY_BINS):
        cumulative += delays[n, age]
        while index < len(DELAY_LEVELS) and total > 0 and cumulative >= DELAY_LEVELS[index] * total:
            out[n, DELAY_P50_MS + index] = age * p.slot_s * 1e3
            index += 1


@njit(error_model="numpy", forceinline=True)
def simulate_window(p, copy, blocks, block_db, out):
    """Simulates one decision window of one copy; see `step_copies`."""
    num_slices = p.num_slices
    out[:] = 0.0
    delays = np.zeros((num_slices, DELAY_BINS), np.int32)
    if p.sessions:
        begin_window(p, copy, copy.slot // p.slots_per_step, False)
    else:
        for n in range(num_slices):
            copy.pointer[n] = 0
    for slot in range(copy.slot, copy.slot + p.slots_per_step):
        arrivals(p, copy, slot, out)
        for n in range(num_slices):
            if (copy.active[n, 0] | copy.active[n, 1]) == _ZERO or blocks[n] == 0:
                continue
            if p.work_conserving:
                serve_work_conserving(p, copy, n, blocks[n], slot, out, delays)
            else:
                serve_index_window(p, copy, n, blocks[n], slot, block_db, out, delays)
    copy.slot += p.slots_per_step
    for n in range(num_slices):
        if p.work_conserving:
            for user in range(p.first_user[n], p.first_user[n + 1]):
                drop_late_packets(p, copy, user, n, copy.slot, out, delays)
        else:
            clear_queues(p, copy, n, copy.slot, out, delays)
        report(p, copy, n, copy.slot, out, delays)


@njit(error_model="numpy", forceinline=True)
def start_copy(p, copy, key, placement_key):
    """Starts an empty copy with the given random keys."""
    copy.key = key
    copy.placement_key = placement_key
    if p.sessions:
        copy.slot = p.slots_per_step  # window 0 is the birth of the population
        begin_window(p, copy, 0, True)
    else:
        place_static_users(p, copy)
    for n in range(p.num_slices):
        total, count = 0.0, 0
        for user in range(p.num_users):
            if copy.users[user].slice == n:
                total += copy.users[user].block_snr_db
                count += 1
        if count > 0:
            copy.channel_db[n] = total / count
        else:  # nobody has been connected yet: the SNR at the median distance of a disc
            distance = p.cell_radius_m * math.sqrt(0.5)
            loss = p.path_loss_db + 10.0 * p.path_loss_exponent * math.log10(distance / p.path_loss_reference_m)
            copy.channel_db[n] = p.link_budget_db - loss


def _entry_points(sources):
    """Returns the two functions that are compiled for use from Python, cached on disk.

    The cache notices changes of this file and of captured values only. Capturing a checksum of the modules whose code
    is compiled in makes it notice theirs.
    """

    @njit(cache=True, nogil=True, error_model="numpy")
    def reset_copy(p, state, c, key, placement_key):
        """Starts copy `c` anew with the given random keys; the record of the copy must be in its empty state."""
        _ = sources
        start_copy(p, state[c], key, placement_key)

    @njit(cache=True, nogil=True, error_model="numpy")
    def step_copies(p, state, blocks, block_db, out):
        """Simulates one window of every copy.

        Args:
            p: Record of `state.PARAMETERS`.
            state: (C,) records of `state.COPY`, changed in place.
            blocks: (C, num_slices) int64, RBs of each slice.
            block_db: 10 log10 of 1, 2, … RBs, indexed by their number; zeros if the power is split among RBs.
            out: (C, num_slices, NUM_OUTPUTS) written in place.
        """
        _ = sources
        for c in range(blocks.shape[0]):
            simulate_window(p, state[c], blocks[c], block_db, out[c])

    return reset_copy, step_copies


_MODULES = ("../draws", "bits", "draws", "parameters", "state", "traffic")
reset_copy, step_copies = _entry_points(
    zlib.crc32(b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in _MODULES))
)
