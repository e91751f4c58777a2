"""Read one HTTP answer of Bandwidth's: as an event, as a view of an order, or as nothing that can be relied on.

Knows status codes and what the bodies mean. Does not know why something was asked, and sends nothing: that is for the
conversations in `adapter` and `disconnects`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from number_orders.carriers.bandwidth.facts import (
    CARRIER,
    CARRIER_ORDER_ID,
    CLOCK_DIFFERENCE_MAX,
    CODE,
    DOUBTFUL_CODES,
    FIRST_PAGE,
    NOT_OURS_CODE,
    NOT_OWNED_STATUSES,
    PAGES_MAX,
    RELEASED_STATUSES,
    TIMED_OUT_TEXT,
)
from number_orders.carriers.bandwidth.outcomes import NumberLook, refused_order, says_taken
from number_orders.carriers.bandwidth.xml import (
    CarrierError,
    ListedOrder,
    NumberList,
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

_CONFIGURATION_ERRORS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "the credentials were not accepted",
    HTTPStatus.FORBIDDEN: "the credentials lack the role for this, such as Ordering",
    HTTPStatus.NOT_FOUND: "no such account for these credentials",
}
"""Answers after which nothing was done, and the settings or the account must be corrected."""
OrderReader = Callable[[bytes], OrderView]

_LAST: Final = datetime.max.replace(tzinfo=UTC)
"""Sorts what has no date behind everything that has one."""


def decode_submission(
    order: Order, answer: CarrierAnswer, *, read: OrderReader = read_order, parent: str = "/orders"
) -> Event:
    """Return the event for the answer to the POST of an order. Everything that is not certain is `AnswerLost`.

    Args:
        order: The order that was sent.
        answer: Its answer.
        read: Reads the body of a success.
        parent: What the path in the `Location` header has before the id.
    """
    if is_success(answer):
        return _decode_success(order, answer, read, parent)
    if answer.status == HTTPStatus.BAD_REQUEST:
        return _decode_bad_request(order, answer)
    if reason := _CONFIGURATION_ERRORS.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {reason}")
    return AnswerLost(f"HTTP {answer.status} instead of an answer to the order")


def _decode_success(order: Order, answer: CarrierAnswer, read: OrderReader, parent: str) -> Event:
    try:
        view = read(answer.body) if answer.body.strip() else None
    except UnreadableAnswer as error:
        return AnswerLost(f"HTTP {answer.status} and {error.why}")
    if view and view.reference not in {None, order.reference}:
        return AnswerLost(f"HTTP {answer.status}, and the answer is about another order")
    order_id = (view.carrier_order_id if view else None) or id_in_location(answer.headers.get("location", ""), parent)
    if order_id is None or not CARRIER_ORDER_ID.fullmatch(order_id):
        return AnswerLost(f"HTTP {answer.status} without an order id")
    return Acknowledged(CarrierOrderId(order_id), view.status if view else None)


def _decode_bad_request(order: Order, answer: CarrierAnswer) -> Event:
    """Return a refusal, or `AnswerLost` if the order may have been made all the same."""
    if TIMED_OUT_TEXT.encode() in answer.body.lower():
        return AnswerLost("HTTP 400: the carrier's own request timed out")
    try:
        rejection = read_rejection(answer.body)
    except UnreadableAnswer as error:
        return AnswerLost(f"HTTP 400 and {error.why}")
    if rejection.reference not in {None, order.reference}:
        return AnswerLost("HTTP 400, and the answer is about another order")
    codes = {error.code for error in rejection.errors if error.code and CODE.fullmatch(error.code)}
    errors = "; ".join(map(str, rejection.errors[:3])) or "no error at all"
    if rejection.carrier_order_id or not codes or codes & DOUBTFUL_CODES:
        return AnswerLost(f"HTTP 400 that is no refusal: {errors}")
    if order.may_have_arrived and says_taken(rejection.errors):
        return AnswerLost(f"{errors}, which after a lost attempt may mean that we already own it")
    return refused_order(order, rejection.errors)


def id_in_location(location: str, parent: str) -> str | None:
    """Return the last segment of a `Location` header, or None if what precedes it does not end in `parent`."""
    try:
        head, _, last = urlsplit(location).path.rstrip("/").rpartition("/")
    except ValueError:
        return None
    return last if head.endswith(parent) else None


def decode_order(
    answer: CarrierAnswer, carrier_order_id: str, *, read: OrderReader = read_order
) -> tuple[OrderView, str]:
    """Return the order in an answer, and its status in Bandwidth's word.

    Raises:
        NoAnswer: It is no answer of Bandwidth's.
        UnreadableAnswer: It is not the order that was asked for, or has no status.
    """
    require_content(answer)
    view = read(answer.body)
    if view.carrier_order_id and view.carrier_order_id.casefold() != carrier_order_id.casefold():
        raise UnreadableAnswer(CARRIER, f"asked for order {carrier_order_id}, got another", answer.body)
    if view.status is None:
        raise UnreadableAnswer(CARRIER, "an order without a status", answer.body)
    return view, view.status


def parked_if_not_ours(order: Order, view: OrderView) -> Parked | None:
    """Return `Parked` if what was read as our order has another's reference.

    An order that a person adopted under a wrong id must not end on somebody else's purchase.
    """
    if view.reference in {None, order.reference}:
        return None
    mismatch = f"{order.carrier_order_id} bears the reference {view.reference!r} and not ours ({order.reference})"
    shown = f"{view.status}, numbers: {len(view.completed.listed)}"
    return Parked(f"{CARRIER}'s order {mismatch}; it stands at {shown}, and nothing of that was taken for ours")


def may_be_forgotten(order: Order, view: OrderView) -> bool:
    """Return whether what was done after the purchase may be forgotten: it was made before the ledger fell back.

    An order that was accepted after that, and sent, was looked for first and was not there.
    """
    if order.history_lost_at is None or (order.sends and order.accepted_at >= order.history_lost_at):
        return False
    return view.created_at is None or view.created_at < order.history_lost_at + CLOCK_DIFFERENCE_MAX


def decode_own_list(answer: CarrierAnswer) -> NumberList | None:
    """Return an order's own list of numbers (`/orders/{id}/tns`), or None if Bandwidth keeps none for it."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if answer.status == HTTPStatus.NO_CONTENT:
        return NumberList()
    require_content(answer)
    return read_numbers(answer.body)


