"""Calling a purchase back at Bandwidth, which only a backorder can be: what is remembered of it, and what it comes to.

Bandwidth has no cancel. What it has is CloseOrder, for an order that is BACKORDERED: no more numbers are sought, and
the order ends with those it has. So the wish waits until the order is backordered, if it ever is. That it was uttered
is kept before it leaves, and how it was taken afterwards; uttering it twice does no harm. Opens no socket.

Source: Bandwidth/bandwidth.github.io, numbers/guides/advancedOrdering.md; Bandwidth/api-docs, numbers_v2.yml.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from number_orders.carriers.bandwidth.answers import said_in
from number_orders.carriers.bandwidth.facts import BACKORDERED
from number_orders.carriers.contract import CarrierAnswer, SaveProgress
from number_orders.orders.events import CalledBack, Event, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import Order

PROGRESS: Final = "closing"
"""Where in an order's progress it is remembered."""


class Taken(StrEnum):
    """How Bandwidth has taken the wish, as far as is known."""

    UNKNOWN = "unknown"
    """It may have arrived. Asked for once more while the order is backordered."""
    AGREED = "agreed"
    REFUSED = "refused"
    """It says that the order cannot be closed. A word about that moment: asked for once more, likewise."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What has been said about closing one of Bandwidth's orders."""

    taken: Taken
    words: str | None = None


def is_wanted(order: Order, status: str) -> bool:
    """Tell whether Bandwidth is to be asked to close the order, and can be."""
    before = remembered(order)
    agreed = before is not None and before.taken is Taken.AGREED
    return order.cancel_asked_at is not None and status.upper() == BACKORDERED and not agreed


def remembered(order: Order) -> Closing | None:
    """Return what has been said so far, if it was about the order that is ours now."""
    kept = order.progress.get(PROGRESS)
    if not isinstance(kept, Mapping) or kept.get("order") != order.carrier_order_id:
        return None
    words = kept.get("words")
    return Closing(Taken(str(kept.get("taken"))), words if isinstance(words, str) else None)


def keep(order: Order, closing: Closing) -> SaveProgress:
    """Return how it is remembered, beside whatever else was done for the order."""
    kept = {"order": order.carrier_order_id, "taken": closing.taken.value, "words": closing.words}
    return SaveProgress({**order.progress, PROGRESS: kept})


def reply(answer: CarrierAnswer) -> Closing:
    """Say how the wish was taken, by the answer to it."""
    match answer.status // 100:
        case 2:
            return Closing(Taken.AGREED)
        case 4:
            return Closing(Taken.REFUSED, said_in(answer))
        case _:
            return Closing(Taken.UNKNOWN, said_in(answer))


def while_open(order: Order, waiting: StillOpen, closing: Closing | None) -> StillOpen:
    """Tell, of an order that was called back and is open all the same, why that is so."""
    if order.cancel_asked_at is None:
        return waiting
    why = f"called back; {_standing(closing)}"
    return replace(waiting, detail=f"{why}; {waiting.detail}" if waiting.detail else why)


def at_the_end(event: Event, closing: Closing | None) -> Event:
    """Return the end of an order in the light of its having been asked to close."""
    if closing is None or not _closed(event, closing):
        return event
    match event:
        case Refused(carrier_status=status, numbers=numbers):
            return CalledBack("the backorder was closed before anything was bought", status, numbers)
        case PartlyFilled(reason=reason):
            return replace(event, reason=f"the backorder was closed: {reason}")
        case _:
            return event


def _closed(event: Event, closing: Closing) -> bool:
    """Tell whether the order ended because it was closed.

    A refusal may be no more than the answer to a repetition, on the way, of a wish that was granted. But a backorder
    that comes to nothing, and Bandwidth has no reason for it, was closed.
    """
    return closing.taken is not Taken.REFUSED or (isinstance(event, Refused) and event.code is None)


def _standing(closing: Closing | None) -> str:
    if closing is None:
        return "Bandwidth closes an order only while it is backordered, so this one goes on"
    return {
        Taken.AGREED: "Bandwidth has agreed to close it",
        Taken.REFUSED: f"Bandwidth did not close it ({closing.words}), so it goes on",
        Taken.UNKNOWN: "whether Bandwidth closes it is not known yet",
    }[closing.taken]
