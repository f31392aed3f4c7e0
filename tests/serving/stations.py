"""Base stations of the reference core at the other end of a socket, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gentwin.serving.framing import FrameReader, encode_frame
from gentwin.signaling import ngap
from gentwin.signaling.core import NetworkConfiguration, Slice, Station, n2
from gentwin.signaling.core.control_plane import encode
from gentwin.signaling.messages import Message
from gentwin.signaling.records import decode_message

NETWORK = NetworkConfiguration()
SECONDS = 20.0  # after which a test has failed; nothing waits that long in one that passes


def setup_request(number: int = 1, tac: str = "000001") -> bytes:
    """Returns the NG setup request of a base station."""
    return ngap.encode(n2.ng_setup_request(NETWORK.plmn, Station(number, "127.0.2.1:1", tac), (Slice(1),)))


def initial_message(ran_id: int = 1, digits: str = "999700000000001") -> bytes:
    """Returns the registration request of a UE, on a new connection."""
    from gentwin.signaling.core import n1

    nas = n1.registration_request("initial", n1.NO_KEYS, n1.suci(digits, 2), n1.ALL_ALGORITHMS, ())
    pairs = (
        ("ran_ue_ngap_id", ran_id),
        ("nas_pdu", nas),
        n2.location(NETWORK.plmn, NETWORK.stations[0], 1_800_000_000),
        ("rrc_establishment_cause", "mo-Signalling"),
    )
    return encode(n2.message("InitialUEMessage", *pairs, ("ue_context_request", "requested")))


class Client:
    """One end of a link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._frames, self._waiting = FrameReader(1 << 18), []

    @classmethod
    async def connect(cls, address: str) -> Client:
        """Connects to an address of a transport."""
        if address.startswith("/"):
            return cls(*await asyncio.open_unix_connection(address))
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    def send(self, *messages: bytes, stream: int = 0) -> None:
        """Sends messages at once."""
        self.writer.write(b"".join(encode_frame(data, stream) for data in messages))

    async def receive(self) -> Message:
        """Returns the next message."""
        return (await self.receive_frame())[0]

    async def receive_frame(self) -> tuple[Message, int]:
        """Returns the next message and its stream."""
        async with asyncio.timeout(SECONDS):
            while not self._waiting:
                data = await self.reader.read(1 << 16)
                if not data:
                    raise EOFError
                self._frames.add(data)
                self._waiting += self._frames.take(100)
        data, stream = self._waiting.pop(0)
        return decode_message("ngap", data), stream

    async def is_cut_off(self) -> bool:
        """Returns whether the other end closes the link."""
        try:
            while True:
                await self.receive()
        except (EOFError, ConnectionError):
            return True
        except TimeoutError:
            return False

    async def set_up(self) -> Client:
        """Sets up the link."""
        self.send(setup_request())
        assert (await self.receive()).name == "NGSetupResponse"
        return self

    def close(self) -> None:
        """Ends the link."""
        self.writer.close()


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.005)
