"""Waits for orders to come to rest: at their end, or at a person's desk, from where nothing moves by itself."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from rich.console import Console
from rich.status import Status

from config.settings import Settings
from number_orders.cli.exits import Code
from number_orders.cli.output import aside, clean, rows, screen, state
from number_orders.cli.services import find_orders, open_ledger
from number_orders.ledger.ledger import Ledger
from number_orders.orders.document import document
from number_orders.orders.lifecycle import AT_REST
from number_orders.orders.model import NumberResult, Order, OrderId, State

_FIRST_LOOK_S: Final = 0.1
_SLOWEST_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Waited:
    """How the orders stand when the waiting is over."""

    orders: Sequence[Order]
    numbers: Mapping[OrderId, Sequence[NumberResult]]


async def wait_for(settings: Settings, names: Sequence[str], *, within: timedelta | None) -> Waited:
    """Return when every order is at rest, or the time is over."""
    async with open_ledger(settings) as ledger:
        order_ids = await find_orders(ledger, list(names))
        orders = await _watch(ledger, order_ids, within)
        return Waited(orders, await ledger.numbers.of_orders(order_ids))


def code_of(waited: Waited) -> Code:
    """Return the exit code that says how it ended, the worst first."""
    states = {order.state for order in waited.orders}
    if states - AT_REST:
        return Code.TIMED_OUT
    if State.PARKED in states:
        return Code.PARKED
    return Code.DONE if states == {State.COMPLETED} else Code.NO


def show_waited(waited: Waited) -> None:
    """Print how the orders stand."""
    cells = (
        (str(order.order_id), clean(order.request.key), state(order.state.value), clean(order.reason))
        for order in waited.orders
    )
    rows(screen(), ("ORDER", "KEY", "STATE", "WHY"), cells, whole=1)


def waited_to_json(waited: Waited) -> list[dict[str, Any]]:
    """Return the orders' documents for a machine."""
    return [document(order, waited.numbers[order.order_id]) for order in waited.orders]


async def _watch(ledger: Ledger, order_ids: Sequence[OrderId], within: timedelta | None) -> list[Order]:
    until = time.monotonic() + within.total_seconds() if within is not None else float("inf")
    look_s = _FIRST_LOOK_S
    known: dict[OrderId, Order] = {}
    with _progress(aside()) as progress:
        while True:
            known |= await ledger.orders.read(
                [each for each in order_ids if each not in known or not _rests(known[each])]
            )
            left_s = until - time.monotonic()
            if all(_rests(known[each]) for each in order_ids) or left_s <= 0:
                return [known[each] for each in order_ids]
            if progress:
                progress.update(_words(known))
            await asyncio.sleep(min(look_s, left_s))
            look_s = min(look_s * 1.3, _SLOWEST_LOOK_S)


def _progress(console: Console) -> AbstractContextManager[Status | None]:
    return console.status("looking") if console.is_terminal else nullcontext()


def _words(known: Mapping[OrderId, Order]) -> str:
    counted = Counter(order.state for order in known.values())
    at_rest = sum(_rests(order) for order in known.values())
    states = ", ".join(f"{counted[each]} {each}" for each in State if counted[each])
    return f"{at_rest} of {len(known)} at rest ({states})"


def _rests(order: Order) -> bool:
    return order.state in AT_REST
