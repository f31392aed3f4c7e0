"""Parameters of the slicing network: strict dataclasses with units, and the three presets."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from gentwin.networks.checks import check, check_types, is_number
from gentwin.schema import did_you_mean

MAX_USERS = 128  # two 64-bit words of active-user flags per slice
MAX_SLICES = 8
MAX_QUEUE_PACKETS = 32
MAX_PACKET_SIZES = 16
MAX_WAITS = 128  # longest wait of a Lomax source, slots
PRESETS = ("hua2019", "zhang2024", "dynamic")

HUA_SMALL_URLLC_BITS = tuple(8e3 * kilobytes for kilobytes in (6.4, 12.8, 19.2, 25.6, 32.0))
HUA_LARGE_URLLC_BITS = tuple(8e6 * megabytes for megabytes in (0.3, 0.4, 0.5, 0.6, 0.7))


@dataclass(frozen=True, kw_only=True)
class SliceParameters:
    """Traffic and service-level agreement (SLA) of one slice.

    Args:
        name: Slice name, used in tables and as the key in records.
        user_share: Expected share of the users (static population) or share of the user places (sessions), > 0.
        interarrival: Distribution of the time between packets of one user: `uniform` on (0, 2 x mean), `lomax`
            (shape 1.2, capped), `exponential`, or `periodic` (mean +- 10 %).
        interarrival_ms: Mean for `uniform`, `exponential` and `periodic`; scale for `lomax`. Milliseconds, > 0.
        interarrival_cap_ms: Cap of `lomax` draws, milliseconds.
        packet_size: Distribution of the packet size: `constant`, `lomax` (shape 1.2, capped), `choice` (uniform over
            `packet_bits`) or `lognormal` (of mean `packet_bits[0]` and log-deviation `packet_log_std`).
        packet_bits: Size, scale, values or mean, in bits.
        packet_cap_bits: Cap of `lomax` and `lognormal` draws, bits.
        packet_log_std: Standard deviation of the natural logarithm of the size for `lognormal`.
        rate_sla_mbps: A packet counts as delivered only if it was served at this rate or more, Mb/s; 0 to ignore.
        latency_sla_ms: A packet counts as delivered only if it leaves the queue within this time, milliseconds.
        mean_sessions: Mean number of connected users over a day (sessions only).
        session_s: Mean session duration, seconds (sessions only).
        daily_depth: Relative swing of the session arrival rate over a day, 0 … 1 (sessions only).
        daily_peak: Time of the peak as a share of the day, 0 … 1 (sessions only).
        burst_on_s: Mean duration of a user's active phases, seconds; 0 for users that are always active.
        burst_off_s: Mean duration of the pauses between them, seconds.
        rate_log_std: Standard deviation of the logarithm of a session's slowly varying rate factor.
        rate_correlation_s: Correlation time of that factor, seconds.
    """

    name: str
    user_share: float
    interarrival: str
    interarrival_ms: float
    interarrival_cap_ms: float = math.inf
    packet_size: str
    packet_bits: tuple[float, ...]
    packet_cap_bits: float = math.inf
    packet_log_std: float = 0.0
    rate_sla_mbps: float = 0.0
    latency_sla_ms: float
    mean_sessions: float = 0.0
    session_s: float = 60.0
    daily_depth: float = 0.0
    daily_peak: float = 0.5
    burst_on_s: float = 0.0
    burst_off_s: float = 0.0
    rate_log_std: float = 0.0
    rate_correlation_s: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.packet_bits, (tuple, list)) or not all(map(is_number, self.packet_bits)):
            raise TypeError(
                f"`packet_bits` of SliceParameters must be a sequence of numbers, got {self.packet_bits!r}."
            )
        object.__setattr__(self, "packet_bits", tuple(float(bits) for bits in self.packet_bits))
        check_types(self)
        owner = f"slice `{self.name}`"
        interarrivals, sizes = (
            ("uniform", "lomax", "exponential", "periodic"),
            ("constant", "lomax", "choice", "lognormal"),
        )
        check(self.name.isidentifier(), owner, "name", "a Python identifier", self.name)
        check(self.interarrival in interarrivals, owner, "interarrival", f"one of {interarrivals}", self.interarrival)
        check(self.packet_size in sizes, owner, "packet_size", f"one of {sizes}", self.packet_size)
        check(0 < len(self.packet_bits) <= MAX_PACKET_SIZES, owner, "packet_bits", "1 to 16 numbers", self.packet_bits)
        single = self.packet_size == "choice" or len(self.packet_bits) == 1
        check(single, owner, "packet_bits", f"one number for `{self.packet_size}`", self.packet_bits)
        positive = ("user_share", "interarrival_ms", "interarrival_cap_ms", "packet_cap_bits", "latency_sla_ms")
        for name in (*positive, "session_s", "rate_correlation_s"):
            check(getattr(self, name) > 0, owner, name, "above 0", getattr(self, name))
        for bits in self.packet_bits:
            check(0 < bits < math.inf, owner, "packet_bits", "above 0 and finite", bits)
        for name in ("packet_log_std", "rate_sla_mbps", "mean_sessions", "burst_on_s", "burst_off_s", "rate_log_std"):
            check(0 <= getattr(self, name) < math.inf, owner, name, "at least 0 and finite", getattr(self, name))
        for name in ("daily_depth", "daily_peak"):
            check(0 <= getattr(self, name) <= 1, owner, name, "between 0 and 1", getattr(self, name))
        both = (self.burst_on_s > 0) == (self.burst_off_s > 0)
        check(both, owner, "burst_off_s", "above 0 exactly if `burst_on_s` is", self.burst_off_s)


@dataclass(frozen=True, kw_only=True)
class SlicingParameters:
    """One cell whose band is divided among slices anew at every decision.

    Args:
        preset: Name of the preset these parameters started from.
        slices: The slices, 2 … 8.
        num_users: Users (static population) or user places (sessions), at most 128.
        bandwidth_hz: Band divided among the slices, Hz.
        resolution_hz: Granularity of allocations, Hz; divides `bandwidth_hz`.
        resource_block_hz: Bandwidth of a resource block (RB), Hz. A slice owns the whole RBs that fit its allocation.
        slot_ms: Duration of a scheduling slot, milliseconds.
        slots_per_step: Slots between two decisions.
        queue_packets: Places in a user's queue, at most 32.
        population: `static` users placed once, or `sessions` that come, move and go.
        carry_over: Whether queues survive a decision. If not, what is queued at its end is lost.
        drop_late: Whether a packet that can no longer be in time is dropped. If not, it keeps consuming bandwidth.
        scheduler: `index_window`, the published round robin with its pointer rule, or `work_conserving`, a round robin
            which passes on the RBs a user does not need.
        fading: `lognormal` (independent in each slot), `rayleigh` (likewise) or `rayleigh_doppler` (first-order
            autoregressive complex gain whose correlation falls to one half when that of Jakes' model does).
        fading_std_db: Standard deviation of `lognormal` fading, dB.
        speed_mps: Speed of the users, m/s: their movement and the Doppler spread of `rayleigh_doppler`.
        carrier_ghz: Carrier frequency, GHz.
        placement: `square` (uniform in a square of half side `cell_radius_m`) or `disc`.
        cell_radius_m: Half side or radius, metres.
        path_loss_db: Path loss at 1 km (1 m distance if `sessions`: see `path_loss_exponent`), dB.
        path_loss_exponent: Path loss is `path_loss_db + 10 * path_loss_exponent * log10(distance / reference)`.
        path_loss_reference_m: Distance at which the path loss is `path_loss_db`, metres.
        shadowing_std_db: Standard deviation of shadowing, dB (sessions only).
        shadowing_distance_m: Decorrelation distance of shadowing, metres.
        transmit_power_dbm: Transmit power per scheduled user if `power_split` is false, else for the whole band, dBm.
        receive_gain_db: Gain at the receiver less noise figure and interference margin, dB.
        power_split: Whether the power is shared among all RBs of the band.
        rate_logarithm: 10 or 2, base of the logarithm in the rate (the published code uses 10).
        rate_factor: Factor of the rate, such as the number of antennas (64) or an implementation loss.
        max_spectral_efficiency: Cap of the rate per Hz before `rate_factor`, b/s/Hz.
        spectral_efficiency: `allocated` counts the rate of all scheduled RBs; `delivered` counts delivered bits.
        spectral_efficiency_weight: Weight alpha of the spectral efficiency in the utility (Zhang et al., eq. 5).
        day_s: Duration of a simulated day, seconds (sessions only; a compressed day by default).
        warmup_steps: Windows simulated with equal allocations before the first observation.
    """

    preset: str
    slices: tuple[SliceParameters, ...] = field(default=())
    num_users: int = 100
    bandwidth_hz: float = 10e6
    resolution_hz: float = 1e6
    resource_block_hz: float = 180e3
    slot_ms: float = 0.5
    slots_per_step: int = 2000
    queue_packets: int = 5
    population: str = "static"
    carry_over: bool = False
    drop_late: bool = False
    scheduler: str = "index_window"
    fading: str = "lognormal"
    fading_std_db: float = 8.0
    speed_mps: float = 0.0
    carrier_ghz: float = 2.0
    placement: str = "square"
    cell_radius_m: float = 40.0
    path_loss_db: float = 145.4
    path_loss_exponent: float = 3.75
    path_loss_reference_m: float = 1000.0
    shadowing_std_db: float = 0.0
    shadowing_distance_m: float = 13.0
    transmit_power_dbm: float = 46.0
    receive_gain_db: float = 20.0
    power_split: bool = False
    rate_logarithm: int = 10
    rate_factor: float = 64.0
    max_spectral_efficiency: float = math.inf
    spectral_efficiency: str = "allocated"
    spectral_efficiency_weight: float = 0.01
    day_s: float = 400.0
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.slices, (tuple, list)):
            raise TypeError(f"`slices` of the slicing network must be a sequence of slices, got {self.slices!r}.")
        object.__setattr__(self, "slices", tuple(self.slices))
        check_types(self)
        owner = "the slicing network"
        check(self.preset in PRESETS, owner, "preset", f"one of {PRESETS}", self.preset)
        for entry in self.slices:
            check(isinstance(entry, SliceParameters), owner, "slices", "SliceParameters objects", entry)
        check(2 <= len(self.slices) <= MAX_SLICES, owner, "slices", "2 to 8 slices", len(self.slices))
        names = [entry.name for entry in self.slices]
        check(len(set(names)) == len(names), owner, "slices", "uniquely named", names)
        check(
            len(names) <= self.num_users <= MAX_USERS, owner, "num_users", f"{len(names)} … {MAX_USERS}", self.num_users
        )
        check(1 <= self.slots_per_step <= 100_000, owner, "slots_per_step", "1 … 100000", self.slots_per_step)
        check(
            1 <= self.queue_packets <= MAX_QUEUE_PACKETS,
            owner,
            "queue_packets",
            f"1 … {MAX_QUEUE_PACKETS}",
            self.queue_packets,
        )
        check(0 <= self.warmup_steps <= 10_000, owner, "warmup_steps", "0 … 10000", self.warmup_steps)
        positive = ("bandwidth_hz", "resolution_hz", "resource_block_hz", "slot_ms", "carrier_ghz", "cell_radius_m")
        for name in (*positive, "path_loss_reference_m", "shadowing_distance_m", "rate_factor", "day_s"):
            check(0 < getattr(self, name) < math.inf, owner, name, "above 0 and finite", getattr(self, name))
        check(
            self.max_spectral_efficiency > 0, owner, "max_spectral_efficiency", "above 0", self.max_spectral_efficiency
        )
        for name in ("fading_std_db", "speed_mps", "shadowing_std_db", "spectral_efficiency_weight"):
            check(0 <= getattr(self, name) < math.inf, owner, name, "at least 0 and finite", getattr(self, name))
        for name in ("path_loss_db", "path_loss_exponent", "transmit_power_dbm", "receive_gain_db"):
            check(math.isfinite(getattr(self, name)), owner, name, "finite", getattr(self, name))
        choices = {
            "population": ("static", "sessions"),
            "scheduler": ("index_window", "work_conserving"),
            "fading": ("lognormal", "rayleigh", "rayleigh_doppler"),
            "placement": ("square", "disc"),
            "rate_logarithm": (2, 10),
            "spectral_efficiency": ("allocated", "delivered"),
        }
        for name, allowed in choices.items():
            check(getattr(self, name) in allowed, owner, name, f"one of {allowed}", getattr(self, name))
        units = self.bandwidth_hz / self.resolution_hz
        check(
            abs(units - round(units)) < 1e-9, owner, "resolution_hz", "a divisor of `bandwidth_hz`", self.resolution_hz
        )
        check(
            round(units) >= len(names), owner, "resolution_hz", "fine enough for a unit per slice", self.resolution_hz
        )
        actions = math.comb(round(units) - 1, len(names) - 1)
        check(actions <= 1_000_000, owner, "resolution_hz", "coarse enough for 1000000 allocations", self.resolution_hz)
        check(
            self.resource_block_hz <= self.bandwidth_hz,
            owner,
            "resource_block_hz",
            "within the band",
            self.resource_block_hz,
        )
        for entry in self.slices:
            if entry.interarrival == "lomax":
                longest = entry.interarrival_cap_ms / self.slot_ms
                check(
                    longest < MAX_WAITS,
                    f"slice `{entry.name}`",
                    "interarrival_cap_ms",
                    f"below {MAX_WAITS} slots for `lomax`",
                    entry.interarrival_cap_ms,
                )
        deadline_queues = self.scheduler == "work_conserving"
        check(
            self.carry_over == deadline_queues,
            owner,
            "carry_over",
            "true exactly for `work_conserving`",
            self.carry_over,
        )
        check(
            self.drop_late == deadline_queues, owner, "drop_late", "true exactly for `work_conserving`", self.drop_late
        )
        sessions = (self.population == "sessions") == deadline_queues
        check(sessions, owner, "population", "`sessions` exactly for `work_conserving`", self.population)
        check(
            self.power_split == deadline_queues,
            owner,
            "power_split",
            "true exactly for `work_conserving`",
            self.power_split,
        )

    @property
    def num_slices(self) -> int:
        """Number of slices."""
        return len(self.slices)

    @property
    def step_ms(self) -> float:
        """Duration of a decision window, milliseconds."""
        return self.slot_ms * self.slots_per_step

    def replace(self, **changes: Any) -> SlicingParameters:
        """Returns a copy with fields changed; refuses unknown names with the nearest known one."""
        known = [entry.name for entry in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(f"`{name}` is not a parameter of the slicing network{did_you_mean(name, known)}")
        return dataclasses.replace(self, **changes)


def _published_slices(urllc_packets: str, latency_ms: tuple[float, float, float]) -> tuple[SliceParameters, ...]:
    """The three slices of Hua et al. (2020) as their authors coded them (video sizes are bits, not bytes)."""
    sizes = {"small": HUA_SMALL_URLLC_BITS, "large": HUA_LARGE_URLLC_BITS}
    if urllc_packets not in sizes:
        raise ValueError(f"`urllc_packets` must be 'small' or 'large', got {urllc_packets!r}.")
    volte = SliceParameters(
        name="volte", user_share=6 / 13, interarrival="uniform", interarrival_ms=80.0,
        packet_size="constant", packet_bits=(320.0,), rate_sla_mbps=0.051, latency_sla_ms=latency_ms[0],
    )  # fmt: skip
    video = SliceParameters(
        name="video", user_share=6 / 13, interarrival="lomax", interarrival_ms=6.0, interarrival_cap_ms=12.5,
        packet_size="lomax", packet_bits=(800.0,), packet_cap_bits=2000.0,
        rate_sla_mbps=100.0, latency_sla_ms=latency_ms[1],
    )  # fmt: skip
    urllc = SliceParameters(
        name="urllc", user_share=1 / 13, interarrival="exponential", interarrival_ms=180.0,
        packet_size="choice", packet_bits=sizes[urllc_packets], rate_sla_mbps=10.0, latency_sla_ms=latency_ms[2],
    )  # fmt: skip
    return volte, video, urllc


def _dynamic_slices() -> tuple[SliceParameters, ...]:
    """Cloud gaming, video conferencing and video streaming; packets are PDU sets (3GPP TS 23.501 clause 5.37.5).

    Latencies are the packet delay budgets of 5QI 3, 2 and 6 (3GPP TS 23.501, table 5.7.4-1). Rates, rate variation and
    on/off phases were fitted to public traces: session rate, log-rate deviation and its correlation time of gaming and
    conferencing to the GeForce Now, Zoom and Teams traces of Choi et al. (2023, 5G traffic of mobile applications),
    whose samples, which carry no clock, we take as seconds; the
    on/off phases of streaming to the eMBB traces of TRACTOR (Groen et al., ICC 2024). Session numbers and durations are
    ours, on the compressed day.
    """
    gaming = SliceParameters(
        name="gaming", user_share=0.16, interarrival="periodic", interarrival_ms=1000 / 60,
        packet_size="lognormal", packet_bits=(176e3,), packet_cap_bits=2e6, packet_log_std=0.3, latency_sla_ms=50.0,
        mean_sessions=2.0, session_s=30.0, daily_depth=0.6, daily_peak=0.8, rate_log_std=0.4, rate_correlation_s=6.6,
    )  # fmt: skip
    conferencing = SliceParameters(
        name="conferencing", user_share=0.34, interarrival="periodic", interarrival_ms=1000 / 30,
        packet_size="lognormal", packet_bits=(28e3,), packet_cap_bits=5e5, packet_log_std=0.5, latency_sla_ms=150.0,
        mean_sessions=10.0, session_s=40.0, daily_depth=0.8, daily_peak=0.45, rate_log_std=0.5, rate_correlation_s=10.6,
    )  # fmt: skip
    streaming = SliceParameters(
        name="streaming", user_share=0.5, interarrival="exponential", interarrival_ms=50.0,
        packet_size="lognormal", packet_bits=(170e3,), packet_cap_bits=4e6, packet_log_std=0.8, latency_sla_ms=300.0,
        mean_sessions=20.0, session_s=40.0, daily_depth=0.6, daily_peak=0.9, burst_on_s=2.3, burst_off_s=5.5,
        rate_log_std=0.6, rate_correlation_s=4.0,
    )  # fmt: skip
    return gaming, conferencing, streaming


def slicing_parameters(preset: str = "hua2019", *, urllc_packets: str = "small", **changes: Any) -> SlicingParameters:
    """Returns the parameters of a preset, with changes.

    Args:
        preset: `hua2019` (Hua et al. 2020 as their authors coded it), `zhang2024` (Table I of Zhang et al.) or
            `dynamic`
            (queues, channels and users live on from decision to decision).
        urllc_packets: `small` (6.4 … 32 kB) or `large` (0.3 … 0.7 MB) URLLC packets of the two published presets.
        **changes: Any field of [`SlicingParameters`][gentwin.networks.slicing.SlicingParameters].

    Raises:
        ValueError: If the preset or a field is unknown or a value is out of range.
        TypeError: If a value has the wrong type.
    """
    if preset == "hua2019":
        # The code demands less than 10, 10 and 3 ms, which in slots of 0.5 ms is at most 9.5, 9.5 and 2.5 ms.
        base = SlicingParameters(preset=preset, slices=_published_slices(urllc_packets, (9.5, 9.5, 2.5)))
    elif preset == "zhang2024":
        base = SlicingParameters(
            preset=preset, slices=_published_slices(urllc_packets, (10.0, 10.0, 1.0)), bandwidth_hz=20e6,
            resolution_hz=1e6, slots_per_step=400, fading="rayleigh", placement="disc",
        )  # fmt: skip
    elif preset == "dynamic":
        if urllc_packets != "small":
            raise ValueError(
                "`urllc_packets` applies to the presets hua2019 and zhang2024 only; leave it out for dynamic."
            )
        base = SlicingParameters(
            preset=preset, slices=_dynamic_slices(), num_users=100, bandwidth_hz=18.36e6, resolution_hz=1.08e6,
            resource_block_hz=360e3, slots_per_step=200, queue_packets=32, population="sessions", carry_over=True,
            drop_late=True, scheduler="work_conserving", fading="rayleigh_doppler", speed_mps=1.5, carrier_ghz=3.5,
            placement="disc", cell_radius_m=200.0, path_loss_db=34.0, path_loss_exponent=3.53,
            path_loss_reference_m=1.0, shadowing_std_db=7.8, transmit_power_dbm=44.0, receive_gain_db=-23.0,
            power_split=True, rate_logarithm=2, rate_factor=0.75, max_spectral_efficiency=9.9,
            spectral_efficiency="delivered", spectral_efficiency_weight=0.1, warmup_steps=20,
        )  # fmt: skip
    else:
        raise ValueError(f"`preset` must be one of {PRESETS}, got {preset!r}{did_you_mean(str(preset), list(PRESETS))}")
    return base.replace(**changes)
