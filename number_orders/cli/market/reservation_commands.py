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
    """Look reservations up: which number, and how long it is kept."""
    from number_orders.cli.discovery import discover
    from number_orders.cli.market.reservations import exit_code, look_up, show_reservations

    outcomes = asyncio.run(look_up(discover().settings, carrier, names))
    show_reservations(outcomes, as_json=as_json)
    raise typer.Exit(exit_code(outcomes))


def unreserve(ids: Ids, carrier: Carrier = "bandwidth", as_json: AsJson = False) -> None:
    """Let reservations go before their time."""
    from number_orders.cli.discovery import discover
    from number_orders.cli.market.reservations import exit_code, release, show_released

    outcomes = asyncio.run(release(discover().settings, carrier, ids))
    show_released(outcomes, as_json=as_json)
    raise typer.Exit(exit_code(outcomes))
