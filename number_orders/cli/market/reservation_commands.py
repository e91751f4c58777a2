"""The commands about reservations: their arguments and options, and nothing of how they do it.

What a command needs is imported when it runs, so that `--help` and completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

import asyncio
from typing import Annotated

import typer

from number_orders.cli.orders.commands import AsJson

Carrier = Annotated[str, typer.Option(help="One that takes reservations; `carriers` tells which do.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="Reservations, by the ids that `reserve` told.")]


def reserve(
    numbers: Annotated[list[str], typer.Argument(metavar="NUMBER…", help="E.164, with the plus sign.")],
    carrier: Carrier = "bandwidth",
    as_json: AsJson = False,
) -> None:
    """Have numbers kept from other buyers for a while: at Bandwidth for four hours. Buys nothing.

    An order that names the numbers and, in options.reservation_ids, the reservations uses them up.
    """
    from number_orders.cli.discovery import look
    from number_orders.cli.market import reservations as reserving

    outcomes = asyncio.run(reserving.reserve(look().settings, carrier, numbers))
    reserving.tell(outcomes, as_json=as_json)
    raise typer.Exit(reserving.code_of(outcomes))


def reservations(
    names: Annotated[
        list[str], typer.Argument(metavar="ID|NUMBER…", help="Reservations, or numbers with a plus sign.")
    ],
    carrier: Carrier = "bandwidth",
    as_json: AsJson = False,
) -> None:
    """Look reservations up: which number, and how long it is kept."""
    from number_orders.cli.discovery import look
    from number_orders.cli.market import reservations as reserving

    outcomes = asyncio.run(reserving.look_up(look().settings, carrier, names))
    reserving.tell(outcomes, as_json=as_json)
    raise typer.Exit(reserving.code_of(outcomes))


def unreserve(ids: Ids, carrier: Carrier = "bandwidth", as_json: AsJson = False) -> None:
    """Let reservations go before their time."""
    from number_orders.cli.discovery import look
    from number_orders.cli.market import reservations as reserving

    outcomes = asyncio.run(reserving.release(look().settings, carrier, ids))
    reserving.tell_released(outcomes, as_json=as_json)
    raise typer.Exit(reserving.code_of(outcomes))
