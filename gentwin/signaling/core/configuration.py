"""What a network consists of, and how its core behaves."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Slice:
    """Single network slice selection assistance information, S-NSSAI.

    Args:
        sst: Slice or service type, 1 to 255.
        sd: Slice differentiator, 6 hex digits; None for none.
    """

    sst: int
    sd: str | None = None


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
    """Median times from what is received to what is sent, in seconds, of a core that has nothing else to do.

    Args:
        spread: Standard deviation of the logarithm of a time.
        ue: UE answers.
        gnb: Station answers.
        challenge: AMF asks the home network for a challenge.
        security: AMF has a response checked.
        registration: AMF registers a UE.
        amf: AMF answers anything else.
        session: AMF and SMF create a session.
        smf: SMF answers or passes on.
        upf: User plane answers.
        deregistration: Core forgets a UE.
    """

    spread: float = 0.2
    ue: float = 0.0005
    gnb: float = 0.00015
    challenge: float = 0.003
    security: float = 0.0035
    registration: float = 0.0065
    amf: float = 0.0008
    session: float = 0.006
    smf: float = 0.0005
    upf: float = 0.00015
    deregistration: float = 0.012


@dataclass(frozen=True, slots=True)
class Flavour:
    """How one core, and the base stations and UEs at it, behave where the specification leaves a choice.

    Args:
        name: Of the core.
        timing: Values of timers.
        delays: Times to answer.
        ciphering: NEA algorithm, 0 or 2.
        integrity: NIA algorithm, 2.
        accept_in_context_setup: Whether a registration is accepted inside the set-up of a context, or before it.
        network_name: Full and short name told in a configuration update after registration; None for no update.
        new_guti_after_paging: Whether a UE that was paged gets a new temporary identity.
        requested_nssai_in_clear: Whether a UE requests slices in the clear part of a protected request, which
            this core rejects.
        unsupported_dnn_status: Whether a session with an unknown data network is refused by a 5GMM status message,
            or by a downlink transport with the payload not forwarded.
        sd_of_session_reversed: Whether slice differentiators on N4 have their octets reversed.
        router_solicitation_rule: Whether sessions have a rule that brings router solicitations to the control plane.
        capacity: Relative capacity of the AMF, 0 to 255.
    """

    name: str
    timing: Timing = field(default_factory=Timing)
    delays: Delays = field(default_factory=Delays)
    ciphering: int = 0
    integrity: int = 2
    accept_in_context_setup: bool = True
    network_name: tuple[str, str] | None = None
    new_guti_after_paging: bool = False
    requested_nssai_in_clear: bool = False
    unsupported_dnn_status: bool = False
    sd_of_session_reversed: bool = False
    router_solicitation_rule: bool = False
    capacity: int = 255


OPEN5GS = Flavour(
    name="open5gs",
    network_name=("Open5GS", "Next"),
    new_guti_after_paging=True,
    unsupported_dnn_status=True,
    sd_of_session_reversed=True,
    router_solicitation_rule=True,
)
"""Open5GS 2.7 with UERANSIM 3.3, as recorded."""

GENERIC = Flavour(name="generic", accept_in_context_setup=False)
"""A core that takes the specification's order: a registration is accepted before its context is set up."""


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
