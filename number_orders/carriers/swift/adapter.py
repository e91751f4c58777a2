"""Swift's number orders: orders become carts, answers become events.

Holds the conversations: what is asked, in which turn, and what is kept before the next step. A cart costs nothing and
may be made anew at any time; its checkout is the only step with money in it, and leaves only when the ledger has the
cart's id. What an attempt has done is in `swift_steps`; JSON is read and written in `swift_json`, single answers are
judged in `swift_answers`, ends in `swift_purchase` and `swift_removal`, the taint window is in `swift_taint`; what
would not be taken is found in `swift_rules`, every name and assumption in `swift_facts`. Opens no socket and reads no
clock.

Source: Swift's pages "Number Ordering", "DID" and "Error Codes".
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from number_orders.carriers.contract import (
    Capabilities,
    CarrierRequest,
    Conversation,
    ConversationOf,
    KnownNumbers,
    LookUpNumbers,
    Purpose,
    SaveProgress,
)
from number_orders.carriers.swift.answers import (
    Pages,
    Undone,
    by_number,
    cart_opened,
    checked_out,
    did_pages,
    order_shown,
    page_query,
    request_added,
    require_content,
)
from number_orders.carriers.swift.facts import (
    ACCEPT,
    ACCOUNT_ROOT,
    CARRIER,
    CARTS,
    CHECKOUT,
    DIDS,
    LOOKS,
    NOTHING_LOOKS,
    ORDER_PAGES_MAX,
    ORDERS,
    QUANTITY_MAX,
    REQUESTS,
    ROOT,
    Status,
)
from number_orders.carriers.swift.json import CartView, Did, OrderView, listed_order, write_cart, write_request
from number_orders.carriers.swift.purchases import Purchase, candidates
from number_orders.carriers.swift.removals import Removal, said
from number_orders.carriers.swift.rules import faults
from number_orders.carriers.swift.steps import Part, Steps, settled
from number_orders.carriers.swift.taint import Taint, decided
from number_orders.orders.errors import Fault, Mistake, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    Event,
    FoundTwice,
    NotListed,
    NotSent,
    Parked,
    PartSettled,
    ProvenAbsent,
    Refused,
    StillOpen,
)
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Kind,
    NumberResult,
    NumberState,
    Order,
    OrderRequest,
    WhenTainted,
)
from number_orders.orders.numbers import E164

_JSON: Final = "application/json"
_OPEN: Final = frozenset({Status.NEW, Status.PROCESSING})

Dids = dict[E164, Did]


class Swift:
    """Translates orders to and from Swift's dialect; never opens a socket."""

    def __init__(self, account_id: str | None = None, *, taint: Taint | None = None) -> None:
        """Keep what an order is completed with.

        Args:
            account_id: The own account's id, if it is known; lets orders of sub accounts go side by side.
            taint: How long fresh numbers are left alone.
        """
        self._account_id = account_id
        self._taint = taint or Taint()

    @property
    def name(self) -> CarrierName:
        """The carrier's name in orders and settings."""
        return CarrierName(CARRIER)

    @property
    def capabilities(self) -> Capabilities:
        """What Swift offers, as far as this adapter goes."""
        return Capabilities(
            kinds=frozenset(Kind),
            quantity_max=QUANTITY_MAX,
            partial_fill=True,
            backorder=False,
            found_by_reference=True,
            taint_window=self._taint.window,
        )

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything Swift would not take; empty when the order is good."""
        return faults(request)

    def serial_key(self, request: OrderRequest) -> str | None:
        """Let one order that buys by criteria be in flight per account: bought numbers are told apart by time alone.

        While the own account's id is not known, it may be any of those that orders name, so all stand in one line.
        """
        if request.kind is not Kind.NEW_NUMBERS:
            return None
        return f"{request.kind}:{request.account or self._account_id}" if self._account_id else str(request.kind)

    # -- sending --------------------------------------------------------------------------------

    def submit(self, order: Order) -> Conversation:
        """Send the order: a cart, a request in it, its checkout, each step kept before the next.

        A cart whose request is kept is checked out as it is, however often this begins anew. Any other is left to
        itself: it costs nothing, and nobody knows what is in it.
        """
        ready: Steps | Event = yield from self._ready(order, Steps.of(order))
        if not isinstance(ready, Steps):
            return ready
        path = f"{self._of(order, CARTS)}/{_quoted(ready.cart_id)}{CHECKOUT}"
        answer = yield CarrierRequest("POST", path, Purpose.COMMIT, accept=ACCEPT)
        outcome = checked_out(order, answer)
        return (yield from self._undone(order, ready, outcome)) if isinstance(outcome, Undone) else outcome

    def _ready(self, order: Order, steps: Steps) -> ConversationOf[Steps | Event]:
        """Return a cart that is ready to be checked out, or say why there is none."""
        if steps.requested:
            return steps
        if order.request.kind is Kind.REMOVE_NUMBERS:
            part = yield from self._removable(order, steps)
        else:
            part = Part(order.request.numbers)
        if not isinstance(part, Part):
            return part
        cart = part.cart or (yield from self._cart(order))
        if not isinstance(cart, CartView):
            return cart
        return (yield from self._filled(order, steps.with_cart(cart, part.numbers, part.unlisted)))

    def _filled(self, order: Order, steps: Steps) -> ConversationOf[Steps | Event]:
        """Put the request into a cart just made, and keep both."""
        yield SaveProgress(steps.kept())
        path = f"{self._of(order, CARTS)}/{_quoted(steps.cart_id)}{REQUESTS}"
        answer = yield _prepare(path, write_request(order, steps.part))
        trouble = request_added(order, answer)
        if isinstance(trouble, Undone):
            return (yield from self._undone(order, steps, trouble))
        if trouble is not None:
            return trouble
        ready = replace(steps, requested=True)
        yield SaveProgress(ready.kept())
        return ready

    def _cart(self, order: Order) -> ConversationOf[CartView | Event]:
        answer = yield _prepare(self._of(order, CARTS), write_cart(order))
        return cart_opened(order, answer)

    def _undone(self, order: Order, steps: Steps, undone: Undone) -> ConversationOf[Event]:
        """Return what an attempt comes to that left nothing at the carrier; its cart is forgotten."""
        if not undone.tainted:
            yield SaveProgress(steps.without_cart().kept())
            return NotSent(undone.reason)
        known: KnownNumbers = yield LookUpNumbers(())
        again = self._taint.again(order, known.now, undone.reason, steps.part)
        if order.request.when_tainted is WhenTainted.FAIL:
            failed = tuple(replace(number, state=NumberState.FAILED) for number in again.numbers)
            return Refused(again.reason, again.numbers[0].code if again.numbers else None, None, failed)
        return again

    def _removable(self, order: Order, steps: Steps) -> ConversationOf[Part | Event]:
        """Return the numbers that may be removed now, or why none may."""
        numbers = steps.outstanding(order)
        known: KnownNumbers = yield LookUpNumbers(numbers)
        strangers = tuple(number for number in numbers if number not in known.held_since.keys() | known.awaited)
        dids: Dids = (yield from self._dids(None)) if strangers else {}
        cart: CartView | None = None
        if not dids.keys().isdisjoint(strangers):
            # A cart tells the carrier's time, by which these numbers are as old as they are.
            made = yield from self._cart(order)
            if not isinstance(made, CartView):
                return made
            cart = made
        there = cart.inserted_at if cart else known.now
        now = decided(order, self._taint.turns(order, numbers, known, dids, there), known.now)
        if not isinstance(now, tuple):
            return now
        unlisted = tuple(number for number in now if number in strangers and number not in dids)
        return Part(now, unlisted, cart)

    # -- asking ---------------------------------------------------------------------------------

    def ask(self, order: Order) -> Conversation:
        """Ask how an OPEN order stands, and after its end which numbers came or went."""
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} is {order.state} and has no carrier order id to ask for")
        steps = Steps.of(order)
        if order.carrier_order_id in steps.done_orders:
            return (yield from self._done_with(order, steps))
        answer = yield _get(f"{self._of(order, ORDERS)}/{_quoted(order.carrier_order_id)}")
        if answer.status == HTTPStatus.NOT_FOUND:
            detail = "the carrier does not know its own order any more"
            return StillOpen("404", detail=detail, slow=True, unheard_of=True)
        view, status = order_shown(answer, order.carrier_order_id)
        if status not in set(Status) or status in _OPEN:
            by_people = order.request.kind is Kind.ADD_MESSAGING_NUMBERS
            return StillOpen(status, detail=view.detail, slow=by_people, unheard_of=status not in set(Status))
        if order.request.kind is Kind.REMOVE_NUMBERS:
            return (yield from self._removed(order, steps, view, status))
        return (yield from self._bought(order, steps, view, status))

    def _done_with(self, order: Order, steps: Steps) -> Conversation:
        """Send the rest of an order after all: the answer to a part came after that part was done with."""
        known: KnownNumbers = yield LookUpNumbers(())
        reason = f"{order.carrier_order_id} is a part that is done with; the rest is still to be sent"
        parts = settled(steps.settled, steps.done_orders)
        return PartSettled(order.carrier_status or Status.COMPLETED, (), reason, known.now, parts)

    def _removed(self, order: Order, steps: Steps, view: OrderView, status: str) -> Conversation:
        dids = yield from self._dids(None)
        part = steps.part or steps.outstanding(order)
        left = tuple(number for number in part if number in dids)
        steps = steps.seeing(len(part) - len(left))
        removal = Removal(order, steps, view, status, left)
        if left and not removal.tainted and steps.looks + 1 < LOOKS:
            detail = f"{said(view, status)}; {len(left)} of {len(part)} numbers are still on the account"
            return (yield from self._look_again(steps, StillOpen(status, detail=detail)))
        rest = tuple(number for number in steps.outstanding(order) if number not in part)
        if not rest and not removal.tainted:
            return removal.end()
        known: KnownNumbers = yield LookUpNumbers(rest)
        ours = [number for number in rest if number in known.held_since]
        turns = self._taint.turns(order, ours, known, {}, known.now)
        return removal.parted(self._taint, rest, turns, known.now)

    def _bought(self, order: Order, steps: Steps, view: OrderView, status: str) -> Conversation:
        dids = yield from self._dids(order.request.account or steps.account or self._account_id)
        if steps.found is None:
            came = yield from self._came(order, steps.since or view.inserted_at, status, dids)
            steps = steps.seeing(len(came))
            wanted, failed = order.request.wanted, status == Status.ERROR and not came
            if len(came) < wanted and not failed and (waiting := _waits(order, steps, view, status, came)):
                return (yield from self._look_again(steps, waiting))
            if not came and not order.request.numbers and not failed:
                return Parked(f"{said(view, status)}, and after {steps.looks + 1} looks none of its numbers is listed")
            steps = replace(steps, found=came, looks=0, seen=None)
            yield SaveProgress(steps.kept())  # before others may buy: from here on time does not tell the numbers apart
        purchase = Purchase.of(order, view, status, steps.found or (), dids)
        if purchase.pending:
            slow = order.request.kind is Kind.ADD_MESSAGING_NUMBERS
            detail = f"{said(view, status)}; messaging is not yet AVAILABLE on every number"
            return StillOpen(status, purchase.known(), detail, slow=slow, alone=False)
        if steps.looks + 1 < purchase.looks_wanted:
            detail = f"{said(view, status)}; not every number is as it should be"
            return (yield from self._look_again(steps, StillOpen(status, purchase.known(), detail, alone=False)))
        return purchase.end()

    def _came(self, order: Order, since: datetime | None, status: str, dids: Dids) -> ConversationOf[tuple[E164, ...]]:
        """Return the numbers that came by this order, as far as they are listed.

        `since` is when its cart was made. Nobody kept that of an order that a person found: an order is its cart by
        another name, and as old.
        """
        if since is None:
            raise UnreadableAnswer(CARRIER, "an order without inserted_at, and nobody kept when its cart was made")
        came = candidates(order, dids, since, status)
        if order.request.numbers or not came:
            return came
        known: KnownNumbers = yield LookUpNumbers(came)
        return tuple(number for number in came if number not in known.of_other_orders)

    def _look_again(self, steps: Steps, event: StillOpen) -> Conversation:
        """Remember that this was seen once more, and go on waiting."""
        yield SaveProgress(replace(steps, looks=steps.looks + 1).kept())
        return event

    # -- looking --------------------------------------------------------------------------------

    def look_for(self, order: Order) -> Conversation:
        """Look for an order IN_DOUBT by its cart, and by our order id among all orders.

        Without a cart whose request is kept nothing was checked out: the checkout leaves only after that was kept, and
        it is kept only while the order stands as its attempt found it. An order IN_DOUBT does not stand so any more.
        """
        steps = Steps.of(order)
        if steps.cart_id is None or not steps.requested:
            return ProvenAbsent("no cart of it was ready to be checked out")
        answer = yield _get(f"{self._of(order, ORDERS)}/{_quoted(steps.cart_id)}")
        if answer.status != HTTPStatus.NOT_FOUND:
            require_content(answer)
            view, status = order_shown(answer, steps.cart_id)
            return Acknowledged(CarrierOrderId(view.order_id or steps.cart_id), status)
        listed = yield from self._listed(order, steps)
        if len(listed.items) > 1:
            return FoundTwice(tuple(CarrierOrderId(str(view.order_id)) for view in listed.items))
        if listed.items:
            return Acknowledged(CarrierOrderId(str(listed.items[0].order_id)), listed.items[0].status)
        return (yield from self._cart_left(order, steps, seen_all=listed.is_whole))

    def _listed(self, order: Order, steps: Steps) -> ConversationOf[Pages[OrderView]]:
        """Return the orders with our reference, but for those of parts that are done with, or that came to nothing."""
        in_parts = order.request.kind is Kind.REMOVE_NUMBERS

        def ours(item: Mapping[str, Any]) -> OrderView | None:
            view = listed_order(item)
            named = view.reference == str(order.order_id) or str(order.order_id) in (view.name or "")
            former = view.order_id in steps.done_orders or (in_parts and _is_older(view, steps))
            return view if named and view.order_id and not former else None

        pages = Pages(ours, most=ORDER_PAGES_MAX)
        after: str | None = ""
        while after is not None:
            answer = yield _get(self._of(order, ORDERS), after)
            if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
                break  # there may be no such list
            after = pages.add(answer)
        return pages

    def _cart_left(self, order: Order, steps: Steps, *, seen_all: bool) -> Conversation:
        answer = yield _get(f"{self._of(order, CARTS)}/{_quoted(steps.cart_id)}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return NotListed("no order with its cart's id, and the cart is gone", resend=False)
        require_content(answer)
        where = "the order of its cart and the list of orders" if seen_all else "the order of its cart"
        return NotListed(f"{where}; the cart is there")

    def _dids(self, account: str | None) -> ConversationOf[Dids]:
        """Return the numbers of one account; without one, those of all accounts."""
        pages = did_pages()
        after: str | None = ""
        while after is not None:
            path = _below(account, DIDS)
            answer = yield _get(path, after)
            after = pages.add(answer)
        return by_number(pages)

    def _of(self, order: Order, path: str) -> str:
        """Return a path of the account that the order is for."""
        return _below(order.request.account, path)


def _waits(order: Order, steps: Steps, view: OrderView, status: str, came: tuple[E164, ...]) -> StillOpen | None:
    """Return that fewer numbers came than were ordered, until that is believed."""
    enough = LOOKS if came or order.request.numbers else NOTHING_LOOKS
    if steps.looks + 1 >= enough:
        return None
    got = tuple(NumberResult(number, NumberState.ACQUIRED) for number in came)
    detail = f"{said(view, status)}; {len(came)} of {order.request.wanted} numbers are listed yet"
    return StillOpen(status, got, detail, slow=True)


def _is_older(view: OrderView, steps: Steps) -> bool:
    """Tell whether an order had been made before the cart was that it would have come from."""
    return view.inserted_at is not None and steps.since is not None and view.inserted_at < steps.since


def _get(path: str, after: str | None = None) -> CarrierRequest:
    """Return a question; with `after`, even an empty one, it is for a page of a list."""
    query = {} if after is None else page_query(after)
    return CarrierRequest("GET", path, Purpose.READ, query, accept=ACCEPT)


def _prepare(path: str, body: bytes) -> CarrierRequest:
    return CarrierRequest("POST", path, Purpose.PREPARE, body=body, content_type=_JSON, accept=ACCEPT)


def _below(account: str | None, path: str) -> str:
    return f"{ACCOUNT_ROOT.format(account=_quoted(account)) if account else ROOT}{path}"


def _quoted(name: str | None) -> str:
    return quote(str(name), safe="")
