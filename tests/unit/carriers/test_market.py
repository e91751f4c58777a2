"""Every carrier answers the questions that it declares, and no others."""

from collections.abc import Callable
from typing import Any

import pytest

from number_orders.carriers.bandwidth.market import BandwidthMarket
from number_orders.carriers.cm.market import CMMarket
from number_orders.carriers.market import (
    NO_MARKET,
    CoverageQuery,
    InServiceQuery,
    Market,
    RestrictionsQuery,
    SearchQuery,
    Topic,
)
from number_orders.carriers.swift.coverage import SwiftMarket
from number_orders.orders.errors import InquiryRefused
from number_orders.orders.model import Criteria
from number_orders.orders.numbers import E164
from tests.unit.carriers.cm.examples import ACCOUNT, DUTCH

MARKETS = (NO_MARKET, BandwidthMarket("9900000"), CMMarket(ACCOUNT, {"USA:local": DUTCH}), SwiftMarket())
QUESTIONS: dict[Topic, Callable[[Market], Any]] = {
    Topic.SEARCH: lambda market: market.search(SearchQuery(Criteria(npa="919"))),
    Topic.COVERAGE: lambda market: market.coverage(CoverageQuery(Criteria())),
    Topic.RESTRICTIONS: lambda market: market.restrictions(RestrictionsQuery("USA", "local")),
    Topic.NUMBER: lambda market: market.number(E164("+19195550120")),
    Topic.NUMBERS: lambda market: market.numbers(InServiceQuery()),
}


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.name)
def test_a_carrier_answers_what_it_declares_and_nothing_else(market: Market) -> None:
    for topic in Topic:
        if topic in market.offers:
            assert next(QUESTIONS[topic](market)).method == "GET"
        else:
            with pytest.raises(InquiryRefused) as refused:
                next(QUESTIONS[topic](market))
            assert [fault.field for fault in refused.value.faults] == ["carrier"]


def test_a_question_that_is_not_offered_is_refused_with_those_that_are() -> None:
    with pytest.raises(InquiryRefused) as refused:
        SwiftMarket().search(SearchQuery(Criteria(npa="919")))
    assert str(refused.value) == "carrier: swift does not answer search; it answers coverage, numbers"

    with pytest.raises(InquiryRefused, match="it answers no questions"):
        NO_MARKET.search(SearchQuery(Criteria(npa="919")))
