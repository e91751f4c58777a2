"""The services with Swift below them: time passes in the ledger and at the practice carrier alike."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from number_orders.carriers.contract import Adapter
from number_orders.carriers.http.credentials import Authenticator, StaticBearer
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.taint import Taint
from number_orders.fulfilment.runtime import Services
from number_orders.orders.model import CarrierName, Lane, OrderId
from tests.integration.fulfilment.practice import Practice, accept, work, work_until_idle

SWIFT = CarrierName("swift")
OWN = "01K3S620PA5JPWPR10F0000000"
SUB = "01K3S620PA5JPWPR10F0000001"
KEY = "apik_sandbox"

CARTS = {"method": "POST", "path": "/carts", "carrier": "swift"}
REQUESTS = {"method": "POST", "path": "/carts/{cartId}/requests", "carrier": "swift"}
CHECKOUT = {"method": "POST", "path": "/carts/{cartId}/checkout", "carrier": "swift"}
GET = {"method": "GET", "path": "/orders/{orderId}", "carrier": "swift"}
DIDS = {"method": "GET", "path": "/dids", "carrier": "swift"}


@dataclass
class SwiftPractice(Practice):
    """A Swift account with a taint window of its real length."""

    name: CarrierName = SWIFT
    account_id: str | None = OWN
    taint: Taint = field(default_factory=Taint)

    def adapter(self) -> Adapter:
        """Return the adapter of this carrier."""
        return Swift(self.account_id, taint=self.taint)

    def credentials(self) -> Authenticator:
        """Return the key of the practice account."""
        return StaticBearer(KEY)

    def pass_time(self, **time: float) -> None:
        """Let time pass here and at the carrier."""
        super().pass_time(**time)
        self.carrier.advance(timedelta(**time).total_seconds())

    def results(self, order_id: OrderId) -> dict[str, tuple[str, str | None]]:
        """Return what became of each number: state and code."""
        found = self.rows("SELECT e164, state, code FROM order_numbers WHERE order_id = %(id)s", id=order_id)
        return {row["e164"]: (row["state"], row["code"]) for row in found}

    def states(self, order_id: OrderId) -> dict[str, str]:
        """Return what became of each number."""
        return {e164: state for e164, (state, _) in self.results(order_id).items()}

    def held(self) -> set[str]:
        """Return the numbers that we hold, by our ledger."""
        return {row["e164"] for row in self.rows("SELECT e164 FROM held_numbers WHERE released_at IS NULL")}

    def violations(self) -> list[dict[str, Any]]:
        """Return the removals that came too early by the carrier's clock."""
        found: list[dict[str, Any]] = self.carrier.report()["violations"]
        return found

    def waits_s(self, order_id: OrderId) -> float:
        """Return in how many seconds the work of an order is due."""
        query = "SELECT extract(epoch FROM not_before - now()) AS left FROM owed WHERE order_id = %(id)s"
        (row,) = self.rows(query, id=order_id)
        return float(row["left"])


def a_purchase(key: str = "buy-1", **changes: Any) -> dict[str, Any]:
    """Return an order of one number, from an area code that has plenty. `changes` replace fields; None removes one."""
    order = {
        "key": key,
        "carrier": "swift",
        "kind": "new_numbers",
        "criteria": {"npa": "919"},
        "quantity": 1,
        **changes,
    }
    return {name: value for name, value in order.items() if value is not None}


def a_removal(numbers: Iterable[str], key: str = "remove-1", **changes: Any) -> dict[str, Any]:
    """Return a removal of these numbers."""
    return {"key": key, "carrier": "swift", "kind": "remove_numbers", "numbers": list(numbers), **changes}


def an_addition(*numbers: str, key: str = "add-1", **changes: Any) -> dict[str, Any]:
    """Return an order that adds numbers which the customer has already."""
    return {"key": key, "carrier": "swift", "kind": "add_messaging_numbers", "numbers": list(numbers), **changes}


async def accept_one(services: Services, raw: dict[str, Any]) -> OrderId:
    """Take one order in."""
    (order_id,) = await accept(services, raw)
    return order_id


async def buy(practice: SwiftPractice, services: Services, quantity: int = 1, **changes: Any) -> list[str]:
    """Buy numbers and follow them until they are usable; return them in order."""
    order_id = await accept_one(services, a_purchase(quantity=quantity, **changes))
    await work_until_idle(practice, services, step=timedelta(seconds=4))
    assert practice.order(order_id)["state"] == "COMPLETED", practice.order(order_id)
    return sorted(practice.states(order_id))


async def work_once(practice: SwiftPractice, services: Services, *lanes: Lane, **passed: float) -> None:
    """Let time pass, and run lanes once: submit and ask if none is given."""
    if passed:
        practice.pass_time(**passed)
    await work(services, *(lanes or (Lane.SUBMIT, Lane.ASK)), carrier=SWIFT)
