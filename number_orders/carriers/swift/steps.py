"""What has been done for an order at Swift, as the ledger keeps it between two requests.

Knows the steps and how they are stored in the order's progress. Does not know their sequence: `adapter` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from number_orders.carriers.contract import KnownNumbers
from number_orders.carriers.swift.facts import LOOKS_TO_SETTLE, REFUSALS_MAX, SAME_REFUSALS_MAX
from number_orders.carriers.swift.json import CartView
from number_orders.orders.model import SETTLED, NumberResult, NumberState, Order
from number_orders.orders.numbers import E164

REFUSAL_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of the current attempt, and in `settled` and `done_orders` those of earlier parts.

    A look is one reading of an order that has ended and of the account's numbers. Looks are counted only for what the
    lanes do not judge: whether all numbers have come while messaging is to come on some of them, and whether a number
    will have messaging.
    """

    cart_id: str | None = None
    cart_made_at: datetime | None = None
    """When the cart was made, on the carrier's clock. Nothing that it brings is older."""
    until: datetime | None = None
    """When the next purchase of ours on the account was made, for an order whose steps the ledger has forgotten: what
    came later belongs to that one."""
    begun_at: datetime | None = None
    """A moment before the cart was made, on the ledger's clock."""
    account: str | None = None
    """The account that the cart belongs to, as the carrier says."""
    requested: bool = False
    """The request is in the cart, so the cart may be checked out. Without this it never was."""
    part: tuple[E164, ...] = ()
    """The numbers that the cart is about."""
    unlisted: tuple[E164, ...] = ()
    """Those of them that were not on the account when the cart was made."""
    found: tuple[E164, ...] | None = None
    """The numbers that the order has brought; None until they are certain."""
    looks: int = 0
    """How many looks in a row have shown the same."""
    seen: int | None = None
    """How many numbers had come at the last look."""
    seen_since: datetime | None = None
    """Since when it is this many, by the ledger's clock."""
    gone: tuple[E164, ...] = ()
    """The numbers of a removal that the last reading of a long list did not show."""
    long_list: bool = False
    """The list of numbers was seen to have more than one page."""
    refusals: tuple[str, ...] = ()
    """Swift's words each time that a step before the checkout was not accepted; empty where it gave none."""
    settled: tuple[NumberResult, ...] = ()
    done_orders: tuple[str, ...] = ()

    @classmethod
    def from_progress(cls, order: Order) -> "Steps":
        """Read the steps from the order's progress."""
        progress, settled = order.progress, order.progress.get(SETTLED)
        done: Mapping[str, Any] = settled if isinstance(settled, Mapping) else {}
        found: Any = progress.get("found")
        refusals = progress.get("refusals")
        return cls(
            cart_id=_text(progress.get("cart_id")),
            cart_made_at=_moment(progress.get("since")),
            until=_moment(progress.get("until")),
            begun_at=_moment(progress.get("begun")),
            account=_text(progress.get("account")),
            requested=progress.get("requested") is True,
            part=_numbers(progress.get("part")),
            unlisted=_numbers(progress.get("unlisted")),
            found=None if found is None else _numbers(found),
            looks=int(str(progress.get("looks", 0))),
            seen=int(str(progress["seen"])) if "seen" in progress else None,
            seen_since=_moment(progress.get("seen_since")),
            gone=_numbers(progress.get("gone")),
            long_list=progress.get("long_list") is True,
            refusals=tuple(map(str, refusals)) if isinstance(refusals, list | tuple) else (),
            settled=tuple(
                NumberResult(e164, NumberState(state), *why) for e164, state, *why in done.get("numbers", ())
            ),
            done_orders=tuple(done.get("orders", ())),
        )

    def with_cart(self, order: Order, cart: CartView, part: "Part") -> "Steps":
        """Return the steps of a new attempt, with a cart that is still empty."""
        return replace(
            self.without_cart(),
            cart_id=cart.cart_id,
            cart_made_at=cart.inserted_at,
            begun_at=order.moved_at or order.accepted_at,
            account=cart.account,
            part=part.numbers,
            unlisted=part.unlisted,
        )

    def for_older_order(self) -> "Steps":
        """Return the steps for an order that is older than the cart: it came by an earlier attempt.

        When that attempt began is not known any more.
        """
        return replace(self, cart_made_at=None, begun_at=None)

    def without_cart(self) -> "Steps":
        """Return the steps without the current attempt."""
        return Steps(
            long_list=self.long_list, refusals=self.refusals, settled=self.settled, done_orders=self.done_orders
        )

    def with_request(self) -> "Steps":
        """Return the steps with the request in the cart. What was refused before has been accepted."""
        return replace(self, requested=True, refusals=())

    def with_refusal(self, words: str | None) -> "Steps":
        """Return the steps after one more refusal, without the cart: nobody knows what is in it."""
        return replace(self.without_cart(), refusals=(*self.refusals, (words or "")[:REFUSAL_KEPT]))

    @property
    def refused_for_good(self) -> bool:
        """Whether the step before the checkout was refused so often that it is not tried again."""
        latest = self.refusals[-SAME_REFUSALS_MAX:]
        same = len(latest) == SAME_REFUSALS_MAX and len({*latest}) == 1 and latest[0] != ""
        return same or len(self.refusals) >= REFUSALS_MAX

    def with_seen(self, numbers: int, now: datetime) -> "Steps":
        """Return the steps after a look that showed so many numbers. Another number of them starts the count again."""
        if numbers != self.seen or self.seen_since is None:
            return replace(self, looks=1, seen=numbers, seen_since=now)
        return replace(self, looks=self.looks + 1)

    def has_settled(self, seen_at: datetime, settle_after: timedelta) -> bool:
        """Return whether the looks have shown the same numbers for long enough. The last of them was at `seen_at`."""
        return (
            self.seen_since is not None and self.looks >= LOOKS_TO_SETTLE and seen_at - self.seen_since >= settle_after
        )

    def with_found(self, numbers: tuple[E164, ...]) -> "Steps":
        """Return the steps with the numbers that the order has brought."""
        return replace(self, found=numbers, looks=0, seen=None, seen_since=None)

    def as_progress(self) -> dict[str, object]:
        """Return the steps as they are stored in the order's progress."""
        steps: dict[str, object] = {
            "cart_id": self.cart_id,
            "since": self.cart_made_at.isoformat() if self.cart_made_at else None,
            "until": self.until.isoformat() if self.until else None,
            "begun": self.begun_at.isoformat() if self.begun_at else None,
            "account": self.account,
            "requested": self.requested or None,
            "part": list(self.part) or None,
            "unlisted": list(self.unlisted) or None,
            "found": None if self.found is None else list(self.found),
            "looks": self.looks or None,
            "seen": self.seen,
            "seen_since": self.seen_since.isoformat() if self.seen_since else None,
            "gone": list(self.gone) or None,
            "long_list": self.long_list or None,
            "refusals": list(self.refusals) or None,
            SETTLED: settled_parts(self.settled, self.done_orders) or None,
        }
        return {name: value for name, value in steps.items() if value is not None}

    def of_others(self, known: KnownNumbers) -> frozenset[E164]:
        """Return the numbers that belong to other orders of ours, of those that came since the cart was made.

        A number that another order has had since before this attempt has left the account by hand and come again.
        """
        if self.begun_at is None:
            return known.of_other_orders
        begun_at = self.begun_at
        again = {number for number, since in known.held_since.items() if since < begun_at}
        return known.of_other_orders - (again - known.awaited)

    def outstanding(self, order: Order) -> tuple[E164, ...]:
        """Return the numbers of the order that no part has settled."""
        done = {result.e164 for result in self.settled}
        return tuple(number for number in order.request.numbers if number not in done)


@dataclass(frozen=True, slots=True)
class Part:
    """The numbers for one cart, those of them that the carrier does not list, and the cart if it is made already."""

    numbers: tuple[E164, ...]
    unlisted: tuple[E164, ...] = ()
    cart: CartView | None = None


def settled_parts(numbers: tuple[NumberResult, ...], orders: tuple[str, ...]) -> dict[str, object]:
    """Return the results and orders of the parts that are done, as they are stored."""
    if not numbers:
        return {}
    results = [[number.e164, number.state.value, number.code, number.text] for number in numbers]
    return {"numbers": results, "orders": list(orders)}


def _numbers(stored: Any) -> tuple[E164, ...]:
    return tuple(E164(str(number)) for number in stored or ())


def _moment(stored: object) -> datetime | None:
    return datetime.fromisoformat(stored) if isinstance(stored, str) else None


def _text(stored: object) -> str | None:
    return stored if isinstance(stored, str) else None
