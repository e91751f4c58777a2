"""Swift's list of our numbers: one page an inquiry, and what cannot be read as a number is counted."""

from datetime import timedelta

import pytest

from number_orders.carriers.holdings import HoldingsPage, RecordsNumbers
from number_orders.carriers.market import HeldNumber, InServiceQuery
from number_orders.carriers.swift.adapter import Swift
from number_orders.carriers.swift.coverage import SwiftMarket
from number_orders.carriers.swift.holdings import SwiftHoldings
from number_orders.orders.errors import FulfilmentError, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import Criteria
from tests.unit.carriers.conversations import first_request, inquire
from tests.unit.carriers.swift.examples import ONE, SINCE, TWO, answered, cart, did, listed, refusal

HOLDINGS = SwiftHoldings()
LATER = timedelta(minutes=1)


def test_a_page_has_numbers_their_dates_and_the_next_page() -> None:
    """GET /api/v1/dids covers the own account and all sub accounts."""
    requests, page = inquire(HOLDINGS.page(), listed(did(ONE), did("12345"), did(TWO, "PENDING"), after="abc"))

    (request,) = requests
    assert (request.method, request.path, request.query) == ("GET", "/api/v1/dids", {"limit": "100"})
    assert page == HoldingsPage(
        (
            HeldNumber(ONE, status="AVAILABLE", ordered_at=SINCE + LATER),
            HeldNumber(TWO, status="PENDING", ordered_at=SINCE + LATER),
        ),
        "abc",
        unreadable=1,
    )


def test_the_next_page_is_asked_for_by_its_cursor() -> None:
    assert first_request(HOLDINGS.page("abc")).query == {"limit": "100", "after": "abc"}


def test_a_page_without_entries_or_without_a_cursor_is_the_last() -> None:
    assert inquire(HOLDINGS.page(), listed(after="abc"))[1].next_page is None
    assert inquire(HOLDINGS.page(), listed(did(ONE)))[1].next_page is None


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (listed(did(ONE), after="abc"), UnreadableAnswer),  # its own cursor: it would be read for ever
        (listed(did(ONE, inserted_at=None)), UnreadableAnswer),
        (cart(), UnreadableAnswer),
        (answered(200, b"<html/>"), NoAnswer),
        (refusal("no", 403), NoAnswer),
        (answered(503), NoAnswer),
    ],
)
def test_what_is_no_list_is_no_page(given: object, error: type[FulfilmentError]) -> None:
    """A list that was not read proves nothing about our numbers."""
    with pytest.raises(error):
        inquire(HOLDINGS.page("abc"), given)  # type: ignore[arg-type]  # answers of several helpers


def test_swift_has_no_records_of_numbers() -> None:
    """So nothing can be looked up, and a number's date is all there is."""
    assert not isinstance(Swift().holdings, RecordsNumbers)


def test_the_question_for_our_numbers_reads_pages_up_to_the_limit() -> None:
    pages = (listed(did(ONE), after="a"), listed(did(TWO)))

    assert [held.e164 for held in inquire(SwiftMarket().numbers(InServiceQuery()), *pages)[1].listed] == [ONE, TWO]
    assert [held.e164 for held in inquire(SwiftMarket().numbers(InServiceQuery(limit=1)), pages[0])[1].listed] == [ONE]


def test_the_question_for_our_numbers_is_filtered_by_digits() -> None:
    """Swift has no filters."""
    other = "+1704" + ONE[5:]
    pages = (listed(did(other), did(ONE), after="a"), listed(did(TWO)))

    for criteria, found in (
        (Criteria(npa="704"), [other]),
        (Criteria(npa=ONE[2:5], nxx=ONE[5:8]), [ONE, TWO]),
        (Criteria(npa=ONE[2:5], nxx=ONE[5:8], thousands_block=ONE[8]), [ONE, TWO]),
        (Criteria(nxx="999"), []),
    ):
        _, read = inquire(SwiftMarket().numbers(InServiceQuery(criteria)), *pages)
        assert [held.e164 for held in read.listed] == found


@pytest.mark.parametrize(
    ("query", "field"), [(InServiceQuery(Criteria(state="NC")), "criteria.state"), (InServiceQuery(limit=0), "limit")]
)
def test_the_question_for_our_numbers_takes_no_other_filter(query: InServiceQuery, field: str) -> None:
    with pytest.raises(InquiryRefused, match=field):
        first_request(SwiftMarket().numbers(query))
