"""Looks for bytes that do harm to a reader of signaling, led by which lines of it they reach.

    python tests/fuzz/fuzz_signaling.py nas -max_total_time=300

The first argument is what the bytes are taken for: `nas`, `pfcp`, `ngap`, `record` (on the way to a dialogue) or
`capture`. The others are those of libFuzzer. It begins with messages of the recordings, and keeps what leads further in
`outputs/fuzz`. Bytes that break what `tests/signaling/hostile.py` says are written to a file `crash-…`, which as only
argument after the first one is tried again. Needs atheris: `pip install atheris`.
"""

from __future__ import annotations

import hashlib
import sys
from itertools import islice
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["gentwin.signaling"]):
    from tests.signaling.hostile import CHECKS

from gentwin.signaling import ngap  # noqa: E402
from gentwin.signaling.capture import Packet, read_capture, write_capture  # noqa: E402
from gentwin.signaling.messages import NAS, NGAP  # noqa: E402

SEEDS = 300  # messages of each recording
LIMITS = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=1500"]


def write_seeds(kind: str, folder: Path) -> None:
    """Writes what the recordings have of a kind into files."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "data/signaling").glob("*/*.pcap")):
        packets = list(islice(read_capture(path), SEEDS))
        if kind == "capture":
            write_capture(folder / path.name, packets[:12])
        for data in messages_in(packets, kind) if kind != "capture" else ():
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def messages_in(packets: list[Packet], kind: str) -> list[bytes]:
    """Returns the bytes of the messages of a kind in packets; those of NAS are in NGAP."""
    if kind == "record":
        return [bytes([packet.protocol != NGAP]) + packet.payload for packet in packets]
    if kind != NAS:
        return [packet.payload for packet in packets if packet.protocol == kind]
    found: list[bytes] = []
    for packet in packets:
        if packet.protocol == NGAP:
            ngap.map_nas(ngap.decode(packet.payload), lambda data: found.append(data) or data)
    return found


def main() -> None:
    """Runs the fuzzer."""
    if len(sys.argv) < 2 or sys.argv[1] not in CHECKS:
        sys.exit(f"the first argument must be one of {', '.join(CHECKS)}, got {sys.argv[1:2] or 'none'}")
    program, kind, *arguments = sys.argv
    ngap.message_names()
    if all(argument.startswith("-") for argument in arguments):
        folder = ROOT / "outputs/fuzz" / kind
        write_seeds(kind, folder)
        arguments.append(str(folder))
    atheris.Setup([program, *LIMITS, *arguments], CHECKS[kind])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
