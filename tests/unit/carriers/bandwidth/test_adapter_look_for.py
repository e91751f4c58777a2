"""Looking for an order whose answer was lost."""

from datetime import UTC, datetime

import pytest

from number_orders.carriers.bandwidth.facts import OWNER_LOOKUPS_MAX, PAGES_MAX
from number_orders.carriers.contract import CarrierAnswer, Purpose
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, Event, FoundTwice, NotListed
from number_orders.orders.model import Order
from tests.unit.carriers.bandwidth.examples import (
    BANDWIDTH,
    HTML,
    ORDERS,
    OTHER,
    REFERENCE,
    THEIRS,
    A,
    B,
    answered,
    listed,
    named,
    next_link,
    number_of,
    searched,
    shown,
)
from tests.unit.carriers.conversations import converse

EMPTY = listed()


def look(order: Order, *answers: CarrierAnswer | str) -> Event:
    event, asked = converse(
        BANDWIDTH.look_for(order), *(a if isinstance(a, CarrierAnswer) else answered(200, a) for a in answers)
    )
    assert all(request.purpose is Purpose.READ for request in asked)
    return event


def test_the_list_is_asked_for_our_reference() -> None:
    event, asked = converse(
        BANDWIDTH.look_for(searched(1, carrier_order_id=None)), answered(200, listed((THEIRS, REFERENCE, "2026-01-02")))
    )

    assert [(r.method, r.path) for r in asked] == [("GET", ORDERS)]
    assert asked[0].query == {"page": "1", "size": "500", "customerOrderId": REFERENCE}
    assert event == Acknowledged(THEIRS, "COMPLETE")


def test_references_are_compared_exactly() -> None:
    page = listed(
        (OTHER, REFERENCE.upper(), "2026-01-01"),
        (OTHER, REFERENCE[:-1], "2026-01-01"),
        (OTHER, f"x{REFERENCE}", "2026-01-01"),
        (OTHER, "", "2026-01-01"),
        (THEIRS, REFERENCE, "2026-01-02"),
    )

    assert look(searched(1), page) == Acknowledged(THEIRS, "COMPLETE")


def test_two_orders_are_found_oldest_first() -> None:
    page = listed(
        ("undated", REFERENCE, "the other day"),
        (OTHER, REFERENCE, "2014-01-10T17-34-16Z"),
        (THEIRS, REFERENCE, "2014-01-10T17:34:15.250Z"),
    )

    assert look(searched(1), page) == FoundTwice((THEIRS, OTHER, "undated"))  # type: ignore[arg-type]  # a plain text id


def test_an_order_on_two_pages_counts_once() -> None:
    item = (THEIRS, REFERENCE, "2026-01-02")

    assert look(searched(1), listed(item, total=2, following=next_link("7")), listed(item, total=2)) == Acknowledged(
        THEIRS, "COMPLETE"
    )


def test_further_pages_are_read() -> None:
    other = (OTHER, "another", "2026-01-01")

    event, asked = converse(
        BANDWIDTH.look_for(searched(1)),
        answered(200, listed(other, total=3, following=next_link("abc-2"))),
        answered(200, listed(other, total=3, following=next_link("abc%2D3"))),
        answered(200, listed((THEIRS, REFERENCE, "2026-01-02"), total=3)),
    )

    assert [r.query["page"] for r in asked] == ["1", "abc-2", "abc-3"]
    assert event == Acknowledged(THEIRS, "COMPLETE")


def test_a_page_that_shows_everything_is_the_last() -> None:
    assert look(searched(1), listed((THEIRS, REFERENCE, "2026-01-02"), following=next_link("2"))) == Acknowledged(
        THEIRS, "COMPLETE"
    )


@pytest.mark.parametrize(
    "pages",
    [
        [listed((OTHER, "x", ""), total=5)],
        [listed((OTHER, "x", ""), total=5, following=next_link("1"))],
        [listed((OTHER, "x", ""), total=999, following=next_link(f"p{n}")) for n in range(PAGES_MAX)],
    ],
)
def test_a_list_not_seen_to_its_end_proves_nothing(pages: list[str]) -> None:
    with pytest.raises(NoAnswer, match="shows"):
        look(searched(1), *pages)


