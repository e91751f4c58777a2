"""Swift's answers to questions about no order: inventory coverage, and the numbers that we hold.

Coverage is how many numbers there are, by any of six fields; never which. Its filters are an order's criteria, and
`rules` checks them. `holdings` reads the list of our numbers.

Source: Swift's page "Number Ordering", schema "Inventory Coverage".
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.holdings import read_holdings
from number_orders.carriers.market import (
    Coverage,
    CoverageEntry,
    CoverageQuery,
    Holdings,
    InServiceQuery,
    Market,
    Topic,
)
from number_orders.carriers.swift.answers import require_content
from number_orders.carriers.swift.facts import (
    ACCEPT,
    CARRIER,
    COUNTRY_CODE,
    COVERAGE,
    COVERAGE_TYPE,
    GROUP_FIELDS,
    NUMBER_TYPE,
    ROOT,
)
from number_orders.carriers.swift.holdings import SwiftHoldings
from number_orders.carriers.swift.json import read_refusal
from number_orders.carriers.swift.rules import criteria_faults
from number_orders.orders.errors import Declined, Fault, InquiryRefused, UnreadableAnswer
from number_orders.orders.model import CarrierName
from number_orders.orders.numbers import E164, national

_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})

_SHOWN_BY_DIGITS: Final = frozenset({"npa", "nxx", "thousands_block"})
"""The criteria that the digits of a number show."""


class SwiftMarket(Market):
    """The questions that Swift answers."""

    offers = frozenset({Topic.COVERAGE, Topic.NUMBERS})

    def __init__(self) -> None:
        super().__init__(CarrierName(CARRIER))

    def coverage(self, query: CoverageQuery) -> Inquiry[Coverage]:
        """Ask how many numbers there are."""
        if faults := tuple(coverage_faults(query)):
            raise InquiryRefused(faults)
        answer = yield CarrierRequest("GET", f"{ROOT}{COVERAGE}", Purpose.READ, _parameters(query), accept=ACCEPT)
        _require_answered(answer)
        return read_coverage(answer.body)

    def numbers(self, query: InServiceQuery) -> Inquiry[Holdings]:
        """Read our numbers, page by page, up to the limit. Swift has no filters, so the digits are compared here."""
        if faults := tuple(_numbers_faults(query)):
            raise InquiryRefused(faults)
        asked = query.criteria
        begins = ((0, asked.npa or ""), (3, asked.nxx or ""), (6, asked.thousands_block or ""))

        def wanted(e164: E164) -> bool:
            return all(national(e164).startswith(digits, at) for at, digits in begins)

        return (yield from read_holdings(SwiftHoldings(), query.limit, wanted=wanted))


def coverage_faults(query: CoverageQuery) -> Iterator[Fault]:
    """Yield everything that Swift would refuse."""
    yield from criteria_faults(query.criteria)
    for field in query.group_by:
        if field not in GROUP_FIELDS:
            yield Fault("group_by", f"{field} is none of {', '.join(GROUP_FIELDS)}")


def _numbers_faults(query: InServiceQuery) -> Iterator[Fault]:
    if query.limit is not None and query.limit < 1:
        yield Fault("limit", "must be 1 or more")
    for field in sorted(query.criteria.given() - _SHOWN_BY_DIGITS):
        rule = f"cannot be asked by: Swift shows no more of a number than {', '.join(sorted(_SHOWN_BY_DIGITS))}"
        yield Fault(f"criteria.{field}", rule)


def read_coverage(body: bytes) -> Coverage:
    """Read the counts. If one group cannot be read, the whole answer is unreadable, because a sum must be right.

    Raises:
        UnreadableAnswer: Not JSON, or not what the page describes.
    """
    shown = _parsed(body)
    if shown.get("type") not in {COVERAGE_TYPE, None}:
        raise UnreadableAnswer(CARRIER, f"{shown.get('type')!r:.40} is not a coverage", body)
    data = shown.get("data")
    entries = data.get("entries") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(entries, list):
        raise UnreadableAnswer(CARRIER, "a coverage without entries", body)
    return Coverage(tuple(_entry(one, body) for one in entries), _count(data.get("quantity")))


def _parameters(query: CoverageQuery) -> dict[str, str | tuple[str, ...]]:
    criteria = query.criteria
    filters = {name: getattr(criteria, name) for name in ("npa", "nxx", "lata", "state", "rate_center")}
    parameters: dict[str, str | tuple[str, ...]] = {"number_type": NUMBER_TYPE}
    if query.group_by:
        parameters["group_by[]"] = tuple(dict.fromkeys(query.group_by))
    if criteria.country is not None:
        parameters["country_code"] = COUNTRY_CODE
    return parameters | {name: value for name, value in filters.items() if value is not None}


def _require_answered(answer: CarrierAnswer) -> None:
    """Raise `Declined` if Swift refused, and `NoAnswer` if the answer says nothing."""
    if answer.status in _REFUSALS:
        with suppress(UnreadableAnswer):  # then it is not Swift's refusal
            raise Declined(CARRIER, f"HTTP {answer.status}: {read_refusal(answer.body)}")
    require_content(answer)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        shown = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableAnswer(CARRIER, "not JSON", body) from fault
    if not isinstance(shown, dict):
        raise UnreadableAnswer(CARRIER, "not a JSON object", body)
    return shown


def _entry(shown: object, body: bytes) -> CoverageEntry:
    """Read one group. Its fields are in `value`; `key` only repeats their names."""
    value = shown.get("value") if isinstance(shown, dict) else None
    quantity = _count(shown.get("quantity")) if isinstance(shown, dict) else None
    if not isinstance(value, dict) or quantity is None:
        raise UnreadableAnswer(CARRIER, "a group without its fields or its number", body)
    return CoverageEntry({str(name): str(one) for name, one in value.items() if one is not None}, quantity)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
