"""The lane `submit`: send orders, each at most once per attempt.

Before the first byte leaves, the ledger has the order as SUBMITTING, and with it the question to ask should no answer
come. From then on only the answer, or asking, moves the order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from number_orders.fulfilment.carrier import Carrier, receipts
from number_orders.fulfilment.lanes.run import Attempt, AttemptOutcome
from number_orders.fulfilment.memory import ListReadings, NumberRecall, OrderMemory, ProgressStore
from number_orders.fulfilment.overdue import Overdue, WaitingTimes
from number_orders.fulfilment.ports import AlarmStore, LockStore, NoticeReader
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.watch import REPEAT_AFTER
from number_orders.ledger.removals import NotRemovable, Removal
from number_orders.ledger.schedule import Claim, Claims
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import FulfilmentError, LedgerUnavailable, NoAnswer, UnreadableAnswer
from number_orders.orders.events import AnswerLost, Deferred, Event, HistoryLost, NotSent, Parked, SubmissionBegun
from number_orders.orders.model import CarrierName, Kind, Lane, NumberState, Order, OrderId, State
from number_orders.orders.numbers import E164

log = structlog.get_logger(__name__)

_JUST_BEFORE: Final = timedelta(seconds=5)
"""A notice that came so shortly before a person's decision may not have been seen by its check."""
_LOCK_RETRY: Final = timedelta(minutes=1)
"""When an order that waits for a serial lock tries again, should nobody wake it."""


class _Numbers(NumberRecall, Protocol):
    async def parked_orders_bringing(
        self, carrier: CarrierName, numbers: Sequence[E164]
    ) -> list[tuple[OrderId, E164]]: ...


class _RemovalRights(Protocol):
    async def find_not_removable(self, removals: Sequence[Removal]) -> Mapping[OrderId, NotRemovable]: ...


class SubmitStores(Protocol):
    """The parts of the ledger that this lane uses."""

    @property
    def orders(self) -> ProgressStore: ...
    @property
    def numbers(self) -> _Numbers: ...
    @property
    def readings(self) -> ListReadings: ...
    @property
    def notices(self) -> NoticeReader: ...
    @property
    def removals(self) -> _RemovalRights: ...
    @property
    def serial_locks(self) -> LockStore: ...
    @property
    def history(self) -> WaitingTimes: ...
    @property
    def alarms(self) -> AlarmStore: ...


