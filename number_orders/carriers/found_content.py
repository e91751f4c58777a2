"""Compare what a carrier order was ordered with what our order asks for.

A ledger that fell back in time may have forgotten an order. Its key may come again with another body, and gets the
reference of the forgotten order: then the carrier has something else under our reference, and a person decides.
"""

import hashlib
from collections.abc import Collection
from typing import Final

from number_orders.orders.events import Parked
from number_orders.orders.model import CarrierOrderId, Kind, Order, OrderRequest
from number_orders.orders.numbers import E164

_SHOWN_MAX: Final = 20
_DIGEST_LENGTH: Final = 8


def park_other_content(
    order: Order,
    found: CarrierOrderId,
    *,
    kind: Kind | None = None,
    quantity: int | None = None,
    numbers: Collection[E164] = (),
    choice: str | None = None,
    digest: str | None = None,
) -> Parked | None:
    """Return `Parked` if the carrier order under our reference was ordered with something else than our order asks for.

    Args:
        order: Our order.
        found: The carrier order with our reference.
        kind: What kind of order it is; None if the carrier does not show that, as with the following.
        quantity: How many numbers were ordered.
        numbers: The numbers that were ordered by name; empty if none were, or none are shown.
        choice: How the numbers were chosen, in words, if that differs from our order.
        digest: The digest of what was ordered (`content_digest`).
    """
    asked, request = [], order.request
    if kind not in {None, request.kind}:
        asked.append(f"kind {kind}")
    if quantity not in {None, request.wanted}:
        asked.append(f"quantity {quantity}")
    if numbers and frozenset(numbers) != frozenset(request.numbers):
        asked.append(f"numbers {_listed(numbers)}")
    if choice:
        asked.append(choice)
    if not asked and digest not in {None, content_digest(request)}:
        asked.append("something else, by the digest of what was ordered")
    return parked_with_both(order, found, ", ".join(asked)) if asked else None


def parked_with_both(order: Order, found: CarrierOrderId, asked: str = "something else") -> Parked:
    """Return the event for an order whose reference stands for something else at the carrier."""
    request = order.request
    ours = _listed(request.numbers) if request.numbers else f"{request.wanted} by criteria"
    return Parked(
        f"{request.carrier}'s order {found} has our reference and was ordered with {asked}; "
        f"this order asks for {request.kind}: {ours}. One key stands for one order: a person decides which is wanted",
        found,
    )


def content_digest(request: OrderRequest) -> str:
    """Return eight hexadecimal digits that differ if kind, numbers, quantity or criteria do.

    A carrier that shows nothing of that is given the digits beside our reference.
    """
    criteria = repr(request.criteria) if request.criteria else ""
    text = "\0".join((request.kind, str(request.wanted), criteria, *sorted(request.numbers)))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


def _listed(numbers: Collection[E164]) -> str:
    shown = ", ".join(sorted(numbers)[:_SHOWN_MAX])
    return shown if len(numbers) <= _SHOWN_MAX else f"{shown} and {len(numbers) - _SHOWN_MAX} more"
