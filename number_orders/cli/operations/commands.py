"""Declares the commands that run and operate the service: their arguments and options.

Each command imports what it needs when it runs, so that `--help` and completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from number_orders.cli.operations.archive_action import ArchiveAction
from number_orders.cli.operations.subscription_actions import Subscriptions
from number_orders.cli.operations.switch import SecretAction, Switch
from number_orders.cli.orders.commands import AsJson, ByOperator, parse_duration
from number_orders.orders.model import Lane

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, the latest.")]
JSON_OR_FILE = "JSON, or @FILE with JSON."
Ids = Annotated[
    list[int] | None, typer.Argument(metavar="[ID…]", min=1, max=2**63 - 1, help="The ids to clear, with --clear.")
]


Carrier = Annotated[str, typer.Argument(metavar="CARRIER", help="The carrier, such as bandwidth.")]
OneLane = Annotated[Lane | None, typer.Argument(help="Only this lane.", case_sensitive=False)]
PASS_OPTIONS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""The context of a command whose own module declares its options."""


def up(context: typer.Context) -> None:
    """Run everything until Ctrl-C: engines, workers, beat, Flower, and sandbox carriers if none is configured."""
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
    """Show it all: hundreds of orders to sandbox carriers, a worker killed, every end checked."""
    from number_orders.cli.demo.demonstration import demo as command

    _run_elsewhere(command, context)


def receiver(
    host: Annotated[str | None, typer.Option(help="Where to listen. Default: NUMBER_ORDERS_RECEIVER__HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: NUMBER_ORDERS_RECEIVER__PORT, which is 8080.")
    ] = None,
) -> None:
    """Serve the orders API over HTTP until stopped. Its page is at /docs."""
    from number_orders.cli.operations.receiver import serve_receiver

    serve_receiver(host, port)


def flower(
    host: Annotated[str | None, typer.Option(help="Where to listen. Default: NUMBER_ORDERS_FLOWER_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: NUMBER_ORDERS_FLOWER_PORT, which is 5555.")
    ] = None,
) -> None:
    """Serve Flower until stopped: every order as one row. It asks for a password, and changes nothing."""
    from number_orders.cli.operations.flower import serve_flower

    serve_flower(host, port)


def alarms(
    ids: Ids = None,
    limit: Limit = 100,
    clear: Annotated[bool, typer.Option("--clear", help="Clear these until they happen again.")] = False,
    clear_all: Annotated[bool, typer.Option("--clear-all", help="Clear all until they happen again.")] = False,
    by: ByOperator = None,
    as_json: AsJson = False,
) -> None:
    """List the alarms, latest first; or clear those that you have dealt with.

    Cleared alarms are printed, and return when they happen again.
    Exit 1 if an id is no alarm; the others are cleared all the same.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations.clear import check_arguments, clear_alarms, exit_code
    from number_orders.cli.orders.tables import read_alarms, show_alarms
    from number_orders.cli.output import write_json
    from number_orders.cli.services import author

    alarm_ids = ids or []
    check_arguments(alarm_ids, clear=clear, every=clear_all)
    settings = find_settings()
    if clear or clear_all:
        rows = asyncio.run(clear_alarms(settings, alarm_ids, by=author(by)))
    else:
        rows = asyncio.run(read_alarms(settings, limit))
    if as_json:
        write_json(rows)
    else:
        show_alarms(rows)
    raise typer.Exit(exit_code(alarm_ids, rows, name="alarm_id"))


def pause(
    carrier: Carrier,
    why: Annotated[str, typer.Option(help="The reason, shown wherever the pause is.")],
    lane: OneLane = None,
    by: ByOperator = None,
    as_json: AsJson = False,
) -> None:
    """Stop the work for a carrier, or on one of its lanes, until somebody resumes it.

    Without a lane nothing is sent or asked, and producers still get their messages.
    Work under way is finished.
    Exit 1 if it is paused already: the first pause and its reason stay.
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
    raise typer.Exit(exit_code(paused, "it is paused already; `number-orders doctor` shows by whom"))


def resume(
    carrier: Carrier,
    lane: OneLane = None,
    why: Annotated[str | None, typer.Option(help="The reason, stored with the pause.")] = None,
    by: ByOperator = None,
    as_json: AsJson = False,
) -> None:
    """End the pause of a carrier, or of one of its lanes. Exit 1 if nothing was paused."""
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


