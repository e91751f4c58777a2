"""Orders at the practice Swift, as tests of whole processes write them, and what they look at afterwards."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from number_orders.sandbox.control import SandboxControl
from tests.processes import eventually

OWN = "01K3S620PA5JPWPR10F0000000"
SUB = "01K3S620PA5JPWPR10F0000001"
UNAPPROVED = "01K3S620PA5JPWPR10F0000002"
"""A sub account that may buy and give up numbers, and bring none along."""
KEY = "apik_sandbox"
SIGNED = {"Authorization": f"Bearer {KEY}"}

CHECKOUT = {"method": "POST", "path": "/carts/{cartId}/checkout", "carrier": "swift"}


def environment(**settings: str) -> dict[str, str]:
    """Return settings of Swift's, with the practice account signed in."""
    named = {"API_KEY": KEY, "ACCOUNT_ID": OWN, **settings}
    return {f"NUMBER_ORDERS_SWIFT__{name}": value for name, value in named.items()}


def a_purchase(npa: str = "919", quantity: int | None = 1, **changes: Any) -> dict[str, Any]:
    """Return an order for numbers from an area code with plenty of them, unless told otherwise."""
    return _order("new_numbers", **{"criteria": {"npa": npa}, "quantity": quantity, **changes})


def brought_along(*numbers: str, **changes: Any) -> dict[str, Any]:
    """Return an order to bring these numbers along."""
    return _order("add_messaging_numbers", numbers=list(numbers), **changes)


def a_removal(*numbers: str, **changes: Any) -> dict[str, Any]:
    """Return a removal of these numbers."""
    return _order("remove_numbers", numbers=list(numbers), **changes)


def put_on_the_account(carrier: SandboxControl, number: str) -> None:
    """Have somebody else bring a number to the own account, at the carrier and behind our back, and see it there."""
    said = {"type": "ADD_MESSAGING_NUMBERS", "name": "by hand", "data": {"numbers": [number.removeprefix("+")]}}
    with httpx.Client(base_url=f"{carrier.url}/api/v1", headers=SIGNED, timeout=60, trust_env=False) as http:
        cart = _done(http.post("/carts", json={"type": "cart", "data": {"name": "by hand"}}))["data"]["id"]
        _done(http.post(f"/carts/{cart}/requests", json={"type": "cart_request", "data": said}))
        order = _done(http.post(f"/carts/{cart}/checkout"))["data"]["id"]
        for _ in eventually():
            if _done(http.get(f"/orders/{order}"))["data"]["status"] == "COMPLETED":
                return


def states(document: dict[str, Any]) -> dict[str, str]:
    """Return what became of each number, as the document tells the producer."""
    return {number["e164"]: number["state"] for number in document["numbers"]}


def age_when_removed(sold: Sequence[dict[str, Any]], number: str) -> timedelta:
    """Return how old a number was when its removal was checked out, as the carrier saw it."""
    (came,) = (order["ended_at"] for order in sold if number in order["bought"] + order.get("added", []))
    (went,) = (order["created_at"] for order in sold if number in order.get("removed", []))
    return datetime.fromisoformat(went) - datetime.fromisoformat(came)


def _order(kind: str, **changes: Any) -> dict[str, Any]:
    return {"key": f"crm-{uuid4().hex[:8]}", "carrier": "swift", "kind": kind, **changes}


def _done(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told
