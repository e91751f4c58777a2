"""The lane `ask`: finds out how orders stand at the carrier, and whether those in doubt ever arrived.

Never gives an order up: what cannot be found out now is asked again, more slowly, and past its time a person
is told. Only the carrier's own word ends an order.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from number_orders.fulfilment.carrier import Carrier, ConversationResult, receipts
from number_orders.fulfilment.lanes.run import Attempt, AttemptOutcome, LookAgain
from number_orders.fulfilment.memory import OrderMemory
from number_orders.fulfilment.overdue import Overdue
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.ledger import Claim, Claims, Ledger
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import LedgerUnavailable, NoAnswer, UnreadableAnswer
from number_orders.orders.events import AnswerLost, Event, NotListed, PartSettled, StillOpen
from number_orders.orders.lifecycle import is_news, next_ask, weigh_absence
from number_orders.orders.model import CarrierName, Lane, NumberResult, Order, State

log = structlog.get_logger(__name__)

_ASKABLE: Final = frozenset({State.OPEN, State.IN_DOUBT})


@dataclass(slots=True)
class AskLane:
    """Asks what is due to be asked."""

    carrier: Carrier
    ledger: Ledger
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
        return Overdue(self.ledger, self.carrier.policy.overdue_after)

    async def begin(self, claims: Claims) -> Sequence[tuple[Claim, Order]]:
        """Pass on what can be asked about; a submission that nobody came back from is in doubt from here on."""
        silent = [claim.order for claim in claims.claims if claim.order.state is State.SUBMITTING]
        lost = AnswerLost("the worker that sent it never came back with an answer")
        await self.recorder.hear([Heard(order, lost, attempt_number=order.sends) for order in silent], now=claims.now)
        return [(claim, claim.order) for claim in claims.claims if claim.order.state in _ASKABLE]

    async def run_attempt(self, attempt: Attempt) -> AttemptOutcome:
        """Ask about one order and bring back what was heard."""
        order = attempt.order
        adapter = self.carrier.adapter
        question = adapter.look_for(order) if order.state is State.IN_DOUBT else adapter.ask(order)
        memory = OrderMemory(self.ledger, order)
        held = await self.carrier.converse(question, deadline=attempt.deadline, memory=memory, pace=attempt.pace)
        result = await self._weigh(attempt, held)
        kept = receipts(order, held) if isinstance(result, Heard) else ()
        return AttemptOutcome(attempt, result, held, kept)

    async def _weigh(self, attempt: Attempt, held: ConversationResult) -> Heard | LookAgain:
        order, now, policy = attempt.order, attempt.now, self.carrier.policy
        match held.event:
            case None:
                await self._complain(order, held.error)
                return await self._later(attempt, held.error)
            case NotListed() as absent:
                return Heard(order, weigh_absence(order, absent, now=now, policy=policy), attempt_number=order.sends)
            case event:
                await self._watch(order, event)
                if isinstance(event, PartSettled):
                    await self._overdue.look(order, now, event.reason)
                if is_news(order, event, await self._known(order, event)) or await self._gives_on(order, event):
                    return Heard(order, event)
                return await self._later(attempt, None, slow=isinstance(event, StillOpen) and event.slow)

    async def _known(self, order: Order, event: Event) -> Collection[NumberResult]:
        """Return what is known of the numbers of an order that is filled bit by bit; others need no look."""
        if not isinstance(event, StillOpen) or not event.numbers:
            return ()
        return (await self.ledger.numbers([order.order_id]))[order.order_id]

    async def _gives_on(self, order: Order, event: Event) -> bool:
        """Tell whether the order still has to itself what it needs to itself no more: others wait for it."""
        return isinstance(event, StillOpen) and not event.alone and await self.ledger.has_serial_lock(order.order_id)

    async def _later(self, attempt: Attempt, error: Exception | None, *, slow: bool = False) -> LookAgain:
        order, now, policy = attempt.order, attempt.now, self.carrier.policy
        look = next_ask(order, attempt.claim.attempts, slow=slow, now=now, policy=policy)
        await self._overdue.look(order, now, look.reason)
        if isinstance(error, NoAnswer):
            return LookAgain(order.order_id, max(look.not_before, error.not_before or now), error.reason)
        return LookAgain(order.order_id, look.not_before, look.reason)

    async def _complain(self, order: Order, error: Exception | None) -> None:
        match error:
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

    async def _watch(self, order: Order, event: Event) -> None:
        if isinstance(event, StillOpen) and event.unheard_of:
            status = event.carrier_status
            log.warning("status_never_heard_of", order_id=str(order.order_id), carrier_status=status)
            detail = f"order {order.order_id}: the carrier says {status!r}, which its documents do not; still open"
            await self.ledger.raise_alarm(
                Alarm.STATUS_NEVER_HEARD_OF, f"{self.carrier_name}:{status}", carrier=self.carrier_name, detail=detail
            )

    async def _alarm(self, what: Alarm, order: Order, detail: str) -> None:
        await self.ledger.raise_alarm(
            what, str(order.order_id), carrier=self.carrier_name, order_id=order.order_id, detail=detail
        )
