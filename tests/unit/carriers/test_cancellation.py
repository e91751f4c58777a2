"""What a carrier declares decides which cancellation of an open order is offered."""

from dataclasses import replace
from typing import Any

import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.cancellation import Cancellation, cancellation
from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.contract import Adapter
from number_orders.carriers.swift.adapter import Swift
from number_orders.orders.model import CarrierName, CarrierOrderId, Criteria, Kind, Order, OrderRequest
from tests.unit.carriers.order_examples import an_open_order

REQUEST = OrderRequest("crm-1", CarrierName("any"), Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=3)
GUID = "0b0dd2a4-3e1f-4d4e-8a55-6c4b1d4e2f10"


def an_order(**changes: Any) -> Order:
    return an_open_order(replace(REQUEST, **changes), CarrierOrderId("77"))


@pytest.mark.parametrize(
    ("adapter", "changes", "offered"),
    [
        (Bandwidth("990", "743"), {"allow_backorder": True}, Cancellation.ONCE_BACKORDERED),
        (Bandwidth("990", "743"), {"allow_backorder": False}, Cancellation.NONE),
        (Bandwidth("990", "743"), {"kind": Kind.REMOVE_NUMBERS}, Cancellation.NONE),
        (CM(GUID, {}), {}, Cancellation.OFFERED),
        (Swift(None), {}, Cancellation.NONE),
    ],
)
def test_a_cancellation_is_offered_as_the_carrier_carries_it_out(
    adapter: Adapter, changes: dict[str, Any], offered: Cancellation
) -> None:
    assert cancellation(an_order(**changes), adapter.capabilities) is offered


def test_of_a_carrier_that_is_not_set_up_nothing_is_known() -> None:
    assert cancellation(an_order(), None) is Cancellation.UNKNOWN
