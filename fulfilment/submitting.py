"""The lane `submit`: sends orders, each at most once per begun attempt.

SUBMITTING is written, and with it the question that will be asked should no answer come, before the first
byte leaves. From then on only the answer, or asking, moves the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from fulfilment.carrier import Carrier, receipts
from fulfilment.memory import OrderMemory
from fulfilment.recorder import Heard, Recorder
from fulfilment.stint import Flight, Landed
from ledger.ledger import Claim, Claims, Ledger
from orders.errors import FulfilmentError, LedgerUnavailable, NoAnswer
from orders.events import AnswerLost, Event, NotSent, Parked, SubmissionBegun
from orders.model import CarrierName, Lane, Order, State

log = structlog.get_logger(__name__)

_IN_LINE: Final = timedelta(minutes=1)
"""How long an order stands in line that nobody wakes."""


@dataclass(slots=True)
class SubmitLane:
    """Sends what is due to be sent."""

    desk: Carrier
    ledger: Ledger
    recorder: Recorder
    lane: Lane = Lane.SUBMIT
    lease: timedelta = timedelta(seconds=10)
    """From the claim to the begin, which is one statement later."""

    @property
    def carrier(self) -> CarrierName:
        return self.desk.adapter.name

    @property
    def concurrency(self) -> int:
        return self.desk.concurrency

    @property
    def right_to_send(self) -> timedelta:
        """Half the time after which a missing answer counts as lost: the other half is the request's own life."""
        return self.desk.manner.answer_within / 2

    async def begin(self, claims: Claims) -> Sequence[tuple[Claim, Order]]:
        """Begin every claimed order in one transaction; an order that has moved on is nobody's to send."""
        ready = await self._in_turn(claims, [c for c in claims.claims if c.order.state is State.ACCEPTED])
        begun = await self.recorder.hear([Heard(claim.order, SubmissionBegun()) for claim in ready], now=claims.now)
        return [(claim, begun[claim.order.order_id]) for claim in ready if claim.order.order_id in begun]

    async def _in_turn(self, claims: Claims, ready: Sequence[Claim]) -> Sequence[Claim]:
        """Leave out the orders whose turn it is not; they stand in line."""
        keys = {claim.order.order_id: self.desk.adapter.serial_key(claim.order.request) for claim in ready}
        wanted = {order_id: key for order_id, key in keys.items() if key is not None}
        theirs = await self.ledger.take_turns(claims, wanted, carrier=self.carrier, at_most=_IN_LINE)
        return [claim for claim in ready if claim.order.order_id not in wanted or claim.order.order_id in theirs]

    async def fly(self, flight: Flight) -> Landed:
        """Send one order and bring back what was heard."""
        order = flight.order
        memory = OrderMemory(self.ledger, order)
        held = await self.desk.hold(self.desk.adapter.submit(order), deadline=flight.deadline, memory=memory)
        event = held.event or self._without_event(order, held.error, committed=held.committed)
        await self._heed_limit(event)
        return Landed(flight.claims, flight.now, Heard(order, event, attempt=order.sends), receipts(order, held))

    def _without_event(self, order: Order, error: Exception | None, *, committed: bool) -> Event:
        """Say what an attempt that broke on our side comes to."""
        log.error("submission_broke", order_id=str(order.order_id), exc_info=error)
        if committed:
            return AnswerLost(f"the answer could not be worked on here: {error!r}")
        if isinstance(error, NoAnswer):
            return NotSent(error.reason, error.not_before)
        if isinstance(error, FulfilmentError):
            return NotSent(str(error))
        return Parked(f"the order could not be written in the carrier's language: {error!r}")

    async def _heed_limit(self, event: Event) -> None:
        if not isinstance(event, NotSent) or event.not_before is None:
            return
        try:
            await self.ledger.pause_lane(
                self.carrier, self.lane, until=event.not_before, why=event.reason, by="the carrier's limit"
            )
        except LedgerUnavailable as away:  # the answer in hand is worth more than the pause
            log.warning("lane_not_paused", carrier=self.carrier, trouble=str(away))
