"""Orders, steps and claims for the tests of the stores."""

from datetime import datetime, timedelta

from uuid_utils.compat import uuid7

from number_orders.ledger.intake import NewOrder
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.orders import PendingStep
from number_orders.ledger.schedule import Claims
from number_orders.orders.events import Event
from number_orders.orders.lifecycle import advance
from number_orders.orders.model import CarrierOrderId, Criteria, Kind, Lane, Notify, Order, OrderId, OrderRequest
from number_orders.orders.numbers import E164
from number_orders.orders.policy import CarrierPolicy
from number_orders.orders.reference import derive_reference
from number_orders.orders.serialization import fingerprint
from tests.integration.ledger.harness import BANDWIDTH

POLICY = CarrierPolicy()
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
RALEIGH = E164("+19196362098")
DURHAM = E164("+19195550101")
CARRIER_ORDER_ID = CarrierOrderId("01J")


def a_request(key: str = "crm-1", *, npa: str = "919", notify: Notify | None = None) -> OrderRequest:
    return OrderRequest(key, BANDWIDTH, Kind.NEW_NUMBERS, criteria=Criteria(npa=npa), quantity=1, notify=notify)


def a_named_request(key: str, *numbers: E164, kind: Kind = Kind.NEW_NUMBERS) -> OrderRequest:
    return OrderRequest(key, BANDWIDTH, kind, numbers=numbers)


def a_new_order(request: OrderRequest | None = None, order_id: OrderId | None = None) -> NewOrder:
    request = request or a_request()
    reference = derive_reference("default", request.key)
    return NewOrder(order_id or OrderId(uuid7()), "default", request, fingerprint(request), reference)


def a_step(order: Order, event: Event, now: datetime) -> PendingStep:
    step = advance(order, event, now=now, policy=POLICY)
    return PendingStep(order, step, getattr(event, "numbers", ()))


async def record_events(ledger: Ledger, order: Order, *events: Event) -> Order:
    """Record events one after the other; return the order after the last."""
    for event in events:
        step = a_step(order, event, await ledger.now())
        assert set(await ledger.orders.record([step])) == {order.order_id}
        order = step.step.order
    return order


async def accept_order(ledger: Ledger, request: OrderRequest | None = None) -> Order:
    """Store a new order; return it."""
    new = a_new_order(request)
    await ledger.intake.accept([new])
    return (await ledger.orders.read([new.order_id]))[new.order_id]


async def claim_due(ledger: Ledger, lane: Lane = Lane.SUBMIT, *, limit: int = 10, lease: timedelta = MINUTE) -> Claims:
    """Claim work that must be there."""
    claims = await ledger.schedule.claim(BANDWIDTH, lane, limit=limit, lease=lease)
    assert claims is not None
    return claims
