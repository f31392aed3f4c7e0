"""A core behind sockets: real base stations, strangers, and those who send too much or nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gentwin.serving import (
    CoreServer,
    EmulatedUpf,
    InProcessUserPlane,
    Ladders,
    Limits,
    ServingConfiguration,
    TcpTransport,
    UdpUserPlane,
    UnixTransport,
    UserPlane,
    Watch,
)
from gentwin.serving.framing import HEAD
from gentwin.signaling import ngap, pfcp
from gentwin.signaling.core import n2, n4
from gentwin.signaling.core.control_plane import CoreEvent, Packet, ReferenceControlPlane
from gentwin.signaling.messages import Record
from tests.serving.stations import NETWORK, SECONDS, Client, eventually, initial_message, setup_request

pytest.importorskip("pycrate_asn1dir.NGAP")


class Core(ReferenceControlPlane):
    """The reference core, which remembers what it heard and lost."""

    def __init__(self) -> None:
        configuration = ServingConfiguration()
        super().__init__(configuration.network, configuration.subscribers)
        self.batches: list[list[Packet]] = []
        self.lost: list[str] = []
        self.fails_at = b""

    def hear(self, packets, now):
        self.batches.append([packet for packet in packets if packet.protocol == "ngap"])
        if self.fails_at and any(packet.data == self.fails_at for packet in packets):
            raise RuntimeError("a defect")
        return super().hear(packets, now)

    def lose(self, peer, now):
        self.lost.append(peer)
        return super().lose(peer, now)

    @property
    def heard(self) -> list[bytes]:
        return [packet.data for batch in self.batches for packet in batch]


class Notes(Watch):
    """Remembers what a server tells."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.links: list[tuple[bool, str]] = []
        self.events: list[CoreEvent] = []
        self.said_to_strangers: list[CoreEvent] = []
        self.answers: list[tuple[str, bool]] = []

    def refused(self, peer, reason, now, by="server"):
        self.refusals.append(reason)

    def event(self, event):
        self.events.append(event)

    def answered(self, event):
        self.said_to_strangers.append(event)

    def user_plane(self, address, answers, now):
        self.answers.append((address, answers))

    def link(self, peer, up, reason, now):
        self.links.append((up, reason))


class Served:
    """A server that runs, with its core."""

    def __init__(
        self, transport=None, limits: Limits | None = None, core: Core | None = None, watch: Watch | None = None
    ) -> None:
        self.core, self.notes = core or Core(), Notes()
        user_plane = InProcessUserPlane(EmulatedUpf(NETWORK, seed=1))
        transport = transport or TcpTransport("127.0.0.1", 0)
        self.server = CoreServer(self.core, transport, user_plane, limits=limits, watch=watch or self.notes)

    async def connect(self) -> Client:
        return await Client.connect(self.server.transport.address)


@asynccontextmanager
async def serving(served: Served):
    started = asyncio.Event()
    task = asyncio.create_task(served.server.run(started.set))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            await task
        yield served
    finally:
        waiting.cancel()
        served.server.stop()
        await task


def run(test: Callable[[Served], Awaitable[None]], **arguments) -> Served:
    served = Served(**arguments)

    async def main() -> None:
        async with asyncio.timeout(3 * SECONDS), serving(served):
            await test(served)

    asyncio.run(main())
    return served


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_base_station_and_ue_are_answered(kind: str, tmp_path: Path):
    async def test(served: Served) -> None:
        client = await (await served.connect()).set_up()
        client.send(initial_message(ran_id=7), stream=3)
        message, stream = await client.receive_frame()
        assert message.name == "DownlinkNASTransport" and message["ran_ue_ngap_id"] == 7
        assert message["nas_pdu"].name == "AuthenticationRequest" and stream == 3

    transport = UnixTransport(tmp_path / "n2") if kind == "unix" else None
    served = run(test, transport=transport)
    assert served.notes.refusals == []
    assert not (tmp_path / "n2").exists()


