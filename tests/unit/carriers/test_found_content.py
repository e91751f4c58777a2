"""An order found under our reference that was ordered with something else is parked, and says both."""

from uuid import UUID

import pytest

from number_orders.carriers.found_content import content_digest, park_other_content, parked_with_both
from number_orders.orders.model import CarrierName, CarrierOrderId, Criteria, Kind, Order, OrderId, OrderRequest
from number_orders.orders.numbers import E164
from tests.unit.orders.lifecycle_examples import NOON

FOUND = CarrierOrderId("0aac5809")
ONE, TWO = E164("+19195550101"), E164("+19195550102")
BANDWIDTH = CarrierName("bandwidth")
BY_CRITERIA = OrderRequest(
    "crm-1", CarrierName("bandwidth"), Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=2
)
BY_NAME = OrderRequest("crm-1", BANDWIDTH, Kind.NEW_NUMBERS, numbers=(ONE, TWO))


def order(request: OrderRequest) -> Order:
    return Order(OrderId(UUID(int=1)), request, NOON)


def test_what_is_not_shown_is_no_difference() -> None:
    assert park_other_content(order(BY_CRITERIA), FOUND) is None
    assert park_other_content(order(BY_CRITERIA), FOUND, quantity=2, kind=Kind.NEW_NUMBERS) is None
    assert park_other_content(order(BY_NAME), FOUND, numbers=(TWO, ONE)) is None


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({"quantity": 3}, "quantity 3"),
        ({"kind": Kind.REMOVE_NUMBERS}, "kind remove_numbers"),
        ({"numbers": (ONE,)}, "numbers +19195550101"),
    ],
)
def test_each_difference_is_named_beside_what_is_asked_for(shown: dict[str, object], said: str) -> None:
    parked = park_other_content(order(BY_CRITERIA), FOUND, **shown)  # type: ignore[arg-type]  # one of the three
    assert parked is not None
    assert f"order {FOUND} has our reference and was ordered with {said};" in parked.reason
    assert "asks for new_numbers: 2 by criteria" in parked.reason


def test_long_lists_of_numbers_are_cut() -> None:
    many = [E164(f"+1919555{n:04}") for n in range(100, 130)]
    parked = park_other_content(order(BY_NAME), FOUND, numbers=many)
    assert parked is not None
    assert "and 10 more" in parked.reason
    assert "something else" in parked_with_both(order(BY_NAME), FOUND).reason


def test_the_digest_tells_orders_apart_by_what_they_order_alone() -> None:
    """Notes and labels may change; kind, numbers, quantity and criteria may not."""
    others = (
        BY_NAME,
        OrderRequest("k", CarrierName("swift"), Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=3),
        OrderRequest("k", CarrierName("swift"), Kind.NEW_NUMBERS, criteria=Criteria(npa="984"), quantity=2),
        OrderRequest("k", CarrierName("swift"), Kind.REMOVE_NUMBERS, numbers=(ONE, TWO)),
    )
    assert len({content_digest(request) for request in (BY_CRITERIA, *others)}) == 5
    labelled = OrderRequest(
        "k", CarrierName("swift"), Kind.NEW_NUMBERS, criteria=Criteria(npa="919"), quantity=2, name="x", notes="y"
    )
    assert content_digest(labelled) == content_digest(BY_CRITERIA)
