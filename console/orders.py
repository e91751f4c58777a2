"""The commands about orders: their arguments and options, and nothing of how they do it.

What a command needs is imported when it runs, so that `--help` and completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from console.endings import Code
from console.moments import duration
from orders.model import Kind, State

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for machines.")]
Name = Annotated[str, typer.Argument(metavar="ID|KEY", help="The order's id, or the key its producer gave it.")]


def _duration(text: str | timedelta) -> timedelta:
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
    from console import submitting
    from console.finding import find_settings

    placed = submitting.read_file(file)
    handed = asyncio.run(submitting.hand_in(find_settings(), placed, producer=producer))
    if as_json:
        submitting.write_handed(handed)
    else:
        submitting.show_handed(handed, whole=every)
    raise typer.Exit(submitting.code_of(handed))


def show(
    name: Name,
    every: Annotated[bool, typer.Option("--all", help="Fold nothing: every number, every event.")] = False,
    receipts: Annotated[bool, typer.Option("--receipts", help="With what passed between us and the carrier.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show an order: state, numbers one by one, its story, what it waits for, and what comes next."""
    from console import showing
    from console.finding import find_settings
    from console.printing import write_json

    story = asyncio.run(showing.read_story(find_settings(), name))
    if as_json:
        write_json(showing.story_to_json(story, receipts=receipts))
    else:
        showing.show_story(story, whole=every, receipts=receipts)


def explain(name: Name, as_json: AsJson = False) -> None:
    """Say in plain words how an order stands, why, and what comes next."""
    from console import showing
    from console.finding import find_settings

    story = asyncio.run(showing.read_story(find_settings(), name))
    if as_json:
        showing.write_explanation(story)
    else:
        showing.show_explanation(story)


def list_(
    state: Annotated[list[State] | None, typer.Option(case_sensitive=False, help="Repeatable.")] = None,
    carrier: Annotated[str | None, typer.Option(help="Such as bandwidth.")] = None,
    kind: Annotated[Kind | None, typer.Option(case_sensitive=False)] = None,
    older_than: Annotated[
        timedelta | None, typer.Option(parser=_duration, metavar="TIME", help="Accepted longer ago, such as 2h.")
    ] = None,
    younger_than: Annotated[
        timedelta | None, typer.Option(parser=_duration, metavar="TIME", help="Accepted since, such as 30m.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first."""
    from console import listing
    from console.finding import find_settings
    from console.printing import write_json

    reading = listing.read_orders(
        find_settings(),
        states=state or [],
        carrier=carrier,
        kind=kind,
        older_than=older_than,
        younger_than=younger_than,
        limit=limit,
    )
    rows = asyncio.run(reading)
    if as_json:
        write_json(listing.orders_to_json(rows))
    else:
        listing.show_orders(rows, limit=limit, held=asyncio.run(listing.read_holds(find_settings())))


def wait(
    names: Annotated[list[str], typer.Argument(metavar="ID|KEY…", help="Orders, by id or key.")],
    timeout: Annotated[
        timedelta | None, typer.Option(parser=_duration, metavar="TIME", help="Such as 90 or 5m; without it, for ever.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until every order is at rest: at its end, or parked for a person.

    Exit 0: all are COMPLETED. 1: some ended otherwise. 5: the time is over. 6: some are parked.
    """
    from console import waiting
    from console.finding import find_settings
    from console.printing import write_json

    waited = asyncio.run(waiting.wait_for(find_settings(), names, within=timeout))
    if as_json:
        write_json(waiting.waited_to_json(waited))
    else:
        waiting.show_waited(waited)
    raise typer.Exit(waiting.code_of(waited))


def cancel(
    name: Name,
    why: Annotated[str | None, typer.Option(help="For the story.")] = None,
    as_json: AsJson = False,
) -> None:
    """Call an order back before it is sent. Exit 1 if it is too late for that."""
    from console import cancelling
    from console.finding import find_settings

    order = asyncio.run(cancelling.cancel(find_settings(), name, why=why))
    cancelling.tell(order, as_json=as_json)
    raise typer.Exit(Code.DONE)


def parked(
    carrier: Annotated[str | None, typer.Option(help="Such as bandwidth.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what waits for a person: what was sent, what was asked, what was seen, and how to decide."""
    from console import parked as showing
    from console.finding import find_settings
    from console.printing import write_json

    stories = asyncio.run(showing.read_parked(find_settings(), carrier, limit))
    if as_json:
        write_json(showing.parked_to_json(stories))
    else:
        showing.show_parked(stories)


def resolve(
    name: Name,
    why: Annotated[str, typer.Option(help="What you saw, for the story and for the producer.")],
    adopt: Annotated[
        str | None, typer.Option(metavar="CARRIER_ORDER_ID", help="This order of the carrier's is ours: follow it.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--send-again", help="The carrier has bought nothing and will not: send it once more.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Close it: nothing more will be done about it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide what becomes of a parked order: exactly one of --adopt, --send-again, --failed.

    Look at the carrier first, as `explain` says: sending again what the carrier has is buying twice. Exit 1 if the
    order is not parked, or if what it would adopt belongs to another order of ours.
    """
    from console import cancelling, resolving
    from console.finding import find_settings

    decision = resolving.decision(adopt=adopt, again=again, failed=failed, why=why)
    order = asyncio.run(resolving.resolve(find_settings(), name, decision))
    cancelling.tell(order, as_json=as_json)