def was_released(answer: CarrierAnswer, account_id: str) -> bool:
    """Return whether the number was this account's and is not any more, as far as the account can see."""
    number = _number_of_account(answer, account_id)
    return number is not None and (number.status or "").upper() in RELEASED_STATUSES


def decode_look(answer: CarrierAnswer, account_id: str, carrier_order_id: CarrierOrderId | None = None) -> NumberLook:
    """Return what a look at one number shows.

    Args:
        answer: Bandwidth's answer to the question about the number.
        account_id: Our account.
        carrier_order_id: Set if it matters which order has bought the number: only this one's is ours.

    Raises:
        NoAnswer: It is no answer of Bandwidth's, so the number may be looked up again.
        UnreadableAnswer: It is not about a number.
    """
    match answer.status:
        case HTTPStatus.NOT_FOUND:
            return NumberLook(False, "not bought: the number is not on this account (HTTP 404)")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_MANY_REQUESTS:
            raise NoAnswer(error_text(answer))
        case status if status // 100 == HTTPStatus.BAD_REQUEST // 100:
            if NOT_OURS_CODE in {error.code for error in decode_errors(answer)}:
                return NumberLook(False, f"not bought: the number is not on this account ({error_text(answer)})")
            return NumberLook(None, f"it could not be looked up: {error_text(answer)}")
    require_content(answer)
    return _look_at(read_number(answer.body), account_id, carrier_order_id)


def _look_at(number: NumberView, account_id: str, carrier_order_id: CarrierOrderId | None) -> NumberLook:
    status, buyer = number.status or "without a status", number.carrier_order_id
    if number.account_id not in {None, account_id}:
        return NumberLook(False, "not bought: the number is another account's")
    if status.upper() in NOT_OWNED_STATUSES:
        return NumberLook(False, f"not bought: the carrier shows the number as {status}")
    if carrier_order_id and buyer and buyer.casefold() != carrier_order_id.casefold():
        return NumberLook(False, f"not bought by this order: the carrier's order {buyer} has the number")
    if number.account_id is None and not buyer:
        return NumberLook(None, f"the carrier shows the number as {status}, and not whose it is")
    return NumberLook(True, f"the carrier shows the number as {status} on this account")


def buying_order(answer: CarrierAnswer, account_id: str) -> CarrierOrderId | None:
    """Return the order that bought a number, if the number is this account's."""
    number = _number_of_account(answer, account_id)
    if number is None or not number.carrier_order_id:
        return None
    return CarrierOrderId(number.carrier_order_id) if CARRIER_ORDER_ID.fullmatch(number.carrier_order_id) else None


def _number_of_account(answer: CarrierAnswer, account_id: str) -> NumberView | None:
    """Return the number in an answer, or None if it is another account's or nobody's."""
    if answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return None
    if not is_success(answer) and NOT_OURS_CODE in {error.code for error in decode_errors(answer)}:
        return None
    require_content(answer)
    number = read_number(answer.body)
    return number if number.account_id in {None, account_id} else None


