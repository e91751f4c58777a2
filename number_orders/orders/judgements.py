"""What to conclude about an order, before there is an event for the lifecycle.

Pure functions of the order as it was read. If the order has moved since, the conclusion is void (`events.Judgement`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from number_orders.orders.events import (
    Acknowledged,
    CalledBack,
    CarriersEnd,
    CutShort,
    Event,
    Filled,
    FilledWithErrors,
    NotListed,
    Parked,
    PartlyFilled,
    PartSettled,
    ProvenAbsent,
    Refused,
    StillOpen,
    TakenAsItIs,
    WrittenOff,
)
from number_orders.orders.model import (
    CarrierOrderId,
    Kind,
    NumberResult,
    NumberState,
    Order,
    State,
    count_done,
    is_done,
)
from number_orders.orders.policy import CarrierPolicy


def judge_absence(
    order: Order, event: NotListed, *, now: datetime, policy: CarrierPolicy
) -> NotListed | ProvenAbsent | Parked:
    """Judge what it means that the carrier has no record of an order in doubt.

    One look proves little: a carrier's list may lag behind its sales. Absence is proven by enough looks over enough
    time. Even then a person decides if this carrier's list proves too little or too many answers were lost. An order
    that this ledger never sent, but may have forgotten to have sent, is looked for once, after the patience.
    """
    looked = event.looked
    since = max(filter(None, (order.doubt_since, order.history_lost_at)), default=now)
    never_sent = not order.sends and order.history_lost_at is not None
    asks = 1 if never_sent else policy.doubt_asks
    enough = order.doubt_asks + 1 >= asks and now - since >= policy.doubt_patience
    if not enough:
        return event
    proves = policy.resend_when_absent or (never_sent and event.shows_references)
    if not (proves and event.resend):
        again = "sending it" if never_sent else "sending again"
        return Parked(f"the carrier has no record of it ({looked}); {again} is for a person to decide")
    if order.losses >= policy.losses_max:
        return Parked(f"sent {order.losses} times, every answer was lost, and the carrier has no record ({looked})")
    return ProvenAbsent(looked)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An end that falls short and is not believed yet: look again by `not_before`."""

    not_before: datetime
    reason: str


def judge_end(
    order: Order,
    event: Event,
    known: Collection[NumberResult],
    *,
    looks: int,
    now: datetime,
    policy: CarrierPolicy,
) -> Event | Unsettled:
    """Judge what the carrier says of an open order: an end that falls short is not believed at once.

    A carrier's status and its lists become visible at different times. An end with fewer numbers than were asked for is
    believed once the carrier has shown the same for `policy.settle_after` and in `policy.settle_looks` looks. The order
    stays open until then. Any change starts the time again. A full answer is believed at once, unless status and lists
    contradict each other.

    Args:
        order: The order as it was read. The time counts from its `moved_at`.
        event: What the carrier says now. Only an end that falls short is judged; anything else is returned as it is.
        known: The order's numbers, as far as they are known.
        looks: How often the order was looked at since it last moved, and the look that moved it.
        now: The ledger's time.
        policy: How patient we are with this carrier.

    Returns:
        The event, if it is believed; a `StillOpen` to record, if what the carrier shows is new; else `Unsettled`.
    """
    if not falls_short(order, event) or (policy.settle_looks <= 1 and not policy.settle_after):
        return event
    waiting = _not_believed(order, event, known, policy)
    if order.moved_at is None or waiting.detail != order.reason or adds_information(order, waiting, known):
        return waiting
    settled_at = order.moved_at + policy.settle_after
    if now >= settled_at and looks >= policy.settle_looks:
        return event
    return Unsettled(settled_at, str(waiting.detail))


def falls_short(order: Order, event: Event) -> bool:
    """Return whether the event ends the order, or a part of it, with fewer numbers done than were asked for.

    So does an end of one carrier order whose status and lists contradict each other: one of them may still change.
    """
    match event:
        case FilledWithErrors(carrier_order_ids=()):
            return True
        case Filled(numbers=numbers) | FilledWithErrors(numbers=numbers) | PartlyFilled(numbers=numbers):
            return count_done(order, numbers) < order.request.wanted
        case Refused() | CalledBack():
            return True
        case PartSettled(numbers=numbers, contradicted=contradicted):
            return contradicted or any(result.state is NumberState.FAILED for result in numbers)
        case _:
            return False


