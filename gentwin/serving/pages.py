"""What is to be seen of a core over HTTP: `/metrics`, `/ues`, and the chart of a UE as text or picture."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

from gentwin.serving.ladders import Ladders
from gentwin.serving.links import join_address, listening
from gentwin.serving.metrics import Metrics
from gentwin.signaling.ladder import Ladder, draw_text

TEXT, PICTURE = "text/plain; charset=utf-8", "image/svg+xml"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
LONGEST_REQUEST, REQUEST_SECONDS, MOST_REQUESTS = 8192, 5.0, 16
TEXT_WIDTH = 140
_CHART = re.compile(r"/ues/(?:imsi-)?([0-9]{1,20})(\.svg)?")

Answer = tuple[HTTPStatus, str, bytes]


class Pages:
    """A small HTTP server for those who look after a core; it changes nothing.

    Args:
        metrics: For `/metrics`.
        ladders: For `/ues` and `/ues/N`, `/ues/N.svg`, where N is number or SUPI.
    """

    def __init__(self, metrics: Metrics, ladders: Ladders) -> None:
        self._metrics, self._ladders = metrics, ladders
        self._server: asyncio.Server | None = None
        self._open, self._drawing = 0, asyncio.Lock()

    async def open(self, host: str, port: int) -> str:
        """Begins to answer, and returns the address.

        Raises:
            OSError: If the address cannot be used.
        """
        with listening("HTTP (`--metrics-port`)", join_address(host, port)):
            self._server = await asyncio.start_server(self._serve, host, port, limit=LONGEST_REQUEST)
        return join_address(*self._server.sockets[0].getsockname()[:2])

    def close(self) -> None:
        """Ends it."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            status, kind, body = HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"busy\n"
            if self._open <= MOST_REQUESTS:
                status, kind, body = await self._answer(head)
            writer.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + body
            )
            async with asyncio.timeout(REQUEST_SECONDS):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass  # who asks in another way is not answered
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, head: bytes) -> Answer:
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        path = unquote(rest.partition(" ")[0].partition("?")[0])
        if method != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"only GET\n"
        if path == "/metrics":
            return HTTPStatus.OK, EXPOSITION, self._metrics.exposition()
        if path in ("/", "/ues"):
            known = (f"/ues/{ue.number}  {ue.supi or ''}".rstrip() for ue in self._ladders.ues())
            return HTTPStatus.OK, TEXT, "\n".join(("/metrics", *known, "")).encode()
        chart = _CHART.fullmatch(path)
        ladder = self._ladders.ladder(chart[1]) if chart else None
        if ladder is None:
            return HTTPStatus.NOT_FOUND, TEXT, b"there are /metrics, /ues, /ues/N and /ues/N.svg\n"
        if chart[2]:
            async with self._drawing:
                return HTTPStatus.OK, PICTURE, await asyncio.to_thread(_draw, ladder)
        lines = ("".join(span.text for span in line) for line in draw_text(ladder, TEXT_WIDTH))
        return HTTPStatus.OK, TEXT, "\n".join((ladder.title, *lines, "")).encode()


def _draw(ladder: Ladder) -> bytes:
    from gentwin.charts import save_ladder

    with TemporaryDirectory() as folder:
        return save_ladder(ladder, Path(folder) / "ladder.svg").read_bytes()
