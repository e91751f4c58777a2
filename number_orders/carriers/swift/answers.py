"""Read one HTTP answer of Swift's: as a view of something, as an event, or as nothing that can be relied on.

Knows status codes. Does not know why something was asked, and sends nothing: that is for the conversations in
`adapter`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.answers import is_success, require_body, status_and_text
from number_orders.carriers.swift.facts import (
    AFTER,
    CARRIER,
    LIMIT,
    MAY_BE_CHECKED_OUT,
    OUR_NAME,
    PAGE_SIZE,
    TIMED_OUT,
)
from number_orders.carriers.swift.json import (
    CartView,
    OrderView,
    read_cart,
    read_list,
    read_order,
    read_refusal,
    require_request,
)
from number_orders.carriers.swift.steps import Steps
from number_orders.carriers.swift.taint import says_tainted
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, AnswerLost, Event, NotSent, Parked, Refused
from number_orders.orders.model import CarrierOrderId, Kind, NumberResult, NumberState, Order

_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_CONFIGURATION_ERRORS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "the API key was not accepted",
    HTTPStatus.FORBIDDEN: "the API key has no user with permission for this",
}

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class NothingOrdered:
    """The attempt ordered nothing, and its cart is of no more use. `tainted`: because its numbers are too young."""

    reason: str
    tainted: bool = False


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """A step before the checkout was not accepted, which may pass. `words` are Swift's, if it gave any."""

    status: int
    words: str | None

    @property
    def reason(self) -> str:
        """Why the step was not accepted, for a person to read."""
        return f"HTTP {self.status}: {self.words or 'no reason was given'}"


def decode_cart(order: Order, answer: CarrierAnswer) -> CartView | NotAccepted | Event:
    """Return the cart in the answer to a new cart, or an event. Whatever the answer is, nothing is ordered.

    Raises:
        NoAnswer: The answer says nothing.
        UnreadableAnswer: It is not a cart.
    """
    if is_success(answer):
        return read_cart(answer.body)
    if answer.status == HTTPStatus.NOT_FOUND:
        if order.request.account is None:
            return NotSent("HTTP 404: there are no carts at this address")
        return refuse_outstanding(order, f"Swift knows no account {order.request.account} of this API key", "404")
    if reason := _CONFIGURATION_ERRORS.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {reason}")
    return _decode_refusal(order, answer)


def decode_added_request(order: Order, answer: CarrierAnswer) -> NothingOrdered | NotAccepted | Event | None:
    """Return what the answer to a request in a cart means; None if the request is in. The body shows nothing of it.

    Raises:
        NoAnswer: The answer says nothing.
        UnreadableAnswer: It is a 200 of something else, such as a gateway's page: the cart may be empty.
    """
    if is_success(answer):
        if answer.status != HTTPStatus.CREATED:
            require_request(answer.body)
        return None
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return NotSent(f"HTTP {answer.status}: {_CONFIGURATION_ERRORS[answer.status]}")
    if answer.status == HTTPStatus.NOT_FOUND:
        return NotAccepted(answer.status, "the cart is gone before anything was in it")
    if answer.status == HTTPStatus.FORBIDDEN and order.request.kind is Kind.ADD_MESSAGING_NUMBERS:
        return refuse_outstanding(
            order, _reason(answer) or "adding messaging numbers is not enabled on this account", "403"
        )
    if answer.status in _REFUSALS and _is_taint_refusal(order, refusal := _reason(answer)):
        return NothingOrdered(refusal or "", tainted=True)
    return _decode_refusal(order, answer)


def decode_checkout(order: Order, answer: CarrierAnswer) -> NothingOrdered | Event:
    """Return what the answer to the checkout means. Everything that is not certain is `AnswerLost`."""
    if is_success(answer):
        return _decode_success(order, answer)
    if reason := _CONFIGURATION_ERRORS.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {reason}")
    if answer.status == HTTPStatus.NOT_FOUND and not order.losses:
        return NothingOrdered("the cart is gone, and was never checked out")
    if answer.status in _REFUSALS:
        return _decode_checkout_refusal(order, answer)
    return AnswerLost(f"HTTP {answer.status} instead of an order")


def decode_order(answer: CarrierAnswer, asked_for: str) -> tuple[OrderView, str]:
    """Return the order in an answer, and its status in Swift's word.

    Raises:
        NoAnswer: It is no answer of Swift's.
        UnreadableAnswer: It is not the order that was asked for, or has no status.
    """
    require_content(answer)
    view = read_order(answer.body)
    if view.order_id is not None and view.order_id != asked_for:
        raise UnreadableAnswer(CARRIER, f"asked for {asked_for}, got another", answer.body)
    if view.status is None:
        raise UnreadableAnswer(CARRIER, "an order without a status", answer.body)
    return view, view.status


def is_ours(order: Order, view: OrderView) -> bool:
    """Return whether an order at Swift has our reference, or has it in its name."""
    return view.reference == order.reference or order.reference in (view.name or "")


