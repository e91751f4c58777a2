"""Read one HTTP answer of CM.com's: as an event, or as nothing that can be relied on.

Knows status codes, and compares a status with the numbers beside it. Does not know why something was asked, and sends
nothing: that is for the conversations in `adapter`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from number_orders.carriers.cm.facts import (
    CARRIER,
    NANPA,
    PAGE_SIZE,
    PAGES_MAX,
    SKIP,
    TAKE,
    TIMED_OUT,
    TOTAL_HEADER,
    StatusMeaning,
    normalized,
)
from number_orders.carriers.cm.json import (
    RequestView,
    has_reference,
    is_reference,
    read_list,
    read_rejection,
    read_request,
    reference_of,
)
from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.answers import is_success, require_body, status_and_text
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    CalledBack,
    Event,
    Filled,
    FilledWithErrors,
    NotSent,
    Parked,
    PartlyFilled,
    Refused,
    StillOpen,
)
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState, Order

_CONFIGURATION_ERRORS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "the product token was not accepted",
    HTTPStatus.FORBIDDEN: "the product token may not order numbers",
    HTTPStatus.NOT_FOUND: "no such account for this product token",
}

_INVALID_TEXT: Final = "not a valid number: no numbering plan has it, and the carrier shows it like this"
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


def decode_submission(order: Order, answer: CarrierAnswer) -> Event:
    """Return the event for the answer to the POST. Everything that is not certain is `AnswerLost`."""
    if is_success(answer):
        return _decode_success(order, answer)
    if answer.status in _REFUSALS:
        return _decode_refusal(answer)
    if reason := _CONFIGURATION_ERRORS.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {reason}")
    return AnswerLost(f"HTTP {answer.status} instead of an answer to the number request")


def _decode_success(order: Order, answer: CarrierAnswer) -> Event:
    try:
        view = _read(order, answer)
    except UnreadableAnswer as error:
        return AnswerLost(f"HTTP {answer.status} and {error.why}")
    if view.comment is not None and not has_reference(view.comment, reference_of(order)):
        return AnswerLost(f"HTTP {answer.status}, and the answer is about another number request")
    if view.guid is None:
        return AnswerLost(f"HTTP {answer.status} without the guid of the number request")
    return Acknowledged(view.guid, view.status)


def _decode_refusal(answer: CarrierAnswer) -> Event:
    """Return a refusal, or `AnswerLost` if a number request may have been made all the same."""
    if TIMED_OUT.search(answer.body):
        return AnswerLost(f"HTTP {answer.status}: something timed out at the carrier")
    try:
        rejection = read_rejection(answer.body)
    except UnreadableAnswer as error:
        return AnswerLost(f"HTTP {answer.status} and {error.why}")
    return Refused(rejection.reason, rejection.code)


def decode_request(order: Order, answer: CarrierAnswer) -> tuple[RequestView, str]:
    """Return the number request in an answer, and its status in CM.com's word.

    Raises:
        NoAnswer: It is no answer of CM.com's.
        UnreadableAnswer: It is not the number request that was asked for, or has no status.
    """
    require_content(answer)
    view = _read(order, answer)
    if view.guid is not None and view.guid != str(order.carrier_order_id).lower():
        raise UnreadableAnswer(CARRIER, f"asked for {order.carrier_order_id}, got another", answer.body)
    if view.status is None:
        raise UnreadableAnswer(CARRIER, "a number request without a status", answer.body)
    return view, view.status


def parked_if_not_ours(order: Order, view: RequestView) -> Parked | None:
    """Return `Parked` if the number request that was read as ours does not bear our reference.

    An order that a person adopted under a wrong guid must not end on somebody else's purchase, nor cancel it.
    """
    if not view.has_comment or has_reference(view.comment, reference_of(order)):
        return None
    bears = f"bears the comment {view.comment[:100]!r}" if view.comment else "bears no comment"
    mismatch = f"{order.carrier_order_id} {bears} and not ours ({reference_of(order)})"
    shown = f"{view.status}, numbers: {len(view.numbers)}"
    return Parked(f"{CARRIER}'s order {mismatch}; it stands at {shown}, and nothing of that was taken for ours")


def event_for(order: Order, view: RequestView, status: str, statuses: Mapping[str, StatusMeaning]) -> Event:
    """Return the event for a number request, from its status and the numbers beside it."""
    got = tuple(
        NumberResult(number, NumberState.ACQUIRED, None, _INVALID_TEXT if number in view.invalid else None)
        for number in view.numbers
    )
    match statuses.get(normalized(status)):
        case None:
            return StillOpen(status, got, view.reason, slow=True, unheard_of=True)
        case StatusMeaning.OPEN:
            return StillOpen(status, got, view.reason, slow=True)
        case StatusMeaning.COMPLETED:
            return _completed(order, view, status, got)
        case StatusMeaning.REJECTED:
            return _ended_unfilled(view, status, got, view.reason or "rejected without a reason")
        case StatusMeaning.CANCELLED:
            why = f"cancelled at the carrier: {view.reason}" if view.reason else "cancelled at the carrier"
            if order.cancel_asked_at is not None and not got:
                return CalledBack(why, status)
            return _ended_unfilled(view, status, got, why)


def _completed(order: Order, view: RequestView, status: str, got: tuple[NumberResult, ...]) -> Event:
    """Return the end that is shown. Whether fewer numbers than ordered are believed yet is judged elsewhere."""
    wanted = order.request.wanted
    if not got:  # numbers may appear later than the status, and none of ours may be missed: this is never believed
        return StillOpen(
            status, got, f"the carrier says {status}, and shows {len(got)} of {wanted} numbers so far", slow=True
        )
    if view.has_duplicates or view.invalid or len(got) > wanted:
        conflict = f"shows {len(got)} numbers where {wanted} were ordered"
        if view.has_duplicates:
            conflict = "names a number twice"
        elif view.invalid:
            conflict = f"shows numbers that cannot be valid: {', '.join(sorted(view.invalid)[:20])}"
        return FilledWithErrors(status, got, f"the carrier says {status}, yet {conflict}")
    if len(got) < wanted:
        return PartlyFilled(status, got, view.reason or f"the carrier assigned {len(got)} of {wanted} numbers")
    return Filled(status, got)


def _ended_unfilled(view: RequestView, status: str, got: tuple[NumberResult, ...], reason: str) -> Event:
    if got:
        return FilledWithErrors(status, got, f"the carrier says {status} ({reason}), yet shows {len(got)} numbers")
    return Refused(reason, carrier_status=status)


class RequestList:
    """Collects the number requests with our reference, page by page."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._ours: dict[CarrierOrderId, RequestView] = {}
        self._seen: set[CarrierOrderId] = set()
        self._skipped = 0
        self._pages = 0
        self._total: int | None = None
        self._has_comments = False
        self._has_references = False
        self._is_whole = False

    def add(self, answer: CarrierAnswer) -> int | None:
        """Read one page and return how many requests to skip for the next; None if there is nothing left to ask."""
        require_content(answer)
        page = read_list(answer.body)
        guids = [_valid_guid(view, answer) for view in page]
        # CM.com cannot search for a comment, so each is compared here.
        self._ours |= {
            guid: view for guid, view in zip(guids, page, strict=True) if has_reference(view.comment, self._reference)
        }
        self._has_comments = self._has_comments or any(view.has_comment for view in page)
        self._has_references = self._has_references or any(is_reference(view.comment) for view in page)
        self._skipped += len(page)
        self._pages += 1
        self._total = _total(answer) if _total(answer) is not None else self._total
        has_new = not self._seen.issuperset(guids)
        self._seen.update(guids)
        # A short page is not the last one: CM.com may return fewer than it is asked for.
        self._is_whole = not page or (self._total is not None and self._skipped >= self._total)
        return None if self._is_whole or not has_new or self._pages == PAGES_MAX else self._skipped

    @property
    def shows_references(self) -> bool:
        """Whether the list shows references of ours, or is empty: then one that is not there was not made."""
        return self._has_references or not self._seen

    def found(self, *, all_wanted: bool) -> dict[CarrierOrderId, RequestView]:
        """Return the number requests with our reference, the oldest first.

        Args:
            all_wanted: Each of them matters. Otherwise any one is enough, however much of the list was shown.

        Raises:
            NoAnswer: The list did not show all that it has, and one of ours may be missing.
            UnreadableAnswer: The list shows no comments, so ours cannot be found in it.
        """
        shown, is_whole = len(self._seen), self._is_whole and len(self._seen) >= (self._total or 0)
        if not is_whole and (all_wanted or not self._ours):
            raise NoAnswer(f"the list of number requests shows {shown} of {self._total or 'unknown'}")
        if self._ours:
            oldest_first = sorted(self._ours.items(), key=lambda named: named[1].created_on or _LAST)
            return dict(oldest_first)
        if self._seen and not self._has_comments:
            raise UnreadableAnswer(CARRIER, "the list of number requests shows no comments, so it proves nothing")
        return {}


