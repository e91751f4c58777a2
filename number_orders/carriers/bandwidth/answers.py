"""What one HTTP answer of Bandwidth's says: an event, a view of an order, or nothing to rely on.

Knows status codes and what stands below them. Does not know why something was asked, and asks nothing
more: that is the conversation's business (`number_orders.carriers.bandwidth.adapter`).
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from number_orders.carriers.bandwidth.facts import (
    CARRIER,
    CARRIER_ORDER_ID,
    CLOCKS_DIFFER,
    CODE,
    FIRST_PAGE,
    GIVEN_UP,
    MAY_HAVE_HAPPENED,
    NOT_OURS_CODE,
    PAGES_MAX,
    TIMED_OUT_WORDS,
)
from number_orders.carriers.bandwidth.outcomes import is_taken, refused_order
from number_orders.carriers.bandwidth.xml import (
    CarrierError,
    ListedOrder,
    Numbers,
    NumberView,
    OrderPage,
    OrderView,
    read_errors,
    read_number,
    read_numbers,
    read_order,
    read_page,
    read_rejection,
)
from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.answers import is_success, require_body, status_and_text
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, AnswerLost, Event, NotSent, Parked
from number_orders.orders.model import CarrierOrderId, Order

_TO_MEND: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "the credentials were not accepted",
    HTTPStatus.FORBIDDEN: "the credentials lack the role for this, such as Ordering",
    HTTPStatus.NOT_FOUND: "no such account for these credentials",
}
Reader = Callable[[bytes], OrderView]

_LAST: Final = datetime.max.replace(tzinfo=UTC)


def submitted(order: Order, answer: CarrierAnswer, *, read: Reader = read_order, below: str = "/orders") -> Event:
    """Say what the answer to the POST means. When in doubt it means doubt."""
    if is_success(answer):
        return _accepted(order, answer, read, below)
    if answer.status == HTTPStatus.BAD_REQUEST:
        return _rejected(order, answer)
    if to_mend := _TO_MEND.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {to_mend}")
    return AnswerLost(f"HTTP {answer.status} instead of an answer to the order")


def _accepted(order: Order, answer: CarrierAnswer, read: Reader, below: str) -> Event:
    try:
        view = read(answer.body) if answer.body.strip() else None
    except UnreadableAnswer as fault:
        return AnswerLost(f"HTTP {answer.status} and {fault.why}")
    if view and view.reference not in {None, str(order.order_id)}:
        return AnswerLost(f"HTTP {answer.status}, and the answer is about another order")
    named = (view.carrier_order_id if view else None) or last_segment(answer.headers.get("location", ""), below)
    if named is None or not CARRIER_ORDER_ID.fullmatch(named):
        return AnswerLost(f"HTTP {answer.status} without an order id")
    return Acknowledged(CarrierOrderId(named), view.status if view else None)


def _rejected(order: Order, answer: CarrierAnswer) -> Event:
    """Tell a refusal from a 400 that leaves open whether the order was made."""
    if TIMED_OUT_WORDS.encode() in answer.body.lower():
        return AnswerLost("HTTP 400: the carrier's own request timed out")
    try:
        rejection = read_rejection(answer.body)
    except UnreadableAnswer as fault:
        return AnswerLost(f"HTTP 400 and {fault.why}")
    if rejection.reference not in {None, str(order.order_id)}:
        return AnswerLost("HTTP 400, and the answer is about another order")
    codes = {error.code for error in rejection.errors if error.code and CODE.fullmatch(error.code)}
    said = "; ".join(map(str, rejection.errors[:3])) or "no error at all"
    if rejection.carrier_order_id or not codes or codes & MAY_HAVE_HAPPENED:
        return AnswerLost(f"HTTP 400 that is no refusal: {said}")
    if order.losses and is_taken(rejection.errors):
        return AnswerLost(f"{said}, which after a lost answer may mean that we already own it")
    return refused_order(order, rejection.errors)


def last_segment(location: str, below: str) -> str | None:
    """Return the id from a Location header, or None when it points elsewhere than `below`."""
    try:
        head, _, last = urlsplit(location).path.rstrip("/").rpartition("/")
    except ValueError:
        return None
    return last if head.endswith(below) else None


def ordered(answer: CarrierAnswer, carrier_order_id: str, *, read: Reader = read_order) -> tuple[OrderView, str]:
    """Return the order in an answer, and its status."""
    require_content(answer)
    view = read(answer.body)
    if view.carrier_order_id and view.carrier_order_id.casefold() != carrier_order_id.casefold():
        raise UnreadableAnswer(CARRIER, f"asked for order {carrier_order_id}, got another", answer.body)
    if view.status is None:
        raise UnreadableAnswer(CARRIER, "an order without a status", answer.body)
    return view, view.status


def about_another(order: Order, view: OrderView) -> Parked | None:
    """Return what follows when what was read as our order bears another's reference; None when it does not.

    An order that a person adopted under a wrong id must not end on somebody else's purchase.
    """
    if view.reference in {None, str(order.order_id)}:
        return None
    theirs = f"{order.carrier_order_id} bears the reference {view.reference!r} and not ours ({order.order_id})"
    standing = f"{view.status}, numbers: {len(view.completed.listed)}"
    return Parked(f"{CARRIER}'s order {theirs}; it stands at {standing}, and nothing of that was taken for ours")


def true_list(answer: CarrierAnswer) -> Numbers | None:
    """Return the order's own list of numbers, or None when Bandwidth keeps none for it."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if answer.status == HTTPStatus.NO_CONTENT:
        return Numbers()
    require_content(answer)
    return read_numbers(answer.body)


