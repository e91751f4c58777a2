"""What one HTTP answer of Swift's says: a view of something, an event, or nothing to rely on.

Knows status codes. Does not know why something was asked, and asks nothing more: that is the conversation's business
(`number_orders.carriers.swift.adapter`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.answers import is_success, require_body, status_and_text
from number_orders.carriers.swift.facts import AFTER, CARRIER, CHECKED_OUT_WORDS, LIMIT, PAGE_SIZE, PAGES_MAX, TIMED_OUT
from number_orders.carriers.swift.json import (
    CartView,
    Did,
    OrderView,
    listed_did,
    read_cart,
    read_list,
    read_order,
    read_refusal,
    require_request,
)
from number_orders.carriers.swift.steps import Steps
from number_orders.carriers.swift.taint import is_tainted
from number_orders.orders.errors import NoAnswer, UnreadableAnswer
from number_orders.orders.events import Acknowledged, AnswerLost, Event, NotSent, Refused
from number_orders.orders.model import CarrierOrderId, Kind, NumberResult, NumberState, Order
from number_orders.orders.numbers import E164

_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
_TO_MEND: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "the API key was not accepted",
    HTTPStatus.FORBIDDEN: "the API key has no user with permission for this",
}

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Undone:
    """The attempt came to nothing, and the cart is of no more use; `tainted`, since its numbers are too young."""

    reason: str
    tainted: bool = False


def cart_opened(order: Order, answer: CarrierAnswer) -> CartView | Event:
    """Say what the answer to a new cart means. Nothing is ordered by it, whatever it is.

    Raises:
        NoAnswer: It says nothing.
        UnreadableAnswer: It is no cart.
    """
    if is_success(answer):
        return read_cart(answer.body)
    if answer.status == HTTPStatus.NOT_FOUND:
        if order.request.account is None:
            return NotSent("HTTP 404: there are no carts at this address")
        return refused(order, f"Swift knows no account {order.request.account} of this API key", "404")
    return _not_taken(order, answer)


def request_added(order: Order, answer: CarrierAnswer) -> Undone | Event | None:
    """Say what the answer to a request in a cart means; None when it is in. Its body is never what was sent.

    Raises:
        NoAnswer: It says nothing.
        UnreadableAnswer: It is somebody else's 200, such as a gateway's page: the cart may be empty.
    """
    if is_success(answer):
        if answer.status != HTTPStatus.CREATED:
            require_request(answer.body)
        return None
    if answer.status == HTTPStatus.NOT_FOUND:
        return Undone("the cart is gone before anything was in it")
    if answer.status == HTTPStatus.FORBIDDEN and order.request.kind is Kind.ADD_MESSAGING_NUMBERS:
        return refused(order, _reason(answer) or "bringing numbers along is not enabled on this account", "403")
    if answer.status in _REFUSALS and _is_too_early(order, said := _reason(answer)):
        return Undone(said or "", tainted=True)
    return _not_taken(order, answer)


def checked_out(order: Order, answer: CarrierAnswer) -> Undone | Event:
    """Say what the answer to the checkout means. When in doubt it means doubt."""
    if is_success(answer):
        return _ordered(order, answer)
    if to_mend := _TO_MEND.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {to_mend}")
    if answer.status == HTTPStatus.NOT_FOUND and not order.losses:
        return Undone("the cart is gone, and was never checked out")
    if answer.status in _REFUSALS:
        return _checkout_refused(order, answer)
    return AnswerLost(f"HTTP {answer.status} instead of an order")


def order_shown(answer: CarrierAnswer, asked_for: str) -> tuple[OrderView, str]:
    """Return the order in an answer, and its status.

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


def refused(order: Order, reason: str, code: str | None = None) -> Refused:
    """Return a refusal of everything that the order names, but for what a part of it has settled."""
    outstanding = Steps.of(order).outstanding(order)
    numbers = tuple(NumberResult(number, NumberState.FAILED, code, reason) for number in outstanding)
    return Refused(reason, code, None, numbers)


