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
JSON_OR_FILE = "JSON, or @FILE with JSON."
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID…]", min=1, max=2**63 - 1, help="With --clear: which.")]


Carrier = Annotated[str, typer.Argument(metavar="CARRIER", help="Such as bandwidth.")]
OneLane = Annotated[Lane | None, typer.Argument(help="One lane of it alone.", case_sensitive=False)]
PASS_OPTIONS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Context of a command whose options are read in its own module."""


def up(context: typer.Context) -> None:
    """Run everything here until Ctrl-C: engines, workers, beat, Flower, and a practice carrier if none is set."""
    from number_orders.cli.stack.up import up as command

    _run_elsewhere(command, context)


def env(as_json: AsJson = False) -> None:
    """Print what a shell needs to use the running stack, for `eval "$(number-orders env)"`. Prints passwords.

    Then producers find the broker in NUMBER_ORDERS_BROKER_URL,
    and every number-orders command works from any directory.
    The addresses hold passwords, on purpose: do not paste them into a ticket or a log.
    Exit 4 if nothing runs here.
    """
    from number_orders.cli.output import write_json
    from number_orders.cli.stack.env import print_exports, stack_variables

    variables = stack_variables()
    if as_json:
        write_json(variables)
    else:
        print_exports(variables)


def demo(context: typer.Context) -> None:
    """Show it all: hundreds of orders on practice carriers, a worker killed, every end checked."""
    from number_orders.cli.demo.demonstration import demo as command

    _run_elsewhere(command, context)


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
    from number_orders.cli.operations.clear import check_arguments, clear_alarms, exit_code
    from number_orders.cli.orders.tables import read_alarms, show_alarms
    from number_orders.cli.output import write_json

    alarm_ids = ids or []
    check_arguments(alarm_ids, clear=clear, every=clear_all)
    settings = find_settings()
    rows = asyncio.run(clear_alarms(settings, alarm_ids) if clear or clear_all else read_alarms(settings, limit))
    if as_json:
        write_json(rows)
    else:
        show_alarms(rows)
    raise typer.Exit(exit_code(alarm_ids, rows, name="alarm_id"))


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
    from number_orders.cli.operations.pause import exit_code, pause_lanes, pauses_to_json, show_pauses
    from number_orders.cli.output import write_json
    from number_orders.cli.services import author, required_reason

    paused = asyncio.run(pause_lanes(find_settings(), carrier, lane, by=author(by), why=required_reason(why)))
    if as_json:
        write_json(pauses_to_json(paused))
    else:
        show_pauses(paused)
    raise typer.Exit(exit_code(paused, "it is paused already; `number-orders doctor` tells by whom"))


def resume(
    carrier: Carrier,
    lane: OneLane = None,
    why: Annotated[str | None, typer.Option(help="For the record.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let a carrier, or one lane of it, go on. Exit 1 if nothing was paused."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations.pause import exit_code, pauses_to_json, resume_lanes, show_pauses
    from number_orders.cli.output import write_json
    from number_orders.cli.services import author

    resumed = asyncio.run(resume_lanes(find_settings(), carrier, lane, by=author(by), why=why))
    if as_json:
        write_json(pauses_to_json(resumed))
    else:
        show_pauses(resumed)
    raise typer.Exit(exit_code(resumed, "nobody had paused it"))


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
    from number_orders.cli.operations.clear import check_arguments, delete_dead_letters, exit_code
    from number_orders.cli.orders.tables import read_dead_letters, show_dead_letters
    from number_orders.cli.output import write_json

    letter_ids = ids or []
    check_arguments(letter_ids, clear=clear)
    settings = find_settings()
    rows = asyncio.run(delete_dead_letters(settings, letter_ids) if clear else read_dead_letters(settings, limit))
    if as_json:
        write_json(rows)
    else:
        show_dead_letters(rows)
    raise typer.Exit(exit_code(letter_ids, rows, name="letter_id"))


def doctor(as_json: AsJson = False) -> None:
    """Check settings, database, broker, workers, beat and carriers; exit 1 if anything is wrong.

    Changes nothing, and orders nothing: a carrier is asked for an order that does not exist.
    """
    from number_orders.cli.doctor.report import checks_to_json, exit_code, run_checks, show_check
    from number_orders.cli.output import write_json

    checks = []
    for check in run_checks():
        checks.append(check)
        if not as_json:
            show_check(check)
    if as_json:
        write_json(checks_to_json(checks))
    raise typer.Exit(exit_code(checks))


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
    from number_orders.cli.operations.simulate import simulate_worlds

    if not simulate_worlds(
        orders=orders, days=days, seed=seed, faults=faults, carriers=carrier or (), worlds=worlds, trace=trace
    ):
        raise typer.Exit(1)


def migrate() -> None:
    """Bring the ledger's schema to the one that this program needs. Safe to repeat, and to run twice at once."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations.migrate import migrate_ledger

    typer.echo(migrate_ledger(find_settings()))


def sandbox(
    host: Annotated[
        str, typer.Option(help="The address to listen on. The credentials are published: stay on loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 means any free port.")] = 0,
    ready_file: Annotated[Path | None, typer.Option(help="Write the address to this file once it is served.")] = None,
    memory: Annotated[Path | None, typer.Option(help="A file that keeps the orders for a restarted sandbox.")] = None,
    behaviour: Annotated[str, typer.Option(help=f"How the carriers behave. {JSON_OR_FILE}")] = "{}",
    account: Annotated[str, typer.Option(help=f"Ids and credentials at Bandwidth. {JSON_OR_FILE}")] = "{}",
    swift: Annotated[str, typer.Option(help=f"Ids and credentials at Swift. {JSON_OR_FILE}")] = "{}",
    cm: Annotated[str, typer.Option(help=f"Ids and credentials at CM.com. {JSON_OR_FILE}")] = "{}",
    stock: Annotated[str, typer.Option(help=f"How many numbers are for sale. {JSON_OR_FILE}")] = "{}",
) -> None:
    """Serve sandbox carriers until stopped. Prints the address, and the settings that point at it."""
    from number_orders.cli.stack.sandbox import serve_sandbox

    values = {"behaviour": behaviour, "account": account, "swift": swift, "cm": cm, "stock": stock}
    raise typer.Exit(serve_sandbox(host, port, ready_file=ready_file, memory=memory, values=values))


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


def _run_elsewhere(command: Callable[..., None], context: typer.Context) -> None:
    """Run a command that is a module of its own, with the words that are left on the command line.

    Whoever registered it directly would import all that it needs for every other command as well: a second and more.
    """
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(command)
    alone(args=context.args, prog_name=context.command_path)
