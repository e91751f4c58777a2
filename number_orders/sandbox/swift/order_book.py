"""The order book of the sandbox Swift: carts, their requests, their orders, and violated taint windows.

An order is a checked-out cart and has its id, unless the behaviour says otherwise.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

from number_orders.sandbox.behaviour import Behaviour, Span, listing_delay, random_duration, random_flips
from number_orders.sandbox.inventory import Inventory
from number_orders.sandbox.swift.dids import Did, Holdings
from number_orders.sandbox.swift.fates import SwiftFate
from number_orders.sandbox.swift.lists import PagedList
from number_orders.sandbox.swift.order_requests import (
    AddMessagingNumbers,
    CartData,
    CartRequestData,
    NewNumbers,
    RemoveNumbers,
)
from number_orders.sandbox.swift.outcomes import Durations, OutcomePlanner, RequestResult, Stage, TaintRule, Timeline
from number_orders.sandbox.ulid import ulid

_TICK: Final = timedelta(microseconds=1)


@dataclass(slots=True, kw_only=True)
class CartRequest:
    """One request in a cart."""

    request_id: str
    sent: CartRequestData
    inserted_at: datetime


@dataclass(slots=True, kw_only=True)
class Order:
    """A checked-out cart. Time alone moves it from stage to stage."""

    order_id: str
    cart: "Cart"
    placed_at: datetime
    listed_at: datetime
    lists_complete_at: datetime
    timeline: Timeline

    def stage(self, now: datetime) -> Stage:
        """Return the stage at `now`."""
        return self.history(now)[-1]

    def history(self, now: datetime) -> tuple[Stage, ...]:
        """Return the stages up to `now`, oldest first."""
        stages = self.timeline.stages
        return tuple(stage for stage in stages if stage.at <= now or stage is stages[0])

    def ended_at(self, now: datetime) -> datetime | None:
        """Return when the carrier finished."""
        ends_at = self.timeline.ends_at
        return ends_at if ends_at is not None and ends_at <= now else None


@dataclass(slots=True, kw_only=True)
class Cart:
    """Requests that are checked out together, once."""

    cart_id: str
    account_id: str
    sent: CartData
    inserted_at: datetime
    requests: list[CartRequest] = field(default_factory=list)
    order: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A number whose removal was checked out inside its taint window."""

    at: datetime
    number: str
    age_s: float
    order: str
    account: str
    customer_order_id: str


class CheckedOut(Exception):
    """The cart is an order already."""

    def __init__(self, order: Order) -> None:
        super().__init__(order.order_id)
        self.order = order


class EmptyCart(Exception):
    """The cart has no requests."""