def require_content(answer: CarrierAnswer) -> None:
    """Raise `NoAnswer` unless this can be an answer of Swift's and not a gateway's."""
    if not is_success(answer):
        raise NoAnswer(status_and_text(answer, _TO_MEND.get(answer.status) or _reason(answer)))
    require_body(answer)


class Pages(Generic[Item]):
    """A list, collected page by page."""

    def __init__(self, read: Callable[[Mapping[str, Any]], Item | None], *, most: int = PAGES_MAX) -> None:
        self.items: list[Item] = []
        self.is_whole = False
        self._read = read
        self._most = most
        self._cursors: set[str] = set()

    def add(self, answer: CarrierAnswer) -> str | None:
        """Take in one page and return the cursor for the next; None when nothing is left to ask."""
        require_content(answer)
        page = read_list(answer.body)
        self.items += [item for shown in page.items if (item := self._read(shown)) is not None]
        self.is_whole = page.after is None or not page.items
        # A cursor that comes again, or never ends, shows that the list is not paged as we think.
        stuck = page.after in self._cursors or len(self._cursors) >= self._most
        self._cursors.add(page.after or "")
        return None if self.is_whole or stuck else page.after


def page_query(after: str | None) -> Mapping[str, str]:
    """Return the query for a page of a list."""
    return {LIMIT: str(PAGE_SIZE), **({AFTER: after} if after else {})}


def by_number(pages: Pages[Did]) -> dict[E164, Did]:
    """Return the numbers of an account; of two entries for one number the later counts.

    Raises:
        NoAnswer: The list did not show everything it has.
    """
    if not pages.is_whole:
        raise NoAnswer(f"the list of numbers has no end: {len(pages.items)} were shown")
    return {did.e164: did for did in sorted(pages.items, key=lambda did: did.inserted_at)}


def did_pages() -> Pages[Did]:
    """Return an empty collection of numbers."""
    return Pages(listed_did)


def _is_too_early(order: Order, said: str | None) -> bool:
    """Tell whether a removal is refused as tainted. In a refusal to sell, the word is part of some name."""
    return order.request.kind is Kind.REMOVE_NUMBERS and is_tainted(said)


def _ordered(order: Order, answer: CarrierAnswer) -> Event:
    try:
        view = read_order(answer.body)
    except UnreadableAnswer as fault:
        return AnswerLost(f"HTTP {answer.status} and {fault.why}")
    if view.reference is not None and view.reference != str(order.order_id):
        return AnswerLost(f"HTTP {answer.status}, and the answer is about another order")
    if view.order_id is None:
        return AnswerLost(f"HTTP {answer.status} without the id of the order")
    return Acknowledged(CarrierOrderId(view.order_id), view.status)


def _checkout_refused(order: Order, answer: CarrierAnswer) -> Undone | Event:
    """Tell a refusal from an answer that leaves open whether the cart is an order already."""
    if TIMED_OUT.search(answer.body):
        return AnswerLost(f"HTTP {answer.status}: something timed out at the carrier")
    said = _reason(answer)
    if said is None:
        return AnswerLost(f"HTTP {answer.status} without a reason")
    if _is_too_early(order, said):
        return Undone(said, tainted=True)
    if order.losses or CHECKED_OUT_WORDS.search(said):
        return AnswerLost(f"HTTP {answer.status}, which may mean that it is checked out: {said}")
    return refused(order, said, str(answer.status))


def _not_taken(order: Order, answer: CarrierAnswer) -> Event:
    """Say what it means that a cart or what goes into it was not taken.

    Raises:
        NoAnswer: Nothing, but that it is to be tried again.
    """
    if to_mend := _TO_MEND.get(answer.status):
        return NotSent(f"HTTP {answer.status}: {to_mend}")
    said = _reason(answer)
    if answer.status in _REFUSALS and said and not TIMED_OUT.search(answer.body):
        return refused(order, said, str(answer.status))
    raise NoAnswer(status_and_text(answer, said))


def _reason(answer: CarrierAnswer) -> str | None:
    try:
        return read_refusal(answer.body)
    except UnreadableAnswer:
        return None
