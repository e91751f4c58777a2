"""The practice Swift's books: carts, what is in them, the orders they became, and every broken taint window.

An order is the cart seen by another name: the same id, unless the behaviour says otherwise.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

from number_orders.sandbox.behaviour import Behaviour, Span
from number_orders.sandbox.inventory import Inventory
from number_orders.sandbox.swift.dids import Did, Holdings
from number_orders.sandbox.swift.fates import SwiftFate
from number_orders.sandbox.swift.lists import Roll
from number_orders.sandbox.swift.order_requests import (
    AddMessagingNumbers,
    CartData,
    CartRequestData,
    NewNumbers,
    RemoveNumbers,
)
from number_orders.sandbox.swift.outcomes import Course, Pace, Part, Playwright, Stage, TaintRule
from number_orders.sandbox.ulid import ulid

_TICK: Final = timedelta(microseconds=1)


@dataclass(slots=True, kw_only=True)
class CartRequest:
    """One request in a cart."""

    request_id: str
    said: CartRequestData
    inserted_at: datetime


@dataclass(slots=True, kw_only=True)
class Order:
    """A cart that was checked out; time alone moves it from stage to stage."""

    order_id: str
    cart: "Cart"
    placed_at: datetime
    course: Course

    def stage(self, now: datetime) -> Stage:
        """Say how the order stands."""
        return self.history(now)[-1]

    def history(self, now: datetime) -> tuple[Stage, ...]:
        """List what has been said of the order so far, oldest first."""
        stages = self.course.stages
        return tuple(stage for stage in stages if stage.at <= now or stage is stages[0])

    def ended_at(self, now: datetime) -> datetime | None:
        """Say when the carrier finished."""
        ends_at = self.course.ends_at
        return ends_at if ends_at is not None and ends_at <= now else None


@dataclass(slots=True, kw_only=True)
class Cart:
    """Requests that are wanted together; checked out once."""

    cart_id: str
    account_id: str
    said: CartData
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
    """There is nothing to order."""


class Tainted(Exception):
    """Numbers that were to be removed are too young."""

    def __init__(self, numbers: tuple[str, ...]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


class Book:
    """Everything on the account and its sub accounts. Two accounts see nothing of each other but their numbers."""

    def __init__(self, inventory: Inventory, mms_accounts: tuple[str, ...]) -> None:
        self._inventory = inventory
        self._mms_accounts = mms_accounts
        self.holdings = Holdings()
        self.violations: list[Violation] = []
        self.carts: defaultdict[str, Roll[Cart]] = defaultdict(Roll)
        self.orders: defaultdict[str, Roll[Order]] = defaultdict(Roll)
        self.dids: defaultdict[str | None, Roll[Did]] = defaultdict(Roll)  # None: of every account
        self._carts: dict[str, Cart] = {}
        self._orders: dict[str, Order] = {}

    def open_cart(self, cart_id: str, account_id: str, said: CartData, now: datetime) -> Cart:
        """Begin a cart."""
        cart = Cart(cart_id=cart_id, account_id=account_id, said=said, inserted_at=now)
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

    def add_request(self, cart: Cart, request_id: str, said: CartRequestData, now: datetime) -> CartRequest:
        """Put a request into a cart.

        Raises:
            CheckedOut: the cart is an order already.
        """
        if cart.order is not None:
            raise CheckedOut(cart.order)
        request = CartRequest(request_id=request_id, said=said, inserted_at=now)
        cart.requests.append(request)
        return request

    def check_out(self, cart: Cart, behaviour: Behaviour, now: datetime) -> Order:
        """Make a cart an order, and decide its whole course.

        Raises:
            CheckedOut: it is one already; nothing is bought again.
            EmptyCart: it has no requests.
            Tainted: the behaviour refuses removals of young numbers at this point.
        """
        if cart.order is not None:
            raise CheckedOut(cart.order)
        if not cart.requests:
            raise EmptyCart(cart.cart_id)
        dice = Random(f"{behaviour.seed}/{cart.said.reference_id or cart.cart_id}")
        order_id = cart.cart_id if behaviour.swift_order_id == "cart" else ulid(now, dice)
        course = self._course(cart, order_id, behaviour, dice, now)
        cart.order = Order(order_id=order_id, cart=cart, placed_at=now, course=course)
        self._orders[order_id] = cart.order
        self.orders[cart.account_id].add(now + _draw(behaviour.listing_delay_s, dice), order_id, cart.order)
        if course.ends_at is not None:
            self._settle(cart.account_id, course, course.ends_at, behaviour, dice)
        return cart.order

    def _course(self, cart: Cart, order_id: str, behaviour: Behaviour, dice: Random, now: datetime) -> Course:
        rule = TaintRule(timedelta(seconds=behaviour.taint_s), behaviour.tainted_removal)
        playwright = Playwright(self._inventory, self.holdings, rule, cart.account_id)
        wishes = [request.said.data for request in cart.requests]
        tainted = playwright.tainted(wishes, now)
        self._note(tainted, cart, order_id, now)
        if tainted and rule.outcome == "refused":
            raise Tainted(tuple(did.e164 for did in tainted))
        processing = _draw(behaviour.processing_s, dice)
        pace = Pace(processing, _draw(behaviour.strange_s, dice), behaviour.strange_word)
        return playwright.write(wishes, pace, now)

    def _note(self, tainted: list[Did], cart: Cart, order_id: str, now: datetime) -> None:
        for did in tainted:
            age_s = (now - did.inserted_at).total_seconds()
            reference = cart.said.reference_id or ""
            violation = Violation(
                at=now,
                number=did.e164,
                age_s=age_s,
                order=order_id,
                account=cart.account_id,
                customer_order_id=reference,
            )
            self.violations.append(violation)

    def _settle(self, account_id: str, course: Course, ends_at: datetime, behaviour: Behaviour, dice: Random) -> None:
        """Write down now what the accounts will hold from the order's end on."""
        inserted_at = ends_at + _draw(behaviour.swift_did_delay_s, dice)
        for part in course.parts:
            for did in part.removed:
                did.removed_at = ends_at
            if isinstance(part.wish, RemoveNumbers):
                continue
            for e164 in part.done:
                self._give(e164, account_id, part, inserted_at, behaviour, dice)
                inserted_at += _TICK

    def _give(self, e164: str, account_id: str, part: Part, at: datetime, behaviour: Behaviour, dice: Random) -> None:
        wait = _usable_after(part.fate, behaviour, dice)
        did = Did(
            did_id=ulid(at, dice),
            e164=e164,
            account_id=account_id,
            inserted_at=at,
            usable_at=None if wait is None else at + wait,
            mms_enabled=self._has_mms(part, account_id),
        )
        self.holdings.add(did)
        for roll in (self.dids[account_id], self.dids[None]):
            roll.add(at, did.did_id, did)

    def _has_mms(self, part: Part, account_id: str) -> bool:
        if isinstance(part.wish, AddMessagingNumbers):
            return part.wish.mms_enabled
        return isinstance(part.wish, NewNumbers) and account_id in self._mms_accounts


def _usable_after(fate: SwiftFate, behaviour: Behaviour, dice: Random) -> timedelta | None:
    if fate is SwiftFate.NEVER_USABLE:
        return None
    slow = fate is SwiftFate.SLOW_USABLE
    return _draw(behaviour.swift_slow_usable_s if slow else behaviour.swift_usable_s, dice)


def _draw(span: Span, dice: Random) -> timedelta:
    return timedelta(seconds=dice.uniform(*span))