def is_anothers(order: Order, view: OrderView) -> bool:
    """Return whether an order at Swift has the reference, or the name, of something else than our order.

    An order without a reference may be ours: a person may have adopted one that was made by hand.
    """
    return not is_ours(order, view) and (view.reference is not None or bool(OUR_NAME.match(view.name or "")))


def park_anothers(order: Order, view: OrderView) -> Parked:
    """Return the event for an order at Swift that is another's. Nothing of it is taken for ours."""
    shows = " and ".join(
        f"the {what} {shown!r}" for what, shown in (("reference", view.reference), ("name", view.name)) if shown
    )
    return Parked(
        f"Swift's order {order.carrier_order_id} has {shows}, and not our reference; it stands at {view.status}, and "
        f"nothing of that was taken for ours"
    )


def refuse_outstanding(order: Order, reason: str, code: str | None = None) -> Refused:
    """Return a refusal of all numbers that the order names, except those that a part has settled."""
    outstanding = Steps.from_progress(order).outstanding(order)
    numbers = tuple(NumberResult(number, NumberState.FAILED, code, reason) for number in outstanding)
    return Refused(reason, code, None, numbers)


def require_content(answer: CarrierAnswer) -> None:
    """Raise `NoAnswer` unless this can be a success of Swift's: not an error, not empty, not a gateway's page."""
    if not is_success(answer):
        raise NoAnswer(status_and_text(answer, _CONFIGURATION_ERRORS.get(answer.status) or _reason(answer)))
    require_body(answer)


class Pages(Generic[Item]):
    """Collects the entries of a list, page by page."""

    def __init__(self, read: Callable[[Mapping[str, Any]], Item | None], *, pages_max: int) -> None:
        self.items: list[Item] = []
        self.is_whole = False
        self._read = read
        self._pages_max = pages_max
        self._cursors: set[str] = set()

    def add(self, answer: CarrierAnswer) -> str | None:
        """Read one page and return the cursor of the next; None if there is nothing left to ask."""
        require_content(answer)
        page = read_list(answer.body)
        self.items += [item for shown in page.items if (item := self._read(shown)) is not None]
        self.is_whole = page.after is None or not page.items
        # If a cursor is repeated, or there are too many, the list is not paged as we assume.
        stuck = page.after in self._cursors or len(self._cursors) >= self._pages_max
        self._cursors.add(page.after or "")
        return None if self.is_whole or stuck else page.after


def page_query(after: str | None) -> Mapping[str, str]:
    """Return the query for one page of a list."""
    return {LIMIT: str(PAGE_SIZE), **({AFTER: after} if after else {})}


def _is_taint_refusal(order: Order, refusal: str | None) -> bool:
    """Return whether a removal is refused as tainted. In a refusal to sell, the word is part of some name."""
    return order.request.kind is Kind.REMOVE_NUMBERS and says_tainted(refusal)


def _decode_success(order: Order, answer: CarrierAnswer) -> Event:
    try:
        view = read_order(answer.body)
    except UnreadableAnswer as error:
        return AnswerLost(f"HTTP {answer.status} and {error.why}")
    if view.reference is not None and view.reference != order.reference:
        return AnswerLost(f"HTTP {answer.status}, and the answer is about another order")
    if view.order_id is None:
        return AnswerLost(f"HTTP {answer.status} without the id of the order")
    return Acknowledged(CarrierOrderId(view.order_id), view.status)


def _decode_checkout_refusal(order: Order, answer: CarrierAnswer) -> NothingOrdered | Event:
    """Return a refusal, or `AnswerLost` if the cart may be an order already."""
    if TIMED_OUT.search(answer.body):
        return AnswerLost(f"HTTP {answer.status}: something timed out at the carrier")
    refusal = _reason(answer)
    if refusal is None:
        return AnswerLost(f"HTTP {answer.status} without a reason")
    if _is_taint_refusal(order, refusal):
        return NothingOrdered(refusal, tainted=True)
    if order.losses or MAY_BE_CHECKED_OUT.search(refusal):
        return AnswerLost(f"HTTP {answer.status}, which may mean that it is checked out: {refusal}")
    return refuse_outstanding(order, refusal, str(answer.status))


def _decode_refusal(order: Order, answer: CarrierAnswer) -> NotAccepted | Event:
    """Return what it means that a cart, or a request in it, was not accepted.

    Raises:
        NoAnswer: The answer says nothing, so it is tried again.
    """
    refusal = _reason(answer)
    passing = answer.status in _PASSING or TIMED_OUT.search(answer.body)
    if passing or not HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise NoAnswer(status_and_text(answer, refusal))
    if answer.status in _REFUSALS and refusal:
        return refuse_outstanding(order, refusal, str(answer.status))
    return NotAccepted(answer.status, refusal)


def _reason(answer: CarrierAnswer) -> str | None:
    try:
        return read_refusal(answer.body)
    except UnreadableAnswer:
        return None
