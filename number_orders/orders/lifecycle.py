"""The life of one order: which events may happen in which state, and what work is owed after each.

`ARCS` is the table of legal moves. `advance` applies one event to one order. It is a pure function, without clock,
network, database or randomness: the caller passes the time in, stores the order that comes back, and does the work that
is owed. The conclusions that lead to an event are in `number_orders.orders.judgements`.
"""

from collections.abc import Iterator, Mapping
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
    ClosedByPerson,
    CutShort,
    Deferred,
    Event,
    Filled,
    FilledWithErrors,
    FoundTwice,
    HistoryLost,
    Hurried,
    LookedAgain,
    NotListed,
    NotSent,
    NumbersAdopted,
    NumbersGivenUp,
    Parked,
    PartlyFilled,
    PartSettled,
    ProvenAbsent,
    Refused,
    Reminder,
    SentAgain,
    SetAside,
    StillOpen,
    SubmissionBegun,
    TakenAsItIs,
    ToldAgain,
    WrittenOff,
)
from number_orders.orders.model import SETTLED, CarrierOrderId, Kind, Lane, Order, State, count_done
from number_orders.orders.numbers import count_in_words
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
"""How a carrier ends an order. An end may arrive in any state that is not at rest."""

ARCS: Final[Mapping[State, Mapping[type[Event], State]]] = MappingProxyType(
    {
        State.ACCEPTED: {
            SubmissionBegun: State.SUBMITTING,
            HistoryLost: State.IN_DOUBT,  # the ledger fell back in time
            CancelAsked: State.CANCELLED,
            Hurried: State.ACCEPTED,
            SetAside: State.PARKED,
            Parked: State.PARKED,
            FoundTwice: State.PARKED,
            NotSent: State.ACCEPTED,  # from here on: late answers to an earlier attempt
            Deferred: State.ACCEPTED,
            AnswerLost: State.IN_DOUBT,
            Acknowledged: State.OPEN,
            **_ENDS,
        },
        State.SUBMITTING: {
            SubmissionBegun: State.IN_DOUBT,  # an attempt was begun before, and nobody knows how it ended
            NotSent: State.ACCEPTED,
            Deferred: State.ACCEPTED,
            Acknowledged: State.OPEN,
            AnswerLost: State.IN_DOUBT,
            FoundTwice: State.PARKED,
            Parked: State.PARKED,
            **_ENDS,
        },
        State.IN_DOUBT: {
            NotSent: State.ACCEPTED,  # the attempt in doubt reports itself that nothing left
            Deferred: State.ACCEPTED,
            Acknowledged: State.OPEN,
            AnswerLost: State.IN_DOUBT,
            NotListed: State.IN_DOUBT,
            ProvenAbsent: State.ACCEPTED,  # the order never arrived, so it is safe to send it
            Hurried: State.IN_DOUBT,  # asked about sooner, but not sent again sooner
            SetAside: State.PARKED,
            FoundTwice: State.PARKED,
            Parked: State.PARKED,
            **_ENDS,
        },
        State.OPEN: {
            Acknowledged: State.OPEN,  # the answer to the submission, after asking has found the order
            StillOpen: State.OPEN,
            PartSettled: State.ACCEPTED,  # the rest is submitted as a new carrier order
            CancelAsked: State.OPEN,
            Hurried: State.OPEN,
            SetAside: State.PARKED,
            AnswerLost: State.OPEN,  # old news: the order has been found since
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
"""The legal moves: state, event, next state. Final states have none. docs/lifecycle.md is drawn from this table."""

CHANGES_MAX: Final = 20
"""After so many changes, each further one counts as a look without news: a status may flip for ever."""

AfterTheEnd = LookedAgain | Hurried | NumbersAdopted | NumbersGivenUp
"""What may happen to an order that has ended. The end stays.

A late look, a person who wants it now, and what a person decides about numbers after a reconciliation.
"""

LATE_LOOK: Final = "late look: did the carrier buy more than is known?"

AT_REST: Final = frozenset({State.PARKED, *(state for state in State if state.is_final)})
"""The states in which news from the carrier comes too late: it is kept in the story and moves nothing."""


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """Work owed: send the order."""

    not_before: datetime
    reason: str | None = None
    lane = Lane.SUBMIT


@dataclass(frozen=True, slots=True)
class AskCarrier:
    """Work owed: ask the carrier how the order stands, or whether it ever arrived."""

    not_before: datetime
    reason: str | None = None
    lane = Lane.ASK


@dataclass(frozen=True, slots=True)
class TellProducer:
    """Work owed: send the order document to the producer."""

    not_before: datetime
    reason: str | None = None
    lane = Lane.TELL


Effect = SubmitOrder | AskCarrier | TellProducer


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did: the order after it, and the work that is owed now."""

    order: Order
    event: Event
    """The event that was applied: the one received, or what it means for this order (`_reinterpret`)."""
    effects: tuple[Effect, ...]
    late: bool = False
    """The event moved nothing and is only kept in the story, because it came too late or is `ToldAgain`."""
    contradicts: bool = False
    """Late news that disagrees with the end that the producer knows. It raises an alarm."""
    bought_elsewhere: bool = False
    """The event names numbers that were bought by several carrier orders, or after the end. It raises an alarm."""

    @property
    def keeps_work(self) -> bool:
        """Whether the order is still to be sent or asked about as before this step."""
        return self.late or isinstance(self.event, NumbersAdopted | NumbersGivenUp)

    @property
    def reminds(self) -> bool:
        """Whether a person only wants something done now: what the carrier has shown, and since when, still counts."""
        return isinstance(self.event, Reminder)

    @property
    def releases_serial_lock(self) -> bool:
        """Whether this step releases the order's serial lock."""
        not_needed = isinstance(self.event, StillOpen) and not self.event.alone
        return not self.late and (not_needed or self.order.state is State.ACCEPTED or self.order.state.is_final)


def advance(
    order: Order,
    event: Event,
    *,
    now: datetime,
    policy: CarrierPolicy,
    attempt_number: int | None = None,
    about: CarrierOrderId | None = None,
) -> Step:
    """Return the order after `event`, and the work that is owed now.

    Args:
        order: The order as the ledger has it.
        event: What has happened.
        now: The ledger's time.
        policy: How patient we are with this carrier.
        attempt_number: For an answer to a submission: the value of `sends` when that attempt was begun.
        about: For an answer to a question: the carrier order that was asked about. If the order follows another one by
            now, the answer is void.

    Raises:
        IllegalTransition: The table has no arc for this event in this state. This is a bug of ours.
    """
    if _is_outdated(order, event, attempt_number):
        return _record_only(order, event)
    if about is not None and about != order.carrier_order_id:
        return _record_only(order, event, bought_elsewhere=_has_bought(order, event))
    if isinstance(event, ToldAgain):
        notifications = (TellProducer(now, _reason(event)),) if order.request.notify else ()
        return replace(_record_only(order, event), effects=notifications)
    if order.state.is_final and isinstance(event, AfterTheEnd):
        return _after_the_end(order, event, now, policy)
    event = _reinterpret(order, event)
    if order.state in AT_REST and isinstance(event, CarrierNews):
        return _record_only(order, event, contradicts=_contradicts(order, event))
    target = ARCS.get(order.state, {}).get(type(event))
    if target is None:
        raise IllegalTransition(order.order_id, order.state, type(event).__name__)
    moved = _move(order, event, target, now)
    effects = (
        *_work_owed(moved, event, now, policy),
        *_late_look_owed(moved, event, now, policy),
        *_notification_owed(order, moved, now),
    )
    several = isinstance(event, FilledWithErrors) and len(event.carrier_order_ids) > 1
    return Step(moved, event, effects, bought_elsewhere=several)


def next_ask(order: Order, asked: int, *, slow: bool, now: datetime, policy: CarrierPolicy) -> AskCarrier:
    """Return the next question about an open order that has not moved in `asked` questions."""
    pause = _jittered(policy.ask_pause(asked, slow=slow), order, asked)
    return AskCarrier(now + pause, f"the carrier says {order.carrier_status or 'no status'}")


def resets_progress(order: Order, event: Event) -> bool:
    """Return whether the event discards the steps already done at the carrier: the next attempt must not use them."""
    match event:
        case Deferred() | PartSettled() | SentAgain():
            return True
        case Adopted(carrier_order_id=named):
            return order.carrier_order_id not in {None, named}  # the steps belong to another carrier order
        case Acknowledged(carrier_order_id=named, instead_of=former) if former is not None:
            # So does what was asked of it: to be cancelled, for example. All carrier orders of a removal have one part.
            return order.carrier_order_id not in {None, named} and order.request.kind is not Kind.REMOVE_NUMBERS
        case _:
            return False


def _is_outdated(order: Order, event: Event, attempt_number: int | None) -> bool:
    """Return whether the event answers an attempt that is over: a later one was begun, or the order was found."""
    if attempt_number is None or not isinstance(event, AboutOneAttempt):
        return False
    return attempt_number != order.sends or order.state is State.OPEN


def _record_only(order: Order, event: Event, *, contradicts: bool = False, bought_elsewhere: bool = False) -> Step:
    """Return a step that keeps the event in the story and moves nothing."""
    kept = replace(order, version=order.version + 1, other_ids=_other_ids(order, event, order.carrier_order_id))
    return Step(kept, event, (), late=True, contradicts=contradicts, bought_elsewhere=bought_elsewhere)


def _has_bought(order: Order, event: Event) -> bool:
    """Return whether the event names numbers that were bought."""
    return order.request.kind is not Kind.REMOVE_NUMBERS and count_done(order, getattr(event, "numbers", ())) > 0


def _after_the_end(order: Order, event: AfterTheEnd, now: datetime, policy: CarrierPolicy) -> Step:
    """Return the step of what happens to an order after its end. The end stays; numbers are added, or given up."""
    kept = replace(order, version=order.version + 1)
    if isinstance(event, Hurried):
        return Step(kept, event, (AskCarrier(now, f"hurried: {_reason(event)}"),))
    effects: list[Effect] = list(_next_late_look(order, event, now, policy))
    if not event.numbers:
        return Step(kept, event, tuple(effects))
    notify = order.request.notify
    if notify and order.state in notify.on:
        effects.append(TellProducer(now))
    bought_more = isinstance(event, LookedAgain) and _has_bought(order, event)
    changed = replace(kept, reason="; ".join(filter(None, (order.reason, _reason(event)))))
    return Step(changed, event, tuple(effects), bought_elsewhere=bought_more)


def _next_late_look(order: Order, event: AfterTheEnd, now: datetime, policy: CarrierPolicy) -> Iterator[AskCarrier]:
    """Yield the next look at the carrier after a late look. One that a person hurried does not replace the day's."""
    if not isinstance(event, LookedAgain):
        return
    if order.ended_at is not None and now < order.ended_at + policy.late_look_after / 2:
        yield AskCarrier(order.ended_at + policy.late_look_after, LATE_LOOK)
    elif event.look_again:
        yield AskCarrier(now + policy.late_look_after, _reason(event))


def _contradicts(order: Order, event: Event) -> bool:
    """Return whether late news disagrees with the end that the producer knows."""
    if not order.state.is_final:
        return False
    if isinstance(event, FoundTwice):
        return True
    nothing_was_bought = order.state in {State.FAILED, State.CANCELLED}
    match event:
        case Acknowledged(carrier_order_id=reported) if nothing_was_bought:
            return reported != order.carrier_order_id
        case StillOpen() if nothing_was_bought:
            return True
        case _:
            return _ENDS.get(type(event), order.state) is not order.state


def _reinterpret(order: Order, event: Event) -> Event:
    """Return the event to apply, given what is already known of the order.

    A second carrier order id, from whatever source, means that the order was bought twice. Where a part of the order
    is settled, no end of the rest undoes that part: the order ends as PARTIAL.
    """
    match event:
        case Acknowledged(carrier_order_id=reported, instead_of=former):
            known = order.carrier_order_id
            return event if known is None or known in {reported, former} else FoundTwice((known, reported))
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


def _move(order: Order, event: Event, target: State, now: datetime) -> Order:
    """Return the order in its next state, with everything that the event says about it."""
    follows = _carrier_order_id(order, event)
    moved = replace(
        order,
        state=target,
        version=order.version + 1,
        reason=order.reason if isinstance(event, Hurried) else _reason(event),
        carrier_order_id=follows,
        other_ids=_other_ids(order, event, follows),
        carrier_status=getattr(event, "carrier_status", None) or order.carrier_status,
        progress=_progress(order, event),
        ended_at=now if target.is_final else None,
    )
    match event:
        case SubmissionBegun() if target is State.SUBMITTING:
            return replace(moved, sends=order.sends + 1)
        case CancelAsked() if target is State.OPEN:
            return replace(moved, cancel_asked_at=now)
        case SentAgain():  # a person wants the order after all; what became of the earlier attempt is in doubt
            # Of an attempt that is only perhaps forgotten it is not: such an order is still to be looked for.
            return replace(
                moved,
                cancel_asked_at=None,
                doubt_since=now if order.sends or order.carrier_order_id else order.doubt_since,
            )
        case SubmissionBegun() | AnswerLost() if target is State.IN_DOUBT:
            lost = 1 if order.state is State.SUBMITTING else 0  # it counts once, on leaving SUBMITTING
            return replace(moved, losses=order.losses + lost, doubt_since=now, doubt_asks=0)
        case HistoryLost(since=since):
            return replace(moved, doubt_since=since, doubt_asks=0, history_lost_at=since)
        case NotListed() if target is State.IN_DOUBT:
            return replace(moved, doubt_asks=order.doubt_asks + 1)
        case _:
            return moved


def _progress(order: Order, event: Event) -> Mapping[str, object]:
    """Return the steps done at the carrier that the next conversation starts from. A settled part always stays."""
    if isinstance(event, PartSettled):
        return {SETTLED: event.settled}
    if not resets_progress(order, event):
        return order.progress
    return {SETTLED: order.progress[SETTLED]} if SETTLED in order.progress else {}


def _carrier_order_id(order: Order, event: Event) -> CarrierOrderId | None:
    match event:
        case Acknowledged(carrier_order_id=reported) | Adopted(carrier_order_id=reported):
            return reported
        case FoundTwice(carrier_order_ids=(first, *_)):
            return order.carrier_order_id or first
        case SentAgain() | PartSettled():
            return None
        case _:
            return order.carrier_order_id


def _other_ids(order: Order, event: Event, follows: CarrierOrderId | None) -> tuple[CarrierOrderId, ...]:
    """Return the carrier orders with its reference that are known after the event, without the one that it follows."""
    match event:
        case FoundTwice(carrier_order_ids=ids):
            named: tuple[CarrierOrderId, ...] = ids
        case Acknowledged(carrier_order_id=reported):
            named = (reported,)
        case Parked(carrier_order_id=reported) if reported is not None:
            named = (reported,)
        case Adopted(carrier_order_id=reported) if reported in order.other_ids and order.carrier_order_id is not None:
            named = (order.carrier_order_id,)
        case _:
            named = ()
    return tuple(known for known in dict.fromkeys((*order.other_ids, *named)) if known != follows)


def _reason(event: Event) -> str | None:
    """Return why the order now stands where it stands, for a person to read."""
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
        case LookedAgain(detail=detail):
            return detail
        case NumbersAdopted(numbers=numbers, by=by, why=why) | NumbersGivenUp(numbers=numbers, by=by, why=why):
            done = "adopted" if isinstance(event, NumbersAdopted) else "given up"
            return f"{count_in_words(len(numbers))} {done} by {by}: {why}"
        case ByPerson(by=by, why=why):
            return f"{by}: {why}" if why else f"by {by}"
        case (
            HistoryLost()
            | NotSent()
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


def _work_owed(order: Order, event: Event, now: datetime, policy: CarrierPolicy) -> Iterator[Effect]:
    """Yield the work owed to an order under way: always exactly one piece. Orders at rest are owed none."""
    match order.state, event:
        case State.SUBMITTING, _:
            # Owed before the request leaves, so that the question survives a crash. Not asked before every request has
            # ended: a slow carrier might not list the order yet.
            yield AskCarrier(now + policy.answer_within, "waiting for the carrier's answer")
        case State.IN_DOUBT | State.OPEN, Hurried():
            yield AskCarrier(now, f"hurried: {_reason(event)}")
        case State.IN_DOUBT, _:
            yield _question_in_doubt(order, event, now, policy)
        case State.ACCEPTED, NotSent(reason=reason, not_before=not_before):
            pause = _jittered(policy.resend_pause(order.sends), order, order.sends)
            yield SubmitOrder(max(not_before or now, now + pause), reason)
        case (
            State.ACCEPTED,
            Deferred(not_before=not_before) | PartSettled(not_before=not_before) | SentAgain(not_before=not_before),
        ):
            yield SubmitOrder(max(now, not_before or now), order.reason)
        case State.ACCEPTED, _:
            yield SubmitOrder(now, order.reason)
        case State.OPEN, StillOpen(slow=slow):
            yield next_ask(order, max(1, _changes(order) - CHANGES_MAX), slow=slow, now=now, policy=policy)
        case State.OPEN, Adopted() | CancelAsked():
            yield AskCarrier(now, order.reason)
        case State.OPEN, _:
            yield next_ask(order, 0, slow=False, now=now, policy=policy)
        case _:
            return


def _question_in_doubt(order: Order, event: Event, now: datetime, policy: CarrierPolicy) -> AskCarrier:
    if isinstance(event, HistoryLost):
        # By then the carrier lists what was sent before, so that one question is enough.
        return AskCarrier(max(now, event.since + policy.doubt_patience), _reason(event))
    return AskCarrier(now + policy.doubt_pause(order.doubt_asks), "asking the carrier whether it arrived")


def _changes(order: Order) -> int:
    """Return about how often the order has changed at the carrier: its events, without attempts and looks in vain."""
    return order.version - 2 * order.sends - order.doubt_asks


def _late_look_owed(order: Order, event: Event, now: datetime, policy: CarrierPolicy) -> Iterator[AskCarrier]:
    """Yield one more question, long after the end, if the order may have bought more than it knows.

    That is an order that was sent again, or cancelled, after an attempt in doubt or one that may be forgotten, since
    the carrier's list may lag beyond our patience; one of which the carrier has several orders; and one that a person
    closed while the carrier may work on it. A removal done twice harms nobody.
    """
    if not order.state.is_final or order.request.kind is Kind.REMOVE_NUMBERS:
        return
    cancelled_after_doubt = isinstance(event, CancelAsked) and order.doubt_since is not None
    doubtful = order.may_have_others or order.history_lost_at or cancelled_after_doubt
    if order.may_be_at_carrier and (doubtful or isinstance(event, ClosedByPerson)):
        yield AskCarrier(now + policy.late_look_after, LATE_LOOK)


def _notification_owed(before: Order, after: Order, now: datetime) -> Iterator[TellProducer]:
    """Yield the notification that the producer asked for on entering this state."""
    notify = after.request.notify
    if notify and before.state is not after.state and after.state in notify.on:
        yield TellProducer(now)


def _jittered(pause: timedelta, order: Order, count: int) -> timedelta:
    """Return the pause shortened by up to a tenth, so that orders due together spread out.

    It depends on the order and the count alone: a replay gives the same times.
    """
    spread = ((order.order_id.int + count * 7919) % 1000) / 1000
    return pause * (1 - 0.1 * spread)
