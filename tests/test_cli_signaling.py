"""The commands that look into captures and make traffic, run as a user runs them."""

from __future__ import annotations

import gzip
import io
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner, Result

from gentwin.cli import app, tables
from gentwin.signaling.capture import read_capture, write_capture
from gentwin.signaling.core import Slice, SliceLimit, Subscribers, SynthesisConfiguration, synthesize
from gentwin.signaling.core.plain import FLAVOURS, explain, from_plain
from gentwin.signaling.errors import SignalingError
from gentwin.signaling.fields import Fields
from gentwin.signaling.ladder import ContextSummary, Summary, make_ladder
from gentwin.signaling.messages import Message, Record
from gentwin.signaling.records import read_records, to_packet, write_records
from gentwin.signaling.security import Milenage, check_autn
from tests.signaling.recordings import find_capture

ROOT = Path(__file__).resolve().parents[1]
SUPI = "999700000000001"
IDENTITIES = (f"999-70-{SUPI[5:]}", "437081610000015", "127.0.0.5", "10.45.0.")
FEW = ("--ues", "2", "--duration", "6")
EMPTY_CAPTURE = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def run(*arguments: object, width: int = 120) -> Result:
    runner = CliRunner(env={"COLUMNS": str(width), "NO_COLOR": "1"})
    return runner.invoke(app, [*map(str, arguments)], catch_exceptions=False)


def refused(*arguments: object) -> str:
    """Returns the one line with which a command ends that refuses its arguments."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1 and result.output.startswith("gentwin: "), result.output
    return result.output


@pytest.fixture(scope="module")
def rejects() -> Path:
    return find_capture("n2n4-rejects")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small capture that was made."""
    path = tmp_path_factory.mktemp("made") / "made.pcap"
    write_records(path, synthesize(SynthesisConfiguration(ues=2, duration=7.0), seed=4))
    return path


# ---------------------------------------------------------------- inspect


def test_summary(rejects: Path):
    result = run("inspect", rejects, "--limit", 3)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    for line in (
        "n2n4-rejects.pcap 545 messages in 545 frames, 158.7 s from 2026-11-21 07:25:33 UTC",
        "312 NAS messages in NGAP, 0.0 % of them ciphered",
        "N2 (NGAP) 127.0.2.1:53159 and 127.0.0.5:38412 419",
        "N4 (PFCP) 127.0.0.4:8805 and 127.0.0.7:8805 122",
        "5GMMStatus 5GMM #91 DNN not supported or not subscribed in the slice 16",
        "2 999700000009000 4 2 1 3.978 s",
        "and 28 more; `--limit 31` shows all",
        "Everything was decoded.",
    ):
        assert line in lines, line
    assert any(line.startswith("Initial registration 24 11") for line in lines)
    assert not any("ciphered" in line for line in lines if line.startswith("procedure"))


def test_chart_by_number_and_by_supi(rejects: Path):
    by_number = run("inspect", rejects, "--ue", 4, width=150)
    assert by_number.exit_code == 0, by_number.output
    assert by_number.output == run("inspect", rejects, "--supi", "imsi-999700000000704", width=150).output
    for text in (
        "UE 4, SUPI 999700000000704",
        "gNB 127.0.2.1:53159, AMF 127.0.0.5:38412, SMF 127.0.0.4, UPF 127.0.0.7",
        "InitialUEMessage / RegistrationRequest",
        "5GMM #91 DNN not supported or not subscribed in the slice",
        "SessionDeletionRequest  SEID 2377",
        "●─",
    ):
        assert text in by_number.output


def test_numbers_of_a_chart_are_those_of_frames(rejects: Path):
    (first, *_) = (line for line in run("inspect", rejects, "--ue", 4).output.splitlines() if "InitialUE" in line)
    number = first.split()[0]
    output = run("inspect", rejects, "--message", number).output
    assert output.startswith("NGAP InitialUEMessage")
    for text in (
        f"frame {number}",
        "nas_pdu: NAS RegistrationRequest",
        "msin: '0000000704'",
        "tac: 00 00 01",
        "0x10 (36 bits)",
    ):
        assert text in output


def test_limit_of_a_chart(rejects: Path):
    output = run("inspect", rejects, "--ue", 4, "--limit", 2).output
    assert output.count("NAS") == 1 and "25 more" in output and "`--limit 27` shows all" in output


