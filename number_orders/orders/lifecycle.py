"""The life of one order: what may happen next, and what is then owed.

Knows states, events and effects. Knows nothing of clocks, sockets, tables or dice: callers pass
`now` in, and carry the returned effects out.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from number_orders.orders.errors import IllegalTransition
from number_orders.orders.events import (
    AboutOneAttempt,
    Acknowledged,
    Adopted,
    AnswerLost,
    ByPerson,
    CalledBack,
    CancelAsked,
    CarrierNews,
    CutShort,
    Deferred,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    Hurried,
    NotListed,
    NotSent,
    Parked,
    PartlyFilled,
    PartSettled,
    ProvenAbsent,
    Refused,
    SentAgain,
    SetAside,
    StillOpen,
    SubmissionBegun,
    TakenAsItIs,
    ToldAgain,
    WrittenOff,
)
from number_orders.orders.model import SETTLED, CarrierOrderId, Kind, Lane, NumberResult, NumberState, Order, State
from number_orders.orders.policy import CarrierPolicy

_ENDS: Final[Mapping[type[Event], State]] = MappingProxyType(
    {
        Filled: State.COMPLETED,
        PartlyFilled: State.PARTIAL,
        FilledWithErrors: State.COMPLETED_WITH_ERRORS,
        Refused: State.FAILED,
        CalledBack: State.CANCELLED,
    }
)

ARCS: Final[Mapping[State, Mapping[type[Event], State]]] = MappingProxyType(
    {
        State.ACCEPTED: {
            SubmissionBegun: State.SUBMITTING,
            CancelAsked: State.CANCELLED,
            Hurried: State.ACCEPTED,
            SetAside: State.PARKED,
            Parked: State.PARKED,
            FoundTwice: State.PARKED,  # here and below: whenever it is found out
            NotSent: State.ACCEPTED,  # an attempt that was given up speaks after all, here and below
            Deferred: State.ACCEPTED,
            AnswerLost: State.IN_DOUBT,
            Acknowledged: State.OPEN,
            **_ENDS,
        },
        State.SUBMITTING: {
            SubmissionBegun: State.IN_DOUBT,  # begun before, and nobody knows how that ended
            NotSent: State.ACCEPTED,
            Deferred: State.ACCEPTED,
            Acknowledged: State.OPEN,
            AnswerLost: State.IN_DOUBT,
            FoundTwice: State.PARKED,
            Parked: State.PARKED,
            **_ENDS,
        },
        State.IN_DOUBT: {
            NotSent: State.ACCEPTED,  # the very attempt in doubt says that it never left
            Deferred: State.ACCEPTED,
            Acknowledged: State.OPEN,
            AnswerLost: State.IN_DOUBT,
            NotListed: State.IN_DOUBT,
            ProvenAbsent: State.ACCEPTED,  # it never arrived, so sending is safe
            Hurried: State.IN_DOUBT,  # asked sooner, and sent again no sooner
            SetAside: State.PARKED,
            FoundTwice: State.PARKED,
            Parked: State.PARKED,
            **_ENDS,
        },
        State.OPEN: {
            Acknowledged: State.OPEN,  # the answer, after the ask
            StillOpen: State.OPEN,
            PartSettled: State.ACCEPTED,  # the rest has a submission of its own
            CancelAsked: State.OPEN,
            Hurried: State.OPEN,
            SetAside: State.PARKED,
            AnswerLost: State.OPEN,  # old news: the order was found meanwhile
            NotListed: State.OPEN,  # likewise
            FoundTwice: State.PARKED,
            Parked: State.PARKED,
            **_ENDS,
        },
        State.PARKED: {
            Adopted: State.OPEN,
            SentAgain: State.ACCEPTED,
            WrittenOff: State.FAILED,
            CutShort: State.PARTIAL,
            TakenAsItIs: State.COMPLETED_WITH_ERRORS,
        },
    }
)
"""What is legal. Final states have no arcs; the diagram in docs/lifecycle.md is drawn from this."""

AT_REST: Final = frozenset({State.PARKED, *(state for state in State if state.is_final)})
"""Where the carrier's late news is kept in the story and moves nothing."""

