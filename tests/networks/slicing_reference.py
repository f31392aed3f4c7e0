"""Slow, readable simulator of the `hua2019` and `zhang2024` slicing networks: the oracle of the compiled kernel.

It walks through every slot and every user in the order the model is defined in, and shares nothing with the kernel but
the random stream. A decision window is a sequence of 0.5 ms slots, each of them

    arrivals -> scheduling per slice -> fading and rates -> ageing -> service -> accounting

Source: Hua et al., "GAN-powered deep distributional reinforcement learning for resource management in network
slicing", IEEE JSAC 38(2), 2020, with the published environment's behaviour where it differs from the article; and
the parameters of Zhang et al. for `zhang2024`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from gentwin.networks.draws import uniform
from gentwin.networks.slicing import draws as shared

SLICE_NAMES = ("volte", "video", "urllc")
VOLTE, VIDEO, URLLC = range(3)

SLOT_S = 0.5e-3
SLOT_MS = 0.5
RESOURCE_BLOCK_HZ = 180e3
QUEUE_PLACES = 5
CATEGORY_PROBABILITIES = (6 / 13, 6 / 13, 1 / 13)
RATE_SLA_BPS = (51e3, 100e6, 10e6)

VOLTE_PACKET_BITS = 320.0
URLLC_PACKET_BITS = {
    "small": (51.2e3, 102.4e3, 153.6e3, 204.8e3, 256e3),
    "large": (2.4e6, 3.2e6, 4.0e6, 4.8e6, 5.6e6),
}
LOMAX_SHAPE = 1.2

TX_POWER_DBW = 16.0
RX_GAIN_DB = 20.0
NOISE_DBW_PER_HZ = -204.0
SHADOWING_DB = 8.0
MIMO_FACTOR = 64
SE_WEIGHT = 0.01


class Draws(Protocol):
    """Source of randomness. `stream`, `user` and `index` name a draw; a source may ignore them."""

    def uniform(self, stream: int, user: int, index: int) -> float:
        """Uniform in (0, 1)."""

    def lomax(self, stream: int, user: int, index: int) -> float:
        """Lomax (Pareto II, starts at 0) with shape 1.2 and scale 1."""

    def exponential(self, stream: int, user: int, index: int) -> float:
        """Exponential with mean 1."""

    def standard_normal(self, stream: int, user: int, index: int) -> float:
        """Normal with mean 0 and variance 1."""

    def choice(self, probabilities: tuple[float, ...], stream: int, user: int, index: int) -> int:
        """Position in `probabilities`."""


class SharedDraws:
    """The kernel's counter-based stream; every distribution is the inverse CDF of one uniform draw."""

    def __init__(self, key: int):
        self.key = np.uint64(key)

    def uniform(self, stream: int, user: int, index: int) -> float:
        return uniform(self.key, stream, user, index)

    def lomax(self, stream: int, user: int, index: int) -> float:
        return (1.0 - self.uniform(stream, user, index)) ** (-1.0 / LOMAX_SHAPE) - 1.0

    def exponential(self, stream: int, user: int, index: int) -> float:
        return -math.log(1.0 - self.uniform(stream, user, index))

    def standard_normal(self, stream: int, user: int, index: int) -> float:
        return shared.standard_normal(self.uniform(stream, user, index))

    def choice(self, probabilities: tuple[float, ...], stream: int, user: int, index: int) -> int:
        u = self.uniform(stream, user, index)
        cumulative = 0.0
        for position, probability in enumerate(probabilities[:-1]):
            cumulative += probability
            if u < cumulative:
                return position
        return len(probabilities) - 1


class IndependentDraws:
    """NumPy's own distributions, drawn one after the other: independent of the kernel's stream and inverse CDFs."""

    def __init__(self, generator: np.random.Generator):
        self.generator = generator

    def uniform(self, stream: int, user: int, index: int) -> float:
        return self.generator.random()

    def lomax(self, stream: int, user: int, index: int) -> float:
        return self.generator.pareto(LOMAX_SHAPE)

    def exponential(self, stream: int, user: int, index: int) -> float:
        return self.generator.standard_exponential()

    def standard_normal(self, stream: int, user: int, index: int) -> float:
        return self.generator.standard_normal()

    def choice(self, probabilities: tuple[float, ...], stream: int, user: int, index: int) -> int:
        return int(self.generator.choice(len(probabilities), p=probabilities))


