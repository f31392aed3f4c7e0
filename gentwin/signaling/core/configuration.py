"""What a network consists of, and how its core behaves."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from gentwin.signaling.errors import SignalingError

PROFILES = ("profile_a", "profile_b")
CIPHERING = (0, 2)


@dataclass(frozen=True, slots=True)
class Slice:
    """Single network slice selection assistance information, S-NSSAI.

    Args:
        sst: Slice or service type, 1 to 255.
        sd: Slice differentiator, 6 hex digits; None for none.
    """

    sst: int
    sd: str | None = None

    def __str__(self) -> str:
        """Returns it as files have it: SST, or SST-SD."""
        return str(self.sst) if self.sd is None else f"{self.sst}-{self.sd}"


EMBB, IOT = Slice(1), Slice(2, "000001")
IMMERSIVE, HRLLC, MASSIVE, UBIQUITOUS = Slice(1, "000101"), Slice(2, "000102"), Slice(3, "000103"), Slice(1, "000104")
"""Slices for immersive communication, hyper reliable low-latency, massive communication, ubiquitous connectivity."""


@dataclass(frozen=True, slots=True)
class DataNetwork:
    """A data network and the addresses of its UEs.

    Args:
        dnn: Its name.
        addresses: Such as `10.45.0.0/16`.
        name_servers: Addresses that UEs are told.
    """

    dnn: str
    addresses: str
    name_servers: tuple[str, ...] = ("8.8.8.8", "8.8.4.4")


@dataclass(frozen=True, slots=True)
class Station:
    """A base station, gNB.

    Args:
        number: Its identity, 1 to 2**28 - 1.
        address: Of N2, `host:port`; the host is that of N3 as well.
        tac: Tracking area code, 6 hex digits.
        slices: It serves; None for those of the network.
        plmn: Its network, such as `999-70`; None for the one of the core.
    """

    number: int
    address: str
    tac: str = "000001"
    slices: tuple[Slice, ...] | None = None
    plmn: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Timer values in seconds, and how often something is tried.

    Args:
        t3502: UE waits before it tries again after all attempts failed.
        t3510: UE waits for an answer to its registration.
        t3511: UE waits before it tries again.
        t3512: Periodic registration; a multiple of 30 s up to 930 s, or of 10 minutes.
        t3513: AMF waits for an answer to paging.
        t3516: UE keeps RES* of a challenge.
        t3517: UE waits for an answer to its service request.
        t3521: UE waits for an answer to its deregistration.
        t3522: AMF waits for an answer to its deregistration.
        t3550: AMF waits for a registration to be completed.
        t3555: AMF waits for a configuration update to be completed.
        t3560: AMF waits for an answer to a challenge or a security mode command.
        t3570: AMF waits for an identity.
        t3580: UE waits for a session to be established.
        t3581: UE waits for a session to be modified.
        t3582: UE waits for a session to be released.
        t3591: SMF waits for a modification to be completed.
        t3592: SMF waits for a release to be completed.
        t1: PFCP entity waits for a response.
        n1: How often PFCP requests are sent in all.
        handover: Core waits for a handover to end.
        attempts: How often UE and core send a message of NAS in all.
        paging_attempts: How often a UE is paged in all.
        implicit_deregistration: After T3512 a UE that was not heard of is given up so much later.
        heartbeat: From one to the next on N4.

    Source: 3GPP TS 24.501 clause 10.2 and 10.3, TS 29.244 clause 6.4.
    """

    t3502: float = 720.0
    t3510: float = 15.0
    t3511: float = 10.0
    t3512: float = 540.0
    t3513: float = 2.0
    t3516: float = 30.0
    t3517: float = 5.0
    t3521: float = 15.0
    t3522: float = 3.0
    t3550: float = 6.0
    t3555: float = 6.0
    t3560: float = 6.0
    t3570: float = 3.0
    t3580: float = 16.0
    t3581: float = 16.0
    t3582: float = 16.0
    t3591: float = 16.0
    t3592: float = 16.0
    t1: float = 2.5
    n1: int = 4
    handover: float = 10.0
    attempts: int = 5
    paging_attempts: int = 3
    implicit_deregistration: float = 240.0
    heartbeat: float = 11.0