def _read(order: Order, answer: CarrierAnswer) -> RequestView:
    criteria = order.request.criteria
    nanpa = criteria is not None and criteria.country in NANPA
    return read_request(answer.body, nanpa=nanpa, in_ranges=order.request.range_size is not None)


def page_query(skip: int) -> Mapping[str, str]:
    """Return the query for one page of the list."""
    return {SKIP: str(skip), TAKE: str(PAGE_SIZE)}


def _total(answer: CarrierAnswer) -> int | None:
    text = answer.headers.get(TOTAL_HEADER, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len("999999999") else None


def _valid_guid(view: RequestView, answer: CarrierAnswer) -> CarrierOrderId:
    if view.guid is None:
        raise UnreadableAnswer(CARRIER, "a number request is listed without a guid", answer.body)
    return view.guid


def require_content(answer: CarrierAnswer) -> None:
    """Check that this can be a success of CM.com's: not an error, not empty, not a gateway's page.

    Raises:
        NoAnswer: It is one of these.
    """
    if not is_success(answer):
        raise NoAnswer(status_and_text(answer, _CONFIGURATION_ERRORS.get(answer.status) or _reason(answer)))
    require_body(answer)


def _reason(answer: CarrierAnswer) -> str | None:
    try:
        return read_rejection(answer.body).reason
    except UnreadableAnswer:
        return None