def _not_believed(order: Order, event: Event, known: Collection[NumberResult], policy: CarrierPolicy) -> StillOpen:
    """Return an end that falls short as news of an open order: the numbers done, and what is waited for.

    An order that has all its numbers needs its serial lock no more.
    """
    status = getattr(event, "carrier_status", None) or order.carrier_status or "an end"
    done = tuple(result for result in getattr(event, "numbers", ()) if is_done(order, result))
    shown = {result.e164 for result in done}
    missing = [result.e164 for result in known if is_done(order, result) and result.e164 not in shown]
    detail = (
        f"{status} with {len(done)} of {order.request.wanted} numbers"
        + (f", without {', '.join(missing)} that it showed before" if missing else "")
        + f"; believed when unchanged for {policy.settle_after.total_seconds():g} s"
    )
    is_removal = order.request.kind is Kind.REMOVE_NUMBERS
    numbers = tuple(_not_removed_yet(order, event, known)) if is_removal else done
    return StillOpen(status, numbers, detail, alone=len(done) < order.request.wanted)


def _not_removed_yet(order: Order, event: Event, known: Collection[NumberResult]) -> Iterator[NumberResult]:
    """Yield the numbers of a removal that is not believed, as the carrier shows them.

    None of them counts as removed: one that a list lacks may be listed again, and then we would not hold it any more.
    """
    settled = {result.e164 for result in known if is_done(order, result)}
    results: Collection[NumberResult] = getattr(event, "numbers", ())
    for result in results:
        if result.e164 not in settled and is_done(order, result):
            yield NumberResult(
                result.e164, NumberState.REQUESTED, None, "not listed any more, which is not believed yet"
            )
        elif result.state is NumberState.FAILED:
            yield replace(result, state=NumberState.REQUESTED)


def judge_others(
    order: Order,
    end: CarriersEnd,
    bought: Mapping[CarrierOrderId, Sequence[NumberResult]],
    open_ids: Sequence[CarrierOrderId],
) -> CarriersEnd | StillOpen | Acknowledged:
    """Judge the end of one carrier order, when the carrier may have others with our reference.

    The order ends when all of them have. If this one came to nothing, another is followed instead.

    Args:
        order: The order, which follows the carrier order that has ended.
        end: How that ended.
        bought: What each other carrier order has bought.
        open_ids: The other carrier orders that are still open.
    """
    others = tuple(dict.fromkeys((*open_ids, *bought)))
    if not others:
        return end
    if isinstance(end, Refused | CalledBack):
        return Acknowledged(others[0], None, instead_of=order.carrier_order_id)
    if open_ids:
        done = tuple(result for result in end.numbers if is_done(order, result))
        detail = f"{end.carrier_status}, but carrier order {', '.join(open_ids)} with our reference is still open"
        return StillOpen(end.carrier_status, done, detail)
    numbers = {result.e164: result for results in (end.numbers, *bought.values()) for result in results}
    ids = (*filter(None, (order.carrier_order_id,)), *bought)
    reason = f"the carrier has {len(ids)} orders with our reference that bought numbers: {', '.join(ids)}"
    return FilledWithErrors(end.carrier_status, tuple(numbers.values()), reason, ids)


def numbers_at_end(order: Order, event: Event, known: Collection[NumberResult]) -> tuple[NumberResult, ...]:
    """Return the numbers to record with a carrier's end: those that it names, and those that the carrier withdrew.

    A withdrawn number was shown as bought while the order was open, and the end does not show it as bought. A carrier
    that said so with a code or a text is quoted.
    """
    named: tuple[NumberResult, ...] = getattr(event, "numbers", ())
    if order.request.kind is Kind.REMOVE_NUMBERS:
        return named
    results = {result.e164: result for result in named}
    for before in known:
        now = results.get(before.e164)
        if is_done(order, before) and (now is None or now.state in {NumberState.REQUESTED, NumberState.FAILED}):
            code, text = (now.code, now.text) if now else (None, None)
            results[before.e164] = NumberResult(
                before.e164, NumberState.WITHDRAWN, code, text or "shown as bought before, and not at the end"
            )
    return tuple(results.values())


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
