"""Commands that let a core answer: to base stations over sockets, and to a person."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gentwin.cli.app import app, fail

if TYPE_CHECKING:
    from gentwin.serving import (
        CoreServer,
        EmulatedUpfServer,
        Ladders,
        ServingConfiguration,
        Transport,
        UserPlane,
        Watch,
    )
    from gentwin.serving.pages import Pages

CHECKPOINT = "gentwin/signaling-open5gs"
TRANSPORTS = ("sctp", "tcp", "unix")
N2_PORT, N4_PORT = 38412, 8805
LOOPBACK = "127.0.0.1"

Checkpoint = Annotated[
    str,
    typer.Argument(
        metavar="[CHECKPOINT]",
        help="Message twin: `gentwin/<name>`, or a folder; `reference` for the reference core.",
        show_default=True,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="YAML: network, subscribers, limits, admission, policy. The recorded network if not given."
    ),
]


@dataclass(frozen=True)
class Options:
    """What `serve-core` was told."""

    listen: str | None
    transport: str
    upf: str
    metrics_port: int | None


@app.command("serve-core")
def serve_core(
    checkpoint: Checkpoint = CHECKPOINT,
    config: Config = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[:PORT]|PATH",
            help="Where base stations come to; `amf_address` of the network if not given. A path for `unix`.",
        ),
    ] = None,
    transport: Annotated[
        str, typer.Option(metavar="NAME", help="What carries N2: sctp (of the kernel), tcp or unix (with frames).")
    ] = "sctp",
    upf: Annotated[
        str,
        typer.Option(
            metavar="HOST[:PORT]|emulated|none",
            help="User plane: a real UPF; an emulated one with its own socket; or none, and nothing on N4's wire.",
        ),
    ] = "none",
    metrics_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help=f"HTTP on {LOOPBACK}: `/metrics` for Prometheus, charts of UEs at `/ues`."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a line of JSON for everything that happens.")
    ] = None,
    ladders: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="At the end, save the charts of the latest UEs as SVG.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no line for every message.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Of challenges and identifiers; for tests only, as keys can be guessed.")
    ] = None,
) -> None:
    """Let a twin answer as the control plane of a 5G core, for base stations and a UPF that are none of gentwin.

    It listens for NGAP on N2, port 38412, and speaks PFCP on N4, port 8805. Addresses are those of the configuration,
    on loopback unless told otherwise; nothing is accepted from a base station before its NG setup. Ctrl-C, or SIGTERM,
    ends it: what is heard is answered, links are closed, charts are saved.

    SCTP needs the kernel's module (`modprobe sctp`) and `pip install "gentwin[sctp]"`. The other transports carry every
    PDU in a frame: number of octets (4 octets, big-endian), stream (2 octets), PDU.

    Example: `gentwin serve-core --config recipes/serve_open5gs.yaml`

    Example: `gentwin serve-core --transport tcp --upf emulated --metrics-port 9100 --log core.jsonl`

    Example: `gentwin serve-core reference --transport unix --listen n2.sock`, the reference core to compare with
    """
    try:
        options = Options(listen, transport, upf, metrics_port)
        _check(options, ladders)
        _serve(checkpoint, config, options, log, ladders, quiet, seed)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (ValueError, OSError, ImportError) as error:
        fail(error)


def _check(options: Options, ladders: Path | None) -> None:
    """Raises `ValueError` unless the options fit together."""
    if options.transport not in TRANSPORTS:
        raise ValueError(f"`--transport` must be one of {', '.join(TRANSPORTS)}, got {options.transport!r}.")
    if options.transport == "unix" and options.listen is None:
        raise ValueError("`--listen` must be the path of the socket for `--transport unix`.")
    if options.metrics_port is not None and not 0 <= options.metrics_port < 1 << 16:
        raise ValueError(f"`--metrics-port` must be from 0 to 65535, got {options.metrics_port}.")
    if ladders is not None and ladders.exists() and not ladders.is_dir():
        raise ValueError(f"`--ladders` must be a folder, got {str(ladders)!r}, which is a file.")


def _serve(
    checkpoint: str,
    config: Path | None,
    options: Options,
    log: Path | None,
    folder: Path | None,
    quiet: bool,
    seed: int | None,
) -> None:
    from rich.console import Console

    from gentwin.serving import CoreServer, Ladders, MessageLog, Outgoing
    from gentwin.serving.cores import load_core
    from gentwin.serving.watching import Warnings

    console = Console()
    configuration = _configured(config, options.upf)
    transport, (user_plane, emulated) = _transport(options, configuration), _user_plane(options, configuration)
    charts = Ladders()
    watches: list[Watch] = [charts] if folder is not None or options.metrics_port is not None else []
    pages = None
    if options.metrics_port is not None:
        pages, metrics = _pages(charts)
        watches.append(metrics)
    if log is not None or not quiet:
        watches.append(MessageLog(log, None if quiet else console))
    if quiet:
        watches.append(Warnings(_warn))
    watch = Outgoing(watches)
    try:
        typer.echo(f"loading {checkpoint} …", err=True)
        core = load_core(checkpoint, configuration, listener=watch.event, seed=seed)
        server = CoreServer(core, transport, user_plane, watch=watch)
        lines = [
            f"core  {checkpoint}, {_described(configuration)}",
            f"N4    {_described_user_plane(options, configuration)}",
        ]
        asyncio.run(_run(server, emulated, pages, options, lines))
    finally:
        watch.close()
    if folder is not None:
        typer.echo(f"written: {len(charts.save(folder))} charts in {folder}")


def _described(configuration: ServingConfiguration) -> str:
    network = configuration.network
    return f"{network.amf_name}, PLMN {network.plmn}, {len(configuration.subscribers):,} subscribers"


def _described_user_plane(options: Options, configuration: ServingConfiguration) -> str:
    """Returns what is at both ends of N4."""
    from gentwin.serving.links import join_address, split_address

    if options.upf == "none":
        return "none: the user plane is in the process"
    network = configuration.network
    remote = network.upf_address if options.upf == "emulated" else options.upf
    kind = "emulated UPF" if options.upf == "emulated" else "UPF"
    return f"local {network.smf_address}:{N4_PORT}, {kind} {join_address(*split_address(remote, N4_PORT))}"


def _warn(text: str) -> None:
    typer.echo(f"gentwin: warning: {text}", err=True)


def _configured(config: Path | None, upf: str) -> ServingConfiguration:
    """Returns the configuration, with the time of now and the UPF that was asked for."""
    from gentwin.serving import ServingConfiguration, read_configuration
    from gentwin.serving.links import split_address

    configuration = ServingConfiguration() if config is None else read_configuration(config)
    network = replace(configuration.network, start=time.time())
    if upf not in ("none", "emulated"):
        host, _ = split_address(upf, N4_PORT, "`--upf`")
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(f"`--upf` must be `none`, `emulated`, or an IPv4 address, got {upf!r}.") from None
        network = replace(network, upf_address=host)
    for text in configuration.warnings:
        _warn(text)
    return replace(configuration, network=network)


def _transport(options: Options, configuration: ServingConfiguration) -> Transport:
    from gentwin.serving import TcpTransport, UnixTransport
    from gentwin.serving.links import split_address

    if options.transport == "unix":
        return UnixTransport(options.listen)
    host, port = split_address(options.listen or configuration.network.amf_address, N2_PORT, "`--listen`")
    _warn_of(host)
    if options.transport == "tcp":
        return TcpTransport(host, port)
    from gentwin.serving.sctp import SctpTransport

    return SctpTransport(host, port)


def _warn_of(host: str) -> None:
    """Says what it means to listen at an address that others can reach."""
    loopback = host == "localhost"
    with suppress(ValueError):
        loopback = ipaddress.ip_address(host).is_loopback
    if not loopback:
        _warn(
            f"{host} is no loopback address. N2 is neither encrypted nor authenticated: whoever reaches this port is a "
            "base station."
        )


def _user_plane(options: Options, configuration: ServingConfiguration) -> tuple[UserPlane, EmulatedUpfServer | None]:
    from gentwin.serving import EmulatedUpf, EmulatedUpfServer, InProcessUserPlane, UdpUserPlane

    network = configuration.network
    local = f"{network.smf_address}:{N4_PORT}"
    if options.upf == "none":
        return InProcessUserPlane(EmulatedUpf(network)), None
    if options.upf == "emulated":
        emulated = EmulatedUpfServer(EmulatedUpf(network), network.smf_address)
        return UdpUserPlane(local, f"{network.upf_address}:{N4_PORT}"), emulated
    return UdpUserPlane(local, options.upf), None


def _pages(charts: Ladders) -> tuple[Pages, Watch]:
    from gentwin.serving.metrics import Metrics
    from gentwin.serving.pages import Pages

    metrics = Metrics()
    return Pages(metrics, charts), metrics


async def _run(
    server: CoreServer, emulated: EmulatedUpfServer | None, pages: Pages | None, options: Options, lines: list[str]
) -> None:
    try:
        if emulated is not None:
            await emulated.open()
        if pages is not None:
            lines.append(f"http  http://{await pages.open(LOOPBACK, options.metrics_port)}/metrics and /ues")

        def started() -> None:
            lines.insert(1, f"N2    {options.transport} {server.transport.address}")
            typer.echo("\n".join([*lines, "Ctrl-C ends it."]))

        await server.run(started, signals=True)
    finally:
        if pages is not None:
            pages.close()
        if emulated is not None:
            emulated.close()


# ---------------------------------------------------------------- talking


@app.command()
def talk(
    checkpoint: Checkpoint = CHECKPOINT,
    config: Config = None,
    supi: Annotated[
        str | None, typer.Option(metavar="DIGITS", help="Who the UE is; the first subscriber if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same one gives the same answers.")] = 0,
) -> None:
    """Play UE and base station yourself, and see what the core answers as a ladder.

    Type `help` for what can be done. Commands come from the terminal, or line by line from a file or a pipe; then a
    line that cannot be done ends the command. Time is simulated: `wait 10` lets timers run out.

    Example: `gentwin talk`

    Example: `printf 'ng-setup\\nregister\\nsession internet\\nsave first.svg\\n' | gentwin talk reference`
    """
    from gentwin.cli.talk import Conversation

    try:
        interactive = sys.stdin.isatty()
        if interactive:
            typer.echo(f"loading {checkpoint} …", err=True)
        conversation = Conversation(checkpoint, config, supi, seed)
        for number, line in enumerate(_lines(interactive), start=1):
            try:
                if not conversation.obey(line):
                    break
            except (ValueError, OSError) as error:
                if not interactive:
                    raise ValueError(f"line {number}: {error}") from error
                typer.echo(str(error))
    except (ValueError, OSError, ImportError) as error:
        fail(error)


def _lines(interactive: bool) -> Iterator[str]:
    """Yields what is typed, or what comes on standard input."""
    if not interactive:
        yield from sys.stdin
        return
    with suppress(ImportError):
        import readline  # noqa: F401 - gives `input` a history
    typer.echo("`help` says what can be done, `quit` ends it.")
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            yield input("> ")
