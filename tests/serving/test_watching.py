"""What is to be seen of a core that is served: log, metrics, charts."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from gentwin.serving import Ladders, MessageLog, Outgoing, Watch, Watches
from gentwin.serving.pages import Pages
from gentwin.serving.watching import MOST_HOSTS, Warnings, step_of
from gentwin.signaling.core import SynthesisConfiguration, synthesize
from gentwin.signaling.core.control_plane import CoreEvent, Packet
from gentwin.signaling.fields import Fields
from gentwin.signaling.messages import NGAP, Message, Record

pytest.importorskip("pycrate_asn1dir.NGAP")
pytest.importorskip("prometheus_client")

from gentwin.serving.metrics import MOST_NAMES, Metrics


class Notes(Watch):
    """Remembers events."""

    def __init__(self) -> None:
        self.events: list[CoreEvent] = []

    def event(self, event: CoreEvent) -> None:
        self.events.append(event)


AMF_PORT = ":38412"


@pytest.fixture(scope="module")
def events() -> list[CoreEvent]:
    """What a core tells of two UEs."""
    found = []
    for record in synthesize(SynthesisConfiguration(ues=2, duration=8.0), seed=4):
        said = record.sender.endswith(AMF_PORT) or record.sender == "127.0.0.4:8805"
        peer = record.receiver if said else record.sender
        kind = "said" if said else "heard"
        found.append(CoreEvent(kind=kind, timestamp=record.timestamp, peer=peer, context=7, record=record, reason=""))
    return found


def refusal(reason: str) -> CoreEvent:
    return CoreEvent(kind="refused", timestamp=1.8e9, peer="127.0.2.1:5", context=None, record=None, reason=reason)


def test_log_has_a_line_for_everything(events, tmp_path: Path):
    path, screen = tmp_path / "core.jsonl", io.StringIO()
    log = Watches([MessageLog(path, Console(file=screen, width=200))])
    log.link("127.0.2.1:5", True, "", 1.8e9)
    for event in events[:40]:
        log.event(event)
    log.refused("127.0.2.1:5", "came before NG setup", 1.8e9)
    log.event(refusal("SEID 3 is not known"))
    log.link("127.0.2.1:5", False, "gone", 1.8e9)
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 44 == len(screen.getvalue().splitlines())
    assert lines[0] == {"time": 1.8e9, "kind": "link", "peer": "127.0.2.1:5", "reason": "up"}
    assert lines[-1]["reason"] == "down gone"
    assert [line["reason"] for line in lines if line["kind"] == "refused"] == [
        "came before NG setup",
        "SEID 3 is not known",
    ]
    registration = next(line for line in lines if line.get("message") == "InitialUEMessage / RegistrationRequest")
    assert registration["kind"] == "heard" and registration["protocol"] == "ngap" and registration["context"] == 7
    assert registration["details"][0] == "initial"
    assert "InitialUEMessage / RegistrationRequest" in screen.getvalue()


def test_log_has_each_reason_of_each_host_once_a_minute(tmp_path: Path):
    log = MessageLog(tmp_path / "core.jsonl")

    def logged(peer: str, reason: str, now: float) -> bool:
        before = (tmp_path / "core.jsonl").read_text()
        log.refused(peer, reason, now, "n4")
        return (tmp_path / "core.jsonl").read_text() != before

    assert logged("127.0.0.7:8805", "full", 0.0) and logged("127.0.0.7:8805", "stranger", 0.0)
    assert not logged("127.0.0.7:9999", "full", 59.0)
    assert logged("127.0.0.7:9999", "full", 60.0)
    for number in range(MOST_HOSTS):
        log.refused(f"10.0.{number // 256}.{number % 256}:5", "stranger", 61.0, "n4")
    assert not logged("127.0.0.9:5", "stranger", 62.0)
    assert not logged("127.0.0.7:8805", "full", 62.0) and logged("127.0.0.7:8805", "full", 120.0)
    assert logged("127.0.0.9:5", "stranger", 121.0)
    log.close()


def test_what_is_said_has_the_time_at_which_it_is_sent(events):
    heard, said = (next(event for event in events if event.kind == kind) for kind in ("heard", "said"))
    said, lost = (replace(said, peer=peer, record=replace(said.record, raw=b"\0")) for peer in ("a", "b"))
    notes = Notes()
    outgoing = Outgoing([notes])
    for event in (heard, said, lost):
        outgoing.event(event)
    assert notes.events == [heard]
    later = heard.timestamp + 0.25
    outgoing.sent([(Packet(NGAP, "a", b"\0"), True), (Packet(NGAP, "b", b"\0"), False)], later)
    assert [(event.kind, event.peer, event.timestamp, event.record.timestamp) for event in notes.events[1:]] == [
        ("said", "a", later, later),
        ("unsent", "b", later, later),
    ]
    outgoing.event(said)
    outgoing.sent([], later)  # as the core failed
    assert notes.events[-1].kind == "unsent"


def test_what_others_send_is_plain_text_on_the_screen():
    screen = io.StringIO()
    MessageLog(None, Console(file=screen, force_terminal=True, color_system=None, width=200)).refused(
        "[red]x[/]", "\x1b[2Jboo\r\n:smile:", 1.8e9
    )
    assert "\x1b[2J" not in screen.getvalue() and "[red]x[/]" in screen.getvalue() and ":smile:" in screen.getvalue()


def test_roles_follow_from_who_speaks_whatever_the_ports():
    record = Record(Message(NGAP, "ErrorIndication", Fields()), 1.0, "127.0.0.1:5", "127.0.0.1:6")
    for said, roles in ((True, ("AMF", "gNB")), (False, ("gNB", "AMF"))):
        step = step_of(record, said)
        assert (step.sender.role, step.receiver.role) == roles
        assert (step.sender.address, step.receiver.address) == (record.sender, record.receiver)


def test_charts_are_those_of_each_ue(events, tmp_path: Path):
    ladders = Ladders()
    for event in events:
        ladders.event(event)
    supis = [ue.supi for ue in ladders.ues()]
    assert sorted(supis) == ["999700000000001", "999700000000002"]
    ladder = ladders.ladder("imsi-999700000000001")
    assert ladder.steps[0].label == "InitialUEMessage / RegistrationRequest"
    assert [step.number for step in ladder.steps] == sorted(step.number for step in ladder.steps)
    assert any(step.label == "SessionEstablishmentRequest" for step in ladder.steps)
    assert ladders.ladder(str(ladders.ues()[0].number)) is not None and ladders.ladder("12345") is None
    (path,) = ladders.save(tmp_path / "charts", most=1)
    assert "InitialUEMessage / RegistrationRequest" in " ".join(ElementTree.parse(path).getroot().itertext())


def test_charts_forget_the_oldest(events):
    ladders = Ladders(most_ues=1, most_messages=3)
    for event in events:
        ladders.event(event)
    (ue,) = ladders.ues()
    assert len(ladders.ladder(str(ue.number)).steps) == 3


def test_metrics_count(events):
    metrics = Metrics()
    metrics.link("a", True, "", 1.0)
    metrics.batch(3, 0.004)
    metrics.refused("a", "", 1.0)
    metrics.event(refusal(""))
    for event in events:
        metrics.event(event)
    lines = dict(line.rpartition(" ")[::2] for line in metrics.exposition().decode().splitlines() if line[0] != "#")
    heard = sum(event.record.message.name == "InitialUEMessage" for event in events)
    assert (
        float(lines['gentwin_core_messages_total{direction="heard",message="InitialUEMessage",protocol="ngap"}'])
        == heard
    )
    assert float(lines["gentwin_core_links"]) == 1
    assert float(lines['gentwin_core_refusals_total{by="core"}']) == 1
    assert float(lines['gentwin_core_refusals_total{by="server"}']) == 1
    assert float(lines['gentwin_core_batch_messages_bucket{le="4.0"}']) == 1
    assert float(lines["gentwin_core_batch_seconds_sum"]) == pytest.approx(0.004)


def test_silence_of_the_user_plane_is_warned_of_and_counted():
    metrics, said = Metrics(), []
    watch = Watches([metrics, Warnings(said.append)])
    assert b"gentwin_core_user_plane_silent 0.0" in metrics.exposition()
    for answers in (False, True):
        watch.user_plane("127.0.0.7:8805", answers, 1.0)
        assert f"gentwin_core_user_plane_silent {float(not answers)}".encode() in metrics.exposition()
    assert said == ["UPF 127.0.0.7:8805 does not answer", "UPF 127.0.0.7:8805 answers again"]


def test_metrics_have_a_bounded_number_of_labels():
    metrics = Metrics()
    for number in range(MOST_NAMES + 50):
        record = Record(Message(NGAP, f"name {number}", Fields()), 1.0, "a", "b")
        metrics.event(CoreEvent("heard", 1.0, record=record))
    text = metrics.exposition().decode()
    assert text.count("gentwin_core_messages_total{") == MOST_NAMES + 1
    assert 'message="other",protocol="ngap"} 50.0' in text


def ask(address: str, request: bytes) -> tuple[str, bytes]:
    """Returns status line and body of what is answered."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        data = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0].decode(), body


