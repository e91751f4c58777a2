"""Cancel a purchase at Bandwidth: decide when to close a backorder, record it, and tell what the end means.

Bandwidth cannot cancel an order. It can close one that is BACKORDERED (`CloseOrder`): it then looks for no more
numbers, and the order ends with those it has. So a cancelled order is closed when it becomes BACKORDERED, if it ever
does. Before the request is sent, the order's progress says so; afterwards it says what Bandwidth replied. Sending the
request twice does no harm. Sends nothing itself.

Source: Bandwidth/bandwidth.github.io, numbers/guides/advancedOrdering.md; Bandwidth/api-docs, numbers_v2.yml.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from number_orders.carriers.bandwidth.answers import error_text
from number_orders.carriers.bandwidth.facts import BACKORDERED
from number_orders.carriers.contract import CarrierAnswer, SaveProgress
from number_orders.orders.events import CalledBack, Event, PartlyFilled, Refused, StillOpen
from number_orders.orders.model import Order

PROGRESS: Final = "closing"
"""The key in an order's progress."""


class CloseReply(StrEnum):
    """What Bandwidth replied when it was asked to close an order."""

    UNKNOWN = "unknown"
    """The request may have arrived. It is sent again while the order is BACKORDERED."""
    AGREED = "agreed"
    REFUSED = "refused"
    """The order cannot be closed. That holds for the moment: it is asked again while the order is BACKORDERED."""


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """A request to close one of Bandwidth's orders. `words` are Bandwidth's own, if the reply was not a success."""

    reply: CloseReply
    words: str | None = None


def should_close(order: Order, status: str) -> bool:
    """Return whether to ask Bandwidth now to close the order."""
    earlier = recorded_request(order)
    agreed = earlier is not None and earlier.reply is CloseReply.AGREED
    return order.cancel_asked_at is not None and status.upper() == BACKORDERED and not agreed


def recorded_request(order: Order) -> CloseRequest | None:
    """Return the last request to close this order, if it was about the carrier order that is ours now."""
    recorded = order.progress.get(PROGRESS)
    if not isinstance(recorded, Mapping) or recorded.get("order") != order.carrier_order_id:
        return None
    words = recorded.get("words")
    return CloseRequest(CloseReply(str(recorded.get("taken"))), words if isinstance(words, str) else None)


def record(order: Order, request: CloseRequest) -> SaveProgress:
    """Return the step that records the request beside the rest of the order's progress."""
    recorded = {"order": order.carrier_order_id, "taken": request.reply.value, "words": request.words}
    return SaveProgress({**order.progress, PROGRESS: recorded})


def decode_reply(answer: CarrierAnswer) -> CloseRequest:
    """Read Bandwidth's answer to the request."""
    match answer.status // 100:
        case 2:
            return CloseRequest(CloseReply.AGREED)
        case 4:
            return CloseRequest(CloseReply.REFUSED, error_text(answer))
        case _:
            return CloseRequest(CloseReply.UNKNOWN, error_text(answer))


def explain_open(order: Order, event: StillOpen, request: CloseRequest | None) -> StillOpen:
    """Return the event with the reason why an order is still open although it was cancelled."""
    if order.cancel_asked_at is None:
        return event
    reason = f"cancellation requested; {_state_of(request)}"
    return replace(event, detail=f"{reason}; {event.detail}" if event.detail else reason)


def end_after_request(event: Event, request: CloseRequest | None) -> Event:
    """Return the end of an order, changed if it ended because it was closed."""
    if request is None or not _was_closed(event, request):
        return event
    match event:
        case Refused(carrier_status=status, numbers=numbers):
            return CalledBack("the backorder was closed before anything was bought", status, numbers)
        case PartlyFilled(reason=reason):
            return replace(event, reason=f"the backorder was closed: {reason}")
        case _:
            return event


def _was_closed(event: Event, request: CloseRequest) -> bool:
    """Return whether the order ended because it was closed.

    A refusal may be the answer to a repeated request, of which the first was granted. So a backorder that fails without
    an error of its own was closed, whatever was replied.
    """
    return request.reply is not CloseReply.REFUSED or (isinstance(event, Refused) and event.code is None)


def _state_of(request: CloseRequest | None) -> str:
    if request is None:
        return "Bandwidth closes an order only while it is backordered, so this one goes on"
    return {
        CloseReply.AGREED: "Bandwidth has agreed to close it",
        CloseReply.REFUSED: f"Bandwidth did not close it ({request.words}), so it goes on",
        CloseReply.UNKNOWN: "whether Bandwidth closes it is not known yet",
    }[request.reply]
