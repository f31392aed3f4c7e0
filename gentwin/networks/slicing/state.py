"""Arrays behind the slicing network: numeric parameters of the kernel, and the state of a network copy.

Both are records of fixed layout: the compiled kernel takes them by address, which for many small arrays it could not.
"""

from __future__ import annotations

import math

import numpy as np

from gentwin.networks.slicing.parameters import (
    MAX_PACKET_SIZES,
    MAX_QUEUE_PACKETS,
    MAX_SLICES,
    MAX_USERS,
    MAX_WAITS,
    SliceParameters,
    SlicingParameters,
)

DELAY_BINS = 1024  # delays are counted in slots; longer ones share the last bin
CALENDAR_SLOTS = 512  # slots ahead that the arrival calendar distinguishes; a power of two
DELAY_LEVELS = (0.5, 0.95, 0.99)
NOISE_DBM_PER_HZ = -174.0
LOMAX_SHAPE = 1.2
WAIT_CELLS = 256
HALF_CORRELATION = 1.5211  # J0(1.5211) = 1 / 2

INTERARRIVALS = ("uniform", "lomax", "exponential", "periodic")
PACKET_SIZES = ("constant", "lomax", "choice", "lognormal")
FADINGS = ("lognormal", "rayleigh", "rayleigh_doppler")

# Columns of the per-slice outputs of a window.
ARRIVED, DELIVERED, DROPPED, COMPLETED, SSR, SPECTRAL_EFFICIENCY, QUEUED_BITS, HEAD_OF_LINE_MS, CHANNEL_DB, USED_RB = (
    range(10)
)
DELAY_P50_MS, DELAY_P95_MS, DELAY_P99_MS, CONNECTED = 10, 11, 12, 13
NUM_OUTPUTS = 14


_F, _I = np.float64, np.int64
_PER_SLICE = (MAX_SLICES,)

PARAMETERS = np.dtype(
    [
        ("num_slices", _I),
        ("num_users", _I),
        ("slots_per_step", _I),
        ("slot_s", _F),
        ("bandwidth_hz", _F),
        ("block_hz", _F),
        ("queue_packets", _I),
        ("sessions", np.bool_),
        ("work_conserving", np.bool_),
        ("count_delivered", np.bool_),
        ("disc", np.bool_),
        ("fading", _I),
        ("fading_std_db", _F),
        ("log_correlation", _F),  # logarithm of the correlation of the complex channel gain over one slot
        ("cell_radius_m", _F),
        ("path_loss_db", _F),
        ("path_loss_exponent", _F),
        ("path_loss_reference_m", _F),
        ("shadowing_std_db", _F),
        ("shadowing_step", _F),  # correlation over one window
        ("step_m", _F),  # distance walked in one window
        ("link_budget_db", _F),  # power + gains - noise of one RB: all but the path loss
        ("rate_factor", _F),
        ("log_base", _F),
        ("max_spectral_efficiency", _F),
        ("day_steps", _F),
        ("cumulative_share", _F, _PER_SLICE),
        ("first_user", _I, (MAX_SLICES + 1,)),  # user places of the slices with sessions
        ("interarrival", _I, _PER_SLICE),
        ("interarrival_ms", _F, _PER_SLICE),
        ("interarrival_cap_ms", _F, _PER_SLICE),
        ("interarrival_capped", _F, _PER_SLICE),  # probability of a draw at the cap
        ("wait_survival", _F, (MAX_SLICES, MAX_WAITS)),  # probability of a wait of more than n slots
        ("least_wait", _I, (MAX_SLICES, WAIT_CELLS)),  # least wait in each cell of the survival probability
        ("packet_size", _I, _PER_SLICE),
        ("packet_bits", _F, (MAX_SLICES, MAX_PACKET_SIZES)),
        ("num_packet_bits", _I, _PER_SLICE),
        ("packet_cap_bits", _F, _PER_SLICE),
        ("packet_capped", _F, _PER_SLICE),
        ("packet_log_std", _F, _PER_SLICE),
        ("rate_sla_bps", _F, _PER_SLICE),
        ("latency_slots", _I, _PER_SLICE),  # largest age in slots that is still in time
        ("mean_sessions", _F, _PER_SLICE),
        ("leave_probability", _F, _PER_SLICE),  # per window, as the next three
        ("births_per_step", _F, _PER_SLICE),
        ("stop_probability", _F, _PER_SLICE),
        ("start_probability", _F, _PER_SLICE),
        ("active_share", _F, _PER_SLICE),
        ("daily_depth", _F, _PER_SLICE),
        ("daily_peak", _F, _PER_SLICE),
        ("rate_log_std", _F, _PER_SLICE),
        ("rate_correlation", _F, _PER_SLICE),
    ]
)
"""The numbers of `SlicingParameters` in the form the compiled kernel reads."""

