"""What Bandwidth answers when no order is concerned: searches, country restrictions, one number, numbers in service.

Holds the conversations. Which searches there are stands in `bandwidth_available`, the XML is read in
`bandwidth_records`. Opens no socket, reads no clock, repeats nothing.

Source: Bandwidth's page "Order Numbers"; Bandwidth/api-docs, site/specs/numbers_v2.yml, site/docs/numbers/errors.mdx.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from number_orders.carriers.bandwidth.answers import errors_of, require_content
from number_orders.carriers.bandwidth.available_numbers import (
    NUMBER_TYPES,
    place_parameters,
    search_faults,
    search_query,
    written_faults,
)
from number_orders.carriers.bandwidth.facts import (
    CARRIER,
    FIRST_PAGE,
    IN_SERVICE_PAGE_SIZE,
    SEARCH_AGAIN_CODES,
    TIMED_OUT_WORDS,
)
from number_orders.carriers.bandwidth.records import (
    HoldingsPage,
    read_held,
    read_holdings,
    read_offers,
    read_restrictions,
)
from number_orders.carriers.contract import CarrierAnswer, CarrierRequest, Inquiry, Purpose
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

_HOLDINGS_BY: Final = frozenset(
    {"country", "number_type", "npa", "nxx", "thousands_block", "city", "state", "rate_center", "lata"}
)
_CLIENT_ERRORS: Final = range(400, 500)


class BandwidthMarket(Market):
    """The questions that Bandwidth answers, on one account."""

    offers = frozenset({Topic.SEARCH, Topic.RESTRICTIONS, Topic.NUMBER, Topic.NUMBERS})

    def __init__(self, account_id: str) -> None:
        super().__init__(CarrierName(CARRIER))
        self._account = f"/api/v2/accounts/{quote(account_id, safe='')}"

    def search(self, wanted: SearchQuery) -> Inquiry[Offers]:
        """Ask which numbers can be bought. Fewer than asked for is normal, and none is no error."""
        _require_none(search_faults(wanted))
        answer = yield _get(f"{self._account}/availableNumbers", search_query(wanted))
        _require_answered(answer)
        return read_offers(answer.body)

    def restrictions(self, wanted: RestrictionsQuery) -> Inquiry[tuple[Restriction, ...]]:
        """Ask under which rules numbers of a country are sold. They are the same for every type of number."""
        criteria = Criteria(country=wanted.country, number_type=wanted.number_type)
        _require_none(tuple(written_faults(criteria)))
        answer = yield _get("/api/v2/restrictions", {"countryCodeA3": wanted.country})
        _require_answered(answer)
        return read_restrictions(answer.body, wanted.country)

    def number(self, e164: E164) -> Inquiry[HeldNumber]:
        """Ask what is on record about a number."""
        answer = yield _get(f"/api/v2/tns/{quote(e164, safe='')}", {})
        _require_answered(answer, missing=f"{e164} is not on record")
        return read_held(answer.body, e164)

    def numbers(self, wanted: InServiceQuery) -> Inquiry[Holdings]:
        """Read the numbers in service, page by page, up to the limit."""
        _require_none(tuple(_holdings_faults(wanted)))
        query, limit = _holdings_query(wanted.criteria), wanted.limit
        found: dict[E164, HeldNumber] = {}
        page: str | None = FIRST_PAGE
        total, unreadable = None, 0
        while page and (limit is None or len(found) < limit):
            answer = yield _get(f"{self._account}/inserviceNumbers", {"page": page, **query})
            shown, known = _holdings_page(answer), len(found)
            found.update((e164, HeldNumber(e164)) for e164 in shown.listed)
            total, unreadable = shown.total, unreadable + shown.unreadable
            page = shown.following if len(found) > known else None  # a page without news leads nowhere
        return Holdings(tuple(found.values())[:limit], total, unreadable)


def _get(path: str, query: Mapping[str, str]) -> CarrierRequest:
    return CarrierRequest("GET", path, Purpose.READ, query)


def _holdings_query(criteria: Criteria) -> dict[str, str]:
    query = {"size": str(IN_SERVICE_PAGE_SIZE), **place_parameters(criteria)}
    if criteria.number_type is not None:
        query["phoneNumberType"] = NUMBER_TYPES[criteria.number_type]
    return query


def _holdings_faults(wanted: InServiceQuery) -> Iterator[Fault]:
    if wanted.limit is not None and wanted.limit < 1:
        yield Fault("limit", "must be 1 or more")
    given = wanted.criteria.given()
    yield from written_faults(wanted.criteria)
    for field in sorted(given - _HOLDINGS_BY):
        yield Fault(f"criteria.{field}", f"cannot be asked by: Bandwidth knows {', '.join(sorted(_HOLDINGS_BY))}")
    if "state" in given and not given & {"rate_center", "city"}:
        yield Fault("criteria.state", "needs criteria.rate_center or criteria.city beside it")


def _holdings_page(answer: CarrierAnswer) -> HoldingsPage:
    """Return a page; an account without such numbers is answered 204."""
    if answer.status == HTTPStatus.NO_CONTENT:
        return HoldingsPage((), 0, 0, None)
    _require_answered(answer, missing="no such account, or a filter that it does not take")
    return read_holdings(answer.body)


def _require_none(faults: tuple[Fault, ...]) -> None:
    if faults:
        raise InquiryRefused(faults)


def _require_answered(answer: CarrierAnswer, *, missing: str | None = None) -> None:
    """Raise `Declined` for Bandwidth's own refusal, and `NoAnswer` for what may be asked again or mended here."""
    errors = errors_of(answer)
    said = "; ".join(map(str, errors[:3]))
    if TIMED_OUT_WORDS in said.lower() or any(error.code in SEARCH_AGAIN_CODES for error in errors):
        raise NoAnswer(f"HTTP {answer.status}: {said}")
    if errors and (is_success(answer) or answer.status in _CLIENT_ERRORS):
        raise Declined(CARRIER, said, errors[0].code)
    if missing and answer.status == HTTPStatus.NOT_FOUND:
        raise Declined(CARRIER, f"HTTP 404: {missing}")
    require_content(answer)
