"""N4 of a core that is served."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from gentwin.serving import (
    CoreServer,
    EmulatedUpf,
    EmulatedUpfServer,
    MessageLog,
    ServingConfiguration,
    TcpTransport,
    UdpUserPlane,
    Watches,
)
from gentwin.signaling import pfcp
from gentwin.signaling.core import n4
from gentwin.signaling.core.control_plane import Packet, ReferenceControlPlane
from gentwin.signaling.core.n2 import NTP_EPOCH
from gentwin.signaling.messages import PFCP
from tests.serving.stations import NETWORK, eventually

pytest.importorskip("prometheus_client")

from gentwin.serving.metrics import Metrics

NOW = 1_800_000_000.0


def association(sequence: int = 1) -> bytes:
    pairs = n4.node_id("127.0.0.4"), ("recovery_time_stamp", int(NOW) + NTP_EPOCH), ("cp_function_features", "")
    return pfcp.encode(n4.message("AssociationSetupRequest", sequence, *pairs))


def test_emulated_upf_answers_at_once_and_sends_heartbeats():
    upf = EmulatedUpf(NETWORK, seed=1)
    upf.start(NOW)
    (answer,) = upf.hear(association(), NOW)
    response = pfcp.decode(answer)
    assert response.name == "AssociationSetupResponse" and response["cause"] == "request_accepted"
    assert response["recovery_time_stamp"] == int(NOW) + NTP_EPOCH
    assert upf.hear(association(), NOW) == [answer]
    (heartbeat,) = upf.tick(upf.due())
    assert pfcp.decode(heartbeat).name == "HeartbeatRequest"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x20",
        bytes(40),
        pfcp.encode(n4.message("SessionEstablishmentRequest", 1, seid=0)),
        pfcp.encode(n4.message("SessionModificationResponse", 1, ("cause", "request_accepted"), seid=1)),
    ],
    ids=["nothing", "short", "zeros", "without elements", "answer to nothing"],
)
def test_emulated_upf_survives_anything(data: bytes):
    upf = EmulatedUpf(NETWORK, seed=1)
    upf.start(NOW)
    assert upf.hear(data, NOW) == []
    assert len(upf.hear(association(), NOW)) == 1


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def test_real_upf_is_associated_over_udp_and_strangers_are_not_heard(tmp_path: Path):
    remote, stranger = "127.0.0.17", "127.0.0.18"
    network = replace(NETWORK, upf_address=remote)

    async def main() -> None:
        upf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        upf.bind((remote, 0))
        upf.settimeout(20)
        plane = UdpUserPlane(f"127.0.0.1:{free_port('127.0.0.1')}", f"{remote}:{upf.getsockname()[1]}")
        core = ReferenceControlPlane(network, ServingConfiguration().subscribers)
        metrics = Metrics()
        log = MessageLog(tmp_path / "core.jsonl")
        server = CoreServer(core, TcpTransport("127.0.0.1", 0), plane, watch=Watches([metrics, log]))
        task = asyncio.create_task(server.run())
        data, address = await asyncio.to_thread(upf.recvfrom, 1 << 16)
        request = pfcp.decode(data)
        assert request.name == "AssociationSetupRequest"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((stranger, 0))
            for _ in range(3):
                other.sendto(b"\xff" * 20, address)
        await eventually(lambda: b'gentwin_core_refusals_total{by="n4"} 3.0' in metrics.exposition())
        (line,) = (tmp_path / "core.jsonl").read_text().splitlines()
        assert f'"{stranger}:' in line and "is not from the UPF" in line
        answer = n4.message(
            "AssociationSetupResponse",
            request["sequence_number"],
            n4.node_id(remote),
            n4.ACCEPTED,
            ("recovery_time_stamp", 1),
        )
        upf.sendto(pfcp.encode(answer), address)
        await eventually(lambda: core.smf.associated)
        server.stop()
        await task
        upf.close()

    asyncio.run(main())


def test_datagrams_that_came_together_are_taken_together():
    remote, count = "127.0.0.21", 50

    async def main() -> list[Packet]:
        port = free_port("127.0.0.1")
        plane, ready = UdpUserPlane(f"127.0.0.1:{port}", f"{remote}:8805"), asyncio.Event()
        await plane.open(ready.set)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upf:
                upf.bind((remote, 0))
                for number in range(count):
                    upf.sendto(bytes([number]), ("127.0.0.1", port))
            async with asyncio.timeout(20):
                await ready.wait()
            return plane.take(100)
        finally:
            plane.close()

    assert [packet.data for packet in asyncio.run(main())] == [bytes([number]) for number in range(count)]


def test_strangers_do_not_say_that_something_has_come():
    remote, stranger = "127.0.0.23", "127.0.0.24"

    async def main() -> None:
        port, told = free_port("127.0.0.1"), []
        plane = UdpUserPlane(f"127.0.0.1:{port}", f"{remote}:8805")
        await plane.open(lambda: told.append("upf"), lambda peer, reason: told.append("stranger"))
        try:
            for number, host in enumerate((remote, stranger), start=1):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                    sender.bind((host, 0))
                    sender.sendto(b"\xff", ("127.0.0.1", port))
                await eventually(lambda number=number: len(told) >= number)
            assert told == ["upf", "stranger"]
        finally:
            plane.close()

    asyncio.run(main())


def test_address_of_another_is_an_error():
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            plane = UdpUserPlane(f"127.0.0.1:{other.getsockname()[1]}", "127.0.0.21:8805")
            with pytest.raises(OSError):
                await plane.open(lambda: None)
            plane.close()

    asyncio.run(main())


def test_emulated_upf_with_its_own_socket():
    network = replace(NETWORK, upf_address="127.0.0.19", smf_address="127.0.0.20")

    async def main() -> None:
        server = EmulatedUpfServer(EmulatedUpf(network, seed=1), network.smf_address)
        plane = UdpUserPlane(f"{network.smf_address}:8805", f"{network.upf_address}:8805")
        ready = asyncio.Event()
        await server.open()
        await plane.open(ready.set)
        try:
            plane.send(Packet(PFCP, f"{network.upf_address}:8805", association()))
            async with asyncio.timeout(20):
                await ready.wait()
            (packet,) = plane.take(10)
            assert packet.peer == f"{network.upf_address}:8805"
            assert pfcp.decode(packet.data).name == "AssociationSetupResponse"
        finally:
            plane.close()
            server.close()

    asyncio.run(main())
