"""Slow, readable simulator of the `dynamic` slicing network: the oracle of the compiled kernel's sessions and queues.

It visits every place for a user in every slot and shares nothing with the kernel but the random stream. A decision
window is

    sessions end, go on or begin -> slots (arrivals -> scheduling and service per slice) -> late packets leave

Its draws have the kernel's names `(stream, user, index)`, so that both see the same randomness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from gentwin.networks.slicing import SliceParameters, SlicingParameters
from gentwin.networks.slicing import draws as shared
from tests.networks.slicing_reference import Draws

NOISE_DBM_PER_HZ = -174.0
MIN_DISTANCE_M = 10.0
HALF_CORRELATION = 1.5211  # where the Bessel function J0 is one half
SPEED_OF_LIGHT = 299_792_458.0
BIRTHS_USER, PHASE_USER = 8192, 9000  # users that name draws of a slice and of the whole cell


@dataclass
class Packet:
    """A queued packet: its size, what is left of it, and the slot it arrived in."""

    bits: float
    remaining_bits: float
    arrival_slot: int


@dataclass
class Session:
    """A connected user.

    Attributes:
        x_m: Position east of the base station.
        y_m: Position north of it.
        heading: Direction of the walk, radians.
        shadowing_db: Gain by shadowing.
        log_rate: Logarithm of the rate factor, before it is centred to a mean of 1.
        sending: Whether the source is in an active phase.
        next_packet: Time of the next packet, in slots; meaningless while the source is silent.
        leaving: Whether the session has ended and only waits for its queue to empty.
        queue: First in, first out.
        gain: Complex channel gain, and the slot it is known for; none before the user is first scheduled.
        gain_slot: See `gain`.
    """

    x_m: float
    y_m: float
    heading: float
    shadowing_db: float
    log_rate: float
    sending: bool
    next_packet: float = math.nan
    leaving: bool = False
    queue: list[Packet] = field(default_factory=list)
    gain: complex = 0j
    gain_slot: int | None = None


@dataclass
class Place:
    """A place that sessions of one slice take in turn. The draws of a stream are numbered through all its sessions."""

    user: int
    slice: int
    session: Session | None = None
    num_sessions: int = 0
    num_interarrivals: int = 0
    num_packets: int = 0


@dataclass
class SliceCounts:
    """What happened to one slice in one window; delays in slots, of completed and of late packets."""

    arrived: int = 0
    completed: int = 0
    delivered: int = 0
    dropped: int = 0
    delivered_bits: float = 0.0
    used_blocks: int = 0
    delays: list[int] = field(default_factory=list)


def poisson_quantile(mean: float, u: float) -> int:
    """Returns the smallest count whose cumulative Poisson probability reaches `u`."""
    count, probability = 0, math.exp(-mean)
    cumulative = probability
    while u > cumulative and count < 128:
        count += 1
        probability *= mean / count
        cumulative += probability
    return count


def lower_percentile(delays: list[int], level: float) -> int:
    """Returns the smallest delay that at least the share `level` of all delays does not exceed."""
    return min(delay for delay in delays if sum(other <= delay for other in delays) >= level * len(delays))


class ReferenceDynamicNetwork:
    """One cell with sessions, mobility, queues that live on, and deadlines.

    Args:
        parameters: Parameters with `population="sessions"` and `scheduler="work_conserving"`.
        draws: Randomness of sessions, traffic and channel.
        placement_draws: Randomness of the positions; `draws` if left out.
    """

    def __init__(self, parameters: SlicingParameters, draws: Draws, placement_draws: Draws | None = None):
        self.parameters = parameters
        self.draws = draws
        self.placement_draws = placement_draws or draws
        self.slot_s = parameters.slot_ms / 1e3
        self.window_s = parameters.step_ms / 1e3
        self.pointers = [0] * len(parameters.slices)
        self.places = self._places()
        self.slot = parameters.slots_per_step  # window 0 is the moment at which the cell is filled
        self._begin_window(0)
        self.channel_db = [self._snr_at(parameters.cell_radius_m * math.sqrt(0.5))] * len(parameters.slices)
        for n in range(len(parameters.slices)):
            self._observe_channel(n)

    def _places(self) -> list[Place]:
        p = self.parameters
        total = sum(entry.user_share for entry in p.slices)
        sizes = [max(math.floor(p.num_users * entry.user_share / total), 1) for entry in p.slices]
        sizes[-1] += p.num_users - sum(sizes)
        return [Place(user, n) for user, n in enumerate(n for n, size in enumerate(sizes) for _ in range(size))]

    def _normal(self, stream: int, user: int, index: int) -> float:
        return self.draws.standard_normal(stream, user, index)

    # Sessions

    def _begin_window(self, window: int) -> None:
        for n, entry in enumerate(self.parameters.slices):
            mean = entry.mean_sessions * (1.0 if window == 0 else self.window_s / entry.session_s)
            u = self.draws.uniform(shared.SESSION, BIRTHS_USER + n, window)
            births = poisson_quantile(mean * self.day_factor(entry, window), u)
            for place in self.places:
                if place.slice != n:
                    continue
                if place.session is not None:
                    self._continue(place, entry, window)
                elif births > 0:
                    births -= 1
                    self._join(place, entry)

    def day_factor(self, entry: SliceParameters, window: int) -> float:
        """Returns the rate of new sessions relative to its daily mean; each cell starts at its own time of day."""
        day = window * self.window_s / self.parameters.day_s + self.draws.uniform(shared.SESSION, PHASE_USER, 0)
        return 1.0 + entry.daily_depth * math.cos(2.0 * math.pi * (day - entry.daily_peak))

    def _join(self, place: Place, entry: SliceParameters) -> None:
        p, user, first = self.parameters, place.user, 4 * place.num_sessions
        x = self.placement_draws.uniform(shared.PLACEMENT_X, user, place.num_sessions)
        y = self.placement_draws.uniform(shared.PLACEMENT_Y, user, place.num_sessions)
        radius_m, angle = p.cell_radius_m * math.sqrt(x), 2.0 * math.pi * y
        burst_s = entry.burst_on_s + entry.burst_off_s
        active_share = entry.burst_on_s / burst_s if burst_s > 0 else 1.0
        place.session = Session(
            x_m=radius_m * math.cos(angle),
            y_m=radius_m * math.sin(angle),
            heading=2.0 * math.pi * self.draws.uniform(shared.MOBILITY, user, first),
            shadowing_db=p.shadowing_std_db * self._normal(shared.MOBILITY, user, first + 1),
            sending=self.draws.uniform(shared.MOBILITY, user, first + 2) < active_share,
            log_rate=entry.rate_log_std * self._normal(shared.MOBILITY, user, first + 3),
        )
        place.num_sessions += 1
        if place.session.sending:
            place.session.next_packet = self.slot + self._interarrival_slots(place, entry)

    def _continue(self, place: Place, entry: SliceParameters, window: int) -> None:
        session, user, first = place.session, place.user, 4 * window
        ends = self.draws.uniform(shared.SESSION, user, window) < 1.0 - math.exp(-self.window_s / entry.session_s)
        if session.leaving or ends:
            session.sending = False
            session.leaving = True
            if not session.queue:
                place.session = None
            return
        memory = math.exp(-self.window_s / entry.rate_correlation_s)
        noise = self._normal(shared.BURST, user, first)
        session.log_rate = memory * session.log_rate + entry.rate_log_std * math.sqrt(1.0 - memory**2) * noise
        self._switch_phase(place, entry, self.draws.uniform(shared.BURST, user, first + 1))
        if self.parameters.speed_mps > 0:
            self._walk(place, window)

    def _switch_phase(self, place: Place, entry: SliceParameters, u: float) -> None:
        if entry.burst_on_s == 0:
            return
        session = place.session
        if session.sending:
            session.sending = u >= 1.0 - math.exp(-self.window_s / entry.burst_on_s)
        elif u < 1.0 - math.exp(-self.window_s / entry.burst_off_s):
            session.sending = True
            session.next_packet = self.slot + self._interarrival_slots(place, entry)

    def _walk(self, place: Place, window: int) -> None:
        p, session = self.parameters, place.session
        step_m = p.speed_mps * self.window_s
        session.x_m += step_m * math.cos(session.heading)
        session.y_m += step_m * math.sin(session.heading)
        if math.hypot(session.x_m, session.y_m) > p.cell_radius_m:
            inward = math.atan2(-session.y_m, -session.x_m)
            turn = self.draws.uniform(shared.BURST, place.user, 4 * window + 2) - 0.5
            session.heading = inward + math.pi * turn
        memory = math.exp(-step_m / p.shadowing_distance_m)
        noise = self._normal(shared.BURST, place.user, 4 * window + 3)
        session.shadowing_db = memory * session.shadowing_db + p.shadowing_std_db * math.sqrt(1.0 - memory**2) * noise

    # Traffic

    def _interarrival_slots(self, place: Place, entry: SliceParameters) -> float:
        draw = (shared.READ_TIME, place.user, place.num_interarrivals)
        place.num_interarrivals += 1
        if entry.interarrival == "periodic":
            milliseconds = entry.interarrival_ms * (0.9 + 0.2 * self.draws.uniform(*draw))
        elif entry.interarrival == "exponential":
            milliseconds = entry.interarrival_ms * self.draws.exponential(*draw)
        elif entry.interarrival == "uniform":
            milliseconds = 2.0 * entry.interarrival_ms * self.draws.uniform(*draw)
        else:
            milliseconds = min(entry.interarrival_ms * self.draws.lomax(*draw), entry.interarrival_cap_ms)
        rate_factor = math.exp(place.session.log_rate - entry.rate_log_std**2 / 2)
        return milliseconds / self.parameters.slot_ms / rate_factor

    def _packet_bits(self, place: Place, entry: SliceParameters) -> float:
        draw = (shared.PACKET_SIZE, place.user, place.num_packets)
        place.num_packets += 1
        mean_bits = entry.packet_bits[0]
        if entry.packet_size == "constant":
            return mean_bits
        if entry.packet_size == "choice":
            return entry.packet_bits[int(len(entry.packet_bits) * self.draws.uniform(*draw))]
        if entry.packet_size == "lomax":
            return min(mean_bits * self.draws.lomax(*draw), entry.packet_cap_bits)
        spread = entry.packet_log_std
        return min(mean_bits * math.exp(spread * self._normal(*draw) - spread**2 / 2), entry.packet_cap_bits)

    def _arrivals(self, place: Place) -> None:
        session, entry, counts = place.session, self.parameters.slices[place.slice], self.counts[place.slice]
        while session.next_packet < self.slot + 1:
            counts.arrived += 1
            if len(session.queue) < self.parameters.queue_packets:
                bits = self._packet_bits(place, entry)
                session.queue.append(Packet(bits, bits, self.slot))
            else:
                counts.dropped += 1
            session.next_packet += self._interarrival_slots(place, entry)

    # Channel

    def _snr_at(self, distance_m: float) -> float:
        """Returns the SNR on one resource block without shadowing and fading, dB; the power is shared by all blocks."""
        p = self.parameters
        distance_m = max(distance_m, MIN_DISTANCE_M)
        power_dbm = p.transmit_power_dbm - 10.0 * math.log10(p.bandwidth_hz / p.resource_block_hz)
        noise_dbm = NOISE_DBM_PER_HZ + 10.0 * math.log10(p.resource_block_hz)
        decades = math.log10(distance_m / p.path_loss_reference_m)
        return power_dbm + p.receive_gain_db - noise_dbm - p.path_loss_db - 10.0 * p.path_loss_exponent * decades

    def mean_snr_db(self, session: Session) -> float:
        """Returns the SNR of a session on one resource block without fading, dB."""
        return self._snr_at(math.hypot(session.x_m, session.y_m)) + session.shadowing_db

    def _advance_gain(self, place: Place) -> complex:
        """Moves the channel gain to this slot; over n slots its correlation is that over one slot to the power n."""
        p, session = self.parameters, place.session
        correlation = 0.0
        if session.gain_slot is not None:
            doppler_hz = p.speed_mps * p.carrier_ghz * 1e9 / SPEED_OF_LIGHT
            elapsed_s = (self.slot - session.gain_slot) * self.slot_s
            correlation = 0.5 ** (2 * math.pi * doppler_hz * elapsed_s / HALF_CORRELATION)
        noise = complex(
            self._normal(shared.FADING, place.user, self.slot),
            self._normal(shared.FADING_QUADRATURE, place.user, self.slot),
        )
        session.gain = correlation * session.gain + math.sqrt((1.0 - correlation**2) / 2.0) * noise
        session.gain_slot = self.slot
        return session.gain

    def _block_bits(self, place: Place) -> float:
        """Returns the bits one resource block carries in this slot."""
        p = self.parameters
        if p.fading == "rayleigh_doppler":
            power_gain = abs(self._advance_gain(place)) ** 2
        elif p.fading == "rayleigh":
            power_gain = self.draws.exponential(shared.FADING, place.user, self.slot)
        else:
            power_gain = 10.0 ** (p.fading_std_db * self._normal(shared.FADING, place.user, self.slot) / 10.0)
        snr = power_gain * 10.0 ** (self.mean_snr_db(place.session) / 10.0)
        efficiency = min(math.log(1.0 + snr, p.rate_logarithm), p.max_spectral_efficiency)
        return efficiency * p.rate_factor * p.resource_block_hz * self.slot_s

    # Scheduling and service

    def step(self, allocation_hz) -> dict[str, np.ndarray]:
        """Simulates one decision window under `allocation_hz`, Hz per slice; returns every output per slice."""
        p = self.parameters
        self.counts = [SliceCounts() for _ in p.slices]
        self._begin_window(self.slot // p.slots_per_step)
        for _ in range(p.slots_per_step):
            for place in self.places:
                if place.session is not None and place.session.sending:
                    self._arrivals(place)
            for n, hertz in enumerate(allocation_hz):
                self._serve_slice(n, math.floor(hertz / p.resource_block_hz + 1e-9))
            self.slot += 1
        for place in self.places:
            if place.session is not None:
                self._drop_late(place)
        rows = [self._outputs(n) for n in range(len(p.slices))]
        return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}

    def _serve_slice(self, n: int, num_blocks: int) -> None:
        """Goes round the users with packets, from the pointer on, until no block or no packet is left.

        Each user is offered an equal share, rounded up, of the blocks that are left for it and those after it.
        """
        left, start = num_blocks, self.pointers[n]
        while left > 0:
            waiting = [place for place in self.places if place.slice == n and place.session and place.session.queue]
            if not waiting:
                break
            in_turn = [place for place in waiting if place.user >= start]
            in_turn += [place for place in waiting if place.user < start]
            for position, place in enumerate(in_turn):
                if left == 0:
                    break
                self._drop_late(place)
                if place.session.queue:
                    if left == num_blocks:
                        self.pointers[n] = place.user + 1
                    left -= self._serve(place, math.ceil(left / (len(in_turn) - position)))
        self.counts[n].used_blocks += num_blocks - left

    def _serve(self, place: Place, num_blocks: int) -> int:
        """Serves a user on up to `num_blocks` blocks; returns how many it needed."""
        queue, counts = place.session.queue, self.counts[place.slice]
        block_bits = self._block_bits(place)
        offered_bits = left_bits = num_blocks * block_bits
        while queue:
            packet = queue[0]
            if packet.remaining_bits > left_bits:
                packet.remaining_bits -= left_bits
                return num_blocks
            left_bits -= packet.remaining_bits
            queue.pop(0)
            delay = self.slot - packet.arrival_slot + 1
            counts.completed += 1
            counts.delays.append(delay)
            served_bps = packet.bits / (delay * self.slot_s) if delay > 1 else offered_bits / self.slot_s
            if served_bps >= self.parameters.slices[place.slice].rate_sla_mbps * 1e6:
                counts.delivered += 1
                counts.delivered_bits += packet.bits
        return min(num_blocks, math.ceil((offered_bits - left_bits) / block_bits))

    def _drop_late(self, place: Place) -> None:
        """Drops the packets that would be late even if they were served in this slot."""
        queue, counts = place.session.queue, self.counts[place.slice]
        latest = math.floor(self.parameters.slices[place.slice].latency_sla_ms / self.parameters.slot_ms + 1e-9)
        while queue and self.slot - queue[0].arrival_slot + 1 > latest:
            counts.dropped += 1
            counts.delays.append(self.slot - queue.pop(0).arrival_slot)

    # Outputs

    def _observe_channel(self, n: int) -> list[Session]:
        connected = [place.session for place in self.places if place.slice == n and place.session is not None]
        if connected:
            self.channel_db[n] = sum(self.mean_snr_db(session) for session in connected) / len(connected)
        return connected

    def _outputs(self, n: int) -> dict[str, float]:
        p, counts = self.parameters, self.counts[n]
        connected = self._observe_channel(n)
        waiting = [packet for session in connected for packet in session.queue]
        oldest_slots = max((self.slot - packet.arrival_slot for packet in waiting), default=0)
        settled = counts.delivered + counts.dropped
        outputs = {
            "arrived": counts.arrived,
            "completed": counts.completed,
            "delivered": counts.delivered,
            "dropped": counts.dropped,
            "ssr": counts.delivered / settled if settled else 1.0,
            "slice_spectral_efficiency": counts.delivered_bits / self.window_s / p.bandwidth_hz,
            "queued_bits": sum(packet.remaining_bits for packet in waiting),
            "head_of_line_ms": oldest_slots * p.slot_ms,
            "channel_db": self.channel_db[n],
            "used_rb": counts.used_blocks / p.slots_per_step,
            "connected": len(connected),
        }
        for level in (50, 95, 99):
            slots = lower_percentile(counts.delays, level / 100) if counts.delays else oldest_slots
            outputs[f"delay_p{level}_ms"] = slots * p.slot_ms
        return outputs