@dataclass(frozen=True, slots=True)
class Delays:
    """Median times from what is received to what is sent, in seconds, where nothing else is to be done.

    Args:
        spread: Standard deviation of the logarithm of a time.
        ue: UE answers.
        station: Base station answers.
        resources: Base station sets up the resources of sessions.
        setup: AMF takes in a base station.
        amf: AMF answers.
        exchange: AMF and SMF agree on what they know of sessions.
        challenge: AMF is given a challenge by the home network.
        security: AMF has a response checked.
        registration: AMF registers a UE with the home network, and is given its policies.
        deregistration: AMF has all of this forgotten.
        session: SMF is given the subscription and the policy of a session.
        smf: SMF answers or passes on.
        upf: User plane answers.
    """

    spread: float = 0.2
    ue: float = 0.00045
    station: float = 0.00015
    resources: float = 0.0013
    setup: float = 0.005
    amf: float = 0.0002
    exchange: float = 0.0008
    challenge: float = 0.0028
    security: float = 0.0034
    registration: float = 0.0072
    deregistration: float = 0.0125
    session: float = 0.0062
    smf: float = 0.0005
    upf: float = 0.0001


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many messages a function works on at a time; those that come meanwhile wait, first come, first served.

    Args:
        amf: AMF by itself, 1 or more; 0 for no limit.
        smf: SMF by itself, likewise.
        upf: Control side of the user plane, likewise.
        services: All other functions, which AMF and SMF ask: AUSF, UDM, PCF; likewise.
        station: Every base station, likewise.

    Raises:
        SignalingError: If a number is negative.
    """

    amf: int = 1
    smf: int = 1
    upf: int = 1
    services: int = 2
    station: int = 1

    def __post_init__(self) -> None:
        for name in ("amf", "smf", "upf", "services", "station"):
            if getattr(self, name) < 0:
                raise SignalingError(f"`{name}` must be 1 or more, or 0 for no limit, got {getattr(self, name)!r}.")


@dataclass(frozen=True, slots=True)
class HomeKey:
    """A private key of the home network, by which it reads concealed identities.

    Args:
        identifier: Home network public key identifier, 1 to 254.
        scheme: `profile_a` (X25519) or `profile_b` (P-256).
        private_key: 64 hex digits.

    Raises:
        SignalingError: If a value is not one of these.

    Source: 3GPP TS 33.501 clause C.3.4.
    """

    identifier: int
    scheme: str
    private_key: str

    def __post_init__(self) -> None:
        if not 1 <= self.identifier <= 254:
            raise SignalingError(f"`identifier` must be from 1 to 254, got {self.identifier!r}.")
        if self.scheme not in PROFILES:
            raise SignalingError(f"`scheme` must be {' or '.join(PROFILES)}, got {self.scheme!r}.")
        if len(self.private_key) != 64 or set(self.private_key) - set("0123456789abcdefABCDEF"):
            raise SignalingError("`private_key` must have 64 hex digits.")


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong: on links, as probabilities, and with whole nodes, by Poisson processes. N2 is reliable.

    Args:
        radio_loss: That a NAS message is lost between UE and base station, in either direction.
        datagram_loss: That a message on N4 is lost.
        datagram_repeat: That a message on N4 arrives twice.
        datagram_late: That a message on N4 is late.
        late_by: By how much, in seconds.
        handover_refused: That a base station has no room for a UE that is handed over.
        handover_cancelled: That a base station takes back a handover that was prepared.
        acceptance_missed: That a UE that registers at once after it deregistered is not ready to be accepted: it
            reports #101, and tries again after T3511.
        station_resets: Base stations per second that reset their link.
        station_restarts: Base stations per second that fail and start again after the downtime.
        amf_restarts: How often per second the AMF fails, with all it knows of UEs; it is back after the downtime.
        upf_restarts: How often per second the user plane fails, with all its sessions; it is back after the downtime.
        downtime: From a failure to the next start, in seconds.

    Raises:
        SignalingError: If a value is out of range.
    """

    radio_loss: float = 0.0
    datagram_loss: float = 0.0
    datagram_repeat: float = 0.0
    datagram_late: float = 0.0
    late_by: float = 3.0
    handover_refused: float = 0.0
    handover_cancelled: float = 0.0
    acceptance_missed: float = 0.0
    station_resets: float = 0.0
    station_restarts: float = 0.0
    amf_restarts: float = 0.0
    upf_restarts: float = 0.0
    downtime: float = 9.0

    def __post_init__(self) -> None:
        for known in fields(self):
            value, most = getattr(self, known.name), 1.0 if known.name in PROBABILITIES else float("inf")
            if not 0 <= value <= most:
                raise SignalingError(f"`{known.name}` must be from 0 to {most:g}, got {value!r}.")


PROBABILITIES = frozenset(
    {
        "radio_loss",
        "datagram_loss",
        "datagram_repeat",
        "datagram_late",
        "handover_refused",
        "handover_cancelled",
        "acceptance_missed",
    }
)


