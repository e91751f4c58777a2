"""One number: whether we hold it, which order brought it, and until when its carrier refuses to remove it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from number_orders.orders.model import CarrierName
from number_orders.orders.numbers import E164
from number_orders.receiver import shapes
from number_orders.receiver.access import Caller, Served, visible_producer
from number_orders.receiver.api.documentation import problems
from number_orders.receiver.api.orders import parse_number
from number_orders.receiver.parts import Receiver
from number_orders.receiver.problems import Problem

router = APIRouter(tags=["numbers"])

_OF_HOLDING = ("carrier", "account", "producer", "key", "acquired_at", "released_at", "released_by")


@router.get("/v1/numbers/{e164}", response_model=shapes.NumberInfo, responses=problems("unknown-number"))
async def show(e164: str, caller: Caller, receiver: Served) -> Response:
    """Show what the ledger knows of a number. No carrier is asked. A producer sees what its own orders brought."""
    number, producer = E164(parse_number("e164", e164)), visible_producer(caller)
    numbers = receiver.services.ledger.numbers
    holdings = await numbers.holdings_of(number, producer=producer)
    orders = await numbers.orders_about(number, producer=producer)
    if not holdings and not orders:
        raise Problem("unknown-number", f"no order of yours brought or named {number}")
    holding: Mapping[str, Any] = holdings[0] if holdings else {}
    known = {name: _plain(holding.get(name)) for name in _OF_HOLDING}
    held = bool(holding) and holding["released_at"] is None
    return JSONResponse(
        {
            "e164": number,
            "held": held,
            "order_id": _plain(holding.get("acquired_by")),
            "taint": _taint(receiver, holding) if held else None,
            **known,
            "orders": [{name: _plain(row[name]) for name in shapes.OrderOfNumber.model_fields} for row in orders],
        }
    )


def _taint(receiver: Receiver, holding: Mapping[str, Any]) -> dict[str, object] | None:
    """Return until when the carrier refuses to remove a number that we hold; None if it may be removed."""
    seller = receiver.sellers.get(CarrierName(holding["carrier"]))
    window = seller.adapter.capabilities.taint_window if seller else None
    left = timedelta() if window is None else holding["acquired_at"] + window - holding["now"]
    if left <= timedelta():
        return None
    return {"until": _plain(holding["now"] + left), "seconds_left": left.total_seconds()}


def _plain(value: Any) -> Any:
    """Return a value of a row as JSON has it."""
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="microseconds")
    return value if value is None or isinstance(value, str) else str(value)
