"""Whatever a carrier, a gateway or an attacker answers to a question: an answer of its type, or a known error."""

from collections.abc import Callable
from itertools import cycle
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from number_orders.carriers.bandwidth.holdings import BandwidthHoldings
from number_orders.carriers.bandwidth.market import BandwidthMarket
from number_orders.carriers.contract import CarrierAnswer, Inquiry
from number_orders.carriers.holdings import HoldingsPage
from number_orders.carriers.market import (
    Coverage,
    CoverageQuery,
    HeldNumber,
    Holdings,
    InServiceQuery,
    Offers,
    RestrictionsQuery,
    SearchQuery,
)
from number_orders.carriers.swift.coverage import SwiftMarket
from number_orders.carriers.swift.holdings import SwiftHoldings
from number_orders.orders.errors import Declined, NoAnswer, UnreadableAnswer
from number_orders.orders.model import Criteria
from number_orders.orders.numbers import E164

BANDWIDTH = BandwidthMarket("9900000")
QUESTIONS: Final[dict[str, tuple[Callable[[], Inquiry[Any]], type | tuple[type, ...]]]] = {
    "search": (lambda: BANDWIDTH.search(SearchQuery(Criteria(npa="919"))), Offers),
    "restrictions": (lambda: BANDWIDTH.restrictions(RestrictionsQuery("ITA")), tuple),
    "number": (lambda: BANDWIDTH.number(E164("+19195550120")), HeldNumber),
    "numbers": (lambda: BANDWIDTH.numbers(InServiceQuery()), Holdings),
    "swift numbers": (lambda: SwiftMarket().numbers(InServiceQuery()), Holdings),
    "bandwidth page": (lambda: BandwidthHoldings("9900000").page("2"), HoldingsPage),
    "bandwidth record": (lambda: BandwidthHoldings("9900000").record(E164("+19195550120")), HeldNumber),
    "bandwidth reference": (lambda: BandwidthHoldings("9900000").reference("5f3a"), (str, type(None))),
    "swift page": (lambda: SwiftHoldings().page("2"), HoldingsPage),
    "coverage": (lambda: SwiftMarket().coverage(CoverageQuery(Criteria(), ("npa",))), Coverage),
}
TURNS_MAX: Final = 50

WORDS: Final = st.one_of(
    st.text(max_size=12), st.sampled_from(["+19195550120", "9195550121", "4010", "x?page=2&size=1"])
)
TAGS: Final = st.sampled_from([
    "SearchResult", "RestrictionResponse", "TelephoneNumberResponse", "TNs", "TelephoneNumberDetail", "FullNumber",
    "TelephoneNumber", "TelephoneNumbers", "Restriction", "RestrictionDescription", "Error", "ResponseStatus",
    "Code", "ErrorCode", "Description", "TotalCount", "Links", "next", "City", "Status", "OrderCreateDate",
    "OrderResponse", "Order", "CustomerOrderId", "OrderStatus", "AccountId",
])  # fmt: skip
ELEMENTS: Final = st.recursive(
    WORDS.map(lambda text: "".join(sign for sign in text if sign.isalnum() or sign in "+?=")),
    lambda inner: st.tuples(TAGS, st.lists(inner, max_size=4)).map(lambda e: f"<{e[0]}>{''.join(e[1])}</{e[0]}>"),
    max_leaves=8,
)
DOCUMENTS: Final = st.tuples(TAGS, st.lists(ELEMENTS, max_size=4)).map(lambda e: f"<{e[0]}>{''.join(e[1])}</{e[0]}>")
JSON: Final = st.sampled_from([
    "{}", "[]", "null", '{"data": {"entries": []}}', '{"data": {"entries": [{"value": {"npa": 1}, "quantity": 2}]}}',
    '{"data": {"entries": [{"value": [], "quantity": 2}]}, "type": "inventory_coverage"}',
    '{"data": {"items": [{"data": {"number": "19195550120", "inserted_at": "2025-01-01"}}]}, "type": "list"}',
    '{"data": {"items": [{"data": {"number": "1"}}], "page_info": {"after": "2"}}, "type": "list"}',
    '{"data": {"items": [{"data": {"number": "19195550120"}}], "page_info": {"after": "x"}}, "type": "list"}',
    '{"data": {"items": [7], "page_info": []}, "type": "list"}', '{"data": {"items": []}, "type": "list"}',
    '{"errors": {"detail": "x"}}', '{"data": {"entries": {}, "quantity": -1}}', '{"type": 7}', '{"data": 7}',
])  # fmt: skip
BODIES: Final = st.one_of(DOCUMENTS.map(str.encode), JSON.map(str.encode), st.binary(max_size=40))
ANSWERS: Final = st.builds(
    CarrierAnswer, st.sampled_from([200, 204, 301, 400, 401, 403, 404, 409, 422, 500, 504]), st.just({}), BODIES
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(QUESTIONS)), st.lists(ANSWERS, min_size=1, max_size=4))
def test_every_answer_is_an_answer_or_a_known_error(name: str, answers: list[CarrierAnswer]) -> None:
    ask, kind = QUESTIONS[name]

    try:
        result = concluded(ask(), answers)
    except (Declined, NoAnswer, UnreadableAnswer):
        return

    assert isinstance(result, kind)


def concluded(inquiry: Inquiry[Any], answers: list[CarrierAnswer]) -> object:
    """Give the same answers again and again until the inquiry ends, and return its result."""
    waiting = cycle(answers)
    try:
        next(inquiry)
        for _ in range(TURNS_MAX):
            inquiry.send(next(waiting))
    except StopIteration as end:
        return end.value
    return "it never comes to an end"