DONE: Final[Mapping[Kind, frozenset[NumberState]]] = MappingProxyType(
    {
        kind: frozenset(
            {NumberState.RELEASED} if kind is Kind.REMOVE_NUMBERS else {NumberState.ACQUIRED, NumberState.USABLE}
        )
        for kind in Kind
    }
)
"""With which of its numbers an order has done what was asked for."""


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """Owed: send the order."""

    not_before: datetime
    reason: str | None = None
    lane = Lane.SUBMIT


@dataclass(frozen=True, slots=True)
class AskCarrier:
    """Owed: ask the carrier how the order stands, or whether it ever arrived."""

    not_before: datetime
    reason: str | None = None
    lane = Lane.ASK


@dataclass(frozen=True, slots=True)
class TellProducer:
    """Owed: hand the order document to the producer."""

    not_before: datetime
    reason: str | None = None
    lane = Lane.TELL


Effect = SubmitOrder | AskCarrier | TellProducer


@dataclass(frozen=True, slots=True)
class Step:
    """The order after an event, and everything that is now owed to it."""

    order: Order
    event: Event
    """What was heard, as it is understood in the light of what was known."""
    effects: tuple[Effect, ...]
    late: bool = False
    """The event came after the order had come to rest: kept in the story, moves nothing."""
    contradicts: bool = False
    """Late news that says otherwise than the end that was told: an alarm."""

    @property
    def releases_serial_lock(self) -> bool:
        """Tell whether the order no longer needs to itself what it was alone on at the carrier."""
        shared = isinstance(self.event, StillOpen) and not self.event.alone
        return not self.late and (shared or self.order.state is State.ACCEPTED or self.order.state.is_final)


def advance(
    order: Order, event: Event, *, now: datetime, policy: CarrierPolicy, attempt_number: int | None = None
) -> Step:
    """Return the order after `event`, and the effects now owed to the world.

    Args:
        order: As the ledger has it.
        event: What has happened.
        now: The ledger's time.
        policy: How patient we are with this carrier.
        attempt_number: For an answer to a submission: the value of `sends` when that attempt was begun.

    Raises:
        IllegalTransition: The table knows no such thing; a bug of ours.
    """
    if _is_outdated(order, event, attempt_number):
        return _noted(order, event)
    if isinstance(event, ToldAgain):
        told = (TellProducer(now, _reason(event)),) if order.request.notify else ()
        return replace(_noted(order, event), effects=told)
    event = _understood(order, event)
    if order.state in AT_REST and isinstance(event, CarrierNews):
        return _noted(order, event, contradicts=_contradicts(order, event))
    target = ARCS.get(order.state, {}).get(type(event))
    if target is None:
        raise IllegalTransition(order.order_id, order.state, type(event).__name__)
    moved = _moved(order, event, target, now)
    return Step(moved, event, (*_owed(moved, event, now, policy), *_told(order, moved, now)))


def weigh_absence(
    order: Order, event: NotListed, *, now: datetime, policy: CarrierPolicy
) -> NotListed | ProvenAbsent | Parked:
    """Judge what it means that the carrier has nothing on record of an order in doubt."""
    looked = event.looked
    since = order.doubt_since or now
    patient = order.doubt_asks + 1 >= policy.doubt_asks and now - since >= policy.doubt_patience
    if not patient:
        return event
    if not (policy.resend_when_absent and event.resend):
        return Parked(f"the carrier has no record of it ({looked}); sending again is for a person to decide")
    if order.losses >= policy.losses_max:
        return Parked(f"sent {order.losses} times, every answer was lost, and the carrier has no record ({looked})")
    return ProvenAbsent(looked)


def closing(order: Order, event: WrittenOff, known: Collection[NumberResult]) -> WrittenOff | CutShort | TakenAsItIs:
    """Say what it comes to that a person closes an order of whose numbers this is known.

    What has been done of it is not undone by closing it: only an order of which nothing came has failed.
    """
    done = [result for result in known if result.state in DONE[order.request.kind]]
    if len(done) >= order.request.wanted:
        return TakenAsItIs(event.by, event.why)
    left = tuple(_left(order, known, f"closed by {event.by}: {event.why}"))
    return CutShort(event.by, event.why, left) if done else replace(event, numbers=left)


