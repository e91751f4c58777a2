"""The lane `submit`: sends orders, each at most once per begun attempt.

SUBMITTING is written, and with it the question that will be asked should no answer come, before the first
byte leaves. From then on only the answer, or asking, moves the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from number_orders.fulfilment.carrier import Carrier, receipts
from number_orders.fulfilment.lanes.run import Attempt, AttemptOutcome
from number_orders.fulfilment.memory import OrderMemory
from number_orders.fulfilment.overdue import Overdue
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.watch import REPEAT_AFTER
from number_orders.ledger.ledger import Claim, Claims, Ledger
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import FulfilmentError, LedgerUnavailable, NoAnswer, UnreadableAnswer
from number_orders.orders.events import AnswerLost, Deferred, Event, NotSent, Parked, SubmissionBegun
from number_orders.orders.model import CarrierName, Lane, NumberState, Order, State

log = structlog.get_logger(__name__)

_IN_LINE: Final = timedelta(minutes=1)
"""How long an order stands in line that nobody wakes."""


@dataclass(slots=True)
class SubmitLane:
    """Sends what is due to be sent."""

    carrier: Carrier
    ledger: Ledger
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
        """Half the time after which a missing answer counts as lost: the other half is the request's own life."""
        return self.carrier.policy.answer_within / 2

    async def begin(self, claims: Claims) -> Sequence[tuple[Claim, Order]]:
        """Begin every claimed order in one transaction; an order that has moved on is nobody's to send."""
        ready = await self._in_turn(claims, [c for c in claims.claims if c.order.state is State.ACCEPTED])
        begun = await self.recorder.hear([Heard(claim.order, SubmissionBegun()) for claim in ready], now=claims.now)
        return [(claim, begun[claim.order.order_id]) for claim in ready if claim.order.order_id in begun]

    async def _in_turn(self, claims: Claims, ready: Sequence[Claim]) -> Sequence[Claim]:
        """Leave out the orders whose turn it is not; they stand in line."""
        keys = {claim.order.order_id: self.carrier.adapter.serial_key(claim.order.request) for claim in ready}
        wanted = {order_id: key for order_id, key in keys.items() if key is not None}
        theirs = await self.ledger.take_serial_locks(claims, wanted, carrier=self.carrier_name, at_most=_IN_LINE)
        return [claim for claim in ready if claim.order.order_id not in wanted or claim.order.order_id in theirs]

    async def run_attempt(self, attempt: Attempt) -> AttemptOutcome:
        """Send one order and bring back what was heard."""
        order = attempt.order
        memory = OrderMemory(self.ledger, order)
        talk = self.carrier.adapter.submit(order)
        held = await self.carrier.converse(talk, deadline=attempt.deadline, memory=memory, pace=attempt.pace)
        event = held.event or self._without_event(order, held.error, committed=held.committed)
        await self._look_after(attempt, event, held.error)
        return AttemptOutcome(attempt, Heard(order, event, attempt_number=order.sends), held, receipts(order, held))

    def _without_event(self, order: Order, error: Exception | None, *, committed: bool) -> Event:
        """Say what an attempt that broke on our side comes to."""
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

    async def _look_after(self, attempt: Attempt, event: Event, error: Exception | None) -> None:
        """Do what else follows. A ledger that is away costs that, and never the answer in hand."""
        overdue = Overdue(self.ledger, self.carrier.policy.overdue_after)
        try:
            if isinstance(error, UnreadableAnswer):  # the order is tried again, and will not get far
                await self._alarm(Alarm.UNREADABLE_ANSWER, attempt.order, f"{error} {error.excerpt!r}")
            if isinstance(event, NotSent):
                await overdue.look_at_trying(attempt.order, attempt.now, event.reason)
            if isinstance(event, Deferred):
                await overdue.look(attempt.order, attempt.now, event.reason)
                await self._call_if_kept_waiting(attempt.order, event)
        except LedgerUnavailable as away:
            log.warning("not_looked_after", order_id=str(attempt.order.order_id), trouble=str(away))

    async def _call_if_kept_waiting(self, order: Order, event: Deferred) -> None:
        """Call a person when a number is waited for that only a person's decision can bring."""
        numbers = [result.e164 for result in event.numbers if result.state is NumberState.REQUESTED]
        for parked, e164 in await self.ledger.parked_orders_bringing(self.carrier_name, numbers) if numbers else ():
            await self.ledger.note_alarm(
                Alarm.WAITS_FOR_PARKED,
                str(order.order_id),
                carrier=self.carrier_name,
                order_id=parked,
                detail=f"order {order.order_id} waits to remove {e164}, which the parked order {parked} is to bring",
                again_after=REPEAT_AFTER,
            )

    async def _alarm(self, what: Alarm, order: Order, detail: str) -> None:
        await self.ledger.raise_alarm(
            what, str(order.order_id), carrier=self.carrier_name, order_id=order.order_id, detail=detail
        )