def test_pseudonyms(made: Path):
    plain, hidden = run("inspect", made, "--supi", SUPI), run("inspect", made, "--supi", SUPI, "--pseudonyms")
    for identity in IDENTITIES:
        assert identity in plain.output
        assert identity not in hidden.output
    assert SUPI in run("inspect", made).output
    assert SUPI not in run("inspect", made, "--pseudonyms").output
    frame = next(line.split()[0] for line in plain.output.splitlines() if "InitialUEMessage" in line)
    assert f"msin: '{SUPI[5:]}'" in run("inspect", made, "--message", frame).output
    assert SUPI[5:] not in run("inspect", made, "--message", frame, "--pseudonyms").output


@pytest.mark.parametrize(("option", "shown"), [((), False), (("--pseudonyms",), False), (("--plain",), True)])
def test_saved_chart_has_pseudonyms_unless_told_otherwise(made: Path, tmp_path: Path, option: tuple, shown: bool):
    path = tmp_path / "chart.svg"
    result = run("inspect", made, "--supi", SUPI, "-o", path, "--limit", 25, *option)
    assert result.exit_code == 0 and "written: " in result.output, result.output
    text = " ".join(ElementTree.parse(path).getroot().itertext())
    assert "InitialUEMessage / RegistrationRequest" in text and "S-NSSAI 1" in text
    for identity in IDENTITIES:
        assert (identity in text) == shown


def test_saved_picture(rejects: Path, tmp_path: Path):
    path = tmp_path / "chart.PNG"
    result = run("inspect", rejects, "--ue", 4, "-o", path, "--limit", 5)
    assert "22 more messages; `--limit 27` draws all" in result.output
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


def test_capture_that_was_made(made: Path):
    output = run("inspect", made).output
    assert "Everything was decoded." in output
    assert "UE  SUPI" in output and "999700000000001" in output


def test_compressed_and_cut_captures(made: Path, tmp_path: Path):
    packed = tmp_path / "made.pcap.gz"
    packed.write_bytes(gzip.compress(made.read_bytes()))
    assert run("inspect", packed).output.splitlines()[2:] == run("inspect", made).output.splitlines()[2:]
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(made.read_bytes()[:-10])
    output = run("inspect", cut).output
    assert "truncated_file" in output and "the file ends inside a record" in output


def test_what_cannot_be_decoded_is_counted_and_named(made: Path, tmp_path: Path):
    with read_capture(made) as reader:
        packets = list(reader)
    broken = [replace(packet, payload=b"\xff" + packet.payload[1:]) for packet in packets[:3]]
    path = tmp_path / "broken.pcap"
    write_capture(path, [*packets, *broken])
    result = run("inspect", path)
    assert result.exit_code == 0
    assert "undecoded_" in result.output and f"frame {len(packets) + 1}, " in result.output


