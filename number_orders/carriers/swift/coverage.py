"""Swift's inventory coverage: how many numbers there are, by any of its six fields; never which.

Holds the conversation. Filters are an order's criteria and are judged by the same rules (`swift_rules`).

Source: Swift's page "Number Ordering", schema "Inventory Coverage".
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.market import Coverage, CoverageEntry, CoverageQuery, Market, Topic
from number_orders.carriers.swift.answers import require_content
from number_orders.carriers.swift.facts import (
    ACCEPT,
    CARRIER,
    COUNTRY_CODE,
    COVERAGE,
    COVERAGE_TYPE,
    GROUPS,
    NUMBER_TYPE,
    ROOT,
)
from number_orders.carriers.swift.json import read_refusal
from number_orders.carriers.swift.rules import criteria_faults
from number_orders.orders.errors import Declined, Fault, InquiryRefused, UnreadableAnswer
from number_orders.orders.model import CarrierName

_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})


class SwiftMarket(Market):
    """The question that Swift answers: coverage."""

    offers = frozenset({Topic.COVERAGE})

    def __init__(self) -> None:
        super().__init__(CarrierName(CARRIER))

    def coverage(self, wanted: CoverageQuery) -> Inquiry[Coverage]:
        """Ask how many numbers there are."""
        if faults := tuple(coverage_faults(wanted)):
            raise InquiryRefused(faults)
        answer = yield CarrierRequest("GET", f"{ROOT}{COVERAGE}", Purpose.READ, _query(wanted), accept=ACCEPT)
        _require_answered(answer)
        return read_coverage(answer.body)


def coverage_faults(wanted: CoverageQuery) -> Iterator[Fault]:
    """Yield everything that Swift would not take."""
    yield from criteria_faults(wanted.criteria)
    for field in wanted.group_by:
        if field not in GROUPS:
            yield Fault("group_by", f"{field} is none of {', '.join(GROUPS)}")


def read_coverage(body: bytes) -> Coverage:
    """Read the counts. A group whose fields or number cannot be read makes the whole unreadable: a sum must be right.

    Raises:
        UnreadableAnswer: Not JSON, or not what the page describes.
    """
    told = _parsed(body)
    if told.get("type") not in {COVERAGE_TYPE, None}:
        raise UnreadableAnswer(CARRIER, f"{told.get('type')!r:.40} is no coverage", body)
    data = told.get("data")
    entries = data.get("entries") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(entries, list):
        raise UnreadableAnswer(CARRIER, "a coverage without entries", body)
    return Coverage(tuple(_entry(one, body) for one in entries), _count(data.get("quantity")))


def _query(wanted: CoverageQuery) -> dict[str, str | tuple[str, ...]]:
    criteria = wanted.criteria
    filters = {name: getattr(criteria, name) for name in ("npa", "nxx", "lata", "state", "rate_center")}
    query: dict[str, str | tuple[str, ...]] = {"number_type": NUMBER_TYPE}
    if wanted.group_by:
        query["group_by[]"] = tuple(dict.fromkeys(wanted.group_by))
    if criteria.country is not None:
        query["country_code"] = COUNTRY_CODE
    return query | {name: value for name, value in filters.items() if value is not None}


def _require_answered(answer: CarrierAnswer) -> None:
    """Raise `Declined` for Swift's own refusal, and `NoAnswer` for what says nothing."""
    if answer.status in _REFUSALS:
        with suppress(UnreadableAnswer):  # a gateway's, then
            raise Declined(CARRIER, f"HTTP {answer.status}: {read_refusal(answer.body)}")
    require_content(answer)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableAnswer(CARRIER, "not JSON", body) from fault
    if not isinstance(told, dict):
        raise UnreadableAnswer(CARRIER, "not a JSON object", body)
    return told


def _entry(told: object, body: bytes) -> CoverageEntry:
    """Read one group. Its fields are those of `value`; `key` only repeats their names."""
    value = told.get("value") if isinstance(told, dict) else None
    quantity = _count(told.get("quantity")) if isinstance(told, dict) else None
    if not isinstance(value, dict) or quantity is None:
        raise UnreadableAnswer(CARRIER, "a group without its fields or its number", body)
    return CoverageEntry({str(name): str(one) for name, one in value.items() if one is not None}, quantity)


def _count(told: object) -> int | None:
    return told if isinstance(told, int) and not isinstance(told, bool) and told >= 0 else None
