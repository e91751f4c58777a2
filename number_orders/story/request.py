"""Says in words what an order asks for, and on which terms."""

from collections.abc import Iterator, Mapping
from typing import Final

from number_orders.orders.model import Kind, Order
from number_orders.story.text import clean

_NUMBERS_NAMED: Final = 3
_PURPOSES: Final[Mapping[Kind, str]] = {
    Kind.NEW_NUMBERS: "to buy",
    Kind.ADD_MESSAGING_NUMBERS: "messaging for",
    Kind.REMOVE_NUMBERS: "to remove",
}


def wants(order: Order) -> str:
    """Return what the order asks for: how many numbers, and which or where."""
    request = order.request
    what = f"{_PURPOSES[request.kind]} {request.wanted} number{'' if request.wanted == 1 else 's'}"
    if request.criteria is None:
        more = f" and {request.wanted - _NUMBERS_NAMED} more" if request.wanted > _NUMBERS_NAMED else ""
        return f"{what}: {', '.join(request.numbers[:_NUMBERS_NAMED])}{more}"
    given = request.criteria
    where = ", ".join(f"{name} {clean(getattr(given, name))}" for name in given.__slots__ if name in given.given())
    return f"{what} where {where}"


def terms(order: Order) -> Iterator[str]:
    """Yield the terms of the order."""
    request = order.request
    yield "partial allowed" if request.allow_partial else "all or nothing"
    if request.allow_backorder:
        yield "backorder allowed"
    if request.not_before:
        yield f"not before {request.not_before:%Y-%m-%d %H:%M:%S} UTC"
    if request.account:
        yield f"account {clean(request.account)}"
    yield from (f"{clean(name)} {clean(value)}" for name, value in request.options.items())
