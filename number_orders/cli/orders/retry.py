"""Has orders tried now from the command line, and says of each what is done, or why nothing is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from config.settings import Settings
from number_orders.cli import output
from number_orders.cli.exits import Code, Stop
from number_orders.cli.output import clean, screen, state
from number_orders.cli.services import find_orders, open_services
from number_orders.cli.story import holds as holding
from number_orders.fulfilment.retries import RetryOutcome
from number_orders.ledger.pauses import Hold
from number_orders.orders.model import CarrierName, Lane

_SHOWN: Final = 20
_DEEDS: Final = {Lane.SUBMIT: "is sent now", Lane.ASK: "is asked about now", Lane.TELL: "its producer is told now"}


def check_asked(names: Sequence[str], carrier: str | None) -> None:
    """See that orders were named, or a carrier.

    Raises:
        Stop: Neither was, or both.
    """
    if bool(names) == bool(carrier):
        raise Stop(Code.USAGE, "name orders, or with --carrier all that wait there")


async def retry(
    settings: Settings, names: list[str], carrier: str | None, lane: Lane | None, *, by: str, why: str | None
) -> tuple[list[RetryOutcome], list[str]]:
    """Have them tried; return what came of it, and what holds such work back all the same, a line each."""
    async with open_services(settings) as services:
        if carrier:
            pages = services.orders.retry_all(CarrierName(carrier), by, why, lane)
            tried = [each async for page in pages for each in page]
        else:
            tried = await services.orders.retry(await find_orders(services.ledger, names), by, why, lane)
        now, holds = await services.ledger.pauses.holds()
    return tried, _in_the_way(tried, holds, now)


def show(tried: Sequence[RetryOutcome], held: Sequence[str], *, whole: bool) -> None:
    """Print what is done with each, those that are left as they were first."""
    console = screen()
    if not tried:
        console.print("nothing waits there")
        return
    listed = sorted(tried, key=lambda each: each.refusal is None)
    shown = listed if whole else listed[:_SHOWN]
    cells = ((str(each.order.order_id), state(each.order.state), _words(each)) for each in shown)
    output.rows(console, ("ORDER", "STATE", "NOW"), cells, whole=1)
    if len(shown) < len(listed):
        console.print(Text(f"… and {len(listed) - len(shown)} more: --all shows them", "dim"))
    for line in held:
        console.print(Text(f"held back all the same: {clean(line)}", "yellow"), soft_wrap=True)


def to_json(tried: Sequence[RetryOutcome], held: Sequence[str]) -> dict[str, Any]:
    """Return the same for a machine."""
    orders = [
        {
            "order_id": each.order.order_id,
            "key": each.order.request.key,
            "state": each.order.state.value,
            "lanes": [lane.value for lane in each.lanes],
            "refused": each.refusal,
        }
        for each in tried
    ]
    return {"orders": orders, "held_back": list(held)}


def code_of(tried: Sequence[RetryOutcome]) -> Code:
    """Return 1 if anything was left as it was."""
    return Code.NO if any(each.refusal for each in tried) else Code.DONE


def _words(tried: RetryOutcome) -> str:
    return clean(tried.refusal) if tried.refusal else ", ".join(_DEEDS[lane] for lane in tried.lanes)


def _in_the_way(tried: Sequence[RetryOutcome], holds: Sequence[Hold], now: datetime) -> list[str]:
    """Return the holds that concern what was to be tried: nobody overrules them for a single order."""
    where = {(each.order.request.carrier, lane) for each in tried for lane in each.lanes}
    lanes = {carrier: {lane for theirs, lane in where if theirs == carrier} for carrier, _ in where}
    concerned = [hold for hold in holds if _concerns(hold, lanes.get(hold.carrier or CarrierName(""), set()))]
    return holding.lines(concerned, now)


def _concerns(hold: Hold, lanes: set[Lane]) -> bool:
    return hold.lane in lanes if hold.lane else bool(lanes - {Lane.TELL})
