"""SCTP, as far as it can be tested where a kernel may have none."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from gentwin.serving import Limits, sctp
from tests.serving.stations import eventually, initial_message, setup_request
from tests.serving.test_server import Served, run

ROOT = Path(__file__).resolve().parents[2]


def kernel_knows_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def test_without_pysctp(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sctp", None)
    with pytest.raises(ImportError, match=r"needs pysctp: `pip install 'gentwin\[sctp\]'`"):
        sctp.SctpTransport("127.0.0.5")


def test_with_a_pysctp_that_sends_the_identifier_in_another_order(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("sctp")
    monkeypatch.setattr(sctp, "version", lambda name: "0.7.1")
    with pytest.raises(ImportError, match=r"needs pysctp 0\.7\.3 or newer, got 0\.7\.1"):
        sctp.SctpTransport("127.0.0.5")


@pytest.mark.skipif(kernel_knows_sctp(), reason="this kernel has SCTP")
def test_without_the_kernel():
    pytest.importorskip("sctp")
    transport = sctp.SctpTransport("127.0.0.5", 0)
    with pytest.raises(OSError, match="modprobe sctp"):
        asyncio.run(transport.open(None, Limits()))
    asyncio.run(transport.close())


@pytest.mark.skipif(not kernel_knows_sctp(), reason="this kernel has no SCTP")
def test_base_station_is_answered_with_identifier_and_stream():
    pysctp = pytest.importorskip("sctp")

    async def test(served: Served) -> None:
        host, _, port = served.server.transport.address.rpartition(":")
        client = pysctp.sctpsocket_tcp(socket.AF_INET)
        client.events.data_io = True
        client.settimeout(20)
        await asyncio.to_thread(client.connect, (host, int(port)))
        for data, stream, name in ((setup_request(), 0, b"\x20\x15"), (initial_message(), 3, b"\x00\x04")):
            client.sctp_send(data, ppid=sctp.PPID, stream=stream)
            _, _, answer, info = await asyncio.to_thread(client.sctp_recv, 1 << 16)
            assert answer[:2] == name and info.stream == stream and socket.ntohl(info.ppid) == sctp.PPID
        client.close()

    run(test, transport=sctp.SctpTransport("127.0.0.1", 0))


class StandIn:
    """What pysctp has, over UNIX sockets that keep messages apart, for kernels without SCTP."""

    FLAG_NOTIFICATION, FLAG_EOR = 0x8000, 0x80
    HEAD = struct.Struct("!HI")

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.events, self.initparams = SimpleNamespace(clear=lambda: None), SimpleNamespace()
        self.nodelay = False

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def get_status(self):
        return SimpleNamespace(outstrms=10)

    def accept(self):
        return StandIn(self._connection.accept()[0]), ("127.0.0.1", 4000)

    def getsockname(self):
        return "127.0.0.5", 38412

    def sctp_recv(self, size: int):
        data = self._connection.recv(size + self.HEAD.size)
        if not data:
            return None, 0, b"", None
        stream, ppid = self.HEAD.unpack_from(data)
        return None, self.FLAG_EOR, data[self.HEAD.size :], SimpleNamespace(stream=stream, ppid=socket.htonl(ppid))

    def sctp_send(self, data: bytes, ppid: int, stream: int) -> int:
        return self._connection.send(self.HEAD.pack(stream, ppid) + data)


def test_link_over_a_stand_in_of_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = str(tmp_path / "n2")
    monkeypatch.setattr(sctp, "load_pysctp", lambda: StandIn)
    transport = sctp.SctpTransport("127.0.0.5")

    def listening(family: int) -> StandIn:
        found = StandIn(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        found.bind = lambda address: found._connection.bind(path)
        return found

    monkeypatch.setattr(StandIn, "sctpsocket_tcp", staticmethod(listening), raising=False)

    async def test(served: Served) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, path)
            end = StandIn(client)
            for data, stream, heard_on in ((setup_request(), 0, 0), (initial_message(), 12, 3)):
                end.sctp_send(data, 0, stream)
                answer = await loop.sock_recv(client, 1 << 16)
                assert StandIn.HEAD.unpack_from(answer) == (heard_on, sctp.PPID)
            end.sctp_send(bytes(served.server.limits.message_octets + 1), 60, 0)
            assert await loop.sock_recv(client, 1 << 16) == b""
            await eventually(lambda: not served.server._seats)

    served = run(test, transport=transport)
    assert (False, "sent a message of more than 65536 octets") in served.notes.links
    assert len(served.core.lost) == 1


def test_extra_asks_for_a_version_that_is_new_enough():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = project["optional-dependencies"]["sctp"]
    assert wanted.startswith(f"pysctp>={'.'.join(map(str, sctp.OLDEST))};")
