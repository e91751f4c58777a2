"""Bandwidth's answers to questions about no order: searches, country restrictions, one number, numbers in service.

Has the inquiries. `available_numbers` knows which searches there are, `records` reads the XML. Opens no socket, reads
no clock, retries nothing.

Source: Bandwidth's page "Order Numbers"; Bandwidth/api-docs, site/specs/numbers_v2.yml, site/docs/numbers/errors.mdx.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers.bandwidth.answers import decode_errors, require_content
from number_orders.carriers.bandwidth.available_numbers import (
    NUMBER_TYPES,
    criteria_format_faults,
    place_parameters,
    search_faults,
    search_query,
)
from number_orders.carriers.bandwidth.facts import (
    CARRIER,
    FIRST_PAGE,
    IN_SERVICE_PAGE_SIZE,
    SEARCH_FAILED_CODES,
    TIMED_OUT_TEXT,
)
from number_orders.carriers.bandwidth.records import (
    read_held,
    read_holdings,
    read_offers,
    read_restrictions,
)
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
from number_orders.carriers.holdings import HoldingsPage
from number_orders.carriers.http.answers import is_success
from number_orders.carriers.market import (
    HeldNumber,
    Holdings,
    InServiceQuery,
    Market,
    Offers,
    Restriction,
    RestrictionsQuery,
    SearchQuery,
    Topic,
)
from number_orders.orders.errors import Declined, Fault, InquiryRefused, NoAnswer
from number_orders.orders.model import CarrierName, Criteria
from number_orders.orders.numbers import E164

_HOLDINGS_FILTERS: Final = frozenset(
    {"country", "number_type", "npa", "nxx", "thousands_block", "city", "state", "rate_center", "lata"}
)
_CLIENT_ERRORS: Final = range(400, 500)


class BandwidthMarket(Market):
    """The questions that Bandwidth answers about one account."""

    offers = frozenset({Topic.SEARCH, Topic.RESTRICTIONS, Topic.NUMBER, Topic.NUMBERS})

    def __init__(self, account_id: str) -> None:
        super().__init__(CarrierName(CARRIER))
        self._account = f"/api/v2/accounts/{quote(account_id, safe='')}"

    def search(self, query: SearchQuery) -> Inquiry[Offers]:
        """Ask which numbers can be bought. Fewer than asked for is normal, and none is not an error."""
        _refuse_if_any(search_faults(query))
        answer = yield _get(f"{self._account}/availableNumbers", search_query(query))
        require_answered(answer)
        return read_offers(answer.body)

    def restrictions(self, query: RestrictionsQuery) -> Inquiry[tuple[Restriction, ...]]:
        """Ask under which rules a country's numbers are sold. The rules are the same for all number types."""
        criteria = Criteria(country=query.country, number_type=query.number_type)
        _refuse_if_any(tuple(criteria_format_faults(criteria)))
        answer = yield _get("/api/v2/restrictions", {"countryCodeA3": query.country})
        require_answered(answer)
        return read_restrictions(answer.body, query.country)

    def number(self, e164: E164) -> Inquiry[HeldNumber]:
        """Ask what is on record about a number."""
        answer = yield _get(f"/api/v2/tns/{quote(e164, safe='')}", {})
        require_answered(answer, missing=f"{e164} is not on record")
        return read_held(answer.body, e164)

    def numbers(self, query: InServiceQuery) -> Inquiry[Holdings]:
        """Read the numbers in service, page by page, up to the limit."""
        _refuse_if_any(tuple(_holdings_faults(query)))
        parameters, limit = _holdings_parameters(query.criteria), query.limit
        found: dict[E164, HeldNumber] = {}
        page: str | None = FIRST_PAGE
        total, unreadable = None, 0
        while page and (limit is None or len(found) < limit):
            answer = yield _get(f"{self._account}/inserviceNumbers", {"page": page, **parameters})
            shown, known = decode_holdings_page(answer), len(found)
            found.update((held.e164, held) for held in shown.listed)
            total, unreadable = shown.total, unreadable + shown.unreadable
            page = shown.next_page if len(found) > known else None  # a page without new numbers is the last
        return Holdings(tuple(found.values())[:limit], total, unreadable)


def _get(path: str, parameters: Mapping[str, str]) -> CarrierRequest:
    return CarrierRequest("GET", path, Purpose.READ, parameters)


def _holdings_parameters(criteria: Criteria) -> dict[str, str]:
    parameters = {"size": str(IN_SERVICE_PAGE_SIZE), **place_parameters(criteria)}
    if criteria.number_type is not None:
        parameters["phoneNumberType"] = NUMBER_TYPES[criteria.number_type]
    return parameters


def _holdings_faults(query: InServiceQuery) -> Iterator[Fault]:
    if query.limit is not None and query.limit < 1:
        yield Fault("limit", "must be 1 or more")
    given = query.criteria.given()
    yield from criteria_format_faults(query.criteria)
    for field in sorted(given - _HOLDINGS_FILTERS):
        yield Fault(f"criteria.{field}", f"cannot be asked by: Bandwidth knows {', '.join(sorted(_HOLDINGS_FILTERS))}")
    if "state" in given and not given & {"rate_center", "city"}:
        yield Fault("criteria.state", "needs criteria.rate_center or criteria.city beside it")


def decode_holdings_page(answer: CarrierAnswer) -> HoldingsPage:
    """Return a page. Bandwidth answers 204 to an account that has no such numbers."""
    if answer.status == HTTPStatus.NO_CONTENT:
        return HoldingsPage((), total=0)
    require_answered(answer, missing="no such account, or a filter that it does not take")
    return read_holdings(answer.body)


def _refuse_if_any(faults: tuple[Fault, ...]) -> None:
    if faults:
        raise InquiryRefused(faults)


def require_answered(answer: CarrierAnswer, *, missing: str | None = None) -> None:
    """Raise `Declined` if Bandwidth refused, and `NoAnswer` if it may answer later or a setting must be corrected."""
    errors = decode_errors(answer)
    text = "; ".join(map(str, errors[:3]))
    if TIMED_OUT_TEXT in text.lower() or any(error.code in SEARCH_FAILED_CODES for error in errors):
        raise NoAnswer(f"HTTP {answer.status}: {text}")
    if errors and (is_success(answer) or answer.status in _CLIENT_ERRORS):
        raise Declined(CARRIER, text, errors[0].code)
    if missing and answer.status == HTTPStatus.NOT_FOUND:
        raise Declined(CARRIER, f"HTTP 404: {missing}")
    require_content(answer)