@dataclass(frozen=True)
class Preset:
    """What distinguishes the two presets.

    Attributes:
        bandwidth_hz: Total band; the divisor of the spectral efficiency.
        slots_per_window: Slots of one decision window.
        cell: `"square"` of side 80 m or `"disc"` of radius 40 m, with the base station at its centre.
        fading: `"lognormal"` (8 dB) or `"rayleigh"`, fresh for every user in every slot.
        max_age_slots: Largest age at which a packet of each slice still meets its latency SLA. The published code
            compares strictly with 10, 10 and 3 ms; the SLAs of `zhang2024` are 10, 10 and 1 ms at most.
    """

    bandwidth_hz: float
    slots_per_window: int
    cell: str
    fading: str
    max_age_slots: tuple[int, int, int]


HUA2019 = Preset(10e6, 2000, "square", "lognormal", max_age_slots=(19, 19, 5))
ZHANG2024 = Preset(20e6, 400, "disc", "rayleigh", max_age_slots=(20, 20, 2))


@dataclass
class Packet:
    """A queued packet: its original size, what is left of it, and the slots it has spent in the queue."""

    original_bits: float
    remaining_bits: float
    age_slots: int = 0


@dataclass
class User:
    """A static user with its traffic source and queue.

    Attributes:
        category: Slice of the user.
        path_gain_db: Transmit power, receive gain and path loss together, dBW.
        timer_slots: Slots until the source may create its next packet.
        num_read_times: Read times drawn so far, the initial timer included.
        num_packets: Packets created so far.
        queue: First in, first out; at most `QUEUE_PLACES` packets.
    """

    category: int
    path_gain_db: float
    timer_slots: int = 0
    num_read_times: int = 0
    num_packets: int = 0
    queue: list[Packet] = field(default_factory=list)


@dataclass
class SlotTrace:
    """One slot, for slot-by-slot comparison; every array has shape `(num_users,)`.

    Attributes:
        arrived: Packets created at the start of the slot, 0 or 1.
        queue_length: Queued packets at the time of scheduling.
        resource_blocks: Resource blocks given to each user.
        rate_bps: Rate of each user; 0 without resource blocks.
        queue_length_after: Queued packets after service.
        queued_bits_after: Bits left in the queue after service.
        pointers: Round-robin pointer of each slice after scheduling, shape `(3,)`.
    """

    arrived: np.ndarray
    queue_length: np.ndarray
    resource_blocks: np.ndarray
    rate_bps: np.ndarray
    queue_length_after: np.ndarray
    queued_bits_after: np.ndarray
    pointers: np.ndarray


def place_users(preset: Preset, num_users: int, draws: Draws) -> list[User]:
    """Draws the position and the category of every user."""
    users = []
    for index in range(num_users):
        first = draws.uniform(shared.PLACEMENT_X, index, 0)
        second = draws.uniform(shared.PLACEMENT_Y, index, 0)
        if preset.cell == "square":
            distance_m = math.hypot((2.0 * first - 1.0) * 40.0, (2.0 * second - 1.0) * 40.0)
        else:  # The angle, 2 pi times the second draw, does not change the distance.
            distance_m = 40.0 * math.sqrt(first)
        category = draws.choice(CATEGORY_PROBABILITIES, shared.CATEGORY, index, 0)
        path_loss_db = 145.4 + 37.5 * math.log10(distance_m / 1000.0)
        users.append(User(category, TX_POWER_DBW + RX_GAIN_DB - path_loss_db))
    return users


def share_resource_blocks(num_blocks: int, active: list[int], pointer: int) -> tuple[dict[int, int], int]:
    """Round robin of one slice in one slot, with the published remainder rule.

    Args:
        num_blocks: Resource blocks of the slice.
        active: Indices of the slice's users with a non-empty queue, ascending.
        pointer: Round-robin pointer of the slice.

    Returns:
        Blocks by active user index (possibly 0), and the new pointer. Some remainder blocks may be lost.
    """
    if not active:
        return {}, pointer
    everyone, remainder = divmod(num_blocks, len(active))
    blocks = dict.fromkeys(active, everyone)
    after_pointer = [user for user in active if user > pointer]
    if len(after_pointer) >= remainder:
        # The rule looks at user indices, not at ranks among the active users, so it may find too few or nobody.
        lucky = [user for user in active if pointer <= user < pointer + remainder]
        if lucky:
            pointer = lucky[-1] + 1
    else:
        wrapped = active[: remainder - len(after_pointer)]
        lucky = wrapped + after_pointer
        pointer = wrapped[-1] + 1
    for user in lucky:
        blocks[user] += 1
    return blocks, pointer