def test_texts_of_a_capture_are_no_markup(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    nai, station, amf = "[/x]@evil.example", "[fe80:b:1]:38412", "[fe80::2]:38412"
    request = Message("nas", "RegistrationRequest", Fields.of(mobile_identity=Fields.of(type="suci", nai=nai)))
    carrier = Message("ngap", "InitialUEMessage", Fields([("[/field]", nai), ("nas_pdu", request)]))
    record = Record(carrier, 1.0, station, amf)
    tables.print_messages([record], 1)
    texts = capsys.readouterr().out
    assert f"{station} to {amf}" in texts and f"[/field]: '{nai}'" in texts and f"nai: '{nai}'" in texts
    tables.print_ladder(make_ladder([record], title=f"SUPI {nai} in [/y]:b:.pcap"))
    texts = capsys.readouterr().out
    assert f"SUPI {nai} in [/y]:b:.pcap" in texts and f"SUCI {nai}" in texts and station in texts
    summary = Summary(
        records=1,
        begin=1.0,
        end=1.0,
        links=Counter({("ngap", station, amf): 1}),
        messages=Counter({("ngap", "[/message]"): 1}),
        nas=0,
        ciphered=0,
        refusals=Counter({("[/refusal]", None): 1}),
        procedures=(),
        ues=(ContextSummary(1, nai, 1.0, 1.0, 1, ()),),
    )
    with read_records(io.BytesIO(EMPTY_CAPTURE)) as reader:
        tables.print_summary("[/y].pcap", summary, reader, 20)
    texts = capsys.readouterr().out
    for text in ("[/y].pcap", f"{station} and {amf}", "[/message]", "[/refusal]", nai):
        assert text in texts


@pytest.mark.parametrize("seed", range(4))
def test_damaged_captures_are_summed_up(made: Path, tmp_path: Path, seed: int):
    random, data = Random(seed), bytearray(made.read_bytes())
    for _ in range(60):
        data[random.randrange(24, len(data))] = random.randrange(256)
    path = tmp_path / "damaged.pcap"
    path.write_bytes(data)
    assert run("inspect", path, "--limit", 100_000).exit_code in (0, 2)
    assert run("inspect", path, "--ue", 3).exit_code in (0, 2)


def test_files_that_are_no_captures(tmp_path: Path):
    assert "which is no file" in refused("inspect", tmp_path / "missing.pcap")
    assert "which is no file" in refused("inspect", tmp_path)
    for content in (b"", b"abc", b"no capture at all"):
        path = tmp_path / "other.pcap"
        path.write_bytes(content)
        assert "must be a pcap or pcapng capture" in refused("inspect", path)


def test_captures_without_messages(tmp_path: Path):
    path = tmp_path / "empty.pcap"
    path.write_bytes(EMPTY_CAPTURE)
    assert "no message of NGAP or PFCP in 0 frames" in refused("inspect", path)
    frame = bytes(60)
    path.write_bytes(EMPTY_CAPTURE + struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    for option in ((), ("--ue", 1), ("--message", 1)):
        assert "in 1 frames (1 not_ip)" in refused("inspect", path, *option)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--ue", 99), "`--ue` must be a UE of the capture, got 99; known: 3, 5."),
        (("--ue", 0), "`--ue` must be a UE of the capture, got 0; known: 3, 5."),
        (("--ue", -1), "got -1"),
        (("--supi", "1"), "got 1; known: 999700000000001, 999700000000002."),
        (("--message", 100_000), "nearest: "),
        (("--message", -1), "nearest: 1."),
        (("--limit", 0), "`--limit` must be 1 or more, and 1000 at most for a picture, got 0"),
        (("--ue", 2, "--limit", 1001, "-o", "x.svg"), "got 1001"),
        (("--ue", 2, "-o", "x.pdf"), "`--output` must end with .svg or .png, got 'x.pdf'"),
        (("-o", "x.svg"), "give `--ue` or `--supi` too"),
        (("--ue", 2, "--supi", 1), "exclude each other"),
        (("--ue", 2, "--message", 1), "exclude each other"),
    ],
)
def test_refused_views(made: Path, arguments: tuple, text: str):
    assert text in refused("inspect", made, *arguments)


# ---------------------------------------------------------------- synthesize


def test_same_seed_same_bytes(tmp_path: Path):
    for name, seed in (("one", 3), ("other", 3), ("third", 4)):
        result = run("synthesize", *FEW, "--seed", seed, "-o", tmp_path / f"{name}.pcap")
        assert result.exit_code == 0, result.output
    one, other, third = ((tmp_path / f"{name}.pcap").read_bytes() for name in ("one", "other", "third"))
    assert one == other != third
    assert not list(tmp_path.glob("*.partial"))


def test_capture_holds_what_was_made(tmp_path: Path):
    path = tmp_path / "made.pcap"
    result = run("synthesize", *FEW, "--flavour", "generic", "-o", path)
    records = [*synthesize(from_plain({"ues": 2, "duration": 6, "network": {"flavour": "generic"}}), seed=0)]
    with read_records(path) as reader:
        assert [record.message for record in reader] == [record.message for record in records]
    assert not reader.counts
    n2 = sum(record.message.protocol == "ngap" for record in records)
    assert [line.split() for line in result.output.splitlines()][2] == ["messages", "on", "N2", str(n2)]


def test_subscribers_are_those_of_the_capture(tmp_path: Path):
    capture, database = tmp_path / "made.pcap", tmp_path / "made.sqlite"
    assert run("synthesize", *FEW, "--seed", 9, "-o", capture, "--subscribers", database).exit_code == 0
    subscribers = Subscribers(database)
    assert [subscriber.supi for subscriber in subscribers] == ["999700000000001", "999700000000002"]
    challenged = verified = 0
    with read_records(capture) as reader:
        for record in reader:
            message = record.message.get("nas_pdu")
            if getattr(message, "name", None) == "AuthenticationRequest":
                challenged += 1
                verified += any(
                    check_autn(Milenage(known.k, known.opc), message["rand"], message["autn"]).verified
                    for known in subscribers
                )
    subscribers.close()
    assert challenged == verified > 0


@pytest.mark.parametrize("option", ["--output", "--subscribers"])
def test_files_are_replaced_only_if_wanted(tmp_path: Path, option: str):
    places = {"--output": tmp_path / "made.pcap", "--subscribers": tmp_path / "made.sqlite"}
    arguments = [*FEW, *(word for place in places.items() for word in place)]
    places[option].write_bytes(b"mine")
    assert f"`{option}` must be new" in refused("synthesize", *arguments)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]
    assert run("synthesize", *arguments, "--overwrite").exit_code == 0
    assert all(path.stat().st_size > 1000 for path in places.values())


