"""Swift's inventory coverage: how many numbers there are, by any of its six fields; never which.

Holds the conversation and the rules of the coverage search alone, and what Swift's page says of it. Opens no socket.

Source: Swift's page "Number Ordering", schema "Inventory Coverage".
"""

import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from carriers.market import CountBy, Coverage, CoverageEntry, Market, Topic
from orders.errors import Declined, Fault, InquiryRefused, NoAnswer, UnreadableAnswer
from orders.model import CarrierName, Criteria

CARRIER: Final = "swift"

# --- Documented -------------------------------------------------------------------------------

_PATH: Final = "/api/v1/inventory/coverage"
_NUMBER_TYPE: Final = "tendlc"
GROUPS: Final = ("npa", "nxx", "lata", "state", "rate_center", "country_code")
"""What can be grouped by."""
_FILTERS: Final = ("npa", "nxx", "lata", "state", "rate_center", "country")
_TYPE: Final = "inventory_coverage"

# --- INFERRED ---------------------------------------------------------------------------------

_CALLING_CODES: Final[Mapping[str, str]] = {"USA": "1", "CAN": "1"}
"""A country code is a calling code: the page's example of an order has "1". Swift's numbers are North American."""

_THREE_DIGITS: Final = re.compile(r"[2-9][0-9]{2}")
_FORMATS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "npa": (_THREE_DIGITS, "must be an area code: three digits, the first 2-9"),
    "nxx": (_THREE_DIGITS, "must be an exchange: three digits, the first 2-9"),
    "lata": (re.compile(r"[0-9]{1,5}"), "must be a LATA: up to five digits"),
    "state": (re.compile(r"[A-Za-z]{2}"), "must be two letters, such as ON"),
    "rate_center": (re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,100}"), "must be 1 to 100 printable characters"),
}
_SAID_MAX: Final = 200
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})
"""No page shows an error. These are what a refused query is answered with elsewhere."""
_TO_MEND: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "the API key was not accepted",
    HTTPStatus.FORBIDDEN: "the API key lacks the permission for this",
}


class SwiftMarket(Market):
    """The question that Swift answers: coverage."""

    offers = frozenset({Topic.COVERAGE})

    def __init__(self) -> None:
        super().__init__(CarrierName(CARRIER))

    def coverage(self, wanted: CountBy) -> Inquiry[Coverage]:
        """Ask how many numbers there are."""
        if faults := tuple(coverage_faults(wanted)):
            raise InquiryRefused(faults)
        answer = yield CarrierRequest("GET", _PATH, Purpose.READ, _query(wanted), accept="application/json")
        _require_answered(answer)
        return read_coverage(answer.body)


def coverage_faults(wanted: CountBy) -> Iterator[Fault]:
    """Yield everything that Swift would not take."""
    criteria = wanted.criteria
    if criteria.number_type not in {None, _NUMBER_TYPE}:
        yield Fault("criteria.number_type", f"must be {_NUMBER_TYPE}: Swift has no other")
    if criteria.country not in {None, *_CALLING_CODES}:
        yield Fault("criteria.country", f"must be one of {', '.join(_CALLING_CODES)}")
    for field, (pattern, rule) in _FORMATS.items():
        value = getattr(criteria, field)
        if value is not None and not pattern.fullmatch(value):
            yield Fault(f"criteria.{field}", rule)
    for field in sorted(criteria.given() - {*_FILTERS, "number_type"}):
        yield Fault(f"criteria.{field}", f"cannot be asked by: Swift knows {', '.join(_FILTERS)}")
    for field in wanted.group_by:
        if field not in GROUPS:
            yield Fault("group_by", f"{field} is none of {', '.join(GROUPS)}")


def read_coverage(body: bytes) -> Coverage:
    """Read the counts. A group whose fields or number cannot be read makes the whole unreadable: a sum must be right.

    Raises:
        UnreadableAnswer: Not JSON, or not what the page describes.
    """
    told = _parsed(body)
    if told.get("type") not in {_TYPE, None}:
        raise UnreadableAnswer(CARRIER, f"{told.get('type')!r:.40} is no coverage", body)
    data = told.get("data")
    entries = data.get("entries") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(entries, list):
        raise UnreadableAnswer(CARRIER, "a coverage without entries", body)
    return Coverage(tuple(_entry(one, body) for one in entries), _count(data.get("quantity")))


def _query(wanted: CountBy) -> dict[str, str | tuple[str, ...]]:
    criteria: Criteria = wanted.criteria
    filters = {
        "npa": criteria.npa,
        "nxx": criteria.nxx,
        "lata": criteria.lata,
        "state": criteria.state.upper() if criteria.state else None,
        "rate_center": criteria.rate_center,
        "country_code": _CALLING_CODES[criteria.country] if criteria.country else None,
    }
    query: dict[str, str | tuple[str, ...]] = {"number_type": _NUMBER_TYPE}
    if wanted.group_by:
        query["group_by[]"] = tuple(dict.fromkeys(wanted.group_by))
    return query | {name: value for name, value in filters.items() if value is not None}


def _require_answered(answer: CarrierAnswer) -> None:
    if answer.status == HTTPStatus.OK:
        return
    said = " ".join(answer.body[:_SAID_MAX].decode(errors="replace").split())
    words = f"HTTP {answer.status}: {_TO_MEND.get(answer.status) or said or 'no words'}"
    if answer.status in _REFUSALS:
        raise Declined(CARRIER, words)
    raise NoAnswer(words)


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
