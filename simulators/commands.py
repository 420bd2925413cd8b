"""`danhao simulate ...`: arguments, exit codes, signals; the work is elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
import threading
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core import periods
from core.clock import utc_now
from core.errors import DanhaoError, Misconfigured, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simulators import plant, replay
    from simulators.link import Broker

WELL: Final = 0
BAD_NEWS: Final = 1
WRONG_USE: Final = 2
MOST_HISTORY_DAYS: Final = 400
_PLANT_HELP: Final = "plant file, or gh_al, qh_fa, qh_ce; NAME.process.toml lies beside it"
_DAYS: Final = re.compile(r"^(\d{1,4})d$")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `simulate` and its children; each sets `run` to callable(args) -> exit code."""
    simulate = commands.add_parser("simulate", help="a plant with its meters, or recorded data")
    leaves = simulate.add_subparsers(dest="simulate", required=True, metavar="WHAT")
    _add_plant(leaves.add_parser("plant", help="all meters of plants, their output, their past"))
    _add_meter(leaves.add_parser("meter", help="one meter of a plant"))
    _add_replay(leaves.add_parser("replay", help="recorded data through MQTT"))
    _add_regulator(leaves.add_parser("regulator", help="an inbox that takes signed alerts"))
    _add_platform(leaves.add_parser("platform", help="a data centre that is reported to"))
    _add_mailbox(leaves.add_parser("mailbox", help="a mail server that keeps what it gets"))
    _add_identity(leaves.add_parser("identity", help="an OpenID Connect provider to sign in at"))


def _add_plant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, nargs="+", metavar="FILE", help=_PLANT_HELP)
    parser.add_argument("--seed", type=int, default=1, help="what happens; default 1")
    parser.add_argument(
        "--port",
        type=int,
        action="append",
        default=[],
        help="Modbus TCP port, once for each FILE in its order; default a free one",
    )
    parser.add_argument(
        "--modbus-port-file",
        type=Path,
        action="append",
        default=[],
        help="write the meters' address here, once for each FILE in its order",
    )
    parser.add_argument("--history", type=_days, default=0, help="send the past first, as 35d")
    parser.add_argument("--state-dir", type=Path, help="journals of what was sent")
    _add_broker(parser)
    parser.set_defaults(run=_guarded(_run_plant))


def _add_meter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        metavar="MODEL|FILE",
        help=f"a meter model to practise with, or a {_PLANT_HELP}",
    )
    parser.add_argument("name", nargs="?", help="a meter of the process file, where FILE is given")
    parser.add_argument("--seed", type=int, default=1, help="what happens; default 1")
    parser.add_argument("--port", type=int, default=0, help="TCP port; default a free one")
    parser.add_argument("--modbus-port-file", type=Path, help="write the meter's address here")
    parser.add_argument(
        "--protocol",
        choices=("modbus", "dlt645"),
        default="modbus",
        help="what it speaks; dlt645 has the unit id as its address; default modbus",
    )
    parser.add_argument(
        "--pty", action="store_true", help="on a pseudo terminal, not over TCP; dlt645 only"
    )
    model = parser.add_argument_group("of a model")
    model.add_argument("--unit-id", type=int, default=1, help="its unit on the line; default 1")
    model.add_argument("--rtu", action="store_true", help="RTU frames in TCP")
    model.add_argument("--delay-ms", type=int, default=0, help="answer so much later")
    model.add_argument("--silent", action="store_true", help="never answer")
    model.add_argument("--swap-words", action="store_true", help="send words the other way round")
    model.add_argument(
        "--not-available", action="append", default=[], metavar="QUANTITY", help="has no value"
    )
    parser.set_defaults(run=_guarded(_run_meter))


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="CSV with recorded readings")
    parser.add_argument(
        "--map",
        type=Path,
        required=True,
        help="which column is which point; or a shipped one's name",
    )
    parser.add_argument("--speed", type=_speed, default=None, help="times real time, or max")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="send in random order")
    parser.add_argument("--agent", help="who sends; default the map's agent")
    parser.add_argument("--from", dest="since", type=_instant, help="first instant, RFC 3339")
    parser.add_argument("--to", dest="until", type=_instant, help="instant to stop before")
    parser.add_argument(
        "--patience", type=float, default=120.0, help="seconds without a receipt; default 120"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    _add_broker(parser)
    parser.set_defaults(run=_guarded(_run_replay))


def _add_regulator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, required=True, help="HTTP port on this machine")
    parser.add_argument(
        "--secret-file", type=Path, required=True, help="what the sender signs with"
    )
    parser.add_argument("--inbox", type=Path, required=True, help="SQLite file of what arrived")
    parser.add_argument(
        "--sender-key", metavar="KEY", help="whose Ed25519 signature is asked for, as ed25519:..."
    )
    parser.set_defaults(run=_guarded(_run_regulator))


