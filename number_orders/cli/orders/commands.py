"""Declares the commands about orders: their arguments and options.

Each command imports what it needs when it runs, so that `--help` and completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from number_orders.cli.exits import ExitCode
from number_orders.orders.model import Kind, Lane, State
from number_orders.story.times import duration

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print a table for a program or a spreadsheet.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Your name, stored with the order. Default: user@host.")]
ByOperator = Annotated[
    str | None, typer.Option(metavar="NAME", help="Your name, stored with what you do. Default: user@host.")
]
Name = Annotated[str, typer.Argument(metavar="ID|KEY", help="The order's id, or its producer's key.")]


def parse_duration(text: str | timedelta) -> timedelta:
    """Parse the duration of an option."""
    if isinstance(text, timedelta):
        return text
    try:
        return duration(text)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from wrong


def submit(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE|-", help="JSON: one order, an array, or one a line; or CSV; - is standard input."),
    ],
    producer: Annotated[
        str, typer.Option(help="The producer of these orders; keys are unique per producer.")
    ] = "default",
    every: Annotated[bool, typer.Option("--all", help="Print every ticket, not only the first 20.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only say what would become of each; store nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Submit orders from a file. Each is accepted or refused by itself.

    CSV has a header row with the contract's fields (key, carrier, kind, quantity, criteria.npa, numbers …).
    If any part of the file cannot be read, nothing is submitted.
    Submitting a file twice is safe: the same key is the same order.
    --check looks at the same rules, known keys and budgets.
    Exit 1 if any order was refused.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders import check as checks
    from number_orders.cli.orders.submit import exit_code, read_file, show_submitted, submit_orders, write_submitted

    entries = read_file(file)
    if check:
        checked = asyncio.run(checks.check_orders(find_settings(), entries, producer=producer))
        (checks.write_checked if as_json else checks.show_checked)(checked)
        raise typer.Exit(checks.exit_code(checked))
    submitted = asyncio.run(submit_orders(find_settings(), entries, producer=producer))
    if as_json:
        write_submitted(submitted)
    else:
        show_submitted(submitted, whole=every)
    raise typer.Exit(exit_code(submitted))


def show(
    name: Name,
    every: Annotated[bool, typer.Option("--all", help="Print every number and every event.")] = False,
    receipts: Annotated[
        bool, typer.Option("--receipts", help="Also print the bodies of requests and answers.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show an order: state, numbers, every event and request, what it waits for, and what you can do.

    With --csv: its numbers, one a row.
    """
    from number_orders.cli.csv_cells import write_csv
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.output import write_json
    from number_orders.cli.story.numbers import NUMBER_COLUMNS, number_rows
    from number_orders.cli.story.show import cancellation_of, read_story, show_story, story_to_json

    settings = find_settings()
    story = asyncio.run(read_story(settings, name))
    if as_csv:
        write_csv(NUMBER_COLUMNS, number_rows(story))
    elif as_json:
        write_json(story_to_json(story, cancellation_of(settings, story), receipts=receipts))
    else:
        show_story(story, cancellation_of(settings, story), whole=every, receipts=receipts)


def explain(name: Name, as_json: AsJson = False) -> None:
    """Explain in a few sentences what happened to an order, what happens next, and what you can do."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.story.show import cancellation_of, read_story, show_explanation, write_explanation

    settings = find_settings()
    story = asyncio.run(read_story(settings, name))
    if as_json:
        write_explanation(story, cancellation_of(settings, story))
    else:
        show_explanation(story, cancellation_of(settings, story))


def list_(
    state: Annotated[
        list[State] | None, typer.Option(case_sensitive=False, help="Only this state. Repeatable.")
    ] = None,
    carrier: Annotated[str | None, typer.Option(help="Only this carrier, such as bandwidth.")] = None,
    kind: Annotated[Kind | None, typer.Option(case_sensitive=False, help="Only this kind.")] = None,
    producer: Annotated[str | None, typer.Option(help="Only this producer's.")] = None,
    key: Annotated[str | None, typer.Option(help="Only the orders with this key; each producer may have one.")] = None,
    number: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="E.164: only orders that name it, brought it or removed it.")
    ] = None,
    older_than: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="Accepted longer ago than this, such as 2h."),
    ] = None,
    younger_than: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="Accepted within this time, such as 30m."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, the newest.")] = 50,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List orders, newest first."""
    from number_orders.cli.csv_cells import write_csv
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders import tables
    from number_orders.cli.output import write_json
    from number_orders.cli.typed_number import typed_number
    from number_orders.ledger.order_views import OrderFilter

    e164 = number and typed_number(number, option="--number")
    wanted = OrderFilter(producer=producer, key=key, number=e164, states=state, carrier=carrier, kind=kind)
    rows = asyncio.run(
        tables.read_orders(find_settings(), wanted, older_than=older_than, younger_than=younger_than, limit=limit)
    )
    if as_csv:
        write_csv(tables.CSV_COLUMNS, tables.orders_to_json(rows))
    elif as_json:
        write_json(tables.orders_to_json(rows))
    else:
        tables.show_orders(rows, limit=limit, held_back=asyncio.run(tables.read_holds(find_settings())))


