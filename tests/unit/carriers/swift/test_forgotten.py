"""An order that the ledger has forgotten is found by our reference, and its numbers by the time of its checkout."""

from dataclasses import replace
from datetime import timedelta

import pytest

from number_orders.carriers.swift import forgotten as swift_forgotten
from number_orders.carriers.swift.answers import Pages
from number_orders.carriers.swift.forgotten import adopt, all_orders, steps_of_forgotten
from number_orders.carriers.swift.json import OrderView, content_in_name
from number_orders.carriers.swift.steps import Steps
from number_orders.orders.errors import NoAnswer
from number_orders.orders.events import Acknowledged, FoundTwice, NotListed, Parked
from number_orders.orders.model import CarrierOrderId, Order, OrderRequest
from tests.unit.carriers.swift.examples import NOW, ONE, REFERENCE, an_order, naming, new_numbers, removal

OTHER = "11111111-7a1b-7c3d-8e4f-5a6b7c8d9e0f"
MINUTE = timedelta(minutes=1)


def listed(*views: OrderView, whole: bool = True) -> Pages[OrderView]:
    pages = all_orders()
    pages.items, pages.is_whole = list(views), whole
    return pages


def view(
    order_id: str,
    minute: int,
    *,
    of: OrderRequest | None = None,
    reference: str = REFERENCE,
    status: str = "COMPLETED",
    ended: int = 20,
) -> OrderView:
    """Return an order at Swift that was checked out some minutes after noon, and ended; its cart is an hour older."""
    name = f"number-orders {reference}" + (f" {content_in_name(of)} Spring" if of else "")
    at = NOW + minute * MINUTE
    return OrderView(
        order_id,
        status,
        reference,
        name,
        inserted_at=NOW - 60 * MINUTE,
        checked_out_at=at,
        changed_at=NOW + ended * MINUTE,
    )


def find_forgotten(order: Order, pages: Pages[OrderView], *ended: str) -> OrderView | FoundTwice | NotListed | Parked:
    """Look an hour after noon, when numbers may come for ten minutes after the end of a purchase."""
    return swift_forgotten.find_forgotten(order, pages, now=NOW + 60 * MINUTE, settle_after=10 * MINUTE, ended=ended)


def forgotten(request: OrderRequest | None = None) -> Order:
    return an_order(request, history_lost_at=NOW)


@pytest.mark.parametrize("named", [True, False])
def test_the_order_with_our_reference_is_adopted(named: bool) -> None:
    """Also one of release 0.1.0, whose name does not say what was ordered."""
    ours = view("A", 0, of=new_numbers() if named else None)
    found = find_forgotten(forgotten(), listed(view("B", 1, reference=OTHER), ours))
    assert isinstance(found, OrderView)
    assert adopt(found) == Acknowledged(CarrierOrderId("A"), "COMPLETED")


def test_an_order_that_is_not_listed_is_sent_only_if_the_whole_list_was_seen() -> None:
    for whole in (True, False):
        absent = find_forgotten(forgotten(), listed(view("B", 1, of=new_numbers(), reference=OTHER), whole=whole))
        assert isinstance(absent, NotListed)
        assert absent.resend is whole


@pytest.mark.parametrize("status", ["NEW", "PROCESSING"])
@pytest.mark.parametrize("of", [new_numbers(), None])
def test_nothing_is_sent_while_another_purchase_of_ours_is_under_way(status: str, of: OrderRequest | None) -> None:
    """The ledger may have forgotten it too, and then nobody could tell whose numbers come."""
    open_one = view("B", 1, of=of, reference=OTHER, status=status)
    with pytest.raises(NoAnswer, match="our purchase B"):
        find_forgotten(forgotten(), listed(open_one))
    assert isinstance(find_forgotten(forgotten(removal(ONE)), listed(open_one)), NotListed)
    removes = view("C", 1, of=removal(ONE), reference=OTHER, status=status)
    assert isinstance(find_forgotten(forgotten(), listed(removes)), NotListed)