def test_unix_socket_is_of_its_owner_and_replaces_only_what_is_left_over(tmp_path: Path):
    path = tmp_path / "n2"

    async def test(served: Served) -> None:
        assert path.stat().st_mode & 0o077 == 0
        with pytest.raises(FileExistsError, match="somebody listens"):
            await UnixTransport(path).open(served.server, Limits())

    run(test, transport=UnixTransport(path))
    path.write_text("a file")
    with pytest.raises(FileExistsError, match="no socket"):
        run(test, transport=UnixTransport(path))
    assert path.read_text() == "a file"


@pytest.mark.parametrize(
    ("data", "answer", "cause"),
    [
        (initial_message(5), "ErrorIndication", "message-not-compatible-with-receiver-state"),
        (b"\xff\xff\xff", "ErrorIndication", "transfer-syntax-error"),
        (
            ngap.encode(n2.message("RANConfigurationUpdate")),
            "RANConfigurationUpdateFailure",
            "message-not-compatible-with-receiver-state",
        ),
    ],
    ids=["message of a UE", "no message", "configuration update"],
)
def test_nothing_is_heard_before_ng_setup(data: bytes, answer: str, cause: str):
    async def test(served: Served) -> None:
        client = await served.connect()
        client.send(data)
        message = await client.receive()
        assert (message.name, message["cause.protocol"]) == (answer, cause)
        if data == initial_message(5):
            assert message["ran_ue_ngap_id"] == 5
        assert served.core.heard == []
        await client.set_up()

    assert len(run(test).notes.refusals) == 1


def test_silence_is_prescribed_for_answers_and_error_indications():
    indication = ngap.encode(n2.message("ErrorIndication", n2.cause("protocol", "semantic-error")))
    response = ngap.encode(n2.message("NGResetAcknowledge"))

    async def test(served: Served) -> None:
        client = await served.connect()
        client.send(indication, response, setup_request())
        assert (await client.receive()).name == "NGSetupResponse"
        assert served.core.heard == [setup_request()]

    assert len(run(test).notes.refusals) == 2


def test_who_speaks_on_and_on_before_ng_setup_is_cut_off():
    async def test(served: Served) -> None:
        client = await served.connect()
        client.send(*[b"\xff\xff\xff"] * 20)
        assert await client.is_cut_off()
        await eventually(lambda: not served.server._seats)

    served = run(test, limits=Limits(refusals=5))
    assert len(served.notes.refusals) == 5
    assert (False, "sent more than 5 messages before NG setup") in served.notes.links


def test_refused_setup_leaves_the_gate_closed():
    async def test(served: Served) -> None:
        client = await served.connect()
        client.send(setup_request(tac="0000ff"))
        assert (await client.receive()).name == "NGSetupFailure"
        client.send(initial_message())
        assert (await client.receive()).name == "ErrorIndication"
        await client.set_up()
        client.send(setup_request(tac="0000ff"))
        assert (await client.receive()).name == "NGSetupFailure"
        client.send(initial_message())
        assert (await client.receive()).name == "ErrorIndication"

    run(test)


def test_what_comes_together_is_one_batch_with_a_share_for_everybody():
    limits = Limits(share=4, batch=64)

    async def test(served: Served) -> None:
        loud, quiet = [await (await served.connect()).set_up() for _ in range(2)]
        before = len(served.core.batches)
        loud.send(*(initial_message(number) for number in range(1, 101)))
        quiet.send(initial_message(1))
        assert (await quiet.receive()).name == "DownlinkNASTransport"
        for _ in range(100):
            await loud.receive()
        batches = served.core.batches[before:]
        assert all(len(batch) <= 8 for batch in batches) and any(len(batch) >= 4 for batch in batches)
        heard_of_quiet = next(
            place for place, batch in enumerate(batches) if len({packet.peer for packet in batch}) == 2
            or (batch and batch[0].peer != batches[0][0].peer)
        )  # fmt: skip
        assert sum(map(len, batches[: heard_of_quiet + 1])) < 100

    run(test, limits=limits)


