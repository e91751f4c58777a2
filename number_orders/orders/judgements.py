"""What to conclude about an order, before there is an event for the lifecycle.

Pure functions of the order as it was read. If the order has moved since, the conclusion is void (`events.Judgement`).
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime

from number_orders.orders.events import (
    CutShort,
    Event,
    NotListed,
    Parked,
    ProvenAbsent,
    StillOpen,
    TakenAsItIs,
    WrittenOff,
)
from number_orders.orders.model import NumberResult, NumberState, Order, State, count_done
from number_orders.orders.policy import CarrierPolicy


def judge_absence(
    order: Order, event: NotListed, *, now: datetime, policy: CarrierPolicy
) -> NotListed | ProvenAbsent | Parked:
    """Judge what it means that the carrier has no record of an order in doubt.

    One look proves little: a carrier's list may lag behind its sales. Absence is proven by enough looks over enough
    time. Even then a person decides if this carrier's list proves too little or too many answers were lost.
    """
    looked = event.looked
    since = order.doubt_since or now
    enough = order.doubt_asks + 1 >= policy.doubt_asks and now - since >= policy.doubt_patience
    if not enough:
        return event
    if not (policy.resend_when_absent and event.resend):
        return Parked(f"the carrier has no record of it ({looked}); sending again is for a person to decide")
    if order.losses >= policy.losses_max:
        return Parked(f"sent {order.losses} times, every answer was lost, and the carrier has no record ({looked})")
    return ProvenAbsent(looked)


def choose_closing_event(
    order: Order, event: WrittenOff, known: Collection[NumberResult]
) -> WrittenOff | CutShort | TakenAsItIs:
    """Choose the event that closes a parked order, from the numbers already done.

    Closing undoes nothing: only an order of which no number was done has failed.
    """
    done = count_done(order, known)
    if done >= order.request.wanted:
        return TakenAsItIs(event.by, event.why)
    failed = tuple(_failed_by_closing(order, known, f"closed by {event.by}: {event.why}"))
    return CutShort(event.by, event.why, failed) if done else replace(event, numbers=failed)


def _failed_by_closing(order: Order, known: Collection[NumberResult], text: str) -> Iterator[NumberResult]:
    """Yield as failed the numbers that were asked for or reported, and to which nothing has happened yet."""
    states = {result.e164: result.state for result in known}
    for e164 in dict.fromkeys((*order.request.numbers, *states)):
        if states.get(e164, NumberState.REQUESTED) is NumberState.REQUESTED:
            yield NumberResult(e164, NumberState.FAILED, None, text)


def adds_information(order: Order, event: Event, known: Collection[NumberResult] = ()) -> bool:
    """Return whether the event says more than the order and the numbers `known` of it say already."""
    match event:
        case StillOpen(carrier_status=status, numbers=numbers, detail=detail):
            # The carrier's reply to a cancellation is new. Any other change of the detail alone is not.
            replied = order.cancel_asked_at is not None and detail is not None and detail != order.reason
            moved = order.state is not State.OPEN or status != order.carrier_status
            return moved or replied or not set(numbers) <= set(known)
        case _:
            return True