def serve(queue: list[Packet], rate_bps: float) -> list[Packet]:
    """Serves one queue for one slot, first in, first out, and returns the packets that completed.

    The published code subtracts a completed packet's bits from the rate in bit/s, not from the slot's capacity, so the
    packets behind it see almost the full capacity again.
    """
    completed = []
    while queue:
        capacity_bits = rate_bps * SLOT_S
        packet = queue[0]
        if packet.remaining_bits >= capacity_bits:
            packet.remaining_bits -= capacity_bits
            break
        rate_bps -= packet.remaining_bits
        packet.remaining_bits = 0.0
        completed.append(queue.pop(0))
    return completed


def meets_sla(packet: Packet, category: int, rate_bps: float, max_age_slots: int) -> bool:
    """Whether a packet that completed in a slot of rate `rate_bps` was delivered within its rate and latency SLA."""
    achieved_bps = rate_bps if packet.age_slots == 1 else packet.original_bits / (packet.age_slots * SLOT_S)
    return achieved_bps >= RATE_SLA_BPS[category] and packet.age_slots <= max_age_slots


class ReferenceSlicing:
    """One base station whose band is split between VoLTE, video and URLLC users.

    Args:
        preset: `HUA2019` or `ZHANG2024`.
        draws: Randomness of the traffic and the channel.
        placement_draws: Randomness of positions and categories; `draws` if left out.
        urllc_packets: `"small"` (51.2 … 256 kbit) or `"large"` (2.4 … 5.6 Mbit).
        utility_weights: Weight of each slice's SLA satisfaction ratio in the utility.
        num_users: Number of users.
    """

    def __init__(
        self,
        preset: Preset,
        draws: Draws,
        placement_draws: Draws | None = None,
        urllc_packets: str = "small",
        utility_weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
        num_users: int = 100,
    ):
        self.preset = preset
        self.draws = draws
        self.urllc_sizes = URLLC_PACKET_BITS[urllc_packets]
        self.utility_weights = utility_weights
        self.users = place_users(preset, num_users, placement_draws or draws)
        self.reset()

    def reset(self) -> None:
        """Starts again at slot 0 with empty queues and fresh timers; positions and categories stay."""
        self.slot = 0
        for index, user in enumerate(self.users):
            user.queue = []
            user.num_read_times = 0
            user.num_packets = 0
            self._restart_timer(index, user)

    def step(self, allocation_hz, trace: list[SlotTrace] | None = None) -> dict[str, object]:
        """Simulates one decision window.

        Args:
            allocation_hz: Bandwidth of each slice, Hz, shape `(3,)`.
            trace: List that receives one `SlotTrace` per slot.

        Returns:
            `arrived`, `completed`, `delivered` (within the SLA): packets per slice, int64 `(3,)`. `in_flight`: packets
            thrown away at the end of the window, int64 `(3,)`. `ssr`: delivered / arrived, 1 without arrivals, `(3,)`.
            `spectral_efficiency_by_slice`: bit/s/Hz of the whole band, `(3,)`, and its sum `spectral_efficiency`.
            `utility`. `age_slots`: per slice, the ages of the completed packets in order of completion.
        """
        blocks_by_slice = [int(hertz // RESOURCE_BLOCK_HZ) for hertz in allocation_hz]
        self.pointers = [0, 0, 0]
        self.arrived = np.zeros(3, dtype=np.int64)
        self.delivered = np.zeros(3, dtype=np.int64)
        self.rate_sums = np.zeros(3)
        self.ages: list[list[int]] = [[], [], []]
        for _ in range(self.preset.slots_per_window):
            self._simulate_slot(blocks_by_slice, trace)
            self.slot += 1

        in_flight = np.zeros(3, dtype=np.int64)
        for user in self.users:
            in_flight[user.category] += len(user.queue)
            user.queue = []
        return self._outputs(in_flight)

    def _outputs(self, in_flight: np.ndarray) -> dict[str, object]:
        ssr = np.where(self.arrived > 0, self.delivered / np.maximum(self.arrived, 1), 1.0)
        efficiency = self.rate_sums / self.preset.slots_per_window / self.preset.bandwidth_hz
        return {
            "arrived": self.arrived,
            "completed": np.array([len(ages) for ages in self.ages]),
            "delivered": self.delivered,
            "in_flight": in_flight,
            "ssr": ssr,
            "spectral_efficiency_by_slice": efficiency,
            "spectral_efficiency": float(efficiency.sum()),
            "utility": float(np.dot(self.utility_weights, ssr) + SE_WEIGHT * efficiency.sum()),
            "age_slots": [np.array(ages, dtype=np.int64) for ages in self.ages],
        }

    def _simulate_slot(self, blocks_by_slice: list[int], trace: list[SlotTrace] | None) -> None:
        arrived = [self._arrival(index, user) for index, user in enumerate(self.users)]
        queue_length = [len(user.queue) for user in self.users]

        blocks = [0] * len(self.users)
        for category in range(3):
            active = [i for i, user in enumerate(self.users) if user.category == category and user.queue]
            shares, self.pointers[category] = share_resource_blocks(
                blocks_by_slice[category], active, self.pointers[category]
            )
            for index, share in shares.items():
                blocks[index] = share

        rates = [self._rate_bps(i, user, blocks[i]) if blocks[i] else 0.0 for i, user in enumerate(self.users)]

        for user in self.users:
            for packet in user.queue:
                packet.age_slots += 1

        for index, user in enumerate(self.users):
            if blocks[index]:
                self._serve_user(user, rates[index])

        if trace is not None:
            trace.append(
                SlotTrace(
                    arrived=np.array(arrived),
                    queue_length=np.array(queue_length),
                    resource_blocks=np.array(blocks),
                    rate_bps=np.array(rates),
                    queue_length_after=np.array([len(user.queue) for user in self.users]),
                    queued_bits_after=np.array([sum(p.remaining_bits for p in user.queue) for user in self.users]),
                    pointers=np.array(self.pointers),
                )
            )

    def _arrival(self, index: int, user: User) -> int:
        """Counts one user's timer down or creates a packet; a source with a full queue tries again in the next slot."""
        if user.timer_slots > 0:
            user.timer_slots -= 1
            return 0
        if len(user.queue) == QUEUE_PLACES:
            return 0
        bits = self._packet_bits(index, user)
        user.num_packets += 1
        user.queue.append(Packet(bits, bits))
        self._restart_timer(index, user)
        self.arrived[user.category] += 1
        return 1

    def _restart_timer(self, index: int, user: User) -> None:
        """Draws a read time X. The timer counts whole slots, ceil(X / slot), so no rounding error accumulates."""
        draw = (shared.READ_TIME, index, user.num_read_times)
        if user.category == VOLTE:
            read_time_ms = 160.0 * self.draws.uniform(*draw)
        elif user.category == VIDEO:
            read_time_ms = min(6.0 * self.draws.lomax(*draw), 12.5)
        else:
            read_time_ms = 180.0 * self.draws.exponential(*draw)
        user.num_read_times += 1
        user.timer_slots = math.ceil(read_time_ms / SLOT_MS)

    def _packet_bits(self, index: int, user: User) -> float:
        draw = (shared.PACKET_SIZE, index, user.num_packets)
        if user.category == VOLTE:
            return VOLTE_PACKET_BITS
        if user.category == VIDEO:
            return min(800.0 * self.draws.lomax(*draw), 2000.0)
        return self.urllc_sizes[int(5 * self.draws.uniform(*draw))]

    def _rate_bps(self, index: int, user: User, num_blocks: int) -> float:
        """Shannon rate with a base-10 logarithm; every scheduled user receives the full transmit power."""
        bandwidth_hz = num_blocks * RESOURCE_BLOCK_HZ
        draw = (shared.FADING, index, self.slot)
        if self.preset.fading == "lognormal":
            fading_db = SHADOWING_DB * self.draws.standard_normal(*draw)
        else:
            fading_db = 10.0 * math.log10(self.draws.exponential(*draw))
        noise_dbw = NOISE_DBW_PER_HZ + 10.0 * math.log10(bandwidth_hz)
        snr = 10.0 ** ((user.path_gain_db + fading_db - noise_dbw) / 10.0)
        return bandwidth_hz * math.log10(1.0 + snr) * MIMO_FACTOR

    def _serve_user(self, user: User, rate_bps: float) -> None:
        self.rate_sums[user.category] += rate_bps
        max_age_slots = self.preset.max_age_slots[user.category]
        for packet in serve(user.queue, rate_bps):
            self.ages[user.category].append(packet.age_slots)
            self.delivered[user.category] += meets_sla(packet, user.category, rate_bps, max_age_slots)
