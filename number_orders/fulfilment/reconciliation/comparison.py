"""What a comparison of numbers found, and how a number is matched with an order.

An orphan is a number that the carrier has as ours and the ledger does not hold. A ghost is the reverse. A number that
an unfinished order may be bringing or removing is neither. Asks nobody and stores nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from number_orders.carriers.market import HeldNumber
from number_orders.ledger.holdings import Difference
from number_orders.orders.model import CarrierName, Order, OrderId
from number_orders.orders.numbers import E164, is_nanp, national

CLOCK_DIFFERENCE_MAX: Final = timedelta(hours=1)
"""A number that the carrier had earlier than this before an order was accepted was not bought by that order."""


class Movement(StrEnum):
    """What an unfinished order may be doing with a number."""

    BRINGS = "brings"
    REMOVES = "removes"
    FOLLOWS = "follows"
    """It has brought the number, and asks about it still."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A number that the carrier has as ours, and the ledger does not hold there."""

    e164: E164
    account: str | None = None
    since: datetime | None = None
    """The latest date that any source gives: before it, the number was not ours."""
    status: str | None = None
    carrier_order_id: str | None = None
    """The carrier's order that brought it, if the carrier says so."""
    order_id: OrderId | None = None
    """The order of ours, ended, that the carrier's order is."""
    held_at: CarrierName | None = None
    """Another carrier at which the ledger holds it."""
    checked: bool = False
    """Its record was read, or this carrier has no records."""

    @property
    def can_be_adopted(self) -> bool:
        """Whether everything is known that an adoption needs."""
        return self.checked and self.held_at is None


@dataclass(frozen=True, slots=True)
class Ghost:
    """A number that the ledger holds, and the carrier does not have as ours."""

    e164: E164
    order_id: OrderId | None
    """The order that acquired it."""
    acquired_at: datetime | None = None
    status: str | None = None
    """What the carrier's record says, in its word."""
    checked: bool = False

    @property
    def can_be_given_up(self) -> bool:
        """Whether everything is known that giving it up needs."""
        return self.checked and self.order_id is not None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A number that only one side has, because an order is under way."""

    e164: E164
    order_id: OrderId
    movement: Movement


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found at one carrier."""

    carrier: CarrierName
    theirs: int
    """How many numbers the carrier lists."""
    ours: int
    """How many the ledger holds there."""
    orphans: tuple[Orphan, ...] = ()
    ghosts: tuple[Ghost, ...] = ()
    under_way: tuple[UnderWay, ...] = ()
    unreadable: int = 0
    """How many entries of the carrier's list are no telephone numbers."""

    @property
    def unchecked(self) -> int:
        """How many orphans and ghosts were not looked up, because there were too many."""
        return sum(not one.checked for one in self.orphans) + sum(not one.checked for one in self.ghosts)

    @property
    def agrees(self) -> bool:
        """Whether both sides have the same numbers, apart from what is under way."""
        return not self.orphans and not self.ghosts

    def only(self, numbers: Collection[E164]) -> "Comparison":
        """Return the part of it that is about these numbers."""
        return replace(
            self,
            orphans=tuple(orphan for orphan in self.orphans if orphan.e164 in numbers),
            ghosts=tuple(ghost for ghost in self.ghosts if ghost.e164 in numbers),
        )

    def without(self, done: Iterable[E164]) -> "Comparison":
        """Return what is left of it after some numbers were adopted or given up."""
        gone = frozenset(done)
        return replace(
            self,
            orphans=tuple(orphan for orphan in self.orphans if orphan.e164 not in gone),
            ghosts=tuple(ghost for ghost in self.ghosts if ghost.e164 not in gone),
        )


def movement_of(difference: Difference) -> UnderWay | None:
    """Return what an unfinished order that names or has the number is doing with it; None if there is no such order."""
    e164 = difference.e164
    if difference.is_listed:
        return UnderWay(e164, difference.brought_by, Movement.BRINGS) if difference.brought_by else None
    if difference.removed_by:
        return UnderWay(e164, difference.removed_by, Movement.REMOVES)
    if difference.held_by and difference.holder_unfinished:
        return UnderWay(e164, difference.held_by, Movement.FOLLOWS)
    return None


def orphan_from(difference: Difference, record: HeldNumber | None, *, has_records: bool) -> Orphan | None:
    """Return the orphan, with what its record says; None if its record says that it is not ours."""
    if record is not None and record.is_ours is False:
        return None
    dates = (difference.since, difference.released_at)
    recorded = (record.ordered_at, record.in_service_at, record.changed_at) if record else ()
    return Orphan(
        difference.e164,
        difference.account,
        max(filter(None, (*dates, *recorded)), default=None),
        record.status if record else None,
        record.carrier_order_id if record else None,
        held_at=difference.held_at,
        checked=record is not None or not has_records,
    )


def ghost_from(difference: Difference, record: HeldNumber | None, *, has_records: bool) -> Ghost | None:
    """Return the ghost, with what its record says; None if its record says that it is ours after all."""
    if record is not None and record.is_ours:
        return None
    said_no = record is not None and record.is_ours is False
    return Ghost(
        difference.e164,
        difference.held_by,
        difference.acquired_at,
        record.status if record else None,
        checked=said_no or not has_records,
    )


@dataclass(frozen=True, slots=True)
class Purchases:
    """Unfinished purchases by criteria at one carrier, found by the area code of a number."""

    by_npa: Mapping[str | None, Sequence[Order]] = field(default_factory=dict)

    @classmethod
    def of(cls, orders: Iterable[Order]) -> "Purchases":
        """Sort orders by their area code. Those without one may bring any number."""
        by_npa: dict[str | None, list[Order]] = {}
        for order in orders:
            by_npa.setdefault(order.request.criteria.npa if order.request.criteria else None, []).append(order)
        return cls(by_npa)

    def that_may_bring(self, orphan: Orphan) -> Order | None:
        """Return a purchase that may be bringing the number."""
        digits = national(orphan.e164) if is_nanp(orphan.e164) else None
        # Abroad the length of an area code is not known, so every purchase may bring the number.
        keys = (digits[:3], None) if digits else tuple(self.by_npa)
        orders = (order for key in keys for order in self.by_npa.get(key, ()))
        return next((order for order in orders if _fits(order, orphan, digits)), None)


def _fits(order: Order, orphan: Orphan, digits: str | None) -> bool:
    """Return whether a number may come from a purchase. Criteria that a number does not show, such as a city, fit."""
    wanted, account = order.request.criteria, order.request.account
    if orphan.since and orphan.since < order.accepted_at - CLOCK_DIFFERENCE_MAX:
        return False
    if account and orphan.account and account != orphan.account:
        return False
    if digits is None or wanted is None:
        return True
    begins = ((0, wanted.npa), (3, wanted.nxx), (6, wanted.thousands_block))
    return all(text is None or digits.startswith(text, at) for at, text in begins)
