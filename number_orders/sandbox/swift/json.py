"""Swift's envelopes exactly as its page prints them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from number_orders.sandbox.clock import iso
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.sandbox.swift.dids import Did
from number_orders.sandbox.swift.lists import Page, cursor
from number_orders.sandbox.swift.order_book import Cart, CartRequest, Order
from number_orders.sandbox.swift.order_requests import NewNumbers
from number_orders.sandbox.swift.outcomes import Stage

Json = dict[str, Any]

# On the page an order's updated_at is slightly later than the last entry of its history.
_AFTER_HISTORY: Final = timedelta(microseconds=176)


class Envelopes:
    """Writes envelopes with their account and author."""

    def __init__(self, account: SwiftAccount, *, as_printed: bool) -> None:
        self._author_id = account.author_id
        self._as_printed = as_printed

    def cart(self, cart: Cart) -> Json:
        """Write a cart."""
        at = iso(cart.inserted_at)
        data = {
            "id": cart.cart_id,
            "inserted_at": at,
            "name": cart.sent.name,
            "notes": cart.sent.notes,
            "reference_id": cart.sent.reference_id,
            "updated_at": at,
        }
        return _envelope("cart", data, self._owners(cart.account_id))

    def cart_request(self, cart: Cart, request: CartRequest) -> Json:
        """Write a request. As printed on the page, it repeats little of what was sent and has the id of its cart."""
        sent, at = request.sent, iso(request.inserted_at)
        bare = self._as_printed
        data = {
            "data": {} if bare else sent.data.model_dump(mode="json", exclude_none=True),
            "id": cart.cart_id if bare else request.request_id,
            "inserted_at": at,
            "name": sent.name,
            "notes": None if bare else sent.notes,
            "reference_id": sent.reference_id,
            "type": "NONE" if bare and isinstance(sent.data, NewNumbers) else sent.type,
            "updated_at": at,
        }
        inside = {**self._owners(cart.account_id), "cart": _association("cart", cart.cart_id)}
        return _envelope("cart_request", data, inside)

    def new_order(self, order: Order) -> Json:
        """Write an order as the checkout answers it, before its processing begins."""
        return self._order(order, order.timeline.stages[:1])

    def order(self, order: Order, now: datetime) -> Json:
        """Write an order in its current stage. It does not say which numbers it got."""
        return self._order(order, order.history(now))

    def _order(self, order: Order, history: Sequence[Stage]) -> Json:
        stage, cart = history[-1], order.cart
        data = {
            "completed_at": iso(stage.at) if stage.at == order.timeline.ends_at and len(history) > 1 else None,
            "error_code": stage.error_code,
            "id": order.order_id,
            "inserted_at": iso(cart.inserted_at if self._as_printed else order.placed_at),
            "name": cart.sent.name,
            "notes": None if self._as_printed else cart.sent.notes,
            "reference_id": cart.sent.reference_id,
            "status": stage.status,
            "status_history": [_history(each) for each in history],
            "updated_at": iso(stage.at + _AFTER_HISTORY),
        }
        return _envelope("order", data, self._owners(cart.account_id))

    def _owners(self, account_id: str) -> Json:
        return {"account": _association("account", account_id), "author": _association("user", self._author_id)}


def did(one: Did, now: datetime, *, with_account: bool) -> Json:
    """Write a number; only the lists of one account name the account."""
    data = {
        "id": one.did_id,
        "inserted_at": iso(one.inserted_at),
        "mms_enabled": one.mms_enabled,
        "mms_status": one.mms_status(now),
        "number": one.e164.removeprefix("+"),
        "sms_enabled": True,
        "sms_status": one.sms_status(now),
        "updated_at": iso(one.updated_at(now)),
    }
    return _envelope("did", data, {"account": _association("account", one.account_id)} if with_account else {})


def listing(items: Iterable[Json], page: Page[Any]) -> Json:
    """Write a page of a list."""
    info = {"after": cursor(page.after), "before": cursor(page.before), "limit": page.limit, "total": None}
    return {"data": {"items": list(items), "page_info": info}, "type": "list"}


def coverage(keys: Sequence[str], groups: Mapping[tuple[str, ...], int], total: int) -> Json:
    """Write counts by group."""
    entries = [
        {"key": list(keys), "quantity": quantity, "value": dict(zip(keys, values, strict=True))}
        for values, quantity in sorted(groups.items())
    ]
    return _envelope("inventory_coverage", {"entries": entries, "quantity": total}, {})


def _envelope(kind: str, data: Json, associations: Json) -> Json:
    return {"associations": associations, "data": data, "type": kind}


def _association(kind: str, of: str) -> Json:
    return {"data": {"id": of}, "type": kind}


def _history(stage: Stage) -> Json:
    return {
        "detail": stage.detail,
        "error_code": stage.error_code,
        "inserted_at": iso(stage.at),
        "status": stage.status,
    }