def test_subscribers_have_a_file_of_their_own(tmp_path: Path):
    path = tmp_path / "made.pcap"
    assert "another file than `--output`" in refused("synthesize", "-o", path, "--subscribers", path)
    for options in ((), ("--overwrite",)):
        assert "--subscribers" in refused("synthesize", "-o", path, "--subscribers", tmp_path, *options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x[/y]", "x[/y].pcap"])
def test_paths_are_no_markup(tmp_path: Path, name: str):
    output = tmp_path / name
    result = run("synthesize", *FEW, "-o", output)
    assert result.exit_code == 0 and f"written: {output}" in result.output, result.output


def test_data_set(tmp_path: Path):
    from gentwin.datasets.signaling import read_dialogues

    folder = tmp_path / "dialogues"
    result = run("synthesize", "--ues", 6, "--duration", 8, "-o", folder)
    assert result.exit_code == 0, result.output
    stored = [
        record
        for split in ("train", "validation", "test")
        for found in read_dialogues(folder, split)
        for record in found.records
    ]
    made = [*synthesize(SynthesisConfiguration(ues=6, duration=8.0), seed=0)]
    assert len(stored) == len(made)
    assert {to_packet(record).payload for record in stored} == {to_packet(record).payload for record in made}
    card = (folder / "README.md").read_text()
    assert "gentwin synthesize --config CONFIGURATION --seed 0 -o DIR" in card and "ues: 6" in card
    assert "overwrite" in refused("synthesize", *FEW, "-o", folder)
    assert run("synthesize", *FEW, "-o", folder, "--overwrite").exit_code == 0


def test_options_win_over_the_file(tmp_path: Path):
    config, path = tmp_path / "mine.yaml", tmp_path / "made.pcap"
    config.write_text(
        "ues: 3\nduration: 5\nnetwork:\n  flavour: {name: generic, relative_capacity: 7}\nfaults: {radio_loss: 1e-3}\n"
    )
    result = run("synthesize", "--config", config, "--ues", 1, "--flavour", "open5gs", "-o", path)
    assert result.output.split()[:2] == ["UEs", "1"]
    with read_records(path) as reader:
        (setup,) = {
            record.message["relative_amf_capacity"] for record in reader if record.message.name == "NGSetupResponse"
        }
    assert setup == 7


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_shown_configuration_is_the_default(flavour: str):
    result = run("synthesize", "--show-config", "--flavour", flavour)
    assert result.exit_code == 0 and result.output == explain(flavour)
    values = yaml.safe_load(result.output)
    # The flavour has a name only; what it stands for is shown, as comments that become valid without their marks.
    assert values["network"]["flavour"] == {"name": flavour}
    configuration, default = from_plain(values), SynthesisConfiguration()
    assert replace(configuration, network=default.network) == default
    assert configuration.network == replace(default.network, flavour=FLAVOURS[flavour])


def test_shipped_recipe(tmp_path: Path):
    path = tmp_path / "recipe.pcap"
    recipe = ROOT / "recipes" / "synthesize.yaml"
    assert from_plain(yaml.safe_load(recipe.read_text())).ues > 10
    assert run("synthesize", "--config", recipe, "--ues", 4, "--duration", 6, "-o", path).exit_code == 0
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"uess": 1}, "`uess` is no field; did you mean `ues`?"),
        ({"workload": {"arival": 1}}, "`workload.arival` is no field; did you mean `arrivals`?"),
        ({"network": {"flavour": {"timing": {"t3521": 0}}}}, "`network.flavour.timing.t3521` must be positive, got 0"),
        ({"network": {"stations": [{"number": 1}]}}, "`network.stations.0.address` must be given"),
        ({"network": {"stations": [{"number": 1, "address": "10.0.0.1"}]}}, "an IP address and port"),
        ({"network": {"areas": [1]}}, "`network.areas.0` must be a text in quotes, got 1"),
        ({"network": {"areas": ["12"]}}, "six hex digits in quotes"),
        ({"network": {"slices": [0]}}, "`network.slices.0` must be SST or SST-SD"),
        ({"network": {"flavour": "open6gs"}}, "`network.flavour.name` must be one of open5gs, generic, got 'open6gs'"),
        ({"network": None}, "`network` must be a mapping of names to values, got None"),
        ({"network": {"plmn": "99970"}}, "`network.plmn` must be MCC-MNC"),
        ({"faults": {"radio_loss": 1.1}}, "`faults.radio_loss` must be from 0 to 1, got 1.1"),
        ({"workload": {"think_time": "5 s"}}, "`workload.think_time` must be a number, got '5 s'"),
        ({"workload": {"arrivals": 0}}, "`workload.arrivals` must be positive"),
        ({"ues": True}, "`ues` must be a whole number, got True"),
        ({"network": {"flavour": {"timing": {"t3512": 1e9}}}}, "must be from 2 to 1,116,000"),
        ({"network": {"upf_address": "::1"}}, "`network.upf_address` must be an IPv4 address"),
        ({"limits": {"back_off": 1e6}}, "`limits.back_off` must be from 0 to 11,160"),
        ({"duration": float("inf")}, "`duration` must be positive"),
        ({"profiles": "some"}, "`profiles` must be one of recorded, sliced, or a list"),
        ({"profiles": [{"subscriptions": [], "uplink": 1000, "downlink": 1000}]}, "`profiles.0.subscriptions`"),
        ({"limits": {"sessions": -1}}, "`limits.sessions` must be 0 or more, got -1"),
        ({"limits": {"slices": [{"slice": "x"}]}}, "`limits.slices.0.slice` must be SST or SST-SD"),
        ({"population": {"profile_a": 2}}, "`population.profile_a` must be from 0 to 1, got 2"),
        ({"network": {"capacity": {"amf": -1}}}, "`network.capacity.amf` must be 0 or more, got -1"),
        ({"faults": {"downtime": -1}}, "`faults.downtime` must be 0 or more, got -1"),
        ({"workload": {"demands": [{"slice": 1}]}}, "`workload.demands.0.dnn` must be given"),
    ],
)
def test_refused_configurations(values: dict, text: str):
    with pytest.raises(SignalingError) as refusal:
        from_plain(values)
    assert text in str(refusal.value)


