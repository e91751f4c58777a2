"""What one HTTP answer of CM.com's says: an event, or nothing to rely on.

Knows status codes, and how to weigh a status against the numbers beside it. Does not know why something was
asked, and asks nothing more: that is the conversation's business (`number_orders.carriers.cm.adapter`).
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
    Meaning,
    same_word,
)
from number_orders.carriers.cm.json import RequestView, bears, read_list, read_rejection, read_request, reference_of
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
    PartlyFilled,
    Refused,
    StillOpen,
)
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState, Order

_TO_MEND: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "the product token was not accepted",
    HTTPStatus.FORBIDDEN: "the product token may not order numbers",
    HTTPStatus.NOT_FOUND: "no such account for this product token",
}
GONE: Final = "404"
"""What stands for the status of a number request that CM.com does not know any more."""

_LAST: Final = datetime.max.replace(tzinfo=UTC)
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


def submitted(order: Order, answer: CarrierAnswer) -> Event:
    """Say what the answer to the POST means. When in doubt it means doubt."""
    if is_success(answer):
        return _accepted(order, answer)
    if answer.status in _REFUSALS:
        return _rejected(answer)
    if to_mend := _TO_MEND.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {to_mend}")
    return AnswerLost(f"HTTP {answer.status} instead of an answer to the number request")


def _accepted(order: Order, answer: CarrierAnswer) -> Event:
    try:
        view = _read(order, answer)
    except UnreadableAnswer as fault:
        return AnswerLost(f"HTTP {answer.status} and {fault.why}")
    if view.comment is not None and not bears(view.comment, reference_of(order)):
        return AnswerLost(f"HTTP {answer.status}, and the answer is about another number request")
    if view.guid is None:
        return AnswerLost(f"HTTP {answer.status} without the guid of the number request")
    return Acknowledged(view.guid, view.status)


def _rejected(answer: CarrierAnswer) -> Event:
    """Tell a refusal from an answer that leaves open whether a request was made."""
    if TIMED_OUT.search(answer.body):
        return AnswerLost(f"HTTP {answer.status}: something timed out at the carrier")
    try:
        rejection = read_rejection(answer.body)
    except UnreadableAnswer as fault:
        return AnswerLost(f"HTTP {answer.status} and {fault.why}")
    return Refused(rejection.reason, rejection.code)


def requested(order: Order, answer: CarrierAnswer) -> tuple[RequestView, str]:
    """Return the number request in an answer, and its status.

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


def judged(order: Order, view: RequestView, status: str, statuses: Mapping[str, Meaning]) -> Event:
    """Say how a number request stands, by its status and the numbers beside it."""
    got = tuple(NumberResult(number, NumberState.ACQUIRED) for number in view.numbers)
    match statuses.get(same_word(status)):
        case None:
            return StillOpen(status, got, view.reason, slow=True, unheard_of=True)
        case Meaning.OPEN:
            return StillOpen(status, got, view.reason, slow=True)
        case Meaning.COMPLETED:
            again = statuses.get(same_word(order.carrier_status or "")) is Meaning.COMPLETED
            return _completed(order, view, status, got, again=again)
        case Meaning.REJECTED:
            return _came_to_nothing(view, status, got, view.reason or "rejected without a reason")
        case Meaning.CANCELLED:
            why = f"cancelled at the carrier: {view.reason}" if view.reason else "cancelled at the carrier"
            if order.cancel_asked_at is not None and not got:
                return CalledBack(why, status)
            return _came_to_nothing(view, status, got, why)


def _completed(order: Order, view: RequestView, status: str, got: tuple[NumberResult, ...], *, again: bool) -> Event:
    wanted = order.request.wanted
    if not got or (len(got) < wanted and not again and not view.doubled):
        # Numbers may show later than the status, and none that is ours may drop out of sight: fewer are believed
        # at the second look, none at all never.
        return StillOpen(
            status, got, f"the carrier says {status}, and shows {len(got)} of {wanted} numbers yet", slow=True
        )
    if view.doubled or len(got) > wanted:
        trouble = "names a number twice" if view.doubled else f"shows {len(got)} numbers where {wanted} were ordered"
        return FilledWithErrors(status, got, f"the carrier says {status}, yet {trouble}")
    if len(got) < wanted:
        return PartlyFilled(status, got, view.reason or f"the carrier assigned {len(got)} of {wanted} numbers")
    return Filled(status, got)


