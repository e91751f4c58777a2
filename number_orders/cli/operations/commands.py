"""The commands about the house: what it stands on, what troubles it, and the practice carrier.

What a command needs is imported when it runs, so that `--help` and completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from number_orders.cli.orders.commands import AsJson, By
from number_orders.orders.model import Lane

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="The latest so many.")]
AsGiven = "JSON, or @FILE with JSON."
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID…]", min=1, max=2**63 - 1, help="With --clear: which.")]


Carrier = Annotated[str, typer.Argument(metavar="CARRIER", help="Such as bandwidth.")]
OneLane = Annotated[Lane | None, typer.Argument(help="One lane of it alone.", case_sensitive=False)]
ELSEWHERE = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Context of a command whose options are read in its own module."""


def up(context: typer.Context) -> None:
    """Run everything here until Ctrl-C: engines, workers, beat, Flower, and a practice carrier if none is set."""
    from number_orders.cli.stack.up import up as command

    _hand_over(command, context)


def demo(context: typer.Context) -> None:
    """Show it all: hundreds of orders on practice carriers, a worker killed, every end checked."""
    from number_orders.cli.demo.demonstration import demo as command

    _hand_over(command, context)


def alarms(
    ids: Ids = None,
    limit: Limit = 100,
    clear: Annotated[bool, typer.Option("--clear", help="Put these away until they happen again.")] = False,
    clear_all: Annotated[bool, typer.Option("--clear-all", help="Put all away until they happen again.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what a person should know, latest first; or put away what was dealt with, which lists it once more.

    Exit 1 if one of the ids is no alarm that stands; the others are put away all the same.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations import clear as clearing
    from number_orders.cli.orders import tables
    from number_orders.cli.output import write_json

    named = ids or []
    clearing.check_asked(named, clear=clear, every=clear_all)
    settings = find_settings()
    clears = clear or clear_all
    rows = asyncio.run(clearing.clear_alarms(settings, named) if clears else tables.read_alarms(settings, limit))
    if as_json:
        write_json(rows)
    else:
        tables.show_alarms(rows)
    raise typer.Exit(clearing.code_of(named, rows, name="alarm_id"))


def pause(
    carrier: Carrier,
    why: Annotated[str, typer.Option(help="For whoever finds it paused.")],
    lane: OneLane = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let nothing more go to a carrier, or nothing happen on one lane, until somebody resumes it.

    What is under way is finished. Exit 1 if it is paused already: the first pause stands, with its reason.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations import pause as pausing
    from number_orders.cli.output import write_json
    from number_orders.cli.services import because, by_whom

    paused = asyncio.run(pausing.pause(find_settings(), carrier, lane, by=by_whom(by), why=because(why)))
    if as_json:
        write_json(pausing.to_json(paused))
    else:
        pausing.show(paused)
    raise typer.Exit(pausing.code_of(paused, "it is paused already; `number-orders doctor` tells by whom"))


def resume(
    carrier: Carrier,
    lane: OneLane = None,
    why: Annotated[str | None, typer.Option(help="For the record.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let a carrier, or one lane of it, go on. Exit 1 if nothing was paused."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations import pause as pausing
    from number_orders.cli.output import write_json
    from number_orders.cli.services import by_whom

    resumed = asyncio.run(pausing.resume(find_settings(), carrier, lane, by=by_whom(by), why=why))
    if as_json:
        write_json(pausing.to_json(resumed))
    else:
        pausing.show(resumed)
    raise typer.Exit(pausing.code_of(resumed, "nobody had paused it"))


def letters(
    ids: Ids = None,
    limit: Limit = 100,
    clear: Annotated[bool, typer.Option("--clear", help="Delete these.")] = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters: messages that nobody could read, latest first; or delete some, which lists them once more.

    Exit 1 if one of the ids is no letter; the others are deleted all the same.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations import clear as clearing
    from number_orders.cli.orders import tables
    from number_orders.cli.output import write_json

    named = ids or []
    clearing.check_asked(named, clear=clear)
    settings = find_settings()
    rows = asyncio.run(clearing.delete_dead_letters(settings, named) if clear else tables.read_letters(settings, limit))
    if as_json:
        write_json(rows)
    else:
        tables.show_letters(rows)
    raise typer.Exit(clearing.code_of(named, rows, name="letter_id"))


def doctor(as_json: AsJson = False) -> None:
    """Check settings, database, broker, workers, beat and carriers; exit 1 if anything is wrong.

    Changes nothing, and orders nothing: a carrier is asked for an order that does not exist.
    """
    from number_orders.cli.doctor.report import checks_to_json, code_of, examine, show_check
    from number_orders.cli.output import write_json

    checks = []
    for check in examine():
        checks.append(check)
        if not as_json:
            show_check(check)
    if as_json:
        write_json(checks_to_json(checks))
    raise typer.Exit(code_of(checks))


def simulate(
    orders: Annotated[int, typer.Option(min=1, max=10_000, help="Orders of one world.")] = 12,
    days: Annotated[float, typer.Option(min=0.05, max=365, help="Simulated days of trouble, before it ends.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The world, or the first of several.")] = 1,
    faults: Annotated[
        str, typer.Option(help="What goes wrong: swarm, none, harsh, network, limits, crashes, ledger, messages, …")
    ] = "swarm",
    carrier: Annotated[list[str] | None, typer.Option(help="Order only there; may be given again.")] = None,
    worlds: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many, one seed after the other.")] = 1,
    trace: Annotated[bool, typer.Option("--trace", help="Print everything that happens.")] = False,
) -> None:
    """Run the service in simulated worlds, each from a seed, and look after every promise.

    Needs nothing that runs: carriers, clock, queue, ledger and crashes are simulated. Exit 1 if a promise is broken.
    """
    from number_orders.cli.operations import simulate as simulating

    if not simulating.simulate(
        orders=orders, days=days, seed=seed, faults=faults, carriers=carrier or (), worlds=worlds, trace=trace
    ):
        raise typer.Exit(1)


def migrate() -> None:
    """Bring the ledger's schema to the one that this program needs. Safe to repeat, and to run twice at once."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations.migrate import bring_up_to_date

    typer.echo(bring_up_to_date(find_settings()))


def sandbox(
    host: Annotated[str, typer.Option(help="Loopback, unless you know why not.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    ready_file: Annotated[Path | None, typer.Option(help="Where to write the address once it is served.")] = None,
    memory: Annotated[Path | None, typer.Option(help="File that keeps orders for a restarted sandbox.")] = None,
    behaviour: Annotated[str, typer.Option(help=f"How the carriers behave. {AsGiven}")] = "{}",
    account: Annotated[str, typer.Option(help=f"Ids and credentials at Bandwidth. {AsGiven}")] = "{}",
    swift: Annotated[str, typer.Option(help=f"Ids and credentials at Swift. {AsGiven}")] = "{}",
    cm: Annotated[str, typer.Option(help=f"Ids and credentials at CM.com. {AsGiven}")] = "{}",
    stock: Annotated[str, typer.Option(help=f"How many numbers are for sale. {AsGiven}")] = "{}",
) -> None:
    """Serve sandbox carriers until stopped; prints the address, then the settings that point at it."""
    from number_orders.cli.stack.sandbox import serve_practice

    values = {"behaviour": behaviour, "account": account, "swift": swift, "cm": cm, "stock": stock}
    raise typer.Exit(serve_practice(host, port, ready_file=ready_file, memory=memory, values=values))


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    import platform
    from importlib import metadata

    from number_orders.cli.output import write_json

    versions = {"number-orders": metadata.version("number-orders"), "python": platform.python_version()}
    if as_json:
        write_json(versions)
    else:
        typer.echo(" ".join(versions["number-orders"].split()))


def _hand_over(command: Callable[..., None], context: typer.Context) -> None:
    """Run a command that is a module of its own, with the words that are left on the command line.

    Whoever registered it directly would import all that it needs for every other command as well: a second and more.
    """
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(command)
    alone(args=context.args, prog_name=context.command_path)