def test_an_order_in_doubt_is_found_in_a_list_not_seen_to_its_end() -> None:
    assert look(searched(1), listed((THEIRS, REFERENCE, "2026-01-02"), total=2)) == Acknowledged(THEIRS, "COMPLETE")


def test_after_the_end_the_whole_list_is_wanted() -> None:
    """A late look asks for every order with our reference, and one may be among those that are not shown."""
    ended = searched(1, ended_at=datetime(2026, 1, 3, tzinfo=UTC))

    with pytest.raises(NoAnswer, match="1 of 2"):
        look(ended, listed((THEIRS, REFERENCE, "2026-01-02"), total=2))


@pytest.mark.parametrize(
    "page",
    [
        EMPTY,
        "<ResponseSelectWrapper><ListOrderIdUserIdDate/></ResponseSelectWrapper>",
        "<ResponseSelectWrapper/>",
        answered(404, EMPTY),
    ],
)
def test_an_empty_list_means_not_listed(page: str | CarrierAnswer) -> None:
    assert look(searched(1), page) == NotListed("the list of orders by our reference")


def test_named_numbers_are_looked_up_too() -> None:
    event, asked = converse(
        BANDWIDTH.look_for(named(A, B, carrier_order_id=None)),
        answered(200, EMPTY),
        answered(404),
        answered(200, number_of(OTHER)),
        answered(200, shown("PARTIAL")),
    )

    assert [r.path for r in asked[1:]] == [
        "/api/v2/tns/%2B19195550100",
        "/api/v2/tns/%2B19195550101",
        f"{ORDERS}/{OTHER}",
    ]
    assert event == Acknowledged(OTHER, "PARTIAL")


@pytest.mark.parametrize("closed", [403, 404])
def test_numbers_that_are_not_ours_mean_not_listed(closed: int) -> None:
    assert look(named(A), EMPTY, answered(closed)) == NotListed(
        "the list of orders by our reference, and its first numbers"
    )


def test_only_the_first_numbers_are_looked_up() -> None:
    many = named(*(A[:-1] + str(digit) for digit in range(OWNER_LOOKUPS_MAX + 3)))  # type: ignore[arg-type]  # plain text

    assert isinstance(look(many, EMPTY, *[answered(404)] * OWNER_LOOKUPS_MAX), NotListed)


@pytest.mark.parametrize(
    "trouble",
    [
        answered(401),
        answered(403),
        answered(404),
        answered(404, HTML),
        answered(404, listed((OTHER, "x", ""))),
        answered(400, "<ErrorResponse><ResponseStatus><ErrorCode>1005</ErrorCode></ResponseStatus></ErrorResponse>"),
        answered(500),
        answered(502, HTML),
        answered(302, EMPTY),
        answered(200),
        answered(204),
        answered(200, HTML),
    ],
)
def test_an_error_for_the_list_proves_nothing(trouble: CarrierAnswer) -> None:
    with pytest.raises(NoAnswer):
        look(named(A), trouble)


@pytest.mark.parametrize("trouble", [answered(401), answered(500), answered(302), answered(200), answered(200, HTML)])
def test_an_error_for_a_number_proves_nothing(trouble: CarrierAnswer) -> None:
    with pytest.raises(NoAnswer):
        look(named(A), EMPTY, trouble)


@pytest.mark.parametrize(
    "page",
    [
        "<OrderResponse/>",
        "<ResponseSelectWrapper>",
        "nothing",
        listed(("", REFERENCE, "2026-01-02")),
        listed(("../x", REFERENCE, "2026-01-02")),
    ],
)
def test_a_body_that_is_not_a_list_is_unreadable(page: str) -> None:
    with pytest.raises(UnreadableAnswer):
        look(searched(1), page)
