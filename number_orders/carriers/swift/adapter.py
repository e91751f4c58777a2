"""Translate orders into Swift's carts, and its answers into events.

This module has the conversations: which requests are sent in which order, and what is saved before the next step. A
cart costs nothing, and a new one may be made at any time. Its checkout is the only step that costs money. It is sent
only when the cart's id is in the ledger.
`steps` has what an attempt has done, `requests` and `json` write and read, `answers` judges single answers, `dids`
reads the numbers of an account, `purchases` and `removals` judge ends, `taint` knows the taint window, `rules` checks
orders, and `facts` has every name and assumption.
Opens no socket, reads no clock.

Source: Swift's pages "Number Ordering", "DID" and "Error Codes".
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from number_orders.carriers.contract import (
    Capabilities,
    CarrierRequest,
    Conversation,
    ConversationOf,
    Inquiry,
    KnownNumbers,
    ListPage,
    LookUpNumbers,
    Purpose,
    SaveProgress,
)
from number_orders.carriers.swift.answers import (
    NotAccepted,
    NothingOrdered,
    Pages,
    decode_added_request,
    decode_cart,
    decode_checkout,
    decode_order,
    is_anothers,
    is_ours,
    park_anothers,
    refuse_outstanding,
    require_content,
)
from number_orders.carriers.swift.dids import Dids, read_dids, read_page
from number_orders.carriers.swift.facts import (
    ACCEPT,
    CARRIER,
    CARTS,
    CHECKOUT,
    CLOCK_DIFFERENCE_MAX,
    LOOKS_WANTED_UNAVAILABLE,
    ORDER_PAGES_MAX,
    ORDERS,
    QUANTITY_MAX,
    REQUESTS,
    SETTLE_AFTER,
    Status,
)
from number_orders.carriers.swift.forgotten import (
    KEYS_RETURN_WITHIN,
    adopt,
    all_orders,
    begun_before_fall,
    find_forgotten,
    next_purchase_at,
    purchases_after,
    purchases_under_way,
    reference_of,
    steps_of_forgotten,
)
from number_orders.carriers.swift.holdings import SwiftHoldings
from number_orders.carriers.swift.json import CartView, Did, OrderView, read_listed_order, write_cart, write_request
from number_orders.carriers.swift.purchases import Purchase, candidates, may_have_brought
from number_orders.carriers.swift.removals import Removal, status_text
from number_orders.carriers.swift.requests import account_path, get, prepare, quoted
from number_orders.carriers.swift.rules import faults
from number_orders.carriers.swift.steps import Part, Steps, settled_parts
from number_orders.carriers.swift.taint import Taint, numbers_named, removable_now
from number_orders.orders.errors import Fault, Mistake, NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    UNKNOWN_ORDER,
    Acknowledged,
    Event,
    FoundTwice,
    NotListed,
    NotSent,
    PartSettled,
    ProvenAbsent,
    Refused,
    StillOpen,
)
from number_orders.orders.model import (
    CarrierName,
    CarrierOrderId,
    Kind,
    NumberState,
    Order,
    OrderRequest,
    WhenTainted,
)
from number_orders.orders.numbers import E164

_OPEN: Final = frozenset({Status.NEW, Status.PROCESSING})


class Swift:
    """Translates orders to and from Swift's JSON; never opens a socket."""

    def __init__(
        self, account_id: str | None = None, *, taint: Taint | None = None, settle_after: timedelta = SETTLE_AFTER
    ) -> None:
        """Set up the adapter for one API key.

        Args:
            account_id: The key's own account, if known. Lets orders of different accounts buy at the same time.
            taint: How long new numbers are not removed.
            settle_after: How long an order that ended with too few numbers must have shown the same before it lets
                other orders buy, although messaging is still to come on the numbers that it has.
        """
        self._account_id = account_id
        self._taint = taint or Taint()
        self._settle_after = settle_after

    @property
    def name(self) -> CarrierName:
        """The carrier's name in orders and settings."""
        return CarrierName(CARRIER)

    @property
    def capabilities(self) -> Capabilities:
        """What Swift offers through this adapter."""
        return Capabilities(
            kinds=frozenset(Kind),
            quantity_max=QUANTITY_MAX,
            partial_fill=True,
            backorder=False,
            found_by_reference=True,
            shows_numbers=False,
            taint_window=self._taint.window,
        )

    @property
    def holdings(self) -> SwiftHoldings:
        """The inquiries about the numbers that we hold."""
        return SwiftHoldings()

    def check(self, request: OrderRequest) -> tuple[Fault, ...]:
        """Return everything that Swift would refuse; empty if the order is good."""
        return faults(request)

    def serial_keys(self, request: OrderRequest) -> tuple[str, ...]:
        """Return the keys of the accounts that an order by criteria may buy for: only time tells its numbers apart.

        The own account always has the kind alone as its key, as in release 0.1.0, and its id as well if that is known.
        While it is not known, it may be any account that an order names. So two orders for one account always have a
        key in common, also if the setting of the own account changes while one of them is in flight.
        """
        if request.kind is not Kind.NEW_NUMBERS:
            return ()
        named, own = request.account, self._account_id
        if named and own and named != own:
            return (f"{request.kind}:{named}",)
        account = named or own
        return (str(request.kind), *((f"{request.kind}:{account}",) if account else ()))

    # -- submit ---------------------------------------------------------------------------------

    def submit(self, order: Order) -> Conversation:
        """Send the order: make a cart, put a request into it, check it out. Each step is saved before the next.

        Every attempt checks out the cart whose request is saved, if there is one. A cart without a saved request is
        abandoned: it costs nothing, and nobody knows what is in it.
        """
        ready: Steps | Event = yield from self._ready_cart(order, Steps.from_progress(order))
        if not isinstance(ready, Steps):
            return ready
        path = f"{self._order_path(order, CARTS)}/{quoted(ready.cart_id)}{CHECKOUT}"
        answer = yield CarrierRequest("POST", path, Purpose.COMMIT, accept=ACCEPT)
        outcome = decode_checkout(order, answer)
        if isinstance(outcome, NothingOrdered):
            return (yield from self._end_attempt(order, ready, outcome))
        return outcome

    def _ready_cart(self, order: Order, steps: Steps) -> ConversationOf[Steps | Event]:
        """Return the steps with a cart that can be checked out, or the event if there is none."""
        if steps.requested and (yield from self._may_be_checked_out(order, steps)):
            return steps
        if order.request.kind is Kind.REMOVE_NUMBERS:
            part = yield from self._removable_part(order, steps)
        else:
            part = Part(order.request.numbers)
        if not isinstance(part, Part):
            return part
        cart = part.cart or (yield from self._make_cart(order, steps))
        if not isinstance(cart, CartView):
            return cart
        return (yield from self._add_request(order, steps.with_cart(order, cart, part)))

    def _may_be_checked_out(self, order: Order, steps: Steps) -> ConversationOf[bool]:
        """Return whether a saved cart is still what is to be ordered. It may have waited for hours.

        The numbers of a removal were old enough when its cart was made. One that came to the account since then, or
        that the carrier did not list then, is not: the cart is abandoned, and every age is looked up again.
        """
        if order.request.kind is not Kind.REMOVE_NUMBERS:
            return True
        made_at, begun_at, numbers = steps.cart_made_at, steps.begun_at, steps.part or steps.outstanding(order)
        known: KnownNumbers = yield LookUpNumbers(numbers)
        if (
            made_at is None
            or begun_at is None
            or known.awaited
            or max(known.held_since.values(), default=begun_at) > begun_at
        ):
            return False
        dids: Dids = yield from read_dids(None, steps, "whether the numbers of a cart are the same", numbers=numbers)
        came_since = (did for number, did in dids.by_number.items() if number in numbers and did.inserted_at > made_at)
        return not any(came_since) and not any(number in dids.by_number for number in steps.unlisted)

    def _add_request(self, order: Order, steps: Steps) -> ConversationOf[Steps | Event]:
        """Put the request into a new cart, and save both."""
        yield SaveProgress(steps.as_progress())
        path = f"{self._order_path(order, CARTS)}/{quoted(steps.cart_id)}{REQUESTS}"
        answer = yield prepare(path, write_request(order, steps.part))
        outcome = decode_added_request(order, answer)
        if isinstance(outcome, NothingOrdered):
            return (yield from self._end_attempt(order, steps, outcome))
        if isinstance(outcome, NotAccepted):
            return (yield from self._count_refusal(order, steps, outcome))
        if outcome is not None:
            return outcome
        ready = steps.with_request()
        yield SaveProgress(ready.as_progress())
        return ready

    def _make_cart(self, order: Order, steps: Steps) -> ConversationOf[CartView | Event]:
        answer = yield prepare(self._order_path(order, CARTS), write_cart(order))
        outcome = decode_cart(order, answer)
        if isinstance(outcome, NotAccepted):
            return (yield from self._count_refusal(order, steps, outcome))
        return outcome

    def _count_refusal(self, order: Order, steps: Steps, refusal: NotAccepted) -> ConversationOf[Event]:
        """Save that a step before the checkout was refused. After enough refusals the order has failed."""
        refused = steps.with_refusal(refusal.words)
        yield SaveProgress(refused.as_progress())
        if refused.refused_for_good:
            reason = f"{refusal.reason} (refused {len(refused.refusals)} times before anything was ordered)"
            return refuse_outstanding(order, reason, str(refusal.status))
        return NotSent(refusal.reason)

    def _end_attempt(self, order: Order, steps: Steps, outcome: NothingOrdered) -> ConversationOf[Event]:
        """Return the event for an attempt that ordered nothing. Its cart is forgotten."""
        if not outcome.tainted:
            yield SaveProgress(steps.without_cart().as_progress())
            return NotSent(outcome.reason)
        known: KnownNumbers = yield LookUpNumbers(())
        deferred = self._taint.defer(known.now, outcome.reason, steps.part)
        if order.request.when_tainted is WhenTainted.FAIL:
            failed = tuple(replace(number, state=NumberState.FAILED) for number in deferred.numbers)
            return Refused(deferred.reason, deferred.numbers[0].code if deferred.numbers else None, None, failed)
        return deferred

    def _removable_part(self, order: Order, steps: Steps) -> ConversationOf[Part | Event]:
        """Return the numbers that may be removed now, or the event if there are none.

        The carrier is asked as well for the age of a number that the ledger knows: it may have left the account by hand
        and been bought again. If the ledger alone says that nothing may be removed yet, the carrier is not asked.
        """
        numbers = steps.outstanding(order)
        known: KnownNumbers = yield LookUpNumbers(numbers)
        if all(number in known.held_since or number in known.awaited for number in numbers):
            times = self._taint.removal_times(order, numbers, known, {}, known.now)
            removable = removable_now(order, times, known.now)
            if not isinstance(removable, tuple):
                return removable
        found: Dids = yield from read_dids(None, steps, "the age of the numbers of a removal", numbers=numbers)
        dids = found.by_number
        cart: CartView | None = None
        if any(number in dids and number not in known.awaited for number in numbers):
            # The age of these numbers counts on the carrier's clock, and a new cart shows its time.
            made = yield from self._make_cart(order, steps)
            if not isinstance(made, CartView):
                return made
            cart = made
        carrier_now = cart.inserted_at if cart else known.now
        times = self._taint.removal_times(order, numbers, known, dids, carrier_now)
        removable = removable_now(order, times, known.now)
        if not isinstance(removable, tuple):
            return removable
        return Part(removable, tuple(number for number in removable if number not in dids), cart)

    # -- ask ------------------------------------------------------------------------------------

    def ask(self, order: Order) -> Conversation:
        """Ask for the status of an OPEN order. After its end, find out which numbers came or went."""
        if order.carrier_order_id is None:
            raise Mistake(f"order {order.order_id} is {order.state} and has no carrier order id to ask for")
        steps = Steps.from_progress(order)
        if order.carrier_order_id in steps.done_orders:
            return (yield from self._continue_after_part(order, steps))
        answer = yield get(f"{self._order_path(order, ORDERS)}/{quoted(order.carrier_order_id)}")
        if answer.status == HTTPStatus.NOT_FOUND:
            detail = "the carrier does not know its own order any more"
            return StillOpen(UNKNOWN_ORDER, detail=detail, slow=True, unheard_of=True)
        view, status = decode_order(answer, order.carrier_order_id)
        if is_anothers(order, view):
            return park_anothers(order, view)
        if status not in set(Status) or status in _OPEN:
            by_people = order.request.kind is Kind.ADD_MESSAGING_NUMBERS
            return StillOpen(status, detail=view.detail, slow=by_people, unheard_of=status not in set(Status))
        if order.request.kind is Kind.REMOVE_NUMBERS:
            return (yield from self._end_of_removal(order, steps, view, status))
        return (yield from self._end_of_purchase(order, steps, view, status))

    def _continue_after_part(self, order: Order, steps: Steps) -> Conversation:
        """Send the rest of a removal. The answer to a part came after that part had been settled."""
        known: KnownNumbers = yield LookUpNumbers(())
        reason = f"{order.carrier_order_id} is a part that is done with; the rest is still to be sent"
        parts = settled_parts(steps.settled, steps.done_orders)
        return PartSettled(order.carrier_status or Status.COMPLETED, (), reason, known.now, parts)

    def _end_of_removal(self, order: Order, steps: Steps, view: OrderView, status: str) -> Conversation:
        part = steps.part or steps.outstanding(order)
        question = f"what {order.carrier_order_id} has removed: {status}"
        dids: Dids = yield from read_dids(None, steps, question, numbers=part)
        here = {number: dids.by_number[number] for number in part if number in dids.by_number}
        left = tuple(number for number, did in here.items() if not _came_again(did, steps, view, status))
        if dids.is_from_reading:
            unproven = yield from self._prove_gone(steps, view, status, set(part) - here.keys())
            if unproven is not None:
                return unproven
        removal = Removal(order, steps, view, status, left)
        rest = tuple(number for number in steps.outstanding(order) if number not in removal.part)
        gone = () if removal.is_plain_success else tuple(number for number in removal.part if number not in left)
        if not rest and not gone and not removal.tainted:
            return removal.end()
        known: KnownNumbers = yield LookUpNumbers((*rest, *gone))
        removal = replace(removal, known=known)
        if not rest and not removal.tainted:
            return removal.end()
        held = [number for number in rest if number in known.held_since]
        times = self._taint.removal_times(order, held, known, {}, known.now)
        return removal.part_settled(self._taint, rest, times, known.now)

    def _prove_gone(
        self, steps: Steps, view: OrderView, status: str, gone: Collection[E164]
    ) -> ConversationOf[Event | None]:
        """Return None if the reading before did not show these numbers either, and else the event until the next one.

        While a long list is read it changes, and nobody knows whether an entry can slip from a page that is still to
        come to one that was read before. So one reading does not prove that a number is gone.
        """
        if set(gone) != set(steps.gone):
            yield SaveProgress(replace(steps, gone=tuple(sorted(gone))).as_progress())
        if set(gone) <= set(steps.gone):
            return None
        detail = f"{status_text(view, status)}; {len(gone)} numbers are gone if the next reading does not list them"
        return StillOpen(status, detail=detail)

    def _end_of_purchase(self, order: Order, steps: Steps, view: OrderView, status: str) -> Conversation:
        """Return the end as the list of numbers shows it now. The lane does not believe at once that it falls short.

        The numbers of an order are saved before its serial lock is released. After that, time does not tell them apart.
        """
        if order.carrier_order_id != steps.cart_id and _was_made_before_cart(view, steps):
            steps = steps.for_older_order()
        account = order.request.account or steps.account or self._account_id
        named = order.request.numbers or steps.found
        since = None if named else steps.cart_made_at or view.inserted_at
        question = f"what {order.carrier_order_id} has brought: {status}"
        listed: Dids = yield from read_dids(account, steps, question, numbers=named or (), since=since)
        dids = listed.by_number
        if steps.found is None:
            if begun_before_fall(order, steps):
                orders = yield from self._read_order_pages(order, all_orders())
                steps = replace(steps, until=next_purchase_at(view, orders.items))
            came = yield from self._numbers_of(order, steps, view, status, dids)
            if came and order.ended_at and not order.request.numbers:
                came = yield from self._without_later_purchases(order, steps, view, [dids[number] for number in came])
            if len(came) > order.request.wanted and begun_before_fall(order, steps):
                yield from self._require_no_owner_may_return(order, came)
            if len(came) < order.request.wanted:
                purchase = Purchase.from_dids(order, view, status, came, dids)
                settled = yield from self._judge_shortfall(steps, purchase, listed)
                if not isinstance(settled, Steps):
                    return settled
                steps = settled
            steps = steps.with_found(came)
            yield SaveProgress(steps.as_progress())
        purchase = Purchase.from_dids(order, view, status, steps.found or (), dids)
        if purchase.pending:
            slow = order.request.kind is Kind.ADD_MESSAGING_NUMBERS
            detail = f"{status_text(view, status)}; messaging is not yet AVAILABLE on every number"
            return StillOpen(status, purchase.present_results(), detail, slow=slow, alone=False)
        if purchase.unusable and steps.looks + 1 < LOOKS_WANTED_UNAVAILABLE:
            yield SaveProgress(replace(steps, looks=steps.looks + 1).as_progress())
            detail = f"{status_text(view, status)}; not every number has messaging"
            return StillOpen(status, purchase.present_results(), detail, alone=False)
        return purchase.end()

    def _without_later_purchases(
        self, order: Order, steps: Steps, view: OrderView, came: Collection[Did]
    ) -> ConversationOf[tuple[E164, ...]]:
        """Return the numbers that no later purchase of ours may have brought to an order that has ended.

        The order has no serial lock any more, so the numbers that came since may be those of another order.

        Raises:
            NoAnswer: Some came so lately that the list of orders may not show yet which purchase brought them.
        """
        orders = yield from self._read_order_pages(order, all_orders())
        later = purchases_after(view, (one for one in orders.items if not is_ours(order, one)))
        known: KnownNumbers = yield LookUpNumbers((), carrier_orders=tuple(str(one.order_id) for one in later))
        owners = {} if begun_before_fall(order, steps) else known.owners  # which may have been forgotten
        ours = [
            did
            for did in came
            if not any(
                made_at <= did.inserted_at and may_have_brought(owners.get(str(one.order_id)), did.e164)
                for one, made_at in later.items()
            )
        ]
        certain_until = known.now - self._settle_after - CLOCK_DIFFERENCE_MAX
        if any(did.inserted_at > certain_until for did in ours):
            raise NoAnswer("numbers came so lately that the purchase which brought them may not be listed yet")
        return tuple(did.e164 for did in ours)

    def _require_no_owner_may_return(self, order: Order, came: Collection[E164]) -> ConversationOf[None]:
        """Raise `NoAnswer` while too many numbers may be those of an order that the ledger has forgotten.

        Once its producer has sent that order again, the ledger knows which numbers are its own.
        """
        known: KnownNumbers = yield LookUpNumbers(())
        if order.history_lost_at and known.now < order.history_lost_at + KEYS_RETURN_WITHIN:
            raise NoAnswer(
                f"{len(came)} numbers came where {order.request.wanted} were ordered: some may belong to an order that "
                "the ledger has forgotten"
            )

    def _judge_shortfall(self, steps: Steps, purchase: Purchase, listed: Dids) -> ConversationOf[Steps | Event]:
        """Return the end of an order with too few numbers, or the event while messaging is to come on some of them.

        An order may wait for messaging longer than others should wait for its serial lock. So if no further number has
        come for long enough, the numbers that it has are all that it brought: then the steps are returned.
        """
        if not purchase.pending:
            return purchase.end()
        order, came, text = purchase.order, len(purchase.results), status_text(purchase.view, purchase.status)
        detail = f"{text}; {came} of {order.request.wanted} numbers are listed so far"
        event = StillOpen(purchase.status, purchase.present_results(), detail)
        if order.request.numbers:
            return replace(event, slow=True)
        known: KnownNumbers = yield LookUpNumbers(())
        steps = steps.with_seen(came, known.now)
        if steps.has_settled(listed.seen_at(known.now), self._settle_after):
            return steps
        yield SaveProgress(steps.as_progress())
        return event

    def _numbers_of(
        self, order: Order, steps: Steps, view: OrderView, status: str, dids: Mapping[E164, Did]
    ) -> ConversationOf[tuple[E164, ...]]:
        """Return the numbers that came by this order, as far as they are listed.

        They came after its cart was made. For an order that a person adopted this time was not saved, and the order's
        own `inserted_at` is used: an order is its cart under another name, and has the same age.
        """
        since = steps.cart_made_at or view.inserted_at
        if since is None:
            raise UnreadableAnswer(CARRIER, "an order without inserted_at, and the time of its cart was not saved")
        came = candidates(order, dids, since, steps.until, status)
        if order.request.numbers or not came:
            return came
        known: KnownNumbers = yield LookUpNumbers(came)
        return tuple(number for number in came if number not in steps.of_others(known))

    def read_page(self, list_name: str, cursor: str | None) -> Inquiry[ListPage]:
        """Read one page of a list of numbers, which has its path as its name."""
        return (yield from read_page(list_name, cursor))

    # -- look for -------------------------------------------------------------------------------

    def look_for(self, order: Order) -> Conversation:
        """Look for an order IN_DOUBT by its cart, and by our reference in the list of orders.

        Without a cart whose request is saved, nothing was checked out: the checkout is sent only after the request was
        saved, and that can be saved only while the order is as its attempt found it. An order IN_DOUBT is not. Of an
        order that has ended, and on a ledger that fell back in time, the cart may be forgotten.
        """
        steps = Steps.from_progress(order)
        if order.history_lost_at or order.ended_at:
            found = yield from self._look_for_forgotten(order, steps)
            if not isinstance(found, NotListed) or not steps.requested:  # the list may lag behind the order of a cart
                return found
        if steps.cart_id is None or not steps.requested:
            return ProvenAbsent("no cart of it was ready to be checked out")
        answer = yield get(f"{self._order_path(order, ORDERS)}/{quoted(steps.cart_id)}")
        if answer.status != HTTPStatus.NOT_FOUND:
            require_content(answer)
            view, status = decode_order(answer, steps.cart_id)
            if is_anothers(order, view):
                raise UnreadableAnswer(CARRIER, "the order of its cart has the reference of another", answer.body)
            return Acknowledged(CarrierOrderId(view.order_id or steps.cart_id), status)
        listed = yield from self._orders_with_reference(order, steps)
        return _found_in(listed) or (yield from self._look_for_cart(order, steps, seen_all=listed.is_whole))

    def _look_for_forgotten(self, order: Order, steps: Steps) -> Conversation:
        """Look for an order of which the ledger has forgotten what was done."""
        known: KnownNumbers = yield LookUpNumbers(())
        listed = yield from self._read_order_pages(order, all_orders())
        under_way = purchases_under_way(order, listed.items, known.now, self._settle_after)
        if references := tuple(filter(None, map(reference_of, under_way))):
            known = yield LookUpNumbers((), references)
        found = find_forgotten(order, listed, now=known.now, settle_after=self._settle_after, ended=known.ended)
        if not isinstance(found, OrderView):
            return found
        yield SaveProgress(steps_of_forgotten(steps, found, listed.items).as_progress())
        return adopt(found)

    def _orders_with_reference(self, order: Order, steps: Steps) -> ConversationOf[Pages[OrderView]]:
        """Return the orders with our reference, without those of earlier parts."""
        in_parts = order.request.kind is Kind.REMOVE_NUMBERS

        def read_ours(item: Mapping[str, Any]) -> OrderView | None:
            view = read_listed_order(item)
            earlier = view.order_id in steps.done_orders or (in_parts and _was_made_before_cart(view, steps))
            return view if is_ours(order, view) and view.order_id and not earlier else None

        return (yield from self._read_order_pages(order, Pages(read_ours, pages_max=ORDER_PAGES_MAX)))

    def _read_order_pages(self, order: Order, pages: Pages[OrderView]) -> ConversationOf[Pages[OrderView]]:
        after: str | None = ""
        while after is not None:
            answer = yield get(self._order_path(order, ORDERS), after)
            if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
                break  # there may be no such list
            after = pages.add(answer)
        return pages

    def _look_for_cart(self, order: Order, steps: Steps, *, seen_all: bool) -> Conversation:
        """Return that the order is not listed. It may be sent again only if its cart is still there."""
        answer = yield get(f"{self._order_path(order, CARTS)}/{quoted(steps.cart_id)}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return NotListed("no order with its cart's id, and the cart is gone", resend=False)
        require_content(answer)
        looked_at = "the order of its cart and the list of orders" if seen_all else "the order of its cart"
        return NotListed(f"{looked_at}; the cart is there")

    def _order_path(self, order: Order, path: str) -> str:
        """Return a path below the account that the order is for."""
        return account_path(order.request.account, path)


def _found_in(listed: Pages[OrderView]) -> Event | None:
    """Return the event for the orders with our reference that a list shows, if there are any."""
    if len(listed.items) > 1:
        return FoundTwice(tuple(CarrierOrderId(str(view.order_id)) for view in listed.items))
    if listed.items:
        return Acknowledged(CarrierOrderId(str(listed.items[0].order_id)), listed.items[0].status)
    return None


def _came_again(did: Did, steps: Steps, view: OrderView, status: str) -> bool:
    """Return whether a number has left by a removal, and was ordered again since: it came after the cart was made.

    One that the carrier refuses to remove may have come after the cart too, and is still the one to be removed.
    """
    if steps.cart_made_at is None or status == Status.ERROR or did.e164 in numbers_named(view):
        return False
    return did.inserted_at > steps.cart_made_at


def _was_made_before_cart(view: OrderView, steps: Steps) -> bool:
    """Return whether an order is older than the current cart, so that it cannot come from it."""
    return view.inserted_at is not None and steps.cart_made_at is not None and view.inserted_at < steps.cart_made_at
