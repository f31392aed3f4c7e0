"""Messages per second of one core, and memory over the size of a capture.

Seconds are those of the processor. Each rate is measured in a process of its own: `first` is the first pass over all
messages there, with empty memories, `again` the fastest of three further ones. `unremembered` is a sample of the
messages, each with empty memories, so that `first` over `unremembered` is what remembering elements is worth. The
baseline is pycrate on the same sample.
"""

from __future__ import annotations

import contextlib
import gc
import io
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import _lru_cache_wrapper
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gentwin.signaling import nas, ngap, pfcp
from gentwin.signaling.capture import Packet, read_capture, write_capture
from gentwin.signaling.contexts import ContextTracker, dialogues
from gentwin.signaling.core import GENERIC, OPEN5GS, SynthesisConfiguration, synthesize
from gentwin.signaling.dialogue import Vocabulary, separate
from gentwin.signaling.messages import NAS, NGAP, PFCP
from gentwin.signaling.records import read_records
from recipes.figures.recordings import recordings
from recipes.figures.result import Result

GOALS = {NAS: 50_000, PFCP: 50_000, NGAP: 8_000, "dialogue": 3_000, "synthesis": 5_000}
GOAL = "NAS, PFCP >= 50000/s; NGAP >= 8000; capture to dialogue >= 3000; synthesis >= 5000; memory flat (<= 1.1 x)"
DECODERS: dict[str, Callable[[bytes], Any]] = {NAS: nas.decode, PFCP: pfcp.decode_all, NGAP: ngap.decode}
SAMPLE = 400
MEGABYTE = 10**6
MOST_CONTEXTS = 10_000


def in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns what a function returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def seconds_of(function: Callable[[], Any]) -> float:
    """Returns the seconds of the processor that a call takes."""
    started = time.process_time()
    function()
    return time.process_time() - started


def use_up(items: Iterable[Any]) -> None:
    """Takes all items."""
    for _ in items:
        pass


