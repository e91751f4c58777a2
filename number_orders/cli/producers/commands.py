"""Declares the commands about producers: their arguments and options.

Each command imports what it needs when it runs, so that `--help` and completion are quick.
"""
# ruff: noqa: PLC0415  -- see above

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

import typer

from number_orders.cli.orders.commands import AsJson, ByOperator, parse_duration
from number_orders.orders.budget import Above
from number_orders.orders.removal_right import RemovalRight

Producer = Annotated[str, typer.Argument(metavar="NAME", help="The producer or operator.")]
Numbers = Annotated[str | None, typer.Option(metavar="N|off", help="At most so many numbers; `off`: no limit.")]


def list_(as_json: AsJson = False) -> None:
    """List producers and operators: their tokens, and what they may order and have ordered.

    Those that order without having been added are listed too.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.output import write_json
    from number_orders.cli.producers.listing import producers_to_json, read_producers, show_producers

    found = asyncio.run(read_producers(find_settings()))
    if as_json:
        write_json(producers_to_json(found))
    else:
        show_producers(found)


def add(
    name: Producer,
    operator: Annotated[bool, typer.Option("--operator", help="A person who decides about every order.")] = False,
    by: ByOperator = None,
) -> None:
    """Add a producer, or an operator. Exit 1 if the name is taken."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.producers.changes import add_producer
    from number_orders.cli.services import author

    typer.echo(asyncio.run(add_producer(find_settings(), name, is_operator=operator, by=author(by))))


def token(
    name: Producer,
    expires: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="DURATION", help="Valid so long, such as 90d. Default: for ever."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="What it is for, to tell it from others.")] = None,
    by: ByOperator = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for the HTTP interface, and print it. It is shown this once only.

    Earlier tokens stay valid. Exit 1 if there is no such producer.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.output import write_json
    from number_orders.cli.producers.changes import make_token, show_token, token_to_json
    from number_orders.cli.services import author

    made = asyncio.run(make_token(find_settings(), name, lasts=expires, label=label, by=author(by)))
    if as_json:
        write_json(token_to_json(name, made))
    else:
        show_token(name, made)


def revoke(
    token_id: Annotated[UUID, typer.Argument(metavar="TOKEN_ID", help="The id that `producers list` shows.")],
    by: ByOperator = None,
) -> None:
    """Revoke a token: within five seconds it opens nothing any more. Exit 1 if no valid token has this id."""
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.producers.changes import revoke_token
    from number_orders.cli.services import author

    typer.echo(asyncio.run(revoke_token(find_settings(), token_id, by=author(by))))


def signing_key(
    name: Producer,
    retire: Annotated[bool, typer.Option("--retire", help="Make none, and retire all but the newest.")] = False,
    by: ByOperator = None,
    as_json: AsJson = False,
) -> None:
    """Make a key by which queue messages are signed, and print it. It is shown this once only.

    The newest key before it stays valid; older ones are retired.
    Once the producer signs with the new key, --retire ends the old one.
    Exit 1 if there is no such producer.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.output import write_json
    from number_orders.cli.producers.changes import make_signing_key, retire_signing_keys, show_signing_key
    from number_orders.cli.services import author

    settings = find_settings()
    if retire:
        typer.echo(asyncio.run(retire_signing_keys(settings, name)))
        return
    secret = asyncio.run(make_signing_key(settings, name, by=author(by)))
    if as_json:
        write_json({"producer": name, "signing_key": secret})
    else:
        show_signing_key(name, secret)


def limit(
    name: Producer,
    per_order: Numbers = None,
    per_hour: Numbers = None,
    per_day: Numbers = None,
    carrier: Annotated[str | None, typer.Option(help="Only at this carrier. Default: at all together.")] = None,
    above: Annotated[
        Above, typer.Option(help="Refuse what exceeds these limits, or park it for an operator to approve.")
    ] = Above.REFUSE,
) -> None:
    """Limit how many numbers a producer may order. Removals cost nothing.

    Limits that are not named stay. Any limit ends the default of NUMBER_ORDERS_NUMBERS_PER_HOUR.
    An hour or a day begins with the first order after the one before is over.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.producers.changes import read_limits, set_limits
    from number_orders.cli.producers.listing import show_producers

    limits = read_limits(per_order=per_order, per_hour=per_hour, per_day=per_day, carrier=carrier)
    show_producers(asyncio.run(set_limits(find_settings(), name, limits, above=above)))


def removals(
    name: Producer,
    right: Annotated[
        RemovalRight,
        typer.Argument(
            help="own: what its own orders brought. unknown: also what no producer's order holds or is to bring. "
            "any: other producers' numbers too."
        ),
    ],
) -> None:
    """Set which numbers a producer may remove: at first, its own.

    It counts for orders with a token or a signature, and for those that are accepted from now on.
    Exit 1 if there is no such producer.
    """
    from number_orders.cli.discovery import find_settings
    from number_orders.cli.producers.changes import set_removals

    typer.echo(asyncio.run(set_removals(find_settings(), name, right)))


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "list": list_,
    "add": add,
    "token": token,
    "revoke": revoke,
    "signing-key": signing_key,
    "limit": limit,
    "removals": removals,
}
