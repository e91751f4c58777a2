"""Looking for an order in doubt at Swift: by its cart, by our reference, and by whether the cart is left."""

from dataclasses import replace
from datetime import timedelta

import pytest

from number_orders.carriers.contract import CarrierAnswer, KnownNumbers
from number_orders.carriers.swift.facts import ORDER_PAGES_MAX
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, Event, FoundTwice, NotListed, ProvenAbsent
from number_orders.orders.model import CarrierOrderId, State
from tests.unit.carriers.swift.examples import (
    CARRIER,
    CART,
    CHECKED_OUT,
    HTML,
    NOW,
    REFERENCE,
    SINCE,
    SUB,
    THEIRS,
    an_order,
    answered,
    cart,
    converse,
    listed,
    new_numbers,
    order_data,
    removal,
    shown,
)


def looked(*said: CarrierAnswer, **progress: object) -> Event:
    order = an_order(state=State.IN_DOUBT, progress={**CHECKED_OUT, **progress})
    return converse(CARRIER.look_for(order), *said)[0]


@pytest.mark.parametrize("progress", [{}, {"cart_id": CART}, {"cart_id": CART, "requested": None}, {"settled": {}}])
def test_without_a_cart_that_is_ready_nothing_was_checked_out(progress: dict[str, object]) -> None:
    event, asked, _ = converse(CARRIER.look_for(an_order(state=State.IN_DOUBT, progress=progress)))
    assert isinstance(event, ProvenAbsent)
    assert asked == []


def test_an_order_that_has_ended_is_found_without_its_cart() -> None:
    """A person adopted another order for it, which made it forget the cart; a late look must find what it bought."""
    order = replace(an_order(state=State.IN_DOUBT, progress={}), ended_at=SINCE)
    page = listed(order_data("COMPLETED", id="01OTHER", reference_id=REFERENCE), kind="order")
    event, asked, _ = converse(CARRIER.look_for(order), KnownNumbers(NOW), page)
    assert event == Acknowledged(CarrierOrderId("01OTHER"), "COMPLETED")
    assert [one.path for one in asked] == ["/api/v1/orders"]
    anothers = listed(order_data(), kind="order")
    assert isinstance(converse(CARRIER.look_for(order), KnownNumbers(NOW), anothers)[0], NotListed)


def test_an_order_is_found_by_its_carts_id() -> None:
    order = an_order(new_numbers(account=SUB), state=State.IN_DOUBT, progress=CHECKED_OUT)
    event, asked, _ = converse(CARRIER.look_for(order), shown("PROCESSING"))
    assert event == Acknowledged(THEIRS, "PROCESSING")
    assert [one.path for one in asked] == [f"/api/v1/accounts/{SUB}/orders/{CART}"]


@pytest.mark.parametrize("named", [{"reference_id": REFERENCE}, {"name": f"number-orders {REFERENCE} Spring"}])
def test_an_order_under_another_id_is_found_by_our_reference(named: dict[str, str]) -> None:
    page = listed(order_data(), order_data("COMPLETED", id="01OTHER", **named), kind="order")
    assert looked(answered(404), page) == Acknowledged(CarrierOrderId("01OTHER"), "COMPLETED")


def test_two_orders_with_our_reference_are_found_twice() -> None:
    ours = [order_data(id=name, reference_id=REFERENCE) for name in ("01A", "01B")]
    page = listed(*ours, kind="order")
    assert looked(answered(404), page) == FoundTwice((CarrierOrderId("01A"), CarrierOrderId("01B")))


def test_the_order_of_a_settled_part_is_not_this_one() -> None:
    settled = {"numbers": [["+19195550101", "released", None, None]], "orders": ["01A"]}
    page = listed(order_data(id="01A", reference_id=REFERENCE), kind="order")
    event = looked(answered(404), page, cart(), settled=settled)
    assert event == NotListed("the order of its cart and the list of orders; the cart is there")


def test_the_order_of_a_part_that_released_nothing_is_not_this_one() -> None:
    """It was refused as tainted before this cart was made, and tried again whole."""
    order = an_order(removal(), state=State.IN_DOUBT, progress=CHECKED_OUT)
    times = {"01OLD": SINCE - timedelta(minutes=31), "01NEW": SINCE}
    page = [order_data(id=name, reference_id=REFERENCE, inserted_at=at.isoformat()) for name, at in times.items()]
    event, _, _ = converse(CARRIER.look_for(order), answered(404), listed(*page, kind="order"))
    assert event == Acknowledged(CarrierOrderId("01NEW"), "NEW")
    event, _, _ = converse(CARRIER.look_for(order), answered(404), listed(page[0], kind="order"), cart())
    assert isinstance(event, NotListed)


def test_only_so_many_pages_of_orders_are_read() -> None:
    """The list only grows, and the search must end."""
    pages = [listed(order_data(), after=f"page {i}", kind="order") for i in range(ORDER_PAGES_MAX + 1)]
    assert looked(answered(404), *pages, cart()) == NotListed("the order of its cart; the cart is there")


@pytest.mark.parametrize("no_list", [answered(404), answered(405)])
def test_there_may_be_no_list_of_orders(no_list: CarrierAnswer) -> None:
    assert looked(answered(404), no_list, cart()) == NotListed("the order of its cart; the cart is there")


def test_without_the_cart_it_is_not_sent_again() -> None:
    event = looked(answered(404), listed(kind="order"), answered(404))
    assert isinstance(event, NotListed)
    assert not event.resend


@pytest.mark.parametrize("silence", [answered(500), answered(403), answered(200, HTML), answered(302), answered(200)])
def test_an_error_proves_nothing(silence: CarrierAnswer) -> None:
    for before in ((), (answered(404),), (answered(404), listed(kind="order"))):
        with pytest.raises(NoAnswer):
            looked(*before, silence)


def test_another_order_than_asked_for_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswer):
        looked(shown(id="01OTHER"))


def test_an_order_of_another_under_the_carts_id_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswer, match="the reference of another"):
        looked(shown(reference_id="0192f0c1-7a1b-7c3d-8e4f-5a6b7c8d9e00"))


def test_a_purchase_that_the_ledger_knows_as_ended_stops_no_other() -> None:
    """After a fall. The ledger is asked only if one would stop it."""
    other = "11111111-7a1b-7c3d-8e4f-5a6b7c8d9e0f"
    stuck = order_data("PROCESSING", id="B", reference_id=other, name=f"number-orders {other}")
    order = an_order(state=State.IN_DOUBT, history_lost_at=NOW, progress={})
    known = KnownNumbers(NOW)
    said = known, listed(stuck, kind="order"), replace(known, ended=frozenset({other}))
    assert isinstance(converse(CARRIER.look_for(order), *said)[0], NotListed)
    with pytest.raises(NoAnswer, match="our purchase B"):
        converse(CARRIER.look_for(order), known, listed(stuck, kind="order"), known)
