"""The commands about orders: their arguments and options, and nothing of how they do it.

What a command needs is imported when it runs, so that `--help` and completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from number_orders.cli.exits import ExitCode
from number_orders.cli.times import duration
from number_orders.orders.model import Kind, Lane, State

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for machines.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who does so, for the story; else user@host.")]
Name = Annotated[str, typer.Argument(metavar="ID|KEY", help="The order's id, or the key its producer gave it.")]


def _parse_duration(text: str | timedelta) -> timedelta:
    if isinstance(text, timedelta):
        return text
    try:
        return duration(text)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON: one order, an array, or one a line.")],
    producer: Annotated[str, typer.Option(help="Whose orders these are: keys are unique per producer.")] = "default",
    every: Annotated[bool, typer.Option("--all", help="Show every ticket, however many.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hand orders in. Each is accepted or refused by itself; exit 1 if any was refused.

    A file that is not JSON throughout submits nothing. Submitting the same file twice is submitting it once: a known
    key with the same order is the same order.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.submit import exit_code, read_file, show_submitted, submit_orders, write_submitted

    entries = read_file(file)
    submitted = asyncio.run(submit_orders(find_settings(), entries, producer=producer))
    if as_json:
        write_submitted(submitted)
    else:
        show_submitted(submitted, whole=every)
    raise typer.Exit(exit_code(submitted))


def show(
    name: Name,
    every: Annotated[bool, typer.Option("--all", help="Fold nothing: every number, every event.")] = False,
    receipts: Annotated[bool, typer.Option("--receipts", help="With what passed between us and the carrier.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show an order: state, numbers one by one, its story, what it waits for, and what comes next."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.output import write_json
    from number_orders.cli.story.show import read_story, show_story, story_to_json

    story = asyncio.run(read_story(find_settings(), name))
    if as_json:
        write_json(story_to_json(story, receipts=receipts))
    else:
        show_story(story, whole=every, receipts=receipts)


def explain(name: Name, as_json: AsJson = False) -> None:
    """Say in plain words how an order stands, why, and what comes next."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.story.show import read_story, show_explanation, write_explanation

    story = asyncio.run(read_story(find_settings(), name))
    if as_json:
        write_explanation(story)
    else:
        show_explanation(story)


