"""Load over sockets: UEs are served by a core in real time, and its mistakes are seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from gentwin.serving import CoreServer, TcpTransport, UdpUserPlane
from gentwin.serving.emulated_upf import NO_DELAYS
from gentwin.serving.load import Load, Round
from gentwin.signaling.core import (
    OPEN5GS,
    NetworkConfiguration,
    ReferenceControlPlane,
    Station,
    Subscribers,
    SynthesisConfiguration,
    populate,
)
from gentwin.signaling.core.control_plane import Packet

NETWORK = NetworkConfiguration(
    stations=(Station(1, "127.0.2.1:1"), Station(2, "127.0.2.2:1")),
    flavour=replace(OPEN5GS, delays=NO_DELAYS),
    smf_address="127.0.93.4",
    upf_address="127.0.93.7",
)


class Forgetful(ReferenceControlPlane):
    """A core that can be told to be silent."""

    silent = False

    def hear(self, packets: Sequence[Packet], now: float) -> list[Packet]:
        return [] if self.silent else super().hear(packets, now)


async def run(ues: int, rounds: int, patience: float) -> list[Round]:
    subscribers = Subscribers()
    usims = populate(subscribers, ues, Random(1), NETWORK)
    core = Forgetful(NETWORK, subscribers)
    transport = TcpTransport("127.0.0.1", 0)
    server = CoreServer(core, transport, UdpUserPlane("127.0.93.4:8805", "127.0.93.7:8805"))
    started = asyncio.Event()
    task = asyncio.ensure_future(server.run(started.set))
    await started.wait()
    configuration = SynthesisConfiguration(ues=ues, network=NETWORK)
    load = Load(configuration, subscribers, usims, transport.address, at_once=4)
    try:
        await load.open(10.0)
        found = []
        for number in range(rounds):
            core.silent = number == rounds - 1
            found.append(await load.round(0.5 if core.silent else patience))
        return found
    finally:
        load.close()
        server.stop()
        await task


def test_all_are_served_until_the_core_is_silent():
    *served, silent = asyncio.run(run(ues=6, rounds=3, patience=20.0))
    for known in served:
        assert known.served == 6 and not known.result.wrong and not known.result.violations
        assert {outcome.procedure for outcome in known.of_users} == {
            "Initial registration",
            "PDU session establishment",
            "UE-initiated deregistration",
        }
        assert len(known.of_users) == 18 and known.seconds > 0
    assert silent.served == 0