@pytest.mark.parametrize(
    ("data", "limits", "reason"),
    [
        (HEAD.pack(1 << 30, 0), Limits(), "from 1 to 65536 octets"),
        (HEAD.pack(0, 0), Limits(), "from 1 to 65536 octets"),
        (HEAD.pack(10, 0) + b"half", Limits(partial_seconds=0.05), "did not end it"),
        (b"", Limits(setup_seconds=0.05), "no NG setup was accepted"),
    ],
    ids=["long", "empty", "half", "silent"],
)
def test_who_sends_no_messages_is_cut_off_and_others_are_not(data: bytes, limits: Limits, reason: str):
    async def test(served: Served) -> None:
        other = await (await served.connect()).set_up()
        client = await served.connect()
        client.writer.write(data)
        assert await client.is_cut_off()
        other.send(initial_message())
        assert (await other.receive()).name == "DownlinkNASTransport"
        await eventually(lambda: any(not up for up, _ in served.notes.links))

    served = run(test, limits=limits)
    assert any(not up and reason in why for up, why in served.notes.links)


def test_who_does_not_read_is_cut_off(tmp_path: Path):
    async def test(served: Served) -> None:
        client = await served.connect()
        flood = b"".join(HEAD.pack(3, 0) + b"\xff\xff\xff" for _ in range(500))
        with pytest.raises(ConnectionError):
            while True:
                client.writer.write(flood)
                await client.writer.drain()
        await eventually(lambda: any(not up for up, _ in served.notes.links))

    served = run(test, transport=UnixTransport(tmp_path / "n2"), limits=Limits(unsent_octets=2000, refusals=1 << 30))
    assert (False, "does not read what it is sent") in served.notes.links


def test_what_is_not_heard_yet_is_not_read_without_end():
    limits = Limits(share=1, batch=1, waiting_octets=2000, message_octets=500)

    async def test(served: Served) -> None:
        client = await (await served.connect()).set_up()
        (seat,) = served.server._seats.values()
        sizes = []
        count = 300
        client.send(*(initial_message(number) for number in range(1, count + 1)))
        for _ in range(count):
            await client.receive()
            sizes.append(len(seat.link._reader))
        assert max(sizes) <= limits.waiting_octets + limits.message_octets + (1 << 18)

    run(test, limits=limits)


def test_links_beyond_the_limit_are_turned_away():
    async def test(served: Served) -> None:
        first = await (await served.connect()).set_up()
        second = await served.connect()
        assert await second.is_cut_off()
        first.close()
        await eventually(lambda: not served.server._seats)
        await (await served.connect()).set_up()

    served = run(test, limits=Limits(links=1))
    assert served.notes.refusals == ["there are 1 links already"]


def test_lost_links_are_told_to_the_core_once_they_were_heard():
    async def test(served: Served) -> None:
        stranger, client = await served.connect(), await (await served.connect()).set_up()
        client.send(initial_message(1), initial_message(2))
        await client.writer.drain()
        client.close()
        stranger.close()
        await eventually(lambda: served.core.lost != [])
        assert served.core.heard[-2:] == [initial_message(1), initial_message(2)]
        await eventually(lambda: not served.server._seats)

    assert len(run(test).core.lost) == 1


def test_what_is_said_to_who_is_not_set_up_is_told():
    async def test(served: Served) -> None:
        stranger = await served.connect()
        stranger.send(initial_message(1))
        assert (await stranger.receive()).name == "ErrorIndication"

    notes = run(test).notes
    (event,) = notes.said_to_strangers
    assert (event.kind, event.record.message.name, event.peer) == ("said", "ErrorIndication", event.record.receiver)
    assert notes.events == []


def test_strangers_write_into_the_chart_of_nobody():
    ladders = Ladders()

    async def test(served: Served) -> None:
        amf, gnb = served.server.transport.address, "127.0.2.1:5"
        for kind, name, numbers, ends in (
            ("heard", "InitialUEMessage", n2.ids(1, 7)[1:], (gnb, amf)),
            ("said", "DownlinkNASTransport", n2.ids(1, 7), (amf, gnb)),
        ):
            ladders.event(CoreEvent(kind, 1.0, gnb, record=Record(n2.message(name, *numbers), 1.0, *ends)))
        stranger = await served.connect()
        cause = n2.cause("radio_network", "user-inactivity")
        stranger.send(ngap.encode(n2.message("UEContextReleaseRequest", *n2.ids(1, 8), cause)))
        assert (await stranger.receive())["amf_ue_ngap_id"] == 1

    run(test, watch=ladders, transport=TcpTransport("127.0.0.25", 38412))
    (ue,) = ladders.ues()
    assert [step.label for step in ladders.ladder(str(ue.number)).steps] == ["InitialUEMessage", "DownlinkNASTransport"]