def list_(
    state: Annotated[list[State] | None, typer.Option(case_sensitive=False, help="Repeatable.")] = None,
    carrier: Annotated[str | None, typer.Option(help="Such as bandwidth.")] = None,
    kind: Annotated[Kind | None, typer.Option(case_sensitive=False)] = None,
    older_than: Annotated[
        timedelta | None, typer.Option(parser=_parse_duration, metavar="TIME", help="Accepted longer ago, such as 2h.")
    ] = None,
    younger_than: Annotated[
        timedelta | None, typer.Option(parser=_parse_duration, metavar="TIME", help="Accepted since, such as 30m.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders import tables
    from number_orders.cli.output import write_json

    rows = asyncio.run(
        tables.read_orders(
            find_settings(),
            states=state or [],
            carrier=carrier,
            kind=kind,
            older_than=older_than,
            younger_than=younger_than,
            limit=limit,
        )
    )
    if as_json:
        write_json(tables.orders_to_json(rows))
    else:
        tables.show_orders(rows, limit=limit, held_back=asyncio.run(tables.read_holds(find_settings())))


def wait(
    names: Annotated[list[str], typer.Argument(metavar="ID|KEY…", help="Orders, by id or key.")],
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=_parse_duration, metavar="TIME", help="Such as 90 or 5m; without it, for ever."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until every order is at rest: at its end, or parked for a person.

    Exit 0: all are COMPLETED. 1: some ended otherwise. 5: the time is over. 6: some are parked.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.wait import exit_code, result_to_json, show_result, wait_for
    from number_orders.cli.output import write_json

    result = asyncio.run(wait_for(find_settings(), names, within=timeout))
    if as_json:
        write_json(result_to_json(result))
    else:
        show_result(result)
    raise typer.Exit(exit_code(result))


def cancel(
    name: Name,
    why: Annotated[str | None, typer.Option(help="For the story.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Call an order back before it is sent. Exit 1 if it is too late for that."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.cancel import cancel_order, show_state
    from number_orders.cli.services import author

    order = asyncio.run(cancel_order(find_settings(), name, by=author(by), why=why))
    show_state(order, as_json=as_json)
    raise typer.Exit(ExitCode.DONE)


def parked(
    carrier: Annotated[str | None, typer.Option(help="Such as bandwidth.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what waits for a person: what was sent, what was asked, what was seen, and how to decide."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.parked import parked_to_json, read_parked, show_parked
    from number_orders.cli.output import write_json

    stories = asyncio.run(read_parked(find_settings(), carrier, limit))
    if as_json:
        write_json(parked_to_json(stories))
    else:
        show_parked(stories, limit=limit)


def park(
    name: Name,
    why: Annotated[str, typer.Option(help="For whoever decides, and for the story.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Take an order out of the machine's hands, for a person to decide about; `resolve` decides.

    For one that never moves, say. Whatever waits behind it goes on waiting until it is resolved. Exit 1 if it is being
    sent at this moment, or is over.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.cancel import show_state
    from number_orders.cli.orders.resolve import park_order
    from number_orders.cli.services import author, required_reason

    order = asyncio.run(park_order(find_settings(), name, by=author(by), why=required_reason(why)))
    show_state(order, as_json=as_json)


def resolve(
    name: Name,
    as_: Annotated[
        str,
        typer.Option("--as", metavar="adopted:CARRIER_ORDER_ID|send-again|failed", help="What becomes of it."),
    ],
    why: Annotated[str, typer.Option(help="What you saw, for the story and for the producer.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Decide what becomes of a parked order.

    Look at the carrier first, as `parked` says: sending again what the carrier has is buying twice.

    adopted:ID    the carrier has it under this id: it is followed to its end.

    send-again    the carrier has done nothing of it and never will: it is sent once more.

    failed        nothing more is done about it; numbers that it has brought by then stay, and it ends PARTIAL.

    Exit 1 if the order is not parked, has brought numbers that sending again would buy twice, or if what it would adopt
    belongs to another order of ours.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.cancel import show_state
    from number_orders.cli.orders.resolve import read_decision, resolve_order
    from number_orders.cli.services import author, required_reason

    decision = read_decision(as_, by=author(by), why=required_reason(why))
    order = asyncio.run(resolve_order(find_settings(), name, decision))
    show_state(order, as_json=as_json)


def retry(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ID|KEY…]", help="Orders, by id or key.")] = None,
    carrier: Annotated[str | None, typer.Option(help="All that wait for their time at this carrier.")] = None,
    lane: Annotated[
        Lane | None, typer.Option(case_sensitive=False, help="One lane alone; tell also tells again what was told.")
    ] = None,
    why: Annotated[str | None, typer.Option(help="For the story.")] = None,
    by: By = None,
    every: Annotated[bool, typer.Option("--all", help="Show every order, however many.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have orders tried now that wait: to be sent, to be asked about, to be told. Buys nothing twice.

    Limits, pauses and the carrier's own rules hold as they did. Exit 1 if one of them is left as it was, and why.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.retry import check_arguments, exit_code, retries_to_json, retry_orders, show_retries
    from number_orders.cli.output import clean, write_json
    from number_orders.cli.services import author

    check_arguments(names or [], carrier)
    outcomes, held_back = asyncio.run(
        retry_orders(find_settings(), names or [], carrier, lane, by=author(by), why=clean(why) or None)
    )
    if as_json:
        write_json(retries_to_json(outcomes, held_back))
    else:
        show_retries(outcomes, held_back, whole=every)
    raise typer.Exit(exit_code(outcomes))