def test_configurations_that_are_read():
    profile = {"subscriptions": [{"slice": "1-00000A", "dnn": "private"}], "uplink": 5000, "downlink": 6000}
    configuration = from_plain(
        {
            "network": {
                "slices": [1, "1-00000A"],
                "data_networks": [{"dnn": "private", "addresses": "10.45.0.0/16"}],
                "flavour": {"name": "generic", "delays": {"ue": 1}},
            },
            "limits": {"slices": [{"slice": "1-00000a", "sessions": 3}], "patience": 2},
            "profiles": [profile],
            "workload": {"arrivals": float("inf"), "behaviour": {"send": 0}},
        }
    )
    assert configuration.network.slices == (Slice(1), Slice(1, "00000a"))
    assert configuration.limits.slices == (SliceLimit(Slice(1, "00000a"), 3),)
    assert (configuration.limits.patience, configuration.limits.registered) == (2.0, None)
    assert (configuration.profiles[0].uplink, configuration.profiles[0].downlink) == (5000, 6000)
    assert (configuration.workload.behaviour.send, configuration.workload.behaviour.receive) == (0.0, 25.0)
    assert configuration.network.flavour.delays.ue == 1.0
    assert len(configuration.network.stations) == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "`--output` must be given"),
        (("-o", "x.pcapng"), "`--output` must end with .pcap, or be a folder, got 'x.pcapng'"),
        (("-o", "x.pcap", "--ues", 0), "`ues` must be from 1 to 10,000, got 0"),
        (("-o", "x.pcap", "--ues", 10_001), "`ues` must be from 1 to 10,000, got 10001"),
        (("-o", "x.pcap", "--duration", 0), "`duration` must be positive, got 0.0"),
        (("-o", "x.pcap", "--duration", "nan"), "`duration` must be a number, got nan"),
        (("-o", "x.pcap", "--flavour", "x"), "`network.flavour.name` must be one of open5gs, generic, got 'x'"),
        (("--show-config", "--flavour", "x"), "`network.flavour.name` must be one of open5gs, generic, got 'x'"),
        (("-o", "x.pcap", "--config", "none.yaml"), "`--config` must be a YAML file"),
    ],
)
def test_refused_syntheses(arguments: tuple, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert text in refused("synthesize", *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["ues: [", "- 1", "text", "ues: {a: b}", "ue: 5", "\0"])
def test_refused_files(content: str, tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    refused("synthesize", "--config", path, "-o", tmp_path / "x.pcap")
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.yaml"]


def test_help_teaches():
    for command, examples in (
        ("inspect", ("gentwin inspect core.pcap --ue 4", "--supi 999700000000001 -o registration.svg")),
        ("synthesize", ("gentwin synthesize --ues 100", "--show-config > mine.yaml", "--subscribers core.sqlite")),
    ):
        output = " ".join(run(command, "--help").output.split())
        for example in examples:
            assert example in output