def wait(
    names: Annotated[list[str], typer.Argument(metavar="ID|KEY…", help="Orders, by id or by key.")],
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="Such as 90 or 5m. Default: no limit."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until every order has ended, or is parked and waits for a person.

    Exit 0: all are COMPLETED. 1: some ended otherwise.
    5: timeout. 6: some are parked.
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
    why: Annotated[str | None, typer.Option(help="The reason, stored with the order.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Cancel an order.

    Before it is sent, it ends CANCELLED at once.
    Later the carrier is asked to cancel it, if it can (see `carriers`):
    the order stays OPEN until the carrier says how it ended.
    Exit 1 if it is too late.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.cancel import cancel_order, show_state
    from number_orders.cli.services import author

    order = asyncio.run(cancel_order(find_settings(), name, by=author(by), why=why))
    show_state(order, as_json=as_json)
    raise typer.Exit(ExitCode.DONE)


def parked(
    carrier: Annotated[str | None, typer.Option(help="Only this carrier, such as bandwidth.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many, the newest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the orders that wait for a person: what was sent, asked and answered, and how to decide."""
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
    why: Annotated[str, typer.Option(help="The reason, for the person who decides.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Park an order: nothing more is sent or asked until you decide with `resolve`.

    Use it for an order that never moves.
    Orders that wait behind it still wait.
    Exit 1 if a worker is sending it now, or if it has ended.
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
        typer.Option("--as", metavar="adopted:CARRIER_ORDER_ID|send-again|failed", help="The decision."),
    ],
    why: Annotated[str, typer.Option(help="What you saw; stored with the order, and told to its producer.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Decide what becomes of a parked order.

    Look at the carrier first: sending an order again that it has buys twice.

    adopted:ID    The carrier has it under this id: follow it to its end.

    send-again    The carrier did nothing for it and never will: send it again.

    failed        Close it: FAILED with no number done, PARTIAL with some, COMPLETED_WITH_ERRORS with all.

    Exit 1 if the order is not parked, if the carrier has something of it that would be done twice,
    if it is too early to tell (the message says when), or if the adopted id is another order's.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.orders.cancel import show_state
    from number_orders.cli.orders.resolve import read_decision, resolve_order
    from number_orders.cli.services import author, required_reason

    decision = read_decision(as_, by=author(by), why=required_reason(why))
    order = asyncio.run(resolve_order(find_settings(), name, decision))
    show_state(order, as_json=as_json)


def retry(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ID|KEY…]", help="Orders, by id or by key.")] = None,
    carrier: Annotated[str | None, typer.Option(help="All orders that wait at this carrier.")] = None,
    lane: Annotated[
        Lane | None,
        typer.Option(case_sensitive=False, help="Only this lane; tell also sends a message again that was sent."),
    ] = None,
    why: Annotated[str | None, typer.Option(help="The reason, stored with the order.")] = None,
    by: By = None,
    every: Annotated[bool, typer.Option("--all", help="Print every order, not only the first 20.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make waiting orders due now: to be sent, asked about, or reported to their producer.

    It never buys twice. Limits, pauses and the carrier's own rules still hold.
    Exit 1 if an order was left as it was; its line says why.
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