def sample_of(items: Sequence[Any]) -> Sequence[Any]:
    """Returns some items from all over the others."""
    return items[:: max(1, len(items) // SAMPLE)]


# ---------------------------------------------------------------- decoding


def payloads(captures: Sequence[Path], protocol: str) -> list[bytes]:
    """Returns the bytes of all messages of a protocol; those of NAS are in NGAP."""
    carrier = NGAP if protocol == NAS else protocol
    packets = [packet for path in captures for packet in read_capture(path) if packet.protocol == carrier]
    if protocol != NAS:
        return [packet.payload for packet in packets]
    found: list[bytes] = []
    for packet in packets:
        ngap.map_nas(ngap.decode(packet.payload), lambda data: found.append(data) or data)
    return found


def memories() -> list[_lru_cache_wrapper]:
    """Returns the bounded caches of the codecs."""
    known = (found for found in gc.get_objects() if isinstance(found, _lru_cache_wrapper))
    bounded = (found for found in known if found.cache_parameters()["maxsize"])
    return [found for found in bounded if _module_of(found.__wrapped__).startswith("gentwin.signaling")]


def _module_of(function: Any) -> str:
    return getattr(function, "func", function).__module__


def decoding_rates(captures: Sequence[Path], protocol: str) -> dict[str, float]:
    """Returns how many messages of a protocol are decoded per second; to be called in a new process."""
    messages, decode, caches = payloads(captures, protocol), DECODERS[protocol], memories()
    ngap.message_names()  # makes the schema of NGAP

    def forget() -> None:
        for cache in caches:
            cache.cache_clear()

    def decode_all() -> None:
        for message in messages:
            decode(message)

    forget()
    first, again = seconds_of(decode_all), min(seconds_of(decode_all) for _ in range(3))
    alone = 0.0
    sample = sample_of(messages)
    for message in sample:
        forget()
        alone += seconds_of(lambda message=message: decode(message))
    return {
        "first": len(messages) / first,
        "again": len(messages) / again,
        "unremembered": len(sample) / alone,
        "messages": len(messages),
        "distinct": len(set(messages)),
        "pycrate": pycrate_rate(protocol, sample),
    }


def pycrate_rate(protocol: str, messages: Sequence[bytes]) -> float:
    """Returns how many messages of a protocol pycrate decodes per second."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        decode = _pycrate_decoder(protocol)
        decode(messages[0])
        return len(messages) / seconds_of(lambda: use_up(map(decode, messages)))


def _pycrate_decoder(protocol: str) -> Callable[[bytes], Any]:
    if protocol == NGAP:
        from pycrate_asn1dir.NGAP import NGAP_PDU_Descriptions

        unit = NGAP_PDU_Descriptions.NGAP_PDU
        return lambda data: (unit.from_aper(data), unit.get_val())
    if protocol == PFCP:
        from pycrate_mobile.TS29244_PFCP import parse_PFCP

        return lambda data: parse_PFCP(data)[0].get_val_d()
    from pycrate_mobile.NAS5G import parse_NAS5G

    def decode(data: bytes) -> None:
        # What a security header protects is not looked into by itself, even where it is not ciphered.
        for part in (data, data[7:]) if data[0] == 0x7E and data[1] else (data,):
            message, error = parse_NAS5G(part)
            if not error:
                message.get_val_d()

    return decode


# ---------------------------------------------------------------- dialogues and synthesis


def dialogue_rates(captures: Sequence[Path]) -> dict[str, float]:
    """Returns how many messages per second become the numbers of tokens; to be called in a new process."""
    vocabulary = Vocabulary.of_schema()
    counted: Counter[str] = Counter()

    def follow() -> None:
        counted.clear()
        for path in captures:
            for dialogue in dialogues(read_records(path)):
                for utterance in separate(dialogue):
                    counted["tokens"] += len(vocabulary.encode(utterance.tokens))
                    counted["messages"] += 1

    first, again = seconds_of(follow), min(seconds_of(follow) for _ in range(3))
    return {"first": counted["messages"] / first, "again": counted["messages"] / again, **counted}


def synthesis_rate(flavour: str, messages: int, seed: int) -> float:
    """Returns how many messages per second a flavour of the core makes; to be called in a new process."""
    known = {of.name: of for of in (OPEN5GS, GENERIC)}
    configuration = SynthesisConfiguration(ues=200, duration=1e6)
    network = replace(configuration.network, flavour=known[flavour])
    records = synthesize(replace(configuration, network=network), seed)
    return messages / seconds_of(lambda: use_up(islice(records, messages)))


# ---------------------------------------------------------------- memory


def repeated(capture: Path, times: int) -> Iterator[Packet]:
    """Yields the messages of a capture over and over, later each time."""
    packets = list(read_capture(capture))
    duration = packets[-1].timestamp - packets[0].timestamp + 1
    for turn in range(times):
        for packet in packets:
            yield replace(packet, timestamp=packet.timestamp + turn * duration)


def peak_memory(capture: Path) -> tuple[int, int]:
    """Returns the largest memory of a process that reads a capture, in bytes, and the number of records in it."""
    tracker = ContextTracker(most_contexts=MOST_CONTEXTS)
    with read_records(capture) as records:
        for record in records:
            tracker.assign(record)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, records.records


def memory_over_size(capture: Path, sizes: Sequence[int]) -> dict[str, float]:
    """Returns the largest memory in MB of a process that reads a capture of so many megabytes."""
    once, peaks = capture.stat().st_size, {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = Path(folder) / "repeated.pcap"
            written = write_capture(path, repeated(capture, -(-size * MEGABYTE // once)))
            peak, read = in_new_process(peak_memory, path)
            if read != written:
                raise RuntimeError(f"{written} messages were written and {read} read")
            peaks[f"{size} MB"] = peak / MEGABYTE
    return peaks


def measure(full: bool, seed: int) -> Result:
    """Measures the figure."""
    captures = recordings(every=full)
    decoding = {protocol: in_new_process(decoding_rates, captures, protocol) for protocol in DECODERS}
    baseline = {f"pycrate {protocol}": rates.pop("pycrate") for protocol, rates in decoding.items()}
    made = 100_000 if full else 20_000
    dialogue = in_new_process(dialogue_rates, captures)
    synthesis = {of.name: in_new_process(synthesis_rate, of.name, made, seed) for of in (OPEN5GS, GENERIC)}
    memory = memory_over_size(captures[0], (10, 100, 1000) if full else (10, 100))
    rates = {protocol: decoding[protocol]["first"] for protocol in decoding}
    rates |= {"dialogue": dialogue["first"], "synthesis": min(synthesis.values())}
    flat = max(memory.values()) <= 1.1 * memory["10 MB"]
    met = flat and all(rates[name] >= least for name, least in GOALS.items())
    figure = {**decoding, "dialogue": dialogue, "synthesis": synthesis, "peak_memory_mb": memory}
    ratio = {protocol: rates[protocol] / baseline[f"pycrate {protocol}"] for protocol in decoding}
    return Result(figure, GOAL, met, baseline, ratio)
