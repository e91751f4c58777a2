"""Orders for CM.com, and the answers that we expect from it."""

import json
from dataclasses import replace
from typing import Any

from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.contract import CarrierAnswer
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Criteria,
    Kind,
    NumberResult,
    NumberState,
    Order,
    OrderRequest,
)
from number_orders.orders.numbers import E164
from tests.unit.carriers import order_examples

REFERENCE = order_examples.REFERENCE
COMMENT = f"number-orders:{REFERENCE}"
ACCOUNT = "11111111-2222-4333-8444-555555555555"
REQUESTS = f"/voice-phonenumberrequestapi/v1/{ACCOUNT}/numberRequests"
RESTRICTIONS = f"/voice-phonenumberrequestapi/v1/{ACCOUNT}/restrictions"
DUTCH = "9f0c0000-0000-4000-8000-000000000001"
AMERICAN = "9f0c0000-0000-4000-8000-000000000002"
THEIRS = CarrierOrderId("5f5c0000-0000-4000-8000-00000000000a")
OTHER = CarrierOrderId("5f5c0000-0000-4000-8000-00000000000b")
HTML = b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>"
PROFILES = {"NLD:local": DUTCH, "USA:local": AMERICAN}

CARRIER = CM(ACCOUNT, PROFILES)


def a_request(quantity: int = 2, *, criteria: dict[str, Any] | None = None, **more: Any) -> OrderRequest:
    where = {"country": "NLD", "number_type": "local", "npa": "020", **(criteria or {})}
    made = OrderRequest("k-1", CarrierName("cm"), Kind.NEW_NUMBERS, criteria=Criteria(**where), quantity=quantity)
    return replace(made, **more)


def in_america(quantity: int = 2, **more: Any) -> OrderRequest:
    return a_request(quantity, criteria={"country": "USA", "npa": "919", "state": "North Carolina"}, **more)


def an_order(request: OrderRequest | None = None, **more: Any) -> Order:
    return order_examples.an_open_order(request or a_request(), THEIRS, **more)


def shown(status: object = "created", *ranges: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a number request as we expect CM.com to show it."""
    return {
        "guid": THEIRS,
        "createdOn": "2026-01-02T00:00:00Z",
        "status": status,
        "statusReason": None,
        "quantity": 2,
        "phoneNumberType": "LOCAL",
        "areaCode": "020",
        "comment": COMMENT,
        "ranges": list(ranges),
        **more,
    }


def a_range(start: object, size: object = 1) -> dict[str, Any]:
    return {"id": "7", "start": start, "size": size, "validFrom": None, "validTo": None}


def restricted(*sizes: object, **more: Any) -> list[dict[str, Any]]:
    """Return the restrictions of one country and type as we expect CM.com to show them."""
    entry = {"countryCode": "NL", "phoneNumberType": "LOCAL", "maximumQuantity": 1000, "allowedRangeSizes": list(sizes)}
    return [{**entry, **more}]


def answered(status: int, body: object = b"", **headers: str) -> CarrierAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CarrierAnswer(status, named, body if isinstance(body, bytes) else json.dumps(body).encode())


def acquired(*numbers: str) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(E164(number), NumberState.ACQUIRED) for number in numbers)