def decode_disconnect_page(answer: CarrierAnswer) -> OrderPage:
    """Return a page of the list of disconnects. Bandwidth answers 404 to an account that has none."""
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.NO_CONTENT}:
        return OrderPage((), 0, None)
    require_content(answer)
    return read_page(answer.body)


def nearest_candidates(listed: Iterable[ListedOrder], order: Order) -> list[CarrierOrderId]:
    """Return the listed orders that may be ours, by how near in time they are to the doubt; without a date last."""
    doubted_at, earliest = order.doubt_since or order.accepted_at, order.accepted_at - CLOCK_DIFFERENCE_MAX
    possible = [
        one
        for one in listed
        if (one.created_at is None or one.created_at >= earliest or order.history_lost_at)
        and one.reference in {None, order.reference}
        and CARRIER_ORDER_ID.fullmatch(one.carrier_order_id or "")
    ]
    possible.sort(key=lambda one: abs((one.created_at or _LAST) - doubted_at))
    return list(dict.fromkeys(CarrierOrderId(str(one.carrier_order_id)) for one in possible))


class OrderList:
    """Collects the orders with our reference, page by page."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._ours: list[ListedOrder] = []
        self._pages = [FIRST_PAGE]
        self._seen: set[str] = set()
        self._without_id = 0
        self._total = 0
        self._is_whole = False

    def add(self, answer: CarrierAnswer) -> str | None:
        """Read one page and return the next one to ask for; None if there is nothing left to ask."""
        page = _decode_page(answer)
        # No document says how exactly the filter matches, so the reference is compared here.
        self._ours += (order for order in page.orders if order.reference == self._reference)
        ids = [order.carrier_order_id for order in page.orders if order.carrier_order_id]
        self._seen.update(ids)
        self._without_id += len(page.orders) - len(ids)
        self._total = max(self._total, page.total or 0)
        next_page = page.next_page
        self._is_whole = self._shown >= self._total and (next_page is None or page.total is not None)
        if self._is_whole or next_page is None or next_page in self._pages or len(self._pages) == PAGES_MAX:
            return None
        self._pages.append(next_page)
        return next_page

    @property
    def _shown(self) -> int:
        """How many orders the list has shown. One that two pages show counts once: it hides another."""
        return len(self._seen) + self._without_id

    def found(self, *, all_wanted: bool) -> dict[CarrierOrderId, str | None]:
        """Return our orders and their statuses, the oldest first.

        Args:
            all_wanted: Each of them matters. Otherwise any one is enough, however much of the list was shown.

        Raises:
            NoAnswer: The list did not show all that it has, and one of ours may be missing.
            UnreadableAnswer: Ours is listed without an id.
        """
        if not self._is_whole and (all_wanted or not self._ours):
            raise NoAnswer(f"the list of orders shows {self._shown} of {self._total or 'unknown'}")
        oldest_first = sorted(self._ours, key=lambda order: order.created_at or _LAST)
        return {_valid_id(order.carrier_order_id): order.status for order in oldest_first}


def _decode_page(answer: CarrierAnswer) -> OrderPage:
    """Return a page of the list of orders. A 404 is accepted if its body is an empty list."""
    if answer.status != HTTPStatus.NOT_FOUND:
        require_content(answer)
        return read_page(answer.body)
    try:
        page = read_page(answer.body)
    except UnreadableAnswer as error:
        raise NoAnswer("HTTP 404 for the list of orders") from error
    if page.orders:
        raise NoAnswer("HTTP 404 with orders in it")
    return page


def _valid_id(listed: str | None) -> CarrierOrderId:
    if not listed or not CARRIER_ORDER_ID.fullmatch(listed):
        raise UnreadableAnswer(CARRIER, "our order is listed without an id to ask for")
    return CarrierOrderId(listed)


def require_content(answer: CarrierAnswer) -> None:
    """Raise `NoAnswer` unless this can be a success of Bandwidth's: not an error, not empty, not a gateway's page."""
    if not is_success(answer):
        raise NoAnswer(error_text(answer))
    require_body(answer)


def error_text(answer: CarrierAnswer) -> str:
    """Return the status of an answer that is no success, with its first three errors."""
    errors = "; ".join(map(str, decode_errors(answer)[:3]))
    return status_and_text(answer, _CONFIGURATION_ERRORS.get(answer.status) or errors)


def decode_errors(answer: CarrierAnswer) -> tuple[CarrierError, ...]:
    """Return the errors in an answer; none if the body is not XML."""
    try:
        return read_errors(answer.body) if answer.body.strip() else ()
    except UnreadableAnswer:
        return ()