def test_pages(events):
    ladders = Ladders()
    for event in events:
        ladders.event(event)
    number = ladders.ues()[0].number

    async def main() -> None:
        pages = Pages(Metrics(), ladders)
        address = await pages.open("127.0.0.1", 0)

        async def get(path: str) -> tuple[str, bytes]:
            return await asyncio.to_thread(ask, address, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

        status, body = await get("/metrics")
        assert status == "HTTP/1.1 200 OK" and b"gentwin_core_links 0.0" in body
        assert f"/ues/{number}  9997".encode() in (await get("/ues"))[1]
        assert b"InitialUEMessage / RegistrationRequest" in (await get(f"/ues/{number}"))[1]
        assert (await get("/ues/imsi-999700000000002"))[0].endswith("200 OK")
        assert (await get(f"/ues/{number}.svg"))[1].startswith(b"<?xml")
        for path in ("/ues/99999", "/ues/../etc/passwd", "/%2e%2e", "//", "/ues/" + "9" * 100):
            assert (await get(path))[0] == "HTTP/1.1 404 Not Found"
        assert (await asyncio.to_thread(ask, address, b"POST /metrics HTTP/1.1\r\n\r\n"))[0].endswith("Not Allowed")
        assert await asyncio.to_thread(ask, address, b"x" * 100_000 + b"\r\n\r\n") == ("", b"")
        pages.close()

    asyncio.run(main())