def _left(order: Order, known: Collection[NumberResult], words: str) -> Iterator[NumberResult]:
    """Yield the numbers that were named, or heard of, and to which nothing has happened yet."""
    heard_of = {result.e164: result.state for result in known}
    for e164 in dict.fromkeys((*order.request.numbers, *heard_of)):
        if heard_of.get(e164, NumberState.REQUESTED) is NumberState.REQUESTED:
            yield NumberResult(e164, NumberState.FAILED, None, words)


def is_news(order: Order, event: Event, known: Collection[NumberResult] = ()) -> bool:
    """Tell whether `event` says anything that the order, with the numbers `known` of it, does not say already."""
    match event:
        case StillOpen(carrier_status=status, numbers=numbers, detail=detail):
            # What becomes of calling it back is news; otherwise the details of a status are not.
            replied = order.cancel_asked_at is not None and detail is not None and detail != order.reason
            moved = order.state is not State.OPEN or status != order.carrier_status
            return moved or replied or not set(numbers) <= set(known)
        case _:
            return True


def next_ask(order: Order, asked: int, *, slow: bool, now: datetime, policy: CarrierPolicy) -> AskCarrier:
    """Return when to look again at an order that has not moved in `asked` looks."""
    pause = _jittered(policy.ask_pause(asked, slow=slow), order, asked)
    return AskCarrier(now + pause, f"the carrier says {order.carrier_status or 'no status'}")


def _understood(order: Order, event: Event) -> Event:
    """See an event in the light of what was known.

    A second name for an order that has one already is a second purchase, whoever brings the news. And where a part
    is done with, no end of the rest undoes it.
    """
    match event:
        case Acknowledged(carrier_order_id=named, instead_of=former):
            known = order.carrier_order_id
            return event if known is None or known in {named, former} else FoundTwice((known, named))
        case Refused(numbers=numbers) | CalledBack(numbers=numbers) if order.progress.get(SETTLED):
            return PartlyFilled(event.carrier_status or order.carrier_status or "", numbers, event.reason)
        case CancelAsked() if order.progress.get(SETTLED) and order.state is State.ACCEPTED:
            return PartlyFilled(
                order.carrier_status or "",
                (),
                f"the rest was called back by {event.by}" + (f": {event.why}" if event.why else ""),
            )
        case _:
            return event


def _is_outdated(order: Order, event: Event, attempt_number: int | None) -> bool:
    """Tell whether an answer concerns an attempt that is history: a newer one was begun, or the order was found."""
    if attempt_number is None or not isinstance(event, AboutOneAttempt):
        return False
    return attempt_number != order.sends or order.state is State.OPEN


def _noted(order: Order, event: Event, *, contradicts: bool = False) -> Step:
    return Step(replace(order, version=order.version + 1), event, (), late=True, contradicts=contradicts)


def _contradicts(order: Order, event: Event) -> bool:
    """Tell whether late news says otherwise than the end that the producer was told."""
    if not order.state.is_final:
        return False
    if isinstance(event, FoundTwice):
        return True
    nothing_came_of_it = order.state in {State.FAILED, State.CANCELLED}
    match event:
        case Acknowledged(carrier_order_id=named) if nothing_came_of_it:
            return named != order.carrier_order_id
        case StillOpen() if nothing_came_of_it:
            return True
        case _:
            return _ENDS.get(type(event), order.state) is not order.state


def _moved(order: Order, event: Event, target: State, now: datetime) -> Order:
    moved = replace(
        order,
        state=target,
        version=order.version + 1,
        reason=order.reason if isinstance(event, Hurried) else _reason(event),
        carrier_order_id=_carrier_order_id(order, event),
        carrier_status=getattr(event, "carrier_status", None) or order.carrier_status,
        ended_at=now if target.is_final else None,
    )
    match event:
        case SubmissionBegun() if target is State.SUBMITTING:
            return replace(moved, sends=order.sends + 1)
        case CancelAsked() if target is State.OPEN:
            return replace(moved, cancel_asked_at=now)
        case PartSettled(settled=settled):
            return replace(moved, progress={SETTLED: settled})
        case Deferred():
            return replace(moved, progress=_settled(order))
        case SentAgain():  # somebody wants it after all
            return replace(moved, progress=_settled(order), cancel_asked_at=None)
        case Adopted() if begins_anew(order, event):
            return replace(moved, progress=_settled(order))
        case SubmissionBegun() | AnswerLost() if target is State.IN_DOUBT:
            lost = 1 if order.state is State.SUBMITTING else 0
            return replace(moved, losses=order.losses + lost, doubt_since=now, doubt_asks=0)
        case NotListed() if target is State.IN_DOUBT:
            return replace(moved, doubt_asks=order.doubt_asks + 1)
        case _:
            return moved