def _came_to_nothing(view: RequestView, status: str, got: tuple[NumberResult, ...], reason: str) -> Event:
    if got:
        return FilledWithErrors(status, got, f"the carrier says {status} ({reason}), yet shows {len(got)} numbers")
    return Refused(reason, carrier_status=status)


class Listing:
    """The number requests with our reference, collected page by page."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._ours: dict[CarrierOrderId, RequestView] = {}
        self._seen: set[CarrierOrderId] = set()
        self._skipped = 0
        self._pages = 0
        self._total: int | None = None
        self._comments = False
        self._is_whole = False

    def add(self, answer: CarrierAnswer) -> int | None:
        """Take in one page and return how many to skip for the next; None when nothing is left to ask."""
        require_content(answer)
        page = read_list(answer.body)
        guids = [_valid_guid(view, answer) for view in page]
        # Comments cannot be searched for, so each is compared here, and whole.
        self._ours |= {
            guid: view for guid, view in zip(guids, page, strict=True) if bears(view.comment, self._reference)
        }
        self._comments = self._comments or any(view.has_comment for view in page)
        self._skipped += len(page)
        self._pages += 1
        self._total = _total(answer) if _total(answer) is not None else self._total
        moved = not self._seen.issuperset(guids)
        self._seen.update(guids)
        # Fewer than a whole page prove nothing: CM.com may give fewer than it is asked for.
        self._is_whole = not page or (self._total is not None and self._skipped >= self._total)
        return None if self._is_whole or not moved or self._pages == PAGES_MAX else self._skipped

    def found(self) -> dict[CarrierOrderId, str | None]:
        """Return our number requests and their status, the oldest first.

        Raises:
            NoAnswer: None was found, but the list did not show everything it has.
            UnreadableAnswer: The list does not show what we search it for.
        """
        if self._ours:
            oldest_first = sorted(self._ours.items(), key=lambda named: named[1].created_on or _LAST)
            return {guid: view.status for guid, view in oldest_first}
        shown = len(self._seen)
        if not self._is_whole or shown < (self._total or 0):
            raise NoAnswer(f"the list of number requests shows {shown} of {self._total or 'unknown'}")
        if self._seen and not self._comments:
            raise UnreadableAnswer(CARRIER, "the list of number requests shows no comments, so it proves nothing")
        return {}


def _read(order: Order, answer: CarrierAnswer) -> RequestView:
    criteria = order.request.criteria
    nanpa = criteria is not None and criteria.country in NANPA
    return read_request(answer.body, nanpa=nanpa, in_ranges=order.request.range_size is not None)


def page_query(skip: int) -> Mapping[str, str]:
    """Return the query for a page of the list."""
    return {SKIP: str(skip), TAKE: str(PAGE_SIZE)}


def _total(answer: CarrierAnswer) -> int | None:
    told = answer.headers.get(TOTAL_HEADER, "").strip()
    return int(told) if told.isascii() and told.isdigit() and len(told) <= len("999999999") else None


def _valid_guid(view: RequestView, answer: CarrierAnswer) -> CarrierOrderId:
    if view.guid is None:
        raise UnreadableAnswer(CARRIER, "a number request is listed without a guid", answer.body)
    return view.guid


def require_content(answer: CarrierAnswer) -> None:
    """Say nothing if this can be an answer of CM.com's.

    Raises:
        NoAnswer: It is a refusal to answer, or a gateway's.
    """
    if not is_success(answer):
        raise NoAnswer(status_and_text(answer, _TO_MEND.get(answer.status) or _reason(answer)))
    require_body(answer)


def _reason(answer: CarrierAnswer) -> str | None:
    try:
        return read_rejection(answer.body).reason
    except UnreadableAnswer:
        return None
