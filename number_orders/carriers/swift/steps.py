"""What has been done for an order at Swift, as it is kept in the ledger between two requests.

Knows names of steps and how they are written down. Does not know in which order they are done
(`carriers.swift.adapter`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from number_orders.carriers.swift.json import CartView
from number_orders.orders.model import SETTLED, NumberResult, NumberState, Order
from number_orders.orders.numbers import E164


@dataclass(frozen=True, slots=True)
class Steps:
    """What is known of the attempt under way, and, in `settled` and `done_orders`, of the parts before it."""

    cart_id: str | None = None
    since: datetime | None = None
    """When the cart came to be, on the carrier's clock: nothing that it brings is older."""
    account: str | None = None
    """Whose the cart is, as the carrier told it."""
    requested: bool = False
    """The request is in the cart, so that the cart may be checked out; without this it never was."""
    part: tuple[E164, ...] = ()
    """The numbers that the cart is about."""
    unlisted: tuple[E164, ...] = ()
    """Those of them that were not on the account when the cart was made."""
    found: tuple[E164, ...] | None = None
    """The numbers that the order has brought, once that is believed."""
    looks: int = 0
    """How often what the order says was seen not to be so."""
    seen: int | None = None
    """How many numbers were seen to have come, or gone, when the looks were counted."""
    settled: tuple[NumberResult, ...] = ()
    done_orders: tuple[str, ...] = ()

    @classmethod
    def of(cls, order: Order) -> "Steps":
        """Read what was kept."""
        kept, settled = order.progress, order.progress.get(SETTLED)
        done: Mapping[str, Any] = settled if isinstance(settled, Mapping) else {}
        found: Any = kept.get("found")
        since = kept.get("since")
        return cls(
            cart_id=_text(kept.get("cart_id")),
            since=datetime.fromisoformat(since) if isinstance(since, str) else None,
            account=_text(kept.get("account")),
            requested=kept.get("requested") is True,
            part=_numbers(kept.get("part")),
            unlisted=_numbers(kept.get("unlisted")),
            found=None if found is None else _numbers(found),
            looks=int(str(kept.get("looks", 0))),
            seen=int(str(kept["seen"])) if "seen" in kept else None,
            settled=tuple(
                NumberResult(e164, NumberState(state), *told) for e164, state, *told in done.get("numbers", ())
            ),
            done_orders=tuple(done.get("orders", ())),
        )

    def with_cart(self, cart: CartView, part: tuple[E164, ...], unlisted: tuple[E164, ...] = ()) -> "Steps":
        """Begin anew with a cart that holds nothing yet."""
        return Steps(
            cart.cart_id, cart.inserted_at, cart.account,
            part=part, unlisted=unlisted, settled=self.settled, done_orders=self.done_orders,
        )  # fmt: skip

    def without_cart(self) -> "Steps":
        """Forget the attempt under way."""
        return Steps(settled=self.settled, done_orders=self.done_orders)

    def seeing(self, numbers: int) -> "Steps":
        """Begin to count the looks anew when more numbers have come, or gone, than ever before."""
        if self.seen is None:
            return replace(self, seen=numbers)
        return self if numbers <= self.seen else replace(self, looks=0, seen=numbers)

    def kept(self) -> dict[str, object]:
        """Return it as the ledger keeps it."""
        steps: dict[str, object] = {
            "cart_id": self.cart_id,
            "since": self.since.isoformat() if self.since else None,
            "account": self.account,
            "requested": self.requested or None,
            "part": list(self.part) or None,
            "unlisted": list(self.unlisted) or None,
            "found": None if self.found is None else list(self.found),
            "looks": self.looks or None,
            "seen": self.seen,
            SETTLED: settled(self.settled, self.done_orders) or None,
        }
        return {name: value for name, value in steps.items() if value is not None}

    def outstanding(self, order: Order) -> tuple[E164, ...]:
        """Return the numbers of the order that no part has settled."""
        done = {result.e164 for result in self.settled}
        return tuple(number for number in order.request.numbers if number not in done)


@dataclass(frozen=True, slots=True)
class Part:
    """The numbers to go into one cart, those of them that the carrier does not list, and the cart if it is made."""

    numbers: tuple[E164, ...]
    unlisted: tuple[E164, ...] = ()
    cart: CartView | None = None


def settled(numbers: tuple[NumberResult, ...], orders: tuple[str, ...]) -> dict[str, object]:
    """Return the parts that are done with, as the ledger keeps them."""
    if not numbers:
        return {}
    told = [[number.e164, number.state.value, number.code, number.text] for number in numbers]
    return {"numbers": told, "orders": list(orders)}


def _numbers(kept: Any) -> tuple[E164, ...]:
    return tuple(E164(str(number)) for number in kept or ())


def _text(kept: object) -> str | None:
    return kept if isinstance(kept, str) else None