def was_given_up(answer: CarrierAnswer, account_id: str) -> bool:
    """Tell whether a number was this account's and is not any more, as far as the account may see."""
    number = _number_shown(answer, account_id)
    return number is not None and (number.status or "").upper() in GIVEN_UP


def bought_by(answer: CarrierAnswer, account_id: str) -> CarrierOrderId | None:
    """Return the order that bought a number, if this account has the number and may see it."""
    number = _number_shown(answer, account_id)
    if number is None or not number.carrier_order_id:
        return None
    return CarrierOrderId(number.carrier_order_id) if CARRIER_ORDER_ID.fullmatch(number.carrier_order_id) else None


def _number_shown(answer: CarrierAnswer, account_id: str) -> NumberView | None:
    """Return a number of this account's; None when it is somebody else's or nobody's."""
    if answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return None
    if not is_success(answer) and NOT_OURS_CODE in {error.code for error in errors_of(answer)}:
        return None
    require_content(answer)
    number = read_number(answer.body)
    return number if number.account_id in {None, account_id} else None


def page_of_disconnects(answer: CarrierAnswer) -> OrderPage:
    """Return a page of the list of disconnects. An account without any is answered 404."""
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.NO_CONTENT}:
        return OrderPage((), 0, None)
    require_content(answer)
    return read_page(answer.body)


def nearest(listed: Iterable[ListedOrder], order: Order) -> list[CarrierOrderId]:
    """Return what may be an order in doubt, the nearest to the moment of doubt first; without a date comes last."""
    doubted_at, earliest = order.doubt_since or order.accepted_at, order.accepted_at - CLOCKS_DIFFER
    possible = [
        one
        for one in listed
        if (one.created_at is None or one.created_at >= earliest)
        and one.reference in {None, str(order.order_id)}
        and CARRIER_ORDER_ID.fullmatch(one.carrier_order_id or "")
    ]
    possible.sort(key=lambda one: abs((one.created_at or _LAST) - doubted_at))
    return list(dict.fromkeys(CarrierOrderId(str(one.carrier_order_id)) for one in possible))


class Listing:
    """The orders with our reference, collected page by page."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._ours: list[ListedOrder] = []
        self._pages = [FIRST_PAGE]
        self._shown = 0
        self._total = 0
        self._is_whole = False

    def add(self, answer: CarrierAnswer) -> str | None:
        """Take in one page and return the next one to ask for; None when nothing is left to ask."""
        page = _page(answer)
        # The filter's match rule is nowhere documented, so it is applied again, exactly.
        self._ours += (order for order in page.orders if order.reference == self._reference)
        self._shown += len(page.orders)
        self._total = max(self._total, page.total or 0)
        following = page.following
        self._is_whole = self._shown >= self._total and (following is None or page.total is not None)
        if self._is_whole or following is None or following in self._pages or len(self._pages) == PAGES_MAX:
            return None
        self._pages.append(following)
        return following

    def found(self) -> dict[CarrierOrderId, str | None]:
        """Return our orders and their status, the oldest first.

        Raises:
            NoAnswer: None was found, but the list did not show everything it has.
            UnreadableAnswer: Ours is listed without an id.
        """
        if not self._ours and not self._is_whole:
            raise NoAnswer(f"the list of orders shows {self._shown} of {self._total or 'unknown'}")
        oldest_first = sorted(self._ours, key=lambda order: order.created_at or _LAST)
        return {_valid_id(order.carrier_order_id): order.status for order in oldest_first}


def _page(answer: CarrierAnswer) -> OrderPage:
    """Return a page of the list of orders; a 404 counts when its body is an empty list."""
    if answer.status != HTTPStatus.NOT_FOUND:
        require_content(answer)
        return read_page(answer.body)
    try:
        page = read_page(answer.body)
    except UnreadableAnswer as fault:
        raise NoAnswer("HTTP 404 for the list of orders") from fault
    if page.orders:
        raise NoAnswer("HTTP 404 with orders in it")
    return page


def _valid_id(listed: str | None) -> CarrierOrderId:
    if not listed or not CARRIER_ORDER_ID.fullmatch(listed):
        raise UnreadableAnswer(CARRIER, "our order is listed without an id to ask for")
    return CarrierOrderId(listed)


def require_content(answer: CarrierAnswer) -> None:
    """Raise `NoAnswer` unless this can be an answer of Bandwidth's and not a gateway's."""
    if not is_success(answer):
        raise NoAnswer(said_in(answer))
    require_body(answer)


def said_in(answer: CarrierAnswer) -> str:
    """Return what an answer that is no success says of itself."""
    return status_and_text(answer, _TO_MEND.get(answer.status) or "; ".join(map(str, errors_of(answer)[:3])))


def errors_of(answer: CarrierAnswer) -> tuple[CarrierError, ...]:
    """Return the errors in an answer; none when it has no XML to read."""
    try:
        return read_errors(answer.body) if answer.body.strip() else ()
    except UnreadableAnswer:
        return ()