def _add_mailbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, required=True, help="SMTP port on this machine")
    parser.add_argument("--folder", type=Path, required=True, help="Maildir of what arrived")
    parser.add_argument(
        "--security",
        choices=("starttls", "tls", "none"),
        default="starttls",
        help="how it is spoken to; default starttls",
    )
    parser.add_argument("--certificate", type=Path, help="PEM; default one of its own, beside it")
    parser.add_argument("--key", type=Path, help="PEM of the certificate's private key")
    parser.add_argument("--username", help="account that senders must have")
    parser.add_argument("--password-file", type=Path, help="file that holds its password")
    parser.set_defaults(run=_guarded(_run_mailbox))


def _add_platform(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, required=True, help="HTTP port on this machine")
    parser.add_argument("--key-file", type=Path, required=True, help="what senders register with")
    parser.add_argument("--state", type=Path, required=True, help="SQLite file of what arrived")
    parser.add_argument("--faults", type=_share, default=0.0, help="share of bad answers, 0 to 1")
    parser.add_argument("--seed", type=int, default=1, help="which answers are bad; default 1")
    parser.set_defaults(run=_guarded(_run_platform))


def _add_identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, required=True, help="HTTP port on this machine")
    parser.add_argument(
        "--people", type=Path, required=True, help="TOML: [person.<id>] name, password, groups"
    )
    parser.add_argument("--client", default="danhao", help="id of the client; default danhao")
    parser.add_argument("--secret-file", type=Path, help="its secret; left out: a public client")
    parser.add_argument(
        "--redirect", required=True, help="https://…/api/v1/session/oidc/<id>/callback"
    )
    parser.set_defaults(run=_guarded(_run_identity))


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("write a number from 0 to 1")
    return share


def _add_broker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--broker", metavar="URL", help="mqtt://host:port")
    parser.add_argument("--username", help="account of the broker")
    parser.add_argument("--password-file", type=Path, help="file that holds its password")
    parser.add_argument("--data-dir", type=Path, help="take the broker of `danhao up` from here")


def _days(text: str) -> int:
    found = _DAYS.match(text)
    if found is None or int(found.group(1)) > MOST_HISTORY_DAYS:
        raise argparse.ArgumentTypeError(f"write days as 35d, at most {MOST_HISTORY_DAYS}d")
    return int(found.group(1))


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e9:  # noqa: PLR2004 - a second for thirty years is as good as max
        raise argparse.ArgumentTypeError("write a number above 0, or max")
    return speed


def _instant(text: str) -> int:
    try:
        return periods.parse_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _guarded(
    run: Callable[[argparse.Namespace], Awaitable[int]],
) -> Callable[[argparse.Namespace], int]:
    """Turn the errors of a person's input into their sentences and exit code 2."""

    def guarded(args: argparse.Namespace) -> int:
        try:
            return asyncio.run(_awaited(run(args)))
        except Misconfigured as error:
            print(error, file=sys.stderr)  # noqa: T201 - a command line talks to its user
            return WRONG_USE
        except DanhaoError as error:
            print(error, file=sys.stderr)  # noqa: T201 - as above
            return BAD_NEWS

    return guarded


async def _awaited(work: Awaitable[int]) -> int:
    return await work


def _shipped(path: Path, folder: str) -> Path:
    """Let a bare name stand for a file that this package ships."""
    if path.exists() or path.suffix or path.parent != Path():
        return path
    shipped = Path(__file__).parent / folder / f"{path.name}.toml"
    return shipped if shipped.is_file() else path


def _set_when_stopped(stop: asyncio.Event | threading.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)


def _stopped() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    _set_when_stopped(stop)
    return stop


def _broker(args: argparse.Namespace) -> Broker | None:
    from simulators import link  # noqa: PLC0415 - `--help` loads no MQTT

    if args.broker and args.data_dir:
        raise Misconfigured([Problem("--broker", "give either --broker or --data-dir")])
    if args.data_dir:
        return link.broker_of(args.data_dir)
    if args.broker:
        password = link.password_from(args.password_file)
        return link.broker_from(args.broker, args.username, password)
    return None


async def _run_plant(args: argparse.Namespace) -> int:
    from simulators import plant  # noqa: PLC0415 - loaded when asked

    options = plant.Options(
        plants=_plants(args),
        seed=args.seed,
        broker=_broker(args),
        history_days=args.history,
        state_dir=args.state_dir or (args.data_dir and args.data_dir / "simulators"),
    )
    await plant.run(options, clock=utc_now, stop=_stopped())
    return WELL


def _plants(args: argparse.Namespace) -> list[plant.PlantFile]:
    """Give each file its port and port file, by order; raises Misconfigured."""
    from simulators import plant  # noqa: PLC0415 - loaded when asked

    files = [_shipped(path, "plants") for path in args.file]
    problems = [
        Problem(option, f"is given {len(given)} times for {len(files)} FILE")
        for option, given in (("--port", args.port), ("--modbus-port-file", args.modbus_port_file))
        if len(given) > len(files)
    ]
    if problems:
        raise Misconfigured(problems)
    return [
        plant.PlantFile(path, port or 0, port_file)
        for path, port, port_file in zip_longest(files, args.port, args.modbus_port_file)
    ]