@pytest.mark.parametrize(("ended", "waits"), [(51, True), (50, False), (20, False)])
def test_a_purchase_that_has_just_ended_may_still_bring_numbers(ended: int, *, waits: bool) -> None:
    """Swift lists numbers after the end. A purchase that was made after the fall is no matter: it holds its lock."""
    other = view("B", 1, of=new_numbers(), reference=OTHER, ended=ended)
    later = view("C", 6, of=new_numbers(), reference=OTHER, status="PROCESSING")
    if waits:
        with pytest.raises(NoAnswer, match="our purchase B"):
            find_forgotten(forgotten(), listed(later, other))
    else:
        assert isinstance(find_forgotten(forgotten(), listed(later, other)), NotListed)


def test_other_content_under_our_reference_is_parked() -> None:
    for other in (new_numbers(3), removal(ONE)):
        parked = find_forgotten(forgotten(), listed(view("A", 0, of=other)))
        assert isinstance(parked, Parked)
        assert "order A has our reference and was ordered with something else" in parked.reason


def test_two_purchases_are_parked_and_of_a_removal_the_latest_part_is_followed() -> None:
    two = listed(view("B", 2), view("A", 1))
    assert find_forgotten(forgotten(), two) == FoundTwice((CarrierOrderId("A"), CarrierOrderId("B")))
    latest = find_forgotten(forgotten(removal(ONE)), two)
    assert isinstance(latest, OrderView)
    assert latest.order_id == "B"


def test_numbers_between_two_checkouts_belong_to_the_first_of_them() -> None:
    """Other accounts' carts, removals and numbers brought along bound nothing."""
    ours = view("A", 5, of=new_numbers())
    others = [
        view("before", 1, of=new_numbers(), reference=OTHER),
        view("removes", 6, of=removal(ONE), reference=OTHER),
        view("next", 9, of=new_numbers(), reference=OTHER),
        view("later", 12, of=new_numbers(), reference=OTHER),
    ]
    steps = steps_of_forgotten(Steps(looks=3), ours, [ours, *others])
    assert (steps.cart_made_at, steps.until, steps.looks) == (NOW + 5 * MINUTE, NOW + 9 * MINUTE, 0)
    assert Steps.from_progress(an_order(progress=steps.as_progress())) == steps
    assert steps_of_forgotten(Steps(), ours, [ours]).until is None


def test_an_order_without_any_time_has_no_window() -> None:
    """Its numbers cannot be told apart by time: what follows says that it cannot be read."""
    timeless = OrderView("A", "COMPLETED", REFERENCE)
    steps = steps_of_forgotten(Steps(), timeless, [timeless, view("next", 9, of=new_numbers(), reference=OTHER)])
    assert (steps.cart_made_at, steps.until) == (None, None)


def test_the_name_of_a_cart_says_what_is_ordered() -> None:
    requests = [new_numbers(), new_numbers(3), removal(ONE), naming(removal().kind)]
    assert [content_in_name(request)[0] for request in requests] == ["n", "n", "r", "r"]
    assert len({content_in_name(request) for request in requests}) == 4


@pytest.mark.parametrize("shows_reference", [True, False])
def test_a_purchase_that_has_ended_in_the_ledger_stops_no_other(*, shows_reference: bool) -> None:
    """Swift may never end it: a person has closed it long ago. Its reference may be in its name alone."""
    stuck = view("B", -30 * 24 * 60, of=new_numbers(), reference=OTHER, status="PROCESSING")
    stuck = stuck if shows_reference else replace(stuck, reference=None)
    assert isinstance(find_forgotten(forgotten(), listed(stuck), OTHER), NotListed)
    with pytest.raises(NoAnswer, match="our purchase B"):
        find_forgotten(forgotten(), listed(stuck), REFERENCE)
    with pytest.raises(NoAnswer, match="our purchase C"):
        find_forgotten(forgotten(), listed(stuck, view("C", 1, status="NEW", reference=OTHER.replace("1", "2"))), OTHER)
