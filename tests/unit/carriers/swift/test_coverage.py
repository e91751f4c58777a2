"""Swift's coverage: the page's samples, every filter, every group, and what is refused before it is sent."""

import pytest

from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.market import Coverage, CoverageEntry, CoverageQuery
from number_orders.carriers.swift.coverage import SwiftMarket
from number_orders.carriers.swift.facts import GROUP_FIELDS
from number_orders.orders.errors import Declined, FulfilmentError, InquiryRefused, NoAnswer, UnreadableAnswer
from number_orders.orders.model import Criteria
from tests.unit.carriers.conversations import answer, first_request, inquire

MARKET = SwiftMarket()
BY_NPA = CoverageQuery(Criteria(), ("npa",))
SAMPLE = (
    '{ "associations": {}, "data": { "entries": [ { "key": [ "npa" ], "quantity": 1, "value": { "npa": "555" }%s } ], '
    '"quantity": 1 }, "type": "inventory_coverage"}'
)
SAMPLES = (SAMPLE % "", SAMPLE % ', "value": { "npa": "555" }')
"""Both as printed; the second has the key `value` twice."""


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_samples_of_the_page(sample: str) -> None:
    """GET /api/v1/inventory/coverage?number_type=tendlc&group_by[]=npa"""
    requests, result = inquire(MARKET.coverage(BY_NPA), answer(sample))

    (request,) = requests
    assert (request.method, request.path) == ("GET", "/api/v1/inventory/coverage")
    assert request.query == {"number_type": "tendlc", "group_by[]": ("npa",)}
    assert result == Coverage((CoverageEntry({"npa": "555"}, 1),), 1)


def test_every_filter_and_every_group_is_passed_on() -> None:
    criteria = Criteria(country="CAN", npa="705", nxx="251", lata="888", state="ON", rate_center="SUDBURY")

    request = first_request(MARKET.coverage(CoverageQuery(criteria, (*GROUP_FIELDS, "npa"))))

    assert request.query == {
        "number_type": "tendlc",
        "group_by[]": ("npa", "nxx", "lata", "state", "rate_center", "country_code"),
        "country_code": "1",
        "npa": "705",
        "nxx": "251",
        "lata": "888",
        "state": "ON",
        "rate_center": "SUDBURY",
    }


def test_without_a_group_there_is_the_total() -> None:
    body = '{"data": {"entries": [], "quantity": 40}, "type": "inventory_coverage"}'

    requests, result = inquire(MARKET.coverage(CoverageQuery(Criteria(number_type="tendlc"))), answer(body))

    assert requests[0].query == {"number_type": "tendlc"}
    assert result == Coverage((), 40)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (CoverageQuery(Criteria(number_type="local")), "criteria.number_type"),
        (CoverageQuery(Criteria(country="GBR")), "criteria.country"),
        (CoverageQuery(Criteria(npa="105")), "criteria.npa"),
        (CoverageQuery(Criteria(nxx="25")), "criteria.nxx"),
        (CoverageQuery(Criteria(lata="Sudbury")), "criteria.lata"),
        (CoverageQuery(Criteria(state="\t")), "criteria.state"),
        (CoverageQuery(Criteria(rate_center=" ")), "criteria.rate_center"),
        (CoverageQuery(Criteria(city="Sudbury")), "criteria.city"),
        (CoverageQuery(Criteria(zip="27601")), "criteria.zip"),
        (CoverageQuery(Criteria(vanity="CALL")), "criteria.vanity"),
        (CoverageQuery(Criteria(), ("npa", "city")), "group_by"),
    ],
)
def test_a_refusal_names_field_and_rule(wanted: CoverageQuery, field: str) -> None:
    with pytest.raises(InquiryRefused) as refusal:
        first_request(MARKET.coverage(wanted))

    assert [fault.field for fault in refusal.value.faults] == [field]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (answer('{"errors": {"detail": "Unprocessable"}}', 422), Declined, "HTTP 422: .*Unprocessable"),
        (answer("", 400), NoAnswer, "HTTP 400"),
        (answer("", 401), NoAnswer, "the API key was not accepted"),
        (answer("", 403), NoAnswer, "no user with permission"),
        (answer("<html>", 502), NoAnswer, "HTTP 502"),
        (answer("<html>"), NoAnswer, "a web page"),
        (answer(""), NoAnswer, "an empty body"),
        (answer("[" * 100_000), UnreadableAnswer, "not JSON"),
        (answer("[]"), UnreadableAnswer, "not a JSON object"),
        (answer('{"type": "order"}'), UnreadableAnswer, "is not a coverage"),
        (answer('{"data": {}}'), UnreadableAnswer, "without entries"),
        (answer('{"data": {"entries": [{"quantity": 1}]}}'), UnreadableAnswer, "without its fields"),
        (answer('{"data": {"entries": [{"quantity": true, "value": {}}]}}'), UnreadableAnswer, "without its fields"),
        (answer('{"data": {"entries": [7]}}'), UnreadableAnswer, "without its fields"),
    ],
)
def test_failures_are_distinguished(given: CarrierAnswer, error: type[FulfilmentError], words: str) -> None:
    with pytest.raises(error, match=words):
        inquire(MARKET.coverage(BY_NPA), given)