PACKET = np.dtype([("bits", _F), ("birth", _I)])
"""A queued packet: its original size and the slot of its arrival."""

USER = np.dtype(
    [  # what every packet touches comes first and fits two cache lines
        ("slice", np.int32),  # -1 for an empty place
        ("next_user", np.int32),  # next user in the same calendar slot, -1 for none
        ("queue_first", np.int32),
        ("queue_length", np.int32),
        ("head_bits", _F),  # bits left of the first packet
        ("block_snr_db", _F),  # mean SNR on one RB
        ("next_time", _F),  # time of the next packet in slots
        ("draws", _I, (3,)),  # draws made so far: read times, packets, sessions
        ("queue", PACKET, (MAX_QUEUE_PACKETS,)),
        ("sending", np.bool_),  # whether the source is in an active phase
        ("leaving", np.bool_),  # whether the session has ended but its queue has not
        ("blocked", np.bool_),  # whether the source waits for a queue place
        ("fading_slot", _I),  # slot of the channel gain, -1 for none
        ("in_phase", _F),  # complex channel gain
        ("quadrature", _F),
        ("log_rate", _F),  # slowly varying rate factor, logarithm
        ("x_m", _F),
        ("y_m", _F),
        ("heading", _F),  # radians
        ("shadowing_db", _F),
    ],
    align=True,
)
"""One user, or one place for a user."""

COPY = np.dtype(
    [
        ("key", np.uint64),  # random generator
        ("placement_key", np.uint64),  # random generator of positions and categories
        ("slot", _I),  # absolute slot number
        ("day_phase", _F),  # share of the day at slot 0
        ("active", np.uint64, (MAX_SLICES, 2)),  # flags of the users with a non-empty queue
        ("pointer", _I, _PER_SLICE),  # of the round robin
        ("channel_db", _F, _PER_SLICE),  # mean SNR last reported
        ("bucket", np.int32, (CALENDAR_SLOTS,)),  # first user of each calendar slot, -1 for none
        ("users", USER, (MAX_USERS,)),
    ],
    align=True,
)
"""One copy of the network. Its layout is the same for all parameters, so that the kernel is compiled once."""


