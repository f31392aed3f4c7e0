"""Many UEs at a core that is served: they register, open a session and leave, over sockets, in real time.

The core runs in a process of its own, with base stations over TCP and a user plane over UDP. UEs, base stations and
user plane judge all that it says; the reference core behind the same server is the baseline.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from gentwin.serving.configuration import ServingConfiguration, read_configuration
from gentwin.serving.load import OF_USERS, Load, Round
from gentwin.signaling.core import Station, SynthesisConfiguration, Usim
from recipes.figures.result import Result

TWIN, REFERENCE = "gentwin/signaling-open5gs", "reference"
GOAL = "all complete, none answered wrongly, memory flat over the rounds (10 with --full)"
AT_ONCE = 64
STARTS, STOPS = 180.0, 20.0  # seconds that a server is given
GROWTH = 1.05  # of the memory of a server, from the second round to the last
STATIONS = 4


def configuration_text(ues: int) -> str:
    """Returns the configuration of a core on loopback addresses of this process."""
    number = os.getpid()
    host = f"127.{1 + (number >> 8) % 254}.{number % 256}"
    lines = ["network:", f"  smf_address: {host}.4", f"  upf_address: {host}.7", f"  max_ues: {max(1024, ues)}"]
    lines += ["subscribers:", '  - first: "999700000000001"', f"    count: {ues}"]
    return "\n".join(
        [*lines, "    k: 465B5CE8B199B49FAA5F0A2EE238A6BC", "    opc: E8ED289DEBA952E4283B54E88E6183CA", ""]
    )


def free_port() -> int:
    """Returns a TCP port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def resident(process: subprocess.Popen) -> float:
    """Returns the memory of a process in MB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the server has ended")


def usims_of(configuration: ServingConfiguration) -> list[Usim]:
    """Returns the USIMs of all subscribers."""
    return [
        Usim(known.supi, known.k, known.opc, f"43708161{place:06d}52")
        for place, known in enumerate(configuration.subscribers)
    ]


async def measure_core(checkpoint: str, path: Path, rounds: int, seed: int) -> tuple[list[Round], list[float]]:
    """Returns what came of rounds at a core, and its memory in MB after each."""
    configuration, port = read_configuration(path), free_port()
    stations = tuple(Station(place + 1, f"127.0.2.{place + 1}:38412") for place in range(STATIONS))
    network = SynthesisConfiguration().network
    known = configuration.network
    network = type(network)(
        stations=stations, smf_address=known.smf_address, upf_address=known.upf_address, max_ues=known.max_ues
    )
    usims = usims_of(configuration)
    load = Load(
        SynthesisConfiguration(ues=len(usims), network=network),
        configuration.subscribers,
        usims,
        f"127.0.0.1:{port}",
        AT_ONCE,
        seed,
    )
    await load.open_user_plane()
    options = ["--config", str(path), "--transport", "tcp", "--listen", f"127.0.0.1:{port}"]
    command = [sys.executable, "-c", "from gentwin.cli import main; main()", "serve-core", checkpoint, *options]
    server = subprocess.Popen([*command, "--upf", known.upf_address, "--quiet", "--seed", str(seed)])
    try:
        await load.open(STARTS)
        found, memory = [], []
        for _ in range(rounds):
            found.append(await load.round())
            memory.append(resident(server))
        return found, memory
    finally:
        load.close()
        server.send_signal(signal.SIGINT)
        try:
            server.wait(STOPS)
        except subprocess.TimeoutExpired:
            server.kill()


def described(rounds: Sequence[Round], memory: Sequence[float], ues: int) -> dict[str, Any]:
    """Returns the numbers of a core."""
    outcomes = [outcome for known in rounds for outcome in known.of_users]
    wrong = [outcome for known in rounds for outcome in known.result.wrong]
    milliseconds = {
        name: dict(
            zip(
                ("p50", "p99"),
                numpy.percentile([1e3 * known.seconds for known in outcomes if known.procedure == name], (50, 99)),
                strict=True,
            )
        )
        for name in OF_USERS
        if any(known.procedure == name for known in outcomes)
    }
    return {
        "ues": ues,
        "rounds": len(rounds),
        "served": sum(known.served for known in rounds) / (ues * len(rounds)),
        "procedures_per_s": len(outcomes) / sum(known.seconds for known in rounds),
        "wrong": len(wrong),
        "violations": sum(len(known.result.violations) for known in rounds),
        "milliseconds": milliseconds,
        "memory_mb": list(memory),
        "reasons": [str(known) for known in wrong[:3]]
        + [str(violation) for known in rounds for violation in known.result.violations][:3],
    }


def measure(full: bool, seed: int) -> Result:
    """Measures the figure."""
    ues, rounds = (1000, 10) if full else (100, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core.yaml"
        path.write_text(configuration_text(ues))
        found = {
            name: described(*asyncio.run(measure_core(name, path, rounds, seed)), ues) for name in (TWIN, REFERENCE)
        }
    twin, reference = found[TWIN], found[REFERENCE]
    flat = twin["memory_mb"][-1] <= GROWTH * twin["memory_mb"][min(1, rounds - 1)]
    met = twin["served"] == 1.0 and not twin["wrong"] and not twin["violations"] and flat
    return Result(twin, GOAL, met, reference, twin["procedures_per_s"] / reference["procedures_per_s"])