def guard(
    switch: Annotated[Switch | None, typer.Argument(help="Begin or end a guard period.", case_sensitive=False)] = None,
    why: Annotated[str | None, typer.Option(help="The reason. `on` and `off` need one.")] = None,
    by: ByOperator = None,
    as_json: AsJson = False,
) -> None:
    """Show the guard period, or begin or end one: while it lasts, every order is looked for before it is sent.

    It begins by itself when a backup was restored or another server took over,
    because the ledger may have forgotten what was bought.
    Orders that were under way when it began are looked for even after it was ended.
    Exit 1 if there is none to end.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations.guard import guard_line, guard_to_json, read_guard, switch_guard
    from number_orders.cli.output import write_json
    from number_orders.cli.services import author, required_reason

    settings = find_settings()
    if switch is None:
        period = asyncio.run(read_guard(settings))
    else:
        period = asyncio.run(switch_guard(settings, switch, who=author(by), why=required_reason(why or "")))
    if as_json:
        write_json(guard_to_json(period))
    else:
        typer.echo(guard_line(period))


def webhook_secrets(
    producer: Annotated[str, typer.Argument(metavar="PRODUCER", help="The producer, as its orders name it.")],
    action: Annotated[
        SecretAction, typer.Argument(help="What to do; without it, list.", case_sensitive=False)
    ] = SecretAction.LIST,
    secret_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=2**63 - 1, help="With remove: which.")
    ] = None,
    by: ByOperator = None,
    as_json: AsJson = False,
) -> None:
    """List, add or remove the secrets that sign the documents sent to a producer's URLs.

    `add` prints the new secret, once: give it to the producer, whose receiver verifies with it.
    A producer may have two, and every document is then signed with both.
    To change: add one, let the receiver use it, remove the other.
    Exit 1 if there are two already, or none with this id.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations import webhook_secrets as secrets
    from number_orders.cli.output import write_json
    from number_orders.cli.services import author

    settings, name = find_settings(), secrets.producer_name(producer)
    if action is SecretAction.ADD:
        new_id, secret = asyncio.run(secrets.add_secret(settings, name, by=author(by)))
        if as_json:
            write_json({"secret_id": new_id, "producer": name, "secret": secret})
        else:
            typer.echo(f"secret {new_id} of {name}, shown only now:\n{secret}")
        return
    known = asyncio.run(
        secrets.remove_secret(settings, name, secret_id, by=author(by))
        if action is SecretAction.REMOVE
        else secrets.read_secrets(settings, name)
    )
    if as_json:
        write_json(secrets.secrets_to_json(known))
    else:
        secrets.show_secrets(name, known)


