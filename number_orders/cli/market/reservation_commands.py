"""Declares the commands about reservations: their arguments and options.

Each command imports what it needs when it runs, so that `--help` and completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

import asyncio
from typing import Annotated

import typer

from number_orders.cli.orders.commands import AsJson

Carrier = Annotated[str, typer.Option(help="A carrier that takes reservations; `carriers` shows which do.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="Reservation ids, as `reserve` prints them.")]


def reserve(
    numbers: Annotated[list[str], typer.Argument(metavar="NUMBER…", help="E.164, with the plus sign.")],
    carrier: Carrier = "bandwidth",
    as_json: AsJson = False,
) -> None:
    """Reserve numbers for a while: at Bandwidth for four hours. Buys nothing.

    An order uses reservations up if it names the numbers,
    and the reservation ids in options.reservation_ids.
    """
    from number_orders.cli.discovery import discover
    from number_orders.cli.market.reservations import exit_code, reserve_numbers, show_reservations

    outcomes = asyncio.run(reserve_numbers(discover().settings, carrier, numbers))
    show_reservations(outcomes, as_json=as_json)
    raise typer.Exit(exit_code(outcomes))


def reservations(
    names: Annotated[
        list[str], typer.Argument(metavar="ID|NUMBER…", help="Reservations, or numbers with a plus sign.")
    ],
    carrier: Carrier = "bandwidth",
    as_json: AsJson = False,
) -> None:
    """Look up reservations: which number, and how much time is left."""
    from number_orders.cli.discovery import discover
    from number_orders.cli.market.reservations import exit_code, look_up, show_reservations

    outcomes = asyncio.run(look_up(discover().settings, carrier, names))
    show_reservations(outcomes, as_json=as_json)
    raise typer.Exit(exit_code(outcomes))


def unreserve(ids: Ids, carrier: Carrier = "bandwidth", as_json: AsJson = False) -> None:
    """End reservations early."""
    from number_orders.cli.discovery import discover
    from number_orders.cli.market.reservations import exit_code, release, show_released

    outcomes = asyncio.run(release(discover().settings, carrier, ids))
    show_released(outcomes, as_json=as_json)
    raise typer.Exit(exit_code(outcomes))
