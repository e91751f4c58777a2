"""Orders for Swift, and answers as its page prints them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from number_orders.carriers.contract import (
    CarrierAnswer,
    CarrierRequest,
    Conversation,
    FindInList,
    KnownNumbers,
    ListedNumbers,
    LookUpNumbers,
    SaveProgress,
)
from number_orders.carriers.swift.adapter import Swift
from number_orders.orders.events import Event
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Criteria,
    Kind,
    NumberResult,
    NumberState,
    Order,
    OrderId,
    OrderRequest,
    State,
)
from number_orders.orders.numbers import E164, ListedNumber

REFERENCE = "0192f0c1-7a1b-7c3d-8e4f-5a6b7c8d9e0f"
CART = "01KBC4VZE1CFMG5MAB089000000"
"""As the page prints it, with one character more than a ULID has."""
THEIRS = CarrierOrderId(CART)
"""An order is its cart by another name."""
ACCOUNT = "01K3S620PA5JPWPR10F0000000"
SUB = "01K3S620PA5JPWPR10F0000001"
SINCE = datetime(2025, 12, 1, 5, 6, 21, 249813, tzinfo=UTC)
NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
ONE, TWO, THREE = E164("+19195550101"), E164("+19195550102"), E164("+19195550103")
HTML = b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>"
CARRIER = Swift()

CHECKED_OUT = {
    "cart_id": CART, "since": SINCE.isoformat(), "begun": NOW.isoformat(), "account": ACCOUNT, "requested": True,
}  # fmt: skip

Said = CarrierAnswer | KnownNumbers | ListedNumbers


def new_numbers(quantity: int = 2, *, criteria: Mapping[str, Any] | None = None, **more: Any) -> OrderRequest:
    where = Criteria(**({"npa": "919"} if criteria is None else criteria))
    made = OrderRequest("k-1", CarrierName("swift"), Kind.NEW_NUMBERS, criteria=where, quantity=quantity)
    return replace(made, **more)


def naming(kind: Kind, *numbers: E164, **more: Any) -> OrderRequest:
    return replace(OrderRequest("k-1", CarrierName("swift"), kind, numbers=numbers or (ONE, TWO)), **more)


def removal(*numbers: E164, **more: Any) -> OrderRequest:
    return naming(Kind.REMOVE_NUMBERS, *numbers, **more)


def an_order(request: OrderRequest | None = None, **more: Any) -> Order:
    made = Order(OrderId(UUID(REFERENCE)), request or new_numbers(), NOW, state=State.SUBMITTING, sends=1)
    return replace(made, **more)


def open_order(request: OrderRequest | None = None, **more: Any) -> Order:
    given = {"state": State.OPEN, "carrier_order_id": CarrierOrderId(CART), "progress": CHECKED_OUT, **more}
    return an_order(request, **given)


def cart(**more: Any) -> CarrierAnswer:
    """Return the answer to a new cart, as the page prints it."""
    at = "2025-12-01T05:06:21.249813Z"
    data = {"id": CART, "inserted_at": at, "name": "cart name", "notes": "cart note", "reference_id": None}
    return answered(201, enveloped("cart", {**data, "updated_at": at, **more}))


def added(**more: Any) -> CarrierAnswer:
    """Return the answer to a request as the page prints it: with the cart's id, and nothing of what was sent."""
    data: dict[str, Any] = {
        "data": {},
        "id": CART,
        "name": "request name",
        "notes": None,
        "reference_id": None,
        "type": "NONE",
    }
    return answered(201, enveloped("cart_request", {**data, **more}))


def order_data(status: object = "NEW", *history: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "completed_at": None,
        "error_code": "OK",
        "id": CART,
        "inserted_at": "2025-11-30T20:45:39.807030Z",
        "name": "cart name",
        "notes": None,
        "reference_id": None,
        "status": status,
        "status_history": [entry("NEW", "checkout cart"), *history],
        "updated_at": "2025-12-01T04:37:39.099025Z",
        **more,
    }


def entry(status: str, detail: str, error_code: str = "OK") -> dict[str, Any]:
    return {
        "detail": detail, "error_code": error_code, "inserted_at": "2025-12-01T04:37:39.098864Z", "status": status,
    }  # fmt: skip


def shown(status: object = "NEW", *history: Mapping[str, Any], **more: Any) -> CarrierAnswer:
    """Return an order, as the checkout's answer prints it."""
    return answered(200, enveloped("order", order_data(status, *history, **more)))


def failed(status: str, detail: str, code: str = "UPSTREAM_ERROR") -> CarrierAnswer:
    return shown(status, entry(status, detail, code), error_code=code)


def did(
    number: object = ONE, sms: object = "AVAILABLE", *, after: timedelta = timedelta(minutes=1), **more: Any
) -> Any:
    """Return a number of an account that came `after` the cart."""
    return {
        "id": "01KBC4VZE1CFMG5MAB08900001",
        "number": str(number).removeprefix("+"),
        "sms_enabled": True,
        "sms_status": sms,
        "mms_enabled": False,
        "mms_status": "UNAVAILABLE",
        "inserted_at": (SINCE + after).isoformat().replace("+00:00", "Z"),
        **more,
    }


def listed(*items: Mapping[str, Any], after: object = None, kind: str = "did") -> CarrierAnswer:
    """Return one page of a list."""
    info = {"after": after, "before": None, "limit": 50, "total": None}
    inside = [enveloped(kind, item) for item in items]
    return answered(200, {"data": {"items": inside, "page_info": info}, "type": "list"})


def found(*numbers: E164, began_at: datetime = NOW, after: timedelta = timedelta(minutes=1)) -> ListedNumbers:
    """Return what a reading of a long list has: these numbers, which came `after` the cart."""
    detail = {"sms": "AVAILABLE", "mms": "UNAVAILABLE"}
    return ListedNumbers(began_at, tuple(ListedNumber(number, SINCE + after, detail) for number in numbers))


def enveloped(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    account = {"data": {"id": ACCOUNT}, "type": "account"}
    author = {"data": {"id": "01KBB59RM02N21V7K0V0000000"}, "type": "user"}
    return {"associations": {"account": account, "author": author}, "data": dict(data), "type": kind}


def answered(status: int, body: object = b"") -> CarrierAnswer:
    return CarrierAnswer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def refusal(detail: str, status: int = 422) -> CarrierAnswer:
    return answered(status, {"errors": {"detail": detail}})


def converse(conversation: Conversation, *said: Said) -> tuple[Event, list[CarrierRequest], list[Mapping[str, object]]]:
    """Run a conversation with an answer for each request and lookup. Return event, requests, and what was saved."""
    waiting = list(said)
    asked: list[CarrierRequest] = []
    kept: list[Mapping[str, object]] = []
    answer: Said | None = None
    while True:
        try:
            step = conversation.send(answer)
        except StopIteration as end:
            assert not waiting, f"not asked for: {waiting}"
            event: Event = end.value
            return event, asked, kept
        answer = None
        if isinstance(step, SaveProgress):
            json.dumps(step.progress)  # the ledger keeps JSON
            kept.append(step.progress)
        else:
            asked += [step] if isinstance(step, CarrierRequest) else []
            answer = waiting.pop(0)
            assert isinstance(answer, KnownNumbers) is isinstance(step, LookUpNumbers), f"{step} was answered {answer}"
            assert isinstance(answer, ListedNumbers) is isinstance(step, FindInList), f"{step} was answered {answer}"


def results(state: NumberState, *numbers: E164) -> tuple[NumberResult, ...]:
    return tuple(NumberResult(number, state) for number in numbers)