class Deaf(UserPlane):
    """A user plane that answers when it is told to."""

    address = "127.0.0.7:8805"

    async def open(self, ready, refused):
        self.ready, self.waiting = ready, []

    def take(self, count):
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    def send(self, packet):
        pass

    def close(self):
        pass


def test_silence_of_the_user_plane_is_told_and_its_end():
    served = Served(limits=Limits(answer_seconds=0.01))
    plane = served.server.user_plane = Deaf()

    async def main() -> None:
        async with asyncio.timeout(3 * SECONDS), serving(served):
            await eventually(lambda: served.notes.answers == [(Deaf.address, False)])
            plane.waiting = [Packet("pfcp", Deaf.address, b"\xff")]
            plane.ready()
            await eventually(lambda: served.notes.answers[1:] == [(Deaf.address, True)])

    asyncio.run(main())


class Absorbed(Core):
    """A core that asks the user plane something at the first message, and forgets the time over the second one."""

    def __init__(self, upf: socket.socket, seconds: float) -> None:
        super().__init__()
        self.upf, self.seconds = upf, seconds

    def start(self, now):
        return []

    def hear(self, packets, now):
        self.batches.append([*packets])
        if len(self.batches) == 1:
            return [Packet("pfcp", Deaf.address, pfcp.encode(n4.message("HeartbeatRequest", 1)))]
        if len(self.batches) == 2:
            _, smf = self.upf.recvfrom(1 << 16)
            self.upf.sendto(b"\xff", smf)
            time.sleep(self.seconds)
        return []


def test_user_plane_is_not_silent_while_its_answer_waits_for_the_core():
    limits = Limits(answer_seconds=0.2, share=1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upf:
        upf.bind(("127.0.0.22", 0))
        upf.settimeout(SECONDS)
        served = Served(limits=limits, core=Absorbed(upf, 2 * limits.answer_seconds))
        served.server.user_plane = UdpUserPlane("127.0.0.1:0", f"127.0.0.22:{upf.getsockname()[1]}")

        async def main() -> None:
            async with asyncio.timeout(3 * SECONDS), serving(served):
                client = await served.connect()
                client.send(setup_request(), setup_request())
                await eventually(lambda: b"\xff" in served.core.heard)

        asyncio.run(main())
    assert served.notes.answers == []


def test_defect_of_the_core_costs_a_batch_and_not_the_service():
    async def test(served: Served) -> None:
        client = await (await served.connect()).set_up()
        served.core.fails_at = initial_message(13)
        client.send(initial_message(13))
        await eventually(lambda: served.notes.refusals != [])
        client.send(initial_message(14))
        assert (await client.receive())["ran_ue_ngap_id"] == 14

    assert "the core failed" in run(test).notes.refusals[0]


def test_timers_of_the_core_run():
    """A challenge that is not answered is sent again after T3560."""

    async def test(served: Served) -> None:
        client = await (await served.connect()).set_up()
        client.send(initial_message())
        first, second = await client.receive(), await client.receive()
        assert first["nas_pdu"]["rand"] == second["nas_pdu"]["rand"]

    served = Served()
    flavour = NETWORK.flavour
    quick = replace(NETWORK, flavour=replace(flavour, timing=replace(flavour.timing, t3560=0.05)))
    configuration = ServingConfiguration(network=quick)
    ReferenceControlPlane.__init__(served.core, quick, configuration.subscribers)

    async def main() -> None:
        async with asyncio.timeout(3 * SECONDS), serving(served):
            await test(served)

    asyncio.run(main())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_after_what_was_heard_is_answered(number: int):
    served = Served()

    async def main() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(served.server.run(started.set, signals=True))
        await started.wait()
        client = await (await served.connect()).set_up()
        os.kill(os.getpid(), number)
        await task
        assert await client.is_cut_off()
        with pytest.raises(OSError):
            await served.connect()

    asyncio.run(main())
