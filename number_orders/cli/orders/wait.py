"""Waits until orders are at rest: ended, or parked and waiting for a person."""

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
from number_orders.cli.exits import ExitCode
from number_orders.cli.output import aside, clean, rows, screen, state
from number_orders.cli.services import find_orders, open_ledger
from number_orders.ledger.ledger import Ledger
from number_orders.orders.document import document
from number_orders.orders.lifecycle import AT_REST
from number_orders.orders.model import NumberResult, Order, OrderId, State

_PAUSE_FIRST_S: Final = 0.1
_PAUSE_MAX_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class WaitResult:
    """The orders as they were when the wait ended."""

    orders: Sequence[Order]
    numbers: Mapping[OrderId, Sequence[NumberResult]]


async def wait_for(settings: Settings, names: Sequence[str], *, within: timedelta | None) -> WaitResult:
    """Return when every order is at rest, or after the timeout."""
    async with open_ledger(settings) as ledger:
        order_ids = await find_orders(ledger, list(names))
        orders = await _poll(ledger, order_ids, within)
        return WaitResult(orders, await ledger.numbers.of_orders(order_ids))


def exit_code(result: WaitResult) -> ExitCode:
    """Return the exit code; the worst order decides."""
    states = {order.state for order in result.orders}
    if states - AT_REST:
        return ExitCode.TIMED_OUT
    if State.PARKED in states:
        return ExitCode.PARKED
    return ExitCode.DONE if states == {State.COMPLETED} else ExitCode.NO


def show_result(result: WaitResult) -> None:
    """Print the orders."""
    cells = (
        (str(order.order_id), clean(order.request.key), state(order.state.value), clean(order.reason))
        for order in result.orders
    )
    rows(screen(), ("ORDER", "KEY", "STATE", "WHY"), cells, whole=1)


def result_to_json(result: WaitResult) -> list[dict[str, Any]]:
    """Return the orders' documents."""
    return [document(order, result.numbers[order.order_id]) for order in result.orders]


async def _poll(ledger: Ledger, order_ids: Sequence[OrderId], within: timedelta | None) -> list[Order]:
    until = time.monotonic() + within.total_seconds() if within is not None else float("inf")
    pause_s = _PAUSE_FIRST_S
    known: dict[OrderId, Order] = {}
    with _progress(aside()) as progress:
        while True:
            known |= await ledger.orders.read(
                [each for each in order_ids if each not in known or not _is_at_rest(known[each])]
            )
            left_s = until - time.monotonic()
            if all(_is_at_rest(known[each]) for each in order_ids) or left_s <= 0:
                return [known[each] for each in order_ids]
            if progress:
                progress.update(_progress_text(known))
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.3, _PAUSE_MAX_S)


def _progress(console: Console) -> AbstractContextManager[Status | None]:
    return console.status("reading the orders") if console.is_terminal else nullcontext()


def _progress_text(known: Mapping[OrderId, Order]) -> str:
    counted = Counter(order.state for order in known.values())
    at_rest = sum(_is_at_rest(order) for order in known.values())
    states = ", ".join(f"{counted[each]} {each}" for each in State if counted[each])
    return f"{at_rest} of {len(known)} at rest ({states})"


def _is_at_rest(order: Order) -> bool:
    return order.state in AT_REST