class Tainted(Exception):
    """Numbers to be removed are inside their taint window."""

    def __init__(self, numbers: tuple[str, ...]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


class OrderBook:
    """Everything on the account and its sub accounts, each of which sees only its own carts and orders."""

    def __init__(self, inventory: Inventory, mms_accounts: tuple[str, ...]) -> None:
        self._inventory = inventory
        self._mms_accounts = mms_accounts
        self.holdings = Holdings()
        self.violations: list[Violation] = []
        self.carts: defaultdict[str, PagedList[Cart]] = defaultdict(PagedList)
        self.orders: defaultdict[str, PagedList[Order]] = defaultdict(PagedList)
        self.dids: defaultdict[str | None, PagedList[Did]] = defaultdict(PagedList)  # None: of every account
        self._carts: dict[str, Cart] = {}
        self._orders: dict[str, Order] = {}

    def open_cart(self, cart_id: str, account_id: str, sent: CartData, now: datetime) -> Cart:
        """Create a cart."""
        cart = Cart(cart_id=cart_id, account_id=account_id, sent=sent, inserted_at=now)
        self._carts[cart_id] = cart
        self.carts[account_id].add(now, cart_id, cart)
        return cart

    def cart(self, cart_id: str) -> Cart | None:
        """Return the cart with this id."""
        return self._carts.get(cart_id)

    def order(self, order_id: str) -> Order | None:
        """Return the order with this id."""
        return self._orders.get(order_id)

    def all_orders(self) -> Iterator[Order]:
        """List every order of every account, oldest first."""
        return iter(self._orders.values())

    def add_request(self, cart: Cart, request_id: str, sent: CartRequestData, now: datetime) -> CartRequest:
        """Add a request to a cart.

        Raises:
            CheckedOut: the cart is an order already.
        """
        if cart.order is not None:
            raise CheckedOut(cart.order)
        request = CartRequest(request_id=request_id, sent=sent, inserted_at=now)
        cart.requests.append(request)
        return request

    def check_out(self, cart: Cart, behaviour: Behaviour, now: datetime) -> Order:
        """Turn a cart into an order and decide all that happens to it.

        Raises:
            CheckedOut: it is an order already; nothing is bought again.
            EmptyCart: it has no requests.
            Tainted: it removes tainted numbers, and the behaviour refuses that at the checkout.
        """
        if cart.order is not None:
            raise CheckedOut(cart.order)
        if not cart.requests:
            raise EmptyCart(cart.cart_id)
        label = cart.sent.reference_id or cart.cart_id
        dice = Random(f"{behaviour.seed}/{label}")
        order_id = cart.cart_id if behaviour.swift_order_id == "cart" else ulid(now, dice)
        timeline = self._timeline(cart, order_id, behaviour, dice, now)
        listed_at = now + listing_delay(behaviour, dice, label)
        cart.order = Order(
            order_id=order_id,
            cart=cart,
            placed_at=now,
            listed_at=listed_at,
            lists_complete_at=timeline.stages[-1].at,
            timeline=timeline,
        )
        self._orders[order_id] = cart.order
        self.orders[cart.account_id].add(listed_at, order_id, cart.order)
        if timeline.ends_at is not None:
            self._update_holdings(cart.order, timeline.ends_at, behaviour, dice)
        return cart.order

    def _timeline(self, cart: Cart, order_id: str, behaviour: Behaviour, dice: Random, now: datetime) -> Timeline:
        rule = TaintRule(timedelta(seconds=behaviour.taint_s), behaviour.tainted_removal)
        planner = OutcomePlanner(self._inventory, self.holdings, rule, cart.account_id)
        request_data = [request.sent.data for request in cart.requests]
        tainted = planner.tainted(request_data, now)
        self._record_violations(tainted, cart, order_id, now)
        if tainted and rule.outcome == "refused":
            raise Tainted(tuple(did.e164 for did in tainted))
        processing = random_duration(behaviour.processing_s, dice)
        flips = random_flips(behaviour, Random(f"{behaviour.seed}/{cart.sent.reference_id or cart.cart_id}/shown"))
        strange = random_duration(behaviour.strange_s, dice)
        durations = Durations(processing, strange, behaviour.strange_word, tuple(flips))
        return planner.plan(request_data, durations, now)

    def _record_violations(self, tainted: list[Did], cart: Cart, order_id: str, now: datetime) -> None:
        for did in tainted:
            age_s = (now - did.inserted_at).total_seconds()
            reference = cart.sent.reference_id or ""
            violation = Violation(
                at=now,
                number=did.e164,
                age_s=age_s,
                order=order_id,
                account=cart.account_id,
                customer_order_id=reference,
            )
            self.violations.append(violation)

    def _update_holdings(self, order: Order, ends_at: datetime, behaviour: Behaviour, dice: Random) -> None:
        """Record what the accounts will hold from the order's end on."""
        account_id, timeline = order.cart.account_id, order.timeline
        inserted_at = ends_at + random_duration(behaviour.swift_did_delay_s, dice)
        for result in timeline.results:
            for did in result.removed:
                did.removed_at = ends_at
                did.unlisted_at = ends_at + _lag(behaviour, did.e164, behaviour.swift_removal_lag_s)
                order.lists_complete_at = max(order.lists_complete_at, did.unlisted_at)
            if isinstance(result.requested, RemoveNumbers):
                continue
            for index, e164 in enumerate(result.done):
                late = _lag(behaviour, e164, behaviour.swift_late_s) if _is_late(result, index) else timedelta()
                listed_at = inserted_at + late + _lag(behaviour, e164, behaviour.swift_did_lag_s)
                self._add_did(e164, account_id, result, inserted_at, listed_at, behaviour, dice)
                order.lists_complete_at = max(order.lists_complete_at, listed_at)
                inserted_at += _TICK

    def _add_did(
        self,
        e164: str,
        account_id: str,
        result: RequestResult,
        at: datetime,
        listed_at: datetime,
        behaviour: Behaviour,
        dice: Random,
    ) -> None:
        wait = _usable_after(result.fate, behaviour, dice)
        did = Did(
            did_id=ulid(at, dice),
            e164=e164,
            account_id=account_id,
            inserted_at=at,
            usable_at=None if wait is None else at + wait,
            mms_enabled=self._has_mms(result, account_id),
            listed_at=listed_at,
        )
        self.holdings.add(did)
        for paged_list in (self.dids[account_id], self.dids[None]):
            paged_list.add(listed_at, did.did_id, did)

    def _has_mms(self, result: RequestResult, account_id: str) -> bool:
        if isinstance(result.requested, AddMessagingNumbers):
            return result.requested.mms_enabled
        return isinstance(result.requested, NewNumbers) and account_id in self._mms_accounts


def _is_late(result: RequestResult, index: int) -> bool:
    """Return whether a number is late in the list: every one after an ERROR, or one of the second half."""
    second_half = result.fate is SwiftFate.HALF_LATE and index >= len(result.done) // 2
    return second_half or result.fate is SwiftFate.ERROR_BUT_BOUGHT


def _lag(behaviour: Behaviour, e164: str, span: Span) -> timedelta:
    """Return how far the list of numbers lags behind for this number. It changes no other random value."""
    return random_duration(span, Random(f"{behaviour.seed}/{e164}"))


def _usable_after(fate: SwiftFate, behaviour: Behaviour, dice: Random) -> timedelta | None:
    if fate is SwiftFate.NEVER_USABLE:
        return None
    slow = fate is SwiftFate.SLOW_USABLE
    return random_duration(behaviour.swift_slow_usable_s if slow else behaviour.swift_usable_s, dice)