@dataclass(frozen=True, slots=True)
class Flavour:
    """How one core, and the base stations and UEs at it, behave where the specification leaves a choice.

    Args:
        name: Of the core.
        timing: Values of timers.
        delays: Times to answer.
        ciphering: NEA algorithm, 0 or 2, for UEs that know it; others are not ciphered.
        accept_in_context_setup: Whether a registration is accepted inside the set-up of a context, or before it.
        network_name: Full and short name told in a configuration update after registration; None for no update.
        new_guti_after_paging: Whether a UE that was paged gets a new temporary identity.
        requested_nssai_in_clear: Whether a UE requests slices in the clear part of a protected request, which
            this core rejects.
        unsupported_dnn_status: Whether a session with an unknown data network is refused by a 5GMM status message,
            or by a downlink transport with the payload not forwarded.
        sd_of_session_reversed: Whether slice differentiators on N4 have their octets reversed.
        router_solicitation_rule: Whether sessions have a rule that brings router solicitations to the control plane.
        keeps_refused_sessions: Whether a session that was refused by a status message stays: the AMF tells the UE
            that there is one, and the UE asks for it again after T3580.
        repeats_slices: Whether a UE requests what it was allowed and what it is configured for one after the other,
            and is allowed all of that; else every slice once.
        ipv4_only_cause: 5GSM cause for a session of another type than IPv4 where only that is allowed.
        ipv6_only_cause: 5GSM cause for a session of another type than IPv6 where only that is allowed.
        implicitly_deregistered_cause: 5GMM cause of the rejected service of a UE that was deregistered meanwhile.
        relative_capacity: Weight of the AMF among others, 0 to 255.

    Raises:
        SignalingError: If a value is out of range.
    """

    name: str
    timing: Timing = field(default_factory=Timing)
    delays: Delays = field(default_factory=Delays)
    ciphering: int = 0
    accept_in_context_setup: bool = True
    network_name: tuple[str, str] | None = None
    new_guti_after_paging: bool = False
    requested_nssai_in_clear: bool = False
    unsupported_dnn_status: bool = False
    sd_of_session_reversed: bool = False
    router_solicitation_rule: bool = False
    keeps_refused_sessions: bool = False
    repeats_slices: bool = False
    ipv4_only_cause: int = 50
    ipv6_only_cause: int = 51
    implicitly_deregistered_cause: int = 10
    relative_capacity: int = 255

    def __post_init__(self) -> None:
        if self.ciphering not in CIPHERING:
            raise SignalingError(f"`ciphering` must be 0 (NEA0) or 2 (NEA2), got {self.ciphering!r}.")
        if not 0 <= self.relative_capacity <= 255:
            raise SignalingError(f"`relative_capacity` must be from 0 to 255, got {self.relative_capacity!r}.")


OPEN5GS = Flavour(
    name="open5gs",
    network_name=("Open5GS", "Next"),
    new_guti_after_paging=True,
    unsupported_dnn_status=True,
    sd_of_session_reversed=True,
    router_solicitation_rule=True,
    keeps_refused_sessions=True,
    repeats_slices=True,
    ipv4_only_cause=67,
    ipv6_only_cause=67,
    implicitly_deregistered_cause=9,
)
"""Open5GS 2.7 with UERANSIM 3.3, as recorded."""

GENERIC = Flavour(name="generic", accept_in_context_setup=False)
"""A core that takes the specification's order: a registration is accepted before its context is set up."""


HOME_KEYS = (
    HomeKey(1, "profile_a", "6b1f0b2a35d4a2bd5f0cf1d46a6c5f1f3d8c9a7e24b5604f9b8d217e5a90c331"),
    HomeKey(2, "profile_b", "2f7c9d4418be3a06e5d1c0972b64af83591e7ad0c6f24b38817d03a95ce6420b"),
)
"""One key of each profile, made for this network and for nothing else."""


@dataclass(frozen=True, slots=True)
class NetworkConfiguration:
    """A network: its parts, addresses and areas.

    Args:
        plmn: Such as `999-70`.
        stations: Base stations.
        slices: Of the network.
        data_networks: Of the network.
        areas: Tracking area codes of the registration area, 6 hex digits each.
        flavour: How the core behaves.
        capacity: How much its functions do at a time.
        home_keys: Keys by which the home network reads concealed identities.
        amf_name: As stations are told.
        amf_address: Of N2, `host:port`.
        amf_region: 8 bits.
        amf_set: 10 bits.
        amf_pointer: 6 bits.
        smf_address: Host of N4 at the control plane.
        upf_address: Host of N4 at the user plane, and of N3.
        start: Time of the first message, in seconds since 1970.
        max_ues: How many UEs the pools of identifiers are made for.
    """

    plmn: str = "999-70"
    stations: tuple[Station, ...] = (Station(1, "127.0.2.1:41621"),)
    slices: tuple[Slice, ...] = (EMBB, IOT)
    data_networks: tuple[DataNetwork, ...] = (
        DataNetwork("internet", "10.45.0.0/16"),
        DataNetwork("ims", "10.46.0.0/16"),
        DataNetwork("iot", "10.47.0.0/16"),
    )
    areas: tuple[str, ...] = ("000001", "000002", "000003")
    flavour: Flavour = OPEN5GS
    capacity: Capacity = field(default_factory=Capacity)
    home_keys: tuple[HomeKey, ...] = HOME_KEYS
    amf_name: str = "open5gs-amf0"
    amf_address: str = "127.0.0.5:38412"
    amf_region: int = 2
    amf_set: int = 1
    amf_pointer: int = 0
    smf_address: str = "127.0.0.4"
    upf_address: str = "127.0.0.7"
    start: float = 1_795_246_760.0
    max_ues: int = 1024

    @property
    def mcc(self) -> str:
        """Mobile country code."""
        return self.plmn.partition("-")[0]

    @property
    def mnc(self) -> str:
        """Mobile network code."""
        return self.plmn.partition("-")[2]