def letters(
    ids: Ids = None,
    limit: Limit = 100,
    clear: Annotated[bool, typer.Option("--clear", help="Delete these.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the dead letters, latest first; or delete those that you have dealt with.

    A dead letter is a message that cannot be read, or that killed every process that took it.
    Deleted ones are printed once more.
    Exit 1 if an id is no dead letter; the others are deleted all the same.
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


def reconcile(
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="[NUMBER…]", help="Adopt or give up only these. Default: all.")
    ] = None,
    carrier: Annotated[
        str | None, typer.Option(help="Only this carrier. Default: every one that lists numbers.")
    ] = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Take the orphans into the ledger.")] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="Hold the ghosts no more. Nothing is removed.")] = False,
    why: Annotated[str | None, typer.Option(help="The reason, stored with the orders.")] = None,
    by: ByOperator = None,
    lookups: Annotated[
        int, typer.Option(min=0, help="Look up at most this many orphans, and as many ghosts, one by one.")
    ] = 200,
    every: Annotated[bool, typer.Option("--all", help="Print every number, not only the first 20.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the numbers that carriers say are ours with those in the ledger.

    An orphan is a number that the carrier has as ours and the ledger does not hold.
    A ghost is a number that the ledger holds and the carrier does not have as ours.
    Nothing at a carrier is changed, bought or removed.
    Exit 1 if a difference is left.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations.reconcile import (
        exit_code,
        read_decision,
        reconcile_carriers,
        show_reconciled,
        write_reconciled,
    )
    from number_orders.cli.services import author

    decision = read_decision(numbers or [], adopt=adopt, give_up=give_up, by=author(by), why=why)
    replies = asyncio.run(reconcile_carriers(find_settings(), carrier, decision, lookups=lookups))
    if as_json:
        write_reconciled(replies)
    else:
        show_reconciled(replies, whole=every)
    raise typer.Exit(exit_code(replies))


def archive(
    action: Annotated[ArchiveAction, typer.Argument(help="What to do.", case_sensitive=False)] = ArchiveAction.SHOW,
    names: Annotated[list[str] | None, typer.Argument(metavar="[ID|KEY…]", help="With undo: which orders.")] = None,
    older_than: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="With run and purge: ended longer ago, such as 400d."),
    ] = None,
    since: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="With undo: all that were archived within this time."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With purge: do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the archive of ended orders; `run` archives now, `undo` brings orders back, `purge` deletes their stories.

    Archived orders are still found by id, key and number, and their keys stay taken for ever.
    Orders that were brought back are left alone for 7 days.
    After `purge` an order keeps its key, its end and its numbers, and cannot be brought back.
    Exit 1 if `undo` found none of the orders in the archive.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.exits import ExitCode
    from number_orders.cli.operations import archive as module
    from number_orders.cli.output import write_json

    settings = find_settings()
    match action:
        case ArchiveAction.SHOW:
            found = asyncio.run(module.read_archive(settings))
            if as_json:
                write_json(module.archive_to_json(found))
            else:
                module.show_archive(found)
        case ArchiveAction.RUN:
            ran = asyncio.run(module.run_archive(settings, older_than))
            rest = "" if ran.is_over else "; not all: run it again"
            typer.echo(f"{ran.copied} copied, {ran.removed} removed from the orders{rest}")
        case ArchiveAction.UNDO:
            back = asyncio.run(module.undo_archive(settings, names or [], since))
            typer.echo(f"{len(back)} brought back")
            raise typer.Exit(ExitCode.DONE if back else ExitCode.NO)
        case ArchiveAction.PURGE:
            age = module.check_purge(older_than)
            if not yes and not typer.confirm(f"{module.PURGES.format(days=age.days)} Go on?", err=True):
                raise typer.Exit(ExitCode.NO)
            typer.echo(f"{asyncio.run(module.purge_archive(settings, age))} purged")


def subscriptions(
    action: Annotated[Subscriptions, typer.Argument(help="What to do.", case_sensitive=False)] = Subscriptions.LIST,
    carrier: Annotated[
        str | None, typer.Option(help="Only this carrier. Default: every one that takes subscriptions.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the subscriptions to carriers' notices; `renew` makes or renews ours, `remove` removes them.

    Beat does what `renew` does by itself, every ten minutes, when one is missing or expires soon.
    Use `renew` after a change of address or password.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations.subscriptions import carry_out, show, write

    lines, code = asyncio.run(carry_out(find_settings(), action, carrier))
    if as_json:
        write(lines)
    else:
        show(lines)
    raise typer.Exit(code)


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, max=3600, help="With --watch: the seconds in between.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show the whole service on one screen.

    Orders by state and carrier, throughput, lanes, carriers, parked orders and alarms.
    Changes nothing; asks only the ledger.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.exits import ExitCode, Stop
    from number_orders.cli.operations import status as module
    from number_orders.cli.output import write_json

    if watch and as_json:
        raise Stop(ExitCode.USAGE, "--watch and --json exclude each other")
    settings = find_settings()
    if watch:
        asyncio.run(module.watch(settings, every_s=every))
    elif as_json:
        asyncio.run(module.show_once(settings, lambda found: write_json(module.status_to_json(found))))
    else:
        asyncio.run(module.show_once(settings, module.print_status))


def doctor(as_json: AsJson = False) -> None:
    """Check settings, database, broker, workers, beat and carriers. Exit 1 if anything is wrong.

    Orders nothing: each carrier is asked for an order that does not exist.
    Writes a row to the ledger and a key to the broker, and removes both; every worker writes such a row too.
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
    orders: Annotated[int, typer.Option(min=1, max=10_000, help="Orders in each world.")] = 12,
    days: Annotated[float, typer.Option(min=0.05, max=365, help="Simulated days with faults.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the first world.")] = 1,
    faults: Annotated[
        str, typer.Option(help="What goes wrong: swarm, none, harsh, network, limits, crashes, ledger, messages, …")
    ] = "swarm",
    carrier: Annotated[list[str] | None, typer.Option(help="Order only from this carrier. Repeatable.")] = None,
    worlds: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many worlds, with consecutive seeds.")] = 1,
    trace: Annotated[bool, typer.Option("--trace", help="Print every event.")] = False,
) -> None:
    """Run the service in simulated worlds, each from a seed, and check every promise.

    Needs no running service: carriers, clock, queue, ledger and crashes are simulated.
    Exit 1 if a promise is broken.
    """
    from number_orders.cli.operations.simulate import simulate_worlds

    if not simulate_worlds(
        orders=orders, days=days, seed=seed, faults=faults, carriers=carrier or (), worlds=worlds, trace=trace
    ):
        raise typer.Exit(1)


def migrate() -> None:
    """Bring the ledger's schema to this program's version. Safe to repeat, and to run twice at once."""
    from number_orders.cli.operations.migrate import find_ledger, migrate_ledger

    typer.echo(migrate_ledger(find_ledger()))


def take_broker() -> None:
    """Say that the broker belongs to this ledger from now on, after this one has replaced another.

    Workers leave their ledger's id at the broker, and serve no broker of another ledger.
    Run this for a ledger that was moved, restored or made anew.
    Workers of the other ledger stop within seconds; what waits in the queues goes to this ledger.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.operations.take_broker import take_broker as command

    typer.echo(command(find_settings()))


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
    """Run a command of another module with the rest of the command line.

    Registering it directly would import all that it needs for every other command too, which takes more than a second.
    """
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(context_settings={"help_option_names": ["-h", "--help"]})(command)
    alone(args=context.args, prog_name=context.command_path)