def begins_anew(order: Order, event: Event) -> bool:
    """Tell whether an event forgets the steps of the attempt under way: those of another order would be in the way."""
    match event:
        case Deferred() | PartSettled() | SentAgain():
            return True
        case Adopted(carrier_order_id=named):
            return order.carrier_order_id not in {None, named}
        case _:
            return False


def _settled(order: Order) -> Mapping[str, object]:
    return {SETTLED: order.progress[SETTLED]} if SETTLED in order.progress else {}


def _reason(event: Event) -> str | None:
    match event:
        case SubmissionBegun() | Acknowledged() | Filled():
            return None
        case StillOpen(carrier_status=status, detail=detail):
            return detail or f"the carrier says {status}"
        case NotListed(looked=looked):
            return f"not on the carrier's record yet ({looked})"
        case ProvenAbsent(looked=looked):
            return f"it never arrived ({looked}), so it is sent again"
        case FoundTwice(carrier_order_ids=ids):
            return f"the carrier has {len(ids)} orders with our reference: {', '.join(ids)}; the first is adopted"
        case ByPerson(by=by, why=why):
            return f"{by}: {why}" if why else f"by {by}"
        case (
            NotSent()
            | Deferred()
            | AnswerLost()
            | PartSettled()
            | PartlyFilled()
            | FilledWithErrors()
            | Refused()
            | CalledBack()
            | Parked()
        ):
            return event.reason


def _carrier_order_id(order: Order, event: Event) -> CarrierOrderId | None:
    match event:
        case Acknowledged(carrier_order_id=named) | Adopted(carrier_order_id=named):
            return named
        case FoundTwice(carrier_order_ids=(first, *_)):
            return order.carrier_order_id or first
        case SentAgain() | PartSettled():
            return None
        case _:
            return order.carrier_order_id


def _owed(order: Order, event: Event, now: datetime, policy: CarrierPolicy) -> Iterator[Effect]:
    match order.state, event:
        case State.SUBMITTING, _:
            # Owed before the request leaves, so the question outlives a crash. Due later than any
            # request may live, so a slow carrier does not look empty-handed.
            yield AskCarrier(now + policy.answer_within, "waiting for the carrier's answer")
        case State.IN_DOUBT | State.OPEN, Hurried():
            yield AskCarrier(now, f"hurried: {_reason(event)}")
        case State.IN_DOUBT, _:
            yield AskCarrier(now + policy.doubt_pause(order.doubt_asks), "asking the carrier whether it arrived")
        case State.ACCEPTED, NotSent(reason=reason, not_before=not_before):
            pause = _jittered(policy.resend_pause(order.sends), order, order.sends)
            yield SubmitOrder(max(not_before or now, now + pause), reason)
        case State.ACCEPTED, Deferred(not_before=not_before) | PartSettled(not_before=not_before):
            yield SubmitOrder(max(now, not_before), order.reason)
        case State.ACCEPTED, _:
            yield SubmitOrder(now, order.reason)
        case State.OPEN, StillOpen(slow=slow):
            yield next_ask(order, 1, slow=slow, now=now, policy=policy)
        case State.OPEN, Adopted() | CancelAsked():
            yield AskCarrier(now, order.reason)
        case State.OPEN, _:
            yield next_ask(order, 0, slow=False, now=now, policy=policy)
        case _:
            return


def _told(before: Order, after: Order, now: datetime) -> Iterator[TellProducer]:
    notify = after.request.notify
    if notify and before.state is not after.state and after.state in notify.on:
        yield TellProducer(now)


def _jittered(pause: timedelta, order: Order, turn: int) -> timedelta:
    """Spread orders that fell due together by up to a tenth, always the same for the same order."""
    spread = ((order.order_id.int + turn * 7919) % 1000) / 1000
    return pause * (1 - 0.1 * spread)
