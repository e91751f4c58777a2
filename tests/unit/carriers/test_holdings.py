"""A list is read page by page up to a limit, and one without an end is no list. CM.com has none."""

import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.holdings import HoldingsPage, ShowsHoldings, read_holdings
from number_orders.carriers.market import HeldNumber, Holdings
from number_orders.carriers.swift.adapter import Swift
from number_orders.orders.errors import NoAnswer
from number_orders.orders.numbers import E164
from tests.unit.carriers.cm.examples import ACCOUNT, DUTCH
from tests.unit.carriers.conversations import answer, inquire


class Endless:
    """Numbers without end, one a page."""

    pages_max = 3
    list_group = "ALL"

    def page(self, name: str | None = None) -> Inquiry[HoldingsPage]:
        _: CarrierAnswer = yield CarrierRequest("GET", "/", Purpose.READ)
        number = int(name or 0)
        return HoldingsPage((HeldNumber(E164(f"+1919555012{number}")),), str(number + 1), 9, 1)


def test_reading_stops_at_the_limit() -> None:
    _, read = inquire(read_holdings(Endless(), 2), answer(), answer())

    assert read == Holdings(tuple(HeldNumber(E164(f"+1919555012{line}")) for line in (0, 1)), 9, 2)


def test_a_list_without_an_end_is_no_list() -> None:
    with pytest.raises(NoAnswer, match="no end: 3 were shown"):
        inquire(read_holdings(Endless(), None), *[answer()] * 3)


class Circular(Endless):
    """Two pages that name each other."""

    pages_max = 1000

    def page(self, name: str | None = None) -> Inquiry[HoldingsPage]:
        return (yield from super().page("0" if name == "2" else name))


def test_a_list_that_goes_in_circles_is_no_list() -> None:
    with pytest.raises(NoAnswer, match="no end: 2 were shown"):
        inquire(read_holdings(Circular(), None), *[answer()] * 3)


def test_which_carriers_list_our_numbers() -> None:
    """No page of CM.com's describes such a list."""
    assert isinstance(Bandwidth("9900000", "743"), ShowsHoldings)
    assert isinstance(Swift(), ShowsHoldings)
    assert not isinstance(CM(ACCOUNT, {"USA:local": DUTCH}), ShowsHoldings)