@dataclass(slots=True)
class SubmitLane:
    """Send the orders that are due."""

    carrier: Carrier
    ledger: SubmitStores
    recorder: Recorder
    lane: Lane = Lane.SUBMIT
    lease: timedelta = timedelta(seconds=10)
    """From the claim to the begin, which is one statement later."""

    @property
    def carrier_name(self) -> CarrierName:
        return self.carrier.adapter.name

    @property
    def concurrency(self) -> int:
        return self.carrier.concurrency

    @property
    def right_to_send(self) -> timedelta:
        """Half the time after which a missing answer counts as lost. The other half is the life of a request."""
        return self.carrier.policy.answer_within / 2

    async def begin(self, claims: Claims) -> Sequence[tuple[Claim, Order]]:
        """Begin every claimed order in one transaction. An order that has moved since is left alone.

        In a guard period an order is first looked for at the carrier, which the lane `ask` does.
        """
        accepted = [claim for claim in claims.claims if claim.order.state is State.ACCEPTED]
        absent = await self._without_named(claims, accepted)
        allowed = await self._with_right(claims, absent)
        ready = await self._with_serial_locks(claims, allowed)
        begins = [Heard(claim.order, _beginning(claim.order, claims)) for claim in ready]
        begun = await self.recorder.hear(begins, now=claims.now)
        moved = [(claim, begun[claim.order.order_id]) for claim in ready if claim.order.order_id in begun]
        return [(claim, order) for claim, order in moved if order.state is State.SUBMITTING]

    async def _without_named(self, claims: Claims, ready: Sequence[Claim]) -> Sequence[Claim]:
        """Look again for the orders that a notice has named since they came into doubt; return the others.

        The notice shows that an earlier attempt may have arrived. What was named before has been decided about.
        """
        again = [claim.order for claim in ready if claim.order.sends and claim.order.doubt_since]
        since = {order.order_id: order.doubt_since and order.doubt_since - _JUST_BEFORE for order in again}
        named = await self.ledger.notices.named_orders(since)
        arrived = [order for order in again if order.order_id in named]
        reasons = (f"a notice names {', '.join(named[order.order_id])} as an earlier attempt" for order in arrived)
        events = [Heard(order, AnswerLost(reason)) for order, reason in zip(arrived, reasons, strict=True)]
        if events:
            await self.recorder.hear(events, now=claims.now)
        return [claim for claim in ready if claim.order.order_id not in named]

    async def _with_right(self, claims: Claims, ready: Sequence[Claim]) -> Sequence[Claim]:
        """Park removals of numbers that came to another producer since they were accepted; return the other orders.

        One that is looked for first is judged when it is to be sent.
        """
        removals = [
            Removal(order.order_id, order.producer, order.request.numbers)
            for order in (claim.order for claim in ready)
            if order.request.kind is Kind.REMOVE_NUMBERS and order.is_proven and order.producer is not None
            if isinstance(_beginning(order, claims), SubmissionBegun)
        ]
        found = await self.ledger.removals.find_not_removable(removals) if removals else {}
        parked = [claim.order for claim in ready if claim.order.order_id in found]
        reasons = (_no_longer_removable(order, found[order.order_id]) for order in parked)
        events = [Heard(order, Parked(reason)) for order, reason in zip(parked, reasons, strict=True)]
        if events:
            await self.recorder.hear(events, now=claims.now)
        return [claim for claim in ready if claim.order.order_id not in found]

    async def _with_serial_locks(self, claims: Claims, ready: Sequence[Claim]) -> Sequence[Claim]:
        """Return the orders that need no serial lock or got theirs. The others wait for it."""
        keys = {claim.order.order_id: self._serial_keys(claim.order) for claim in ready}
        wanted = {order_id: needed for order_id, needed in keys.items() if needed}
        locked = await self.ledger.serial_locks.take(claims, wanted, carrier=self.carrier_name, at_most=_LOCK_RETRY)
        return [claim for claim in ready if claim.order.order_id not in wanted or claim.order.order_id in locked]

    def _serial_keys(self, order: Order) -> tuple[str, ...]:
        """Return the locks that an order needs: what the carrier cannot tell apart, and every number that it names.

        Two orders about one number must not be under way together: a purchase and a removal could both succeed, and
        nobody would know in which order. An adapter with a taint window sees to that itself, number by number: it holds
        back those that another order is still to bring, and may send the others.
        """
        adapter = self.carrier.adapter
        numbers = order.request.numbers if adapter.capabilities.taint_window is None else ()
        return (*adapter.serial_keys(order.request), *(f"number {e164}" for e164 in numbers))

    async def run_attempt(self, attempt: Attempt) -> AttemptOutcome:
        """Send one order, and return what was heard."""
        order = attempt.order
        memory = OrderMemory.of(self.ledger, order)
        submission = self.carrier.adapter.submit(order)
        conversation = await self.carrier.converse(
            submission, deadline=attempt.deadline, memory=memory, pace=attempt.pace
        )
        event = conversation.event or self._event_of_error(order, conversation.error, committed=conversation.committed)
        await self._raise_alarms(attempt, event, conversation.error)
        heard = Heard(order, event, attempt_number=order.sends)
        return AttemptOutcome(attempt, heard, conversation, receipts(order, conversation))

    def _event_of_error(self, order: Order, error: Exception | None, *, committed: bool) -> Event:
        """Return the event of an attempt that broke on our side; `committed`: the request that buys may have left."""
        if isinstance(error, NoAnswer) and not committed:  # to a step that comes before the order
            return NotSent(error.reason, error.not_before)
        if isinstance(error, LedgerUnavailable):
            log.warning("ledger_away", order_id=str(order.order_id), trouble=str(error))
        else:
            log.error("submission_broke", order_id=str(order.order_id), exc_info=error)
        if committed:
            return AnswerLost(f"the answer could not be worked on here: {error!r}")
        if isinstance(error, FulfilmentError):
            return NotSent(str(error))
        return Parked(f"the order could not be written in the carrier's language: {error!r}")

    async def _raise_alarms(self, attempt: Attempt, event: Event, error: Exception | None) -> None:
        """Raise the alarms that the event calls for. Without a ledger they are skipped: the answer is worth more."""
        overdue = Overdue(self.ledger.history, self.ledger.alarms, self.carrier.policy.overdue_after)
        try:
            if isinstance(error, UnreadableAnswer):  # the order is tried again, and will fail again
                await self._alarm(Alarm.UNREADABLE_ANSWER, attempt.order, f"{error} {error.excerpt!r}")
            if isinstance(event, NotSent):
                await overdue.check_unsent(attempt.order, attempt.now, event.reason)
            if isinstance(event, Deferred):
                await overdue.check(attempt.order, attempt.now, event.reason)
                await self._alarm_if_waiting_for_parked(attempt.order, event)
        except LedgerUnavailable as away:
            log.warning("alarms_not_raised", order_id=str(attempt.order.order_id), trouble=str(away))

    async def _alarm_if_waiting_for_parked(self, order: Order, event: Deferred) -> None:
        """Raise an alarm when the order waits for a number that only a parked order can bring."""
        numbers = [result.e164 for result in event.numbers if result.state is NumberState.REQUESTED]
        if not numbers:
            return
        for parked, e164 in await self.ledger.numbers.parked_orders_bringing(self.carrier_name, numbers):
            await self.ledger.alarms.note_alarm(
                Alarm.WAITS_FOR_PARKED,
                str(order.order_id),
                carrier=self.carrier_name,
                order_id=parked,
                detail=f"order {order.order_id} waits to remove {e164}, which the parked order {parked} is to bring",
                again_after=REPEAT_AFTER,
            )

    async def _alarm(self, what: Alarm, order: Order, detail: str) -> None:
        await self.ledger.alarms.raise_alarm(
            what, str(order.order_id), carrier=self.carrier_name, order_id=order.order_id, detail=detail
        )


def latest_fall(guarded_since: datetime | None, order: Order) -> datetime | None:
    """Return when the ledger last fell back in time, as far as that concerns an order; None if it did not."""
    return max(filter(None, (guarded_since, order.history_lost_at)), default=None)


def _beginning(order: Order, claims: Claims) -> Event:
    """Return how an attempt begins: the order is sent, or is looked for before, since the ledger fell back in time."""
    since = latest_fall(claims.guarded_since, order)
    return HistoryLost(since) if since and not order.was_doubted_since(since) else SubmissionBegun()


def _no_longer_removable(order: Order, found: NotRemovable) -> str:
    """Return why a removal is parked. Its producer reads this, so it does not say whose the numbers are."""
    numbers = [order.request.numbers[place] for place in found.places]
    more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    forgotten = ", as far as the restored ledger knows" if found.guarded_until else ""
    rule = "may not be removed by this producer any more: its orders do not hold the number now"
    return f"{numbers[0]}{more} {rule}{forgotten}"
