"""Makes waiting orders due now, and says for each what is done now, or why nothing is."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from config.settings import Settings
from number_orders.cli import output
from number_orders.cli.exits import ExitCode, Stop
from number_orders.cli.output import clean, screen, state
from number_orders.cli.services import find_orders, open_services
from number_orders.fulfilment.retries import RetryOutcome
from number_orders.ledger.pauses import Hold
from number_orders.orders.model import CarrierName, Lane
from number_orders.story.holds import hold_lines

_SHOWN: Final = 20
_ACTIONS: Final = {Lane.SUBMIT: "is sent now", Lane.ASK: "is asked about now", Lane.TELL: "its producer is told now"}


def check_arguments(names: Sequence[str], carrier: str | None) -> None:
    """Check that either orders or a carrier were named.

    Raises:
        Stop: Neither was, or both.
    """
    if bool(names) == bool(carrier):
        raise Stop(ExitCode.USAGE, "name either orders, or a carrier with --carrier")


async def retry_orders(
    settings: Settings, names: list[str], carrier: str | None, lane: Lane | None, *, by: str, why: str | None
) -> tuple[list[RetryOutcome], list[str]]:
    """Make the orders due now; return the outcomes, and a line for each hold that still delays them."""
    async with open_services(settings) as services:
        if carrier:
            pages = services.orders.retry_all(CarrierName(carrier), by, why, lane)
            outcomes = [each async for page in pages for each in page]
        else:
            outcomes = await services.orders.retry(await find_orders(services.ledger, names), by, why, lane)
        now, holds = await services.ledger.pauses.holds()
    return outcomes, _holds_in_effect(outcomes, holds, now)


def show_retries(outcomes: Sequence[RetryOutcome], held_back: Sequence[str], *, whole: bool) -> None:
    """Print what is done with each order; those that were left as they were come first."""
    console = screen()
    if not outcomes:
        console.print("nothing waits there")
        return
    listed = sorted(outcomes, key=lambda each: each.refusal is None)
    shown = listed if whole else listed[:_SHOWN]
    cells = ((str(each.order.order_id), state(each.order.state), _what_is_done(each)) for each in shown)
    output.rows(console, ("ORDER", "STATE", "NOW"), cells, whole=1)
    if len(shown) < len(listed):
        console.print(Text(f"… and {len(listed) - len(shown)} more: --all shows them", "dim"))
    for line in held_back:
        console.print(Text(f"held back all the same: {clean(line)}", "yellow"), soft_wrap=True)


def retries_to_json(outcomes: Sequence[RetryOutcome], held_back: Sequence[str]) -> dict[str, Any]:
    """Return the same as JSON."""
    orders = [
        {
            "order_id": each.order.order_id,
            "key": each.order.request.key,
            "state": each.order.state.value,
            "lanes": [lane.value for lane in each.lanes],
            "refused": each.refusal,
        }
        for each in outcomes
    ]
    return {"orders": orders, "held_back": list(held_back)}


def exit_code(outcomes: Sequence[RetryOutcome]) -> ExitCode:
    """Return 1 if any order was left as it was."""
    return ExitCode.NO if any(each.refusal for each in outcomes) else ExitCode.DONE


def _what_is_done(outcome: RetryOutcome) -> str:
    return clean(outcome.refusal) if outcome.refusal else ", ".join(_ACTIONS[lane] for lane in outcome.lanes)


def _holds_in_effect(outcomes: Sequence[RetryOutcome], holds: Sequence[Hold], now: datetime) -> list[str]:
    """Return the holds that still delay these orders: a retry overrules none."""
    lanes: defaultdict[CarrierName | None, set[Lane]] = defaultdict(set)
    for each in outcomes:
        lanes[each.order.request.carrier].update(each.lanes)
    return hold_lines([hold for hold in holds if _concerns(hold, lanes[hold.carrier])], now)


def _concerns(hold: Hold, lanes: set[Lane]) -> bool:
    return hold.lane in lanes if hold.lane else bool(lanes - {Lane.TELL})
