"""The lane `ask`: ask carriers how orders stand, and whether orders in doubt ever arrived.

Never gives an order up: what cannot be found out now is asked again, more slowly, and an overdue order raises an alarm.
Only the carrier's own answer ends an order.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from number_orders.carriers.http.courier import Exchange
from number_orders.fulfilment.carrier import Carrier, ConversationResult, receipts
from number_orders.fulfilment.lanes.late_look import LateLook, LateLookNumbers
from number_orders.fulfilment.lanes.other_orders import OtherOrders, Search, is_unknown, named_in_notices
from number_orders.fulfilment.lanes.run import Attempt, AttemptOutcome
from number_orders.fulfilment.memory import ListReadings, OrderMemory, ProgressStore
from number_orders.fulfilment.overdue import Overdue, WaitingTimes
from number_orders.fulfilment.ports import AlarmStore, LockStore, NoticeReader
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.schedule import Claim, Claims, Later
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import AwaitsReading, LedgerUnavailable, NoAnswer, UnreadableAnswer
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    CalledBack,
    CarriersEnd,
    Event,
    NotListed,
    Parked,
    PartSettled,
    Refused,
    StillOpen,
)
from number_orders.orders.judgements import (
    Unsettled,
    adds_information,
    falls_short,
    judge_absence,
    judge_end,
    judge_others,
)
from number_orders.orders.lifecycle import next_ask
from number_orders.orders.model import FINAL_STATES, CarrierName, Lane, NumberResult, Order, State, is_done

log = structlog.get_logger(__name__)

_ASKABLE: Final = frozenset({State.OPEN, State.IN_DOUBT, *FINAL_STATES})
"""Orders that have ended are asked about once more if more than one purchase may have come of them."""


class AskStores(Protocol):
    """The parts of the ledger that this lane uses."""

    @property
    def orders(self) -> ProgressStore: ...
    @property
    def numbers(self) -> LateLookNumbers: ...
    @property
    def readings(self) -> ListReadings: ...
    @property
    def notices(self) -> NoticeReader: ...
    @property
    def serial_locks(self) -> LockStore: ...
    @property
    def history(self) -> WaitingTimes: ...
    @property
    def alarms(self) -> AlarmStore: ...


@dataclass(slots=True)
class AskLane:
    """Ask about the orders that are due."""

    carrier: Carrier
    ledger: AskStores
    recorder: Recorder
    lane: Lane = Lane.ASK

    @property
    def carrier_name(self) -> CarrierName:
        return self.carrier.adapter.name

    @property
    def concurrency(self) -> int:
        return self.carrier.concurrency

    @property
    def lease(self) -> timedelta:
        """The life of one request. A longer conversation may be held twice, which does no harm."""
        return self.carrier.policy.answer_within / 2

    @property
    def right_to_send(self) -> timedelta:
        return self.carrier.policy.answer_within

    @property
    def _overdue(self) -> Overdue:
        return Overdue(self.ledger.history, self.ledger.alarms, self.carrier.policy.overdue_after)

    async def begin(self, claims: Claims) -> Sequence[tuple[Claim, Order]]:
        """Return the claims that can be asked about. A submission whose worker never came back is in doubt from now."""
        silent = [claim.order for claim in claims.claims if claim.order.state is State.SUBMITTING]
        lost = AnswerLost("the worker that sent it never came back with an answer")
        heard = [Heard(order, lost, attempt_number=order.sends) for order in silent]
        await self.recorder.hear(heard, now=claims.now)
        return [(claim, claim.order) for claim in claims.claims if claim.order.state in _ASKABLE]

    async def run_attempt(self, attempt: Attempt) -> AttemptOutcome:
        """Ask about one order, and return what was heard."""
        order = attempt.order
        if order.state.is_final:
            stores = (self.ledger.numbers, self.ledger.readings, self.ledger.notices)
            outcome = await LateLook(self.carrier, *stores).run(attempt)
            await self._report_late_look(attempt, outcome.conversation.error)
            return outcome
        adapter = self.carrier.adapter
        question = adapter.look_for(order) if order.state is State.IN_DOUBT else adapter.ask(order)
        memory = OrderMemory.of(self.ledger, order)
        conversation = await self.carrier.converse(
            question, deadline=attempt.deadline, memory=memory, pace=attempt.pace
        )
        exchanges = list(conversation.exchanges)
        result = await self._judge(attempt, conversation, exchanges, read_since=memory.read_since)
        conversation = replace(conversation, exchanges=exchanges)
        kept = receipts(order, conversation) if isinstance(result, Heard) else ()
        return AttemptOutcome(attempt, result, conversation, kept)

    async def _judge(
        self,
        attempt: Attempt,
        conversation: ConversationResult,
        exchanges: list[Exchange],
        *,
        read_since: datetime | None,
    ) -> Heard | Later:
        """Return the event to record, or when to look again if there is nothing new. Add what is asked besides.

        What a reading has found is as old as its beginning (`read_since`).
        """
        order, now = attempt.order, attempt.now
        match conversation.event:
            case None:
                await self._report_error(order, conversation.error)
                return await self._look_again(attempt, conversation.error)
            case NotListed() as absent:
                return await self._judge_absence(attempt, absent, exchanges)
            case event if order.state is State.OPEN:
                await self._report_unknown_status(order, event)
                return await self._judge_event(attempt, event, exchanges, seen_at=read_since or now)
            case event:
                return Heard(order, event)

    async def _judge_absence(self, attempt: Attempt, absent: NotListed, exchanges: list[Exchange]) -> Heard | Later:
        """Judge an order in doubt that the carrier does not list. One that a notice has named is asked about by its id.

        A notice proves nothing, so the carrier has to show that it has the order. As long as it does not, the order is
        not sent again by itself either. Nor is it if that came to nothing and a later attempt is still in doubt.
        """
        order, search = attempt.order, self._search(attempt, exchanges)
        judged = judge_absence(order, absent, now=attempt.now, policy=self.carrier.policy)
        for theirs in await named_in_notices(order, self.ledger.notices):
            event = await search.ask(theirs)
            if event is None:
                await self._report_error(order, search.found.error)
                return await self._look_again(attempt, search.found.error)
            may_be_earlier = order.sends > 1 and isinstance(event, Refused | CalledBack)
            # What a ledger that fell back in time has forgotten may have been ordered with another body.
            if not is_unknown(event) and not may_be_earlier and not order.history_lost_at:
                return Heard(order, Acknowledged(theirs, getattr(event, "carrier_status", None)))
            if not (isinstance(judged, NotListed) or (isinstance(judged, Parked) and judged.carrier_order_id)):
                judged = Parked(
                    f"the carrier has no record of it, but a notice names {theirs}; a person decides what that is",
                    None if is_unknown(event) else theirs,
                )
        return Heard(order, judged, attempt_number=order.sends)

    async def _judge_event(
        self, attempt: Attempt, event: Event, exchanges: list[Exchange], *, seen_at: datetime
    ) -> Heard | Later:
        """Judge what the carrier says of an open order. An end counts once it is believed."""
        order, now = attempt.order, attempt.now
        known = await self._known_numbers(order, event)
        looks = attempt.claim.confirmed + 2  # the look that moved it, those that showed the same, and this one
        judged = judge_end(order, event, known, looks=looks, now=seen_at, policy=self.carrier.policy)
        if isinstance(judged, Unsettled):
            later = await self._look_again(attempt, None, until=judged.not_before, reason=judged.reason)
            return replace(later, confirms=True)
        if judged is not event:
            return await self._heard(order, judged, now, judged=True)
        if isinstance(event, CarriersEnd) and (order.may_have_others or order.history_in_doubt):
            return await self._judge_with_others(attempt, event, exchanges)
        if adds_information(order, event, known) or await self._releases_serial_lock(order, event):
            return await self._heard(order, event, now, judged=falls_short(order, event))
        return await self._look_again(attempt, None, slow=isinstance(event, StillOpen) and event.slow)

    async def _judge_with_others(self, attempt: Attempt, end: CarriersEnd, exchanges: list[Exchange]) -> Heard | Later:
        """Judge the end of an order that may have been sent twice, by every carrier order with its reference."""
        order = attempt.order
        done = {result.e164 for result in end.numbers if is_done(order, result)}
        found = await self._search(attempt, exchanges).run(known=done, without=order.carrier_order_id)
        if found.error is not None:
            return await self._look_again(attempt, found.error)
        judged = judge_others(order, end, found.bought, found.open_ids)
        if not isinstance(judged, StillOpen) or adds_information(
            order, judged, await self._known_numbers(order, judged)
        ):
            return await self._heard(order, judged, attempt.now, judged=True)
        return await self._look_again(attempt, None, reason=judged.detail)

    def _search(self, attempt: Attempt, exchanges: list[Exchange]) -> Search:
        """Return a search for the order's other carrier orders, whose exchanges are added to these."""
        stores = (self.ledger.numbers, self.ledger.readings, self.ledger.notices)
        return Search(self.carrier, *stores, attempt, OtherOrders(exchanges=exchanges))

    async def _heard(self, order: Order, event: Event, now: datetime, *, judged: bool) -> Heard:
        """Return the answer about an open order, to be recorded. An order may be overdue although it changes."""
        match event:
            case PartSettled(reason=why) | StillOpen(detail=why):
                await self._overdue.check(order, now, why)
        return Heard(order, event, about=order.carrier_order_id, judged=judged)

    async def _known_numbers(self, order: Order, event: Event) -> Collection[NumberResult]:
        """Return what is known of the order's numbers, where the event is compared with it."""
        if falls_short(order, event) or (isinstance(event, StillOpen) and event.numbers):
            return (await self.ledger.numbers.of_orders([order.order_id]))[order.order_id]
        return ()

    async def _releases_serial_lock(self, order: Order, event: Event) -> bool:
        """Tell whether the order still holds a serial lock that it no longer needs, while others wait for it."""
        needs_none = isinstance(event, StillOpen) and not event.alone
        return needs_none and await self.ledger.serial_locks.is_held_by(order.order_id)

    async def _look_again(
        self,
        attempt: Attempt,
        error: Exception | None,
        *,
        slow: bool = False,
        until: datetime | None = None,
        reason: str | None = None,
    ) -> Later:
        """Return when to look again: at the usual pace, or at `until` if that is sooner."""
        order, now, policy = attempt.order, attempt.now, self.carrier.policy
        look = next_ask(order, attempt.claim.attempts, slow=slow, now=now, policy=policy)
        reason = reason or look.reason
        await self._overdue.check(order, now, reason)
        if isinstance(error, AwaitsReading):
            return Later(order.order_id, error.not_before or look.not_before, error.reason, looked=False)
        if isinstance(error, NoAnswer):
            return Later(order.order_id, max(look.not_before, error.not_before or now), error.reason)
        sooner = until is not None and now < until < look.not_before
        return Later(order.order_id, until if until and sooner else look.not_before, reason)

    async def _report_late_look(self, attempt: Attempt, error: Exception | None) -> None:
        """Report why a late look could not ask all that it wanted; raise `overdue` if that goes on for too long."""
        if error is not None and not isinstance(error, AwaitsReading):
            await self._report_error(attempt.order, error)
            failing_for = self.carrier.policy.asked_for(attempt.claim.attempts, slow=True)
            await self._overdue.check_late_look(attempt.order, failing_for, str(error))

    async def _report_error(self, order: Order, error: Exception | None) -> None:
        match error:
            case AwaitsReading(reason=why):
                log.debug("awaits_reading", order_id=str(order.order_id), reason=why)
            case NoAnswer(reason=why):
                log.info("no_answer", order_id=str(order.order_id), reason=why)
            case LedgerUnavailable():
                log.warning("ledger_away", order_id=str(order.order_id), trouble=str(error))
            case UnreadableAnswer():
                log.warning("unreadable_answer", order_id=str(order.order_id), why=str(error))
                await self._alarm(Alarm.UNREADABLE_ANSWER, order, f"{error} {error.excerpt!r}")
            case _:
                log.error("question_broke", order_id=str(order.order_id), exc_info=error)
                await self._alarm(Alarm.QUESTION_BROKE, order, repr(error))

    async def _report_unknown_status(self, order: Order, event: Event) -> None:
        if isinstance(event, StillOpen) and event.unheard_of:
            status = event.carrier_status
            log.warning("status_never_heard_of", order_id=str(order.order_id), carrier_status=status)
            detail = f"order {order.order_id}: the carrier says {status!r}, which its documents do not; still open"
            await self.ledger.alarms.raise_alarm(
                Alarm.STATUS_NEVER_HEARD_OF, f"{self.carrier_name}:{status}", carrier=self.carrier_name, detail=detail
            )

    async def _alarm(self, what: Alarm, order: Order, detail: str) -> None:
        await self.ledger.alarms.raise_alarm(
            what, str(order.order_id), carrier=self.carrier_name, order_id=order.order_id, detail=detail
        )