async def _run_model(args: argparse.Namespace) -> int:
    """Serve a meter to practise with, and print the table of edge.toml that reads it."""
    from simulators import practice  # noqa: PLC0415 - loaded when asked

    manners = practice.Manners(
        args.delay_ms / 1_000, args.silent, args.swap_words, tuple(args.not_available)
    )
    meter = practice.PracticeMeter(
        str(args.file), utc_now, unit_id=args.unit_id, rtu=args.rtu, manners=manners
    )
    stop = _stopped()
    async with meter.serving(args.port):
        print(meter.told, flush=True)  # noqa: T201 - a command line talks to its user
        await stop.wait()
    return WELL


async def _run_meter(args: argparse.Namespace) -> int:
    from simulators import plant  # noqa: PLC0415 - loaded when asked

    if args.name is None:
        return await _run_model(args)
    if args.protocol == "dlt645":
        await plant.run_dlt645(
            _shipped(args.file, "plants"),
            args.name,
            seed=args.seed,
            port=None if args.pty else args.port,
            port_file=args.modbus_port_file,
            clock=utc_now,
            stop=_stopped(),
        )
        return WELL
    if args.pty:
        raise Misconfigured([Problem("--pty", "needs --protocol dlt645")])
    await plant.run_meter(
        _shipped(args.file, "plants"),
        args.name,
        seed=args.seed,
        port=args.port,
        port_file=args.modbus_port_file,
        clock=utc_now,
        stop=_stopped(),
    )
    return WELL


async def _run_replay(args: argparse.Namespace) -> int:
    from simulators import csvrows, mapping, replay  # noqa: PLC0415 - loaded when asked

    broker = _broker(args)
    if broker is None:
        raise Misconfigured([Problem("--broker", "give --broker URL or --data-dir DIR")])
    path = _shipped(args.map, "maps")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise Misconfigured([Problem(str(path), f"can not be read: {error}")]) from error
    table = mapping.parse(text, str(path))
    recording = csvrows.Recording(args.file, table, csvrows.Span(args.since, args.until))
    options = replay.Options(
        agent=args.agent or table.agent,
        speed=args.speed,
        shuffle=args.shuffle,
        patience_s=args.patience,
    )
    summary = await replay.replay(recording, broker, options, clock=utc_now, stop=_stopped())
    _print_summary(summary, as_json=args.json)
    return BAD_NEWS if summary.error else WELL


async def _run_regulator(args: argparse.Namespace) -> int:
    from simulators import regulator  # noqa: PLC0415 - loaded when asked

    stop = threading.Event()
    _set_when_stopped(stop)
    await asyncio.to_thread(
        regulator.serve,
        args.port,
        args.secret_file,
        args.inbox,
        utc_now,
        stop,
        args.sender_key,
    )
    return WELL


async def _run_mailbox(args: argparse.Namespace) -> int:
    from simulators import mailbox  # noqa: PLC0415 - loaded when asked

    door = mailbox.door_of(
        args.folder,
        args.security,
        (args.certificate, args.key),
        (args.username, args.password_file),
        utc_now(),
    )
    box = mailbox.Mailbox(mailbox.open_folder(args.folder))
    await mailbox.serve(box, door, args.port, _stopped())
    return WELL


async def _run_platform(args: argparse.Namespace) -> int:
    from simulators import platform  # noqa: PLC0415 - loaded when asked

    stop = threading.Event()
    _set_when_stopped(stop)
    faults = platform.Faults(args.faults, args.seed)
    await asyncio.to_thread(platform.serve, args.port, args.key_file, args.state, faults, stop)
    return WELL


async def _run_identity(args: argparse.Namespace) -> int:
    from simulators import httpserver, identity  # noqa: PLC0415 - loaded when asked

    stop = threading.Event()
    _set_when_stopped(stop)
    file = args.secret_file
    secret = None if file is None else httpserver.read_secret(file).decode("utf-8", "replace")
    client = identity.Registered(args.client, args.redirect, secret)
    await asyncio.to_thread(identity.serve, args.port, args.people, client, utc_now, stop)
    return WELL


def _print_summary(summary: replay.Summary, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary.item()))  # noqa: T201 - the command's answer
        return
    if summary.error:
        print(  # noqa: T201 - the command's answer
            f"{summary.unreceipted} of {summary.envelopes} envelopes have no receipt: "
            f"{summary.error}",
            file=sys.stderr,
        )
        return
    print(  # noqa: T201 - the command's answer
        f"{summary.rows} rows in {summary.envelopes} envelopes, all receipted, {summary.seconds} s"
    )
