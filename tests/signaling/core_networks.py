"""Small networks for tests of the reference core, and checks that hold for all that is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random

from gentwin.signaling import nas, ngap, pfcp
from gentwin.signaling.core import (
    RECORDED,
    NetworkConfiguration,
    Profile,
    ReferenceCore,
    Station,
    Subscribers,
    Ue,
    populate,
)
from gentwin.signaling.messages import NGAP, Message, Record
from tests.signaling.core_templates import chain

STATIONS = Station(1, "127.0.2.1:41621"), Station(2, "127.0.2.2:41622")
START = 4.0


def make_network(
    count: int = 1,
    seed: int = 1,
    network: NetworkConfiguration | None = None,
    profiles: Sequence[Profile] = RECORDED,
    **arguments,
):
    """Returns a core that has started, and its UEs, which are switched off."""
    subscribers = Subscribers()
    network = network or NetworkConfiguration(stations=STATIONS)
    usims = populate(subscribers, count, Random(seed), network, profiles)
    core = ReferenceCore(network, subscribers, seed=seed, **arguments)
    ues = [core.add_ue(usim) for usim in usims]
    core.start()
    return core, ues


def change(core: ReferenceCore, ue: Ue, **values) -> Ue:
    """Returns a UE of the same network whose subscription has other values."""
    return core.add_ue(replace(ue.usim, **values), ue.station)


def play(core: ReferenceCore, *script: tuple, until: float = 0.0) -> list[Record]:
    """Returns what is said when things are done at times: entries are time, what to call, arguments."""
    for time, action, *arguments in script:
        core.clock.at(time, action, *arguments)
    return [*core.run(until or script[-1][0] + 1.0)]


def encode(message: Message) -> bytes:
    if message.protocol != NGAP:
        return pfcp.encode(message)
    return ngap.encode(ngap.map_nas(message, lambda inner: inner if isinstance(inner, bytes) else nas.encode(inner)))


def decode(protocol: str, data: bytes) -> Message:
    return ngap.map_nas(ngap.decode(data), nas.decode) if protocol == NGAP else pfcp.decode(data)


def check_bytes(records: Iterable[Record]) -> None:
    """Checks that every message can be encoded, and is what its bytes say."""
    for record in records:
        data = encode(record.message)
        again = decode(record.message.protocol, data)
        assert again == record.message
        assert encode(again) == data


def check_order(records: list[Record]) -> None:
    times = [record.timestamp for record in records]
    assert times == sorted(times)


def check_pfcp_answered(records: list[Record], patience: float, attempts: int) -> None:
    """Checks that every request on N4 was answered or sent as often as it may be, those of the end excepted."""
    answered = {
        (record.receiver, record.message["sequence_number"])
        for record in records
        if record.message.protocol == "pfcp" and record.message.name.endswith("Response")
    }
    sent: Counter = Counter()
    first: dict = {}
    for record in records:
        if record.message.protocol == "pfcp" and record.message.name.endswith("Request"):
            key = record.sender, record.message["sequence_number"]
            sent[key] += 1
            first.setdefault(key, record.timestamp)
    end = records[-1].timestamp
    for key, count in sent.items():
        assert key in answered or count >= attempts or first[key] + patience > end


def check_releases_answered(records: list[Record], patience: float = 1.0) -> None:
    """Checks that every release of a context was completed."""
    end = records[-1].timestamp
    open_ones: dict = {}
    for record in records:
        if record.message.name == "UEContextReleaseCommand":
            pair = record.message["ue_ngap_ids.ue_ngap_id_pair"]
            open_ones[record.receiver, pair["amf_ue_ngap_id"]] = record.timestamp
        elif record.message.name == "UEContextReleaseComplete":
            open_ones.pop((record.sender, record.message["amf_ue_ngap_id"]), None)
    assert all(time + patience > end for time in open_ones.values())


def check_living(core: ReferenceCore) -> None:
    """Checks that what lives has identifiers of its own, and that both ends agree on sessions."""
    sessions = [*core.smf.sessions.values()]
    for name in ("seid", "address", "teid"):
        values = [getattr(session, name) for session in sessions]
        assert len({*values}) == len(values)
    teids = [teid for session in core.upf.sessions.values() for teid in session.teids]
    assert len({*teids}) == len(teids)
    for tmsi, ue in core.amf.by_tmsi.items():
        assert tmsi in (ue.tmsi, ue.new_tmsi)
    assert {*core.amf.by_tmsi} == core.amf.tmsis.living
    for supi, ue in core.amf.by_supi.items():
        assert ue.supi == supi
        assert ue.connection is None or ue.connection.ue is ue
    for connection in core.amf.connections.values():
        assert connection.ue is None or connection.ue.connection is connection
    states = Counter(ue.state for ue in core.amf.by_supi.values())
    assert core.load.registered == states["registered"]
    assert core.load.waiting >= sum(known.waiting for known in core.load.slices.values()) >= 0
    for slice, known in core.load.slices.items():
        own = [session for session in core.smf._by_seid.values() if session.slice == slice]
        rates = [sum(session.rates[place] for session in own) for place in (0, 1)]
        assert (known.sessions, known.uplink, known.downlink) == (len(own), *rates)


def named(records: Iterable[Record], name: str) -> list[Message]:
    """Returns the messages in which one of a name is."""
    return [record.message for record in records if name in chain(record.message).split("+")]


def causes(records: Iterable[Record], name: str) -> list:
    """Returns the values of all causes in messages of a name."""
    return [
        value
        for message in named(records, name)
        for path, value in message.fields.walk()
        if path.rpartition(".")[2] in ("cause_5gmm", "cause_5gsm") or ".cause." in f".{path}"
    ]


def registered(count: int = 1, **arguments):
    """Returns a core and its UEs, which have registered."""
    core, ues = make_network(count, **arguments)
    play(core, *[(4.0 + 0.1 * place, ue.register) for place, ue in enumerate(ues)], until=6.0)
    return core, ues


def does(core: ReferenceCore, action: Callable, *arguments, seconds: float = 1.0) -> list[Record]:
    """Returns what is said within some time after something was done, without heartbeats."""
    records = play(core, (core.clock.now, action, *arguments), until=core.clock.now + seconds)
    check_bytes(records)
    return [record for record in records if "Heartbeat" not in record.message.name]
