"""The commands that let a core answer, run as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from gentwin.cli import app
from gentwin.serving.framing import FrameReader, encode_frame
from gentwin.signaling import ngap
from gentwin.signaling.records import read_records
from tests.serving.stations import setup_request

pytest.importorskip("pycrate_asn1dir.NGAP")

ROOT = Path(__file__).resolve().parents[1]
DAY = "ng-setup\nregister\nsession internet\nidle\ndata\nidle\npage\nderegister\n"


def run(*arguments: object, typed: str = "", width: int = 160) -> Result:
    runner = CliRunner(env={"COLUMNS": str(width), "NO_COLOR": "1"})
    return runner.invoke(app, [*map(str, arguments)], input=typed, catch_exceptions=False)


def refused(*arguments: object, typed: str = "") -> str:
    """Returns the one line with which a command ends that refuses its arguments."""
    result = run(*arguments, typed=typed)
    assert result.exit_code == 2, result.output
    line = result.output.splitlines()[-1]
    assert line.startswith("gentwin: "), result.output
    return line


# ---------------------------------------------------------------- talk


def test_a_day_of_a_ue():
    output = run("talk", "reference", typed=DAY + "status\n").output
    for text in (
        "NGSetupResponse",
        "InitialUEMessage / RegistrationRequest",
        "SecurityModeCommand",
        "PDUSessionEstablishmentAccept",
        "SessionReportRequest",
        "Paging",
        "SessionDeletionRequest",
        "UE 999700000000001: deregistered, idle",
    ):
        assert text in output, text
    assert "may not say" not in output
    assert output == run("talk", "reference", typed=DAY + "status\n").output


def test_keys_and_other_ues():
    typed = "ng-setup\nwrong-key\nregister\nstatus\nright-key\nregister\nstatus\nue 999700000009999\nregister\n"
    output = run("talk", "reference", typed=typed).output
    assert "5GMM #20 MAC failure" in output and "AuthenticationReject" in output
    assert "UE 999700000000001: deregistered" in output and "UE 999700000000001: registered, connected" in output
    assert "RegistrationReject" in output


def test_show_and_save(tmp_path: Path):
    typed = f"ng-setup\nregister\nshow RegistrationAccept\nshow 3\nsave {tmp_path}/a.svg\nsave {tmp_path}/a.pcap\n"
    result = run("talk", "reference", typed=typed)
    assert result.exit_code == 0, result.output
    assert "NAS RegistrationAccept" in result.output and "ran_node_name" in result.output
    assert "AuthenticationRequest" in " ".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    with read_records(tmp_path / "a.pcap") as reader:
        assert "InitialUEMessage" in {record.message.name for record in reader}


def test_timers_run_out_when_time_passes():
    output = run("talk", "reference", typed="ng-setup\nregister\nidle\nwait 900\n").output
    assert output.count("RegistrationRequest") >= 2  # T3512


def test_refused_base_station():
    output = run("talk", "reference", typed="ng-setup ff 001-01\nng-setup ff 999-70\nng-setup 1\n").output
    assert output.count("NGSetupFailure") == 2 and output.count("NGSetupResponse") == 1


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("registr\n", "line 1: there is no 'registr'"),
        ("ng-setup\nsession internet\n", "line 2: the UE is deregistered; `register` comes first"),
        ("register\n", "`ng-setup` comes first"),
        ("ng-setup\nregister\nidle\npage\n", "without a session"),
        ("ng-setup\nupdate\n", "line 2: the UE is deregistered; `register` comes first"),
        ("ng-setup\nregister\nupdate\n", "line 3: the UE is connected; `idle` comes first"),
        ("ng-setup\nregister\ndata\n", "line 3: the UE is connected; `idle` comes first"),
        ("ng-setup\nregister\nsession internet\npage\n", "line 4: the UE is connected; `idle` comes first"),
        ("ng-setup\nregister\nregister\n", "line 3: the UE is registered; `deregister` comes first"),
        ("ng-setup\nregister\nidle\nidle\n", "line 4: the UE is idle"),
        ("ng-setup\ncore deregister\n", "line 2: nothing was said because of `core`: UE 999700000000001: deregistered"),
        (
            "ng-setup\nregister\ncore release_session abc\n",
            "`N` must be the number of a PDU session, 1 to 15, got 'abc'",
        ),
        ("ng-setup\nregister\nrelease 2\n", "`N` must be a PDU session of the UE, which has none; `session"),
        ("ng-reset\n", "`ng-setup` comes first"),
        ("session\n", "it is written `session DNN [SLICE]`"),
        ("wait -1\n", "`SECONDS` must be"),
        ("show 99\n", "`MESSAGE` must be"),
        ("save x.txt\n", "`FILE` must end with"),
        ("ue x\n", "`SUPI` must be"),
        ("ng-setup zz\n", "`TAC` must be"),
        ("'\n", "No closing quotation"),
    ],
)
def test_line_that_cannot_be_done_ends_a_script(typed: str, message: str):
    assert message in refused("talk", "reference", typed=typed)


def test_help_names_everything_and_quit_ends():
    output = run("talk", "reference", typed="help\n\n# nothing\nquit\nregistr\n").output
    assert "PDU session" in output and "quit" in output


# ---------------------------------------------------------------- serve-core


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--transport", "udp"), "`--transport` must be one of sctp, tcp, unix, got 'udp'"),
        (("--transport", "unix"), "`--listen` must be the path"),
        (("--transport", "tcp", "--listen", "127.0.0.1:x"), "`--listen` must be a host and a port"),
        (("--transport", "tcp", "--listen", "foo:bar"), "`--listen` must be a host and a port"),
        (("--transport", "unix", "--listen", "/nope/x.sock"), "cannot listen at /nope/x.sock: No such file"),
        (("--transport", "tcp", "--ladders", __file__), "`--ladders` must be a folder"),
        (("--transport", "tcp", "--upf", "upf.example"), "`--upf` must be"),
        (("--transport", "tcp", "--metrics-port", 70000), "`--metrics-port` must be"),
        (("--config", "none.yaml"), "`--config` must be a YAML file"),
    ],
)
def test_options_that_cannot_be(arguments: tuple, message: str):
    assert message in refused("serve-core", "reference", *arguments)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("refrence", "must be one of reference, gentwin/signaling-admission, .*a folder.*did you mean `reference`?"),
        ("gentwin/signaling-opn5gs", "got 'gentwin/signaling-opn5gs'; did you mean `gentwin/signaling-open5gs`?"),
        ("gentwin/slice-lstm-dynamic", "must be a message twin, such as gentwin/signaling-open5gs, got"),
    ],
)
def test_checkpoint_that_cannot_be_served_is_one_line(name: str, message: str):
    line = refused("serve-core", name, "--transport", "tcp")
    assert all(part in line for part in message.split(".*")), line


def test_address_in_use_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused("serve-core", "reference", "--transport", "tcp", "--listen", f"127.0.0.1:{port}")
    assert line == (
        f"gentwin: N2 (`--listen`, or `network.amf_address`) cannot listen at 127.0.0.1:{port}: Address already in use"
    )


def test_other_ports_in_use_are_named(tmp_path: Path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, socket.socket() as pages:
        taken.bind(("127.0.94.4", 8805))
        pages.bind(("127.0.0.1", 0))
        pages.listen()
        config = tmp_path / "core.yaml"
        config.write_text("network: {smf_address: 127.0.94.4, upf_address: 127.0.94.7, plmn: 001-01}")
        common = ("serve-core", "reference", "--transport", "tcp", "--listen", "127.0.0.1:0")
        line = refused(*common, "--upf", "127.0.94.7", "--config", config)
        assert "N4 (`network.smf_address`) cannot listen at 127.0.94.4:8805: Address already in use" in line
        port = pages.getsockname()[1]
        assert f"HTTP (`--metrics-port`) cannot listen at 127.0.0.1:{port}" in refused(*common, "--metrics-port", port)
    output = run("talk", "reference", "--config", config, typed="status\n").output
    assert "warning: no subscriber has PLMN 001-01" in output


def test_core_in_a_process_of_its_own(tmp_path: Path):
    """Starts, answers, tells what it did, and ends when it is asked to."""
    path = tmp_path / "n2"
    command = [sys.executable, "-m", "gentwin", "serve-core", "reference"]
    command += ["--config", str(ROOT / "recipes/serve_open5gs.yaml"), "--transport", "unix", "--listen", str(path)]
    command += ["--log", str(tmp_path / "core.jsonl"), "--ladders", str(tmp_path / "charts")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        while not path.exists():
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.02)
        reader = FrameReader(1 << 16)
        with socket.socket(socket.AF_UNIX) as station:
            station.settimeout(60)
            station.connect(str(path))
            station.sendall(encode_frame(setup_request()))
            while not (frames := reader.take(1)):
                reader.add(station.recv(1 << 16))
            assert ngap.decode(frames[0][0]).name == "NGSetupResponse"
            process.send_signal(signal.SIGTERM)
            assert station.recv(1) == b""
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert "PLMN 999-70, 999 subscribers" in output and "NGSetupResponse" in output and "written: 0 charts" in output
    lines = [json.loads(line) for line in (tmp_path / "core.jsonl").read_text().splitlines()]
    assert [line["message"] for line in lines if line.get("protocol") == "ngap"] == [
        "NGSetupRequest",
        "NGSetupResponse",
    ]
    assert not path.exists()
