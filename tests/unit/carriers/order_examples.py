"""An order for any carrier."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from number_orders.orders.model import CarrierOrderId, Order, OrderId, OrderRequest, State

REFERENCE: Final = "0192f0c1-7a1b-7c3d-8e4f-5a6b7c8d9e0f"


def an_open_order(request: OrderRequest, theirs: CarrierOrderId, **more: Any) -> Order:
    """Return an order that was sent once and that the carrier has; `more` overrides its fields."""
    made = Order(
        OrderId(UUID(REFERENCE)),
        request,
        datetime(2026, 1, 2, tzinfo=UTC),
        state=State.OPEN,
        carrier_order_id=theirs,
        sends=1,
    )
    return replace(made, **more)
