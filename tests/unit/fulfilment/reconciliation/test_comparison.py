"""Which order may bring a number, what a record changes, and what is left after a decision."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from number_orders.carriers.market import HeldNumber
from number_orders.fulfilment.reconciliation.comparison import (
    Comparison,
    Ghost,
    Movement,
    Orphan,
    Purchases,
    UnderWay,
    ghost_from,
    movement_of,
    orphan_from,
)
from number_orders.ledger.holdings import Difference
from number_orders.orders.model import CarrierName, Criteria, Kind, Order, OrderId, OrderRequest
from number_orders.orders.numbers import E164

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RALEIGH, LONDON = E164("+19196362098"), E164("+442079460000")
A, B = (OrderId(UUID(int=number)) for number in (1, 2))


def a_purchase(criteria: Criteria, account: str | None = None, order_id: OrderId = A) -> Order:
    request = OrderRequest(
        "crm-1", CarrierName("swift"), Kind.NEW_NUMBERS, criteria=criteria, quantity=1, account=account
    )
    return Order(order_id, request, accepted_at=NOON)


@pytest.mark.parametrize(
    ("criteria", "fits"),
    [
        (Criteria(), True),
        (Criteria(npa="919"), True),
        (Criteria(npa="984"), False),
        (Criteria(nxx="636"), True),
        (Criteria(nxx="555"), False),
        (Criteria(npa="919", nxx="636", thousands_block="2"), True),
        (Criteria(npa="919", nxx="636", thousands_block="3"), False),
        (Criteria(city="Durham", state="NC"), True),  # a number does not show its city
    ],
)
def test_a_purchase_may_bring_a_number_that_its_criteria_do_not_exclude(criteria: Criteria, fits: bool) -> None:
    found = Purchases.of([a_purchase(criteria)]).that_may_bring(Orphan(RALEIGH))

    assert (found is not None) is fits


def test_abroad_every_purchase_may_bring_a_number() -> None:
    """The length of an area code is not known there."""
    assert Purchases.of([a_purchase(Criteria(country="GBR", npa="20"))]).that_may_bring(Orphan(LONDON))


def test_a_number_that_was_there_before_the_order_was_not_bought_by_it() -> None:
    """Clocks may differ by an hour."""
    purchases = Purchases.of([a_purchase(Criteria(npa="919"))])

    assert purchases.that_may_bring(Orphan(RALEIGH, since=NOON - HOUR))
    assert not purchases.that_may_bring(Orphan(RALEIGH, since=NOON - HOUR - timedelta(seconds=1)))


def test_a_number_of_another_account_was_not_bought_by_the_order() -> None:
    purchases = Purchases.of([a_purchase(Criteria(), account="sub")])

    assert not purchases.that_may_bring(Orphan(RALEIGH, account="own"))
    assert purchases.that_may_bring(Orphan(RALEIGH, account="sub"))
    assert purchases.that_may_bring(Orphan(RALEIGH))


@pytest.mark.parametrize(
    ("difference", "movement"),
    [
        (Difference(RALEIGH, True, brought_by=A), UnderWay(RALEIGH, A, Movement.BRINGS)),
        (Difference(RALEIGH, True, removed_by=A), None),  # it cannot be what made the number appear
        (Difference(RALEIGH, False, held_by=B, removed_by=A), UnderWay(RALEIGH, A, Movement.REMOVES)),
        (Difference(RALEIGH, False, held_by=B, brought_by=A), None),
        (Difference(RALEIGH, False, held_by=B, holder_unfinished=True), UnderWay(RALEIGH, B, Movement.FOLLOWS)),
        (Difference(RALEIGH, False, held_by=B), None),
    ],
)
def test_an_order_under_way_explains_a_difference(difference: Difference, movement: UnderWay | None) -> None:
    assert movement_of(difference) == movement


def test_an_orphan_is_as_old_as_the_latest_source_says() -> None:
    """A removal too early would be refused: the number may have been released and bought again."""
    listed = Difference(RALEIGH, True, since=NOON, released_at=NOON + HOUR)
    record = HeldNumber(RALEIGH, "Inservice", is_ours=True, carrier_order_id="X", ordered_at=NOON + 2 * HOUR)

    assert orphan_from(listed, None, has_records=False) == Orphan(RALEIGH, since=NOON + HOUR, checked=True)
    assert orphan_from(listed, record, has_records=True) == Orphan(
        RALEIGH, since=NOON + 2 * HOUR, status="Inservice", carrier_order_id="X", checked=True
    )


def test_a_record_decides_and_without_one_nothing_is_claimed() -> None:
    """The list may be late; an unknown word says nothing about a ghost."""
    listed, held = Difference(RALEIGH, True), Difference(RALEIGH, False, held_by=A)
    ours, gone, unknown = (HeldNumber(RALEIGH, "X", is_ours=is_ours) for is_ours in (True, False, None))

    assert orphan_from(listed, gone, has_records=True) is None
    assert orphan_from(listed, None, has_records=True) == Orphan(RALEIGH)
    assert ghost_from(held, ours, has_records=True) is None
    assert ghost_from(held, gone, has_records=True) == Ghost(RALEIGH, A, status="X", checked=True)
    assert ghost_from(held, unknown, has_records=True) == Ghost(RALEIGH, A, status="X")
    assert ghost_from(held, None, has_records=False) == Ghost(RALEIGH, A, checked=True)


def test_only_what_is_known_well_enough_is_decided() -> None:
    assert Orphan(RALEIGH, checked=True).can_be_adopted
    assert not Orphan(RALEIGH).can_be_adopted
    assert not Orphan(RALEIGH, checked=True, held_at=CarrierName("bandwidth")).can_be_adopted
    assert Ghost(RALEIGH, A, checked=True).can_be_given_up
    assert not Ghost(RALEIGH, None, checked=True).can_be_given_up
    assert not Ghost(RALEIGH, A).can_be_given_up


def test_what_is_left_after_a_decision() -> None:
    found = Comparison(
        CarrierName("swift"), 2, 1, (Orphan(RALEIGH), Orphan(LONDON, checked=True)), (Ghost(RALEIGH, A),)
    )

    assert (found.unchecked, found.agrees) == (2, False)
    assert found.without([LONDON]) == replace(found, orphans=(Orphan(RALEIGH),))
    assert found.without([RALEIGH, LONDON]).agrees