def kernel_parameters(parameters: SlicingParameters) -> np.ndarray:
    """Translates `parameters` into the numbers of the compiled kernel."""
    p, slices = parameters, parameters.slices

    def column(name: str) -> np.ndarray:
        return np.array([getattr(entry, name) for entry in slices], dtype=np.float64)

    step_s = p.step_ms / 1e3
    shares = column("user_share") / column("user_share").sum()
    places = np.maximum(np.floor(shares * p.num_users).astype(np.int64), 1)
    places[-1] += p.num_users - places.sum()
    packet_bits = np.zeros((len(slices), MAX_PACKET_SIZES))
    for index, entry in enumerate(slices):
        packet_bits[index, : len(entry.packet_bits)] = entry.packet_bits
    latency_slots = np.floor(column("latency_sla_ms") / p.slot_ms + 1e-9).astype(np.int64)
    on, off = column("burst_on_s"), column("burst_off_s")
    bursty = on > 0
    power_dbm = p.transmit_power_dbm
    if p.power_split:
        power_dbm -= 10 * math.log10(p.bandwidth_hz / p.resource_block_hz)
    noise_dbm = NOISE_DBM_PER_HZ + 10 * math.log10(p.resource_block_hz)
    link_budget_db = power_dbm + p.receive_gain_db - noise_dbm
    session_steps = column("session_s") / step_s
    survival = np.stack([wait_survival(entry, p.slot_ms) for entry in slices])
    values = dict(
        num_slices=p.num_slices,
        num_users=p.num_users,
        slots_per_step=p.slots_per_step,
        slot_s=p.slot_ms / 1e3,
        bandwidth_hz=float(p.bandwidth_hz),
        block_hz=float(p.resource_block_hz),
        queue_packets=p.queue_packets,
        sessions=p.population == "sessions",
        work_conserving=p.scheduler == "work_conserving",
        fading=FADINGS.index(p.fading),
        fading_std_db=float(p.fading_std_db),
        log_correlation=log_correlation(p),
        disc=p.placement == "disc",
        cell_radius_m=float(p.cell_radius_m),
        path_loss_db=float(p.path_loss_db),
        path_loss_exponent=float(p.path_loss_exponent),
        path_loss_reference_m=float(p.path_loss_reference_m),
        shadowing_std_db=float(p.shadowing_std_db),
        shadowing_step=math.exp(-p.speed_mps * step_s / p.shadowing_distance_m),
        step_m=p.speed_mps * step_s,
        link_budget_db=link_budget_db,
        rate_factor=float(p.rate_factor),
        log_base=math.log(p.rate_logarithm),
        max_spectral_efficiency=float(p.max_spectral_efficiency),
        count_delivered=p.spectral_efficiency == "delivered",
        day_steps=p.day_s / step_s,
        cumulative_share=np.cumsum(shares),
        first_user=np.concatenate([[0], np.cumsum(places)]).astype(np.int64),
        interarrival=np.array([INTERARRIVALS.index(entry.interarrival) for entry in slices]),
        interarrival_ms=column("interarrival_ms"),
        interarrival_cap_ms=column("interarrival_cap_ms"),
        interarrival_capped=lomax_survival(column("interarrival_cap_ms") / column("interarrival_ms")),
        wait_survival=survival,
        least_wait=np.stack([least_wait(row) for row in survival]),
        packet_size=np.array([PACKET_SIZES.index(entry.packet_size) for entry in slices]),
        packet_bits=packet_bits,
        num_packet_bits=np.array([len(entry.packet_bits) for entry in slices]),
        packet_cap_bits=column("packet_cap_bits"),
        packet_capped=lomax_survival(column("packet_cap_bits") / packet_bits[:, 0]),
        packet_log_std=column("packet_log_std"),
        rate_sla_bps=column("rate_sla_mbps") * 1e6,
        latency_slots=latency_slots,
        mean_sessions=column("mean_sessions"),
        leave_probability=-np.expm1(-1 / session_steps),
        births_per_step=column("mean_sessions") / session_steps,
        daily_depth=column("daily_depth"),
        daily_peak=column("daily_peak"),
        stop_probability=np.where(bursty, -np.expm1(-step_s / np.where(bursty, on, 1.0)), 0.0),
        start_probability=np.where(bursty, -np.expm1(-step_s / np.where(bursty, off, 1.0)), 1.0),
        active_share=np.where(bursty, on / np.where(bursty, on + off, 1.0), 1.0),
        rate_log_std=column("rate_log_std"),
        rate_correlation=np.exp(-step_s / column("rate_correlation_s")),
    )
    record = np.zeros(1, PARAMETERS)
    for name, value in values.items():
        if np.ndim(value) == 0:
            record[name] = value
        else:
            record[name][0][: len(value)] = value
    return record


def lomax_survival(ratio: np.ndarray) -> np.ndarray:
    """Returns the probability that a Lomax variable of shape 1.2 exceeds `ratio` times its scale."""
    return (1.0 + ratio) ** -LOMAX_SHAPE


def wait_survival(parameters: SliceParameters, slot_ms: float) -> np.ndarray:
    """Returns the probabilities that the wait of a capped Lomax source exceeds 0, 1, … slots.

    Zeros for other sources.
    """
    slots = np.arange(MAX_WAITS)
    if parameters.interarrival != "lomax":
        return np.zeros(MAX_WAITS)
    most = math.ceil(parameters.interarrival_cap_ms / slot_ms)
    return np.where(slots < most, lomax_survival(slots * slot_ms / parameters.interarrival_ms), 0.0)


def least_wait(survival: np.ndarray) -> np.ndarray:
    """Returns the least wait of each of the `WAIT_CELLS` equal cells of the survival probability, at least one slot."""
    upper_ends = (np.arange(WAIT_CELLS) + 1) / WAIT_CELLS
    return np.maximum((upper_ends[:, None] <= survival).sum(axis=1), 1)


def log_correlation(parameters: SlicingParameters) -> float:
    """Returns the logarithm of the channel gain's correlation over one slot.

    An exponential correlation cannot follow that of Jakes' model, J0(2 pi f_D t), everywhere. It is matched where J0 is
    one half. Matched over one slot, where J0 is flat, it would decay about thirty times too slowly at walking speed.
    """
    doppler_hz = parameters.speed_mps * parameters.carrier_ghz * 1e9 / 299_792_458.0
    return math.log(0.5) * 2 * math.pi * doppler_hz * parameters.slot_ms / 1e3 / HALF_CORRELATION


def empty_state(num_copies: int) -> np.ndarray:
    """Returns `num_copies` empty records of `COPY`; `kernel.reset_copy` fills them."""
    state = np.zeros(num_copies, COPY)
    state["bucket"] = -1
    state["users"]["slice"] = -1
    state["users"]["next_user"] = -1
    state["users"]["fading_slot"] = -1
    return state
