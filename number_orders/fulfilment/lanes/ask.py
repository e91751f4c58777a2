"""The lane `ask`: ask carriers how orders stand, and whether orders in doubt ever arrived.

Never gives an order up: what cannot be found out now is asked again, more slowly, and an overdue order raises an alarm.
Only the carrier's own answer ends an order.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

import structlog

from number_orders.fulfilment.carrier import Carrier, ConversationResult, receipts
from number_orders.fulfilment.lanes.run import Attempt, AttemptOutcome, LookAgain
from number_orders.fulfilment.memory import NumberRecall, OrderMemory, ProgressStore
from number_orders.fulfilment.overdue import Overdue, WaitingTimes
from number_orders.fulfilment.ports import AlarmStore, LockStore, NumberReader
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.schedule import Claim, Claims
from number_orders.orders.alarms import Alarm
from number_orders.orders.errors import LedgerUnavailable, NoAnswer, UnreadableAnswer
from number_orders.orders.events import AnswerLost, Event, NotListed, PartSettled, StillOpen
from number_orders.orders.judgements import adds_information, judge_absence
from number_orders.orders.lifecycle import next_ask
from number_orders.orders.model import CarrierName, Lane, NumberResult, Order, State

log = structlog.get_logger(__name__)

_ASKABLE: Final = frozenset({State.OPEN, State.IN_DOUBT})


class _Numbers(NumberReader, NumberRecall, Protocol): ...


class AskStores(Protocol):
    """The parts of the ledger that this lane uses."""

    @property
    def orders(self) -> ProgressStore: ...
    @property
    def numbers(self) -> _Numbers: ...
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
        adapter = self.carrier.adapter
        question = adapter.look_for(order) if order.state is State.IN_DOUBT else adapter.ask(order)
        memory = OrderMemory(self.ledger.orders, self.ledger.numbers, order)
        conversation = await self.carrier.converse(
            question, deadline=attempt.deadline, memory=memory, pace=attempt.pace
        )
        result = await self._judge(attempt, conversation)
        kept = receipts(order, conversation) if isinstance(result, Heard) else ()
        return AttemptOutcome(attempt, result, conversation, kept)

    async def _judge(self, attempt: Attempt, conversation: ConversationResult) -> Heard | LookAgain:
        """Return the event to record, or when to look again if there is nothing new."""
        order, now, policy = attempt.order, attempt.now, self.carrier.policy
        match conversation.event:
            case None:
                await self._report_error(order, conversation.error)
                return await self._look_again(attempt, conversation.error)
            case NotListed() as absent:
                judged = judge_absence(order, absent, now=now, policy=policy)
                return Heard(order, judged, attempt_number=order.sends)
            case event:
                await self._report_unknown_status(order, event)
                if isinstance(event, PartSettled):
                    await self._overdue.check(order, now, event.reason)
                if adds_information(order, event, await self._known_numbers(order, event)):
                    return Heard(order, event)
                if await self._releases_serial_lock(order, event):
                    return Heard(order, event)
                return await self._look_again(attempt, None, slow=isinstance(event, StillOpen) and event.slow)

    async def _known_numbers(self, order: Order, event: Event) -> Collection[NumberResult]:
        """Return the known numbers of an order that is filled bit by bit; for other events there is no need to read."""
        if not isinstance(event, StillOpen) or not event.numbers:
            return ()
        return (await self.ledger.numbers.of_orders([order.order_id]))[order.order_id]

    async def _releases_serial_lock(self, order: Order, event: Event) -> bool:
        """Tell whether the order still holds a serial lock that it no longer needs, while others wait for it."""
        needs_none = isinstance(event, StillOpen) and not event.alone
        return needs_none and await self.ledger.serial_locks.is_held_by(order.order_id)

    async def _look_again(self, attempt: Attempt, error: Exception | None, *, slow: bool = False) -> LookAgain:
        order, now, policy = attempt.order, attempt.now, self.carrier.policy
        look = next_ask(order, attempt.claim.attempts, slow=slow, now=now, policy=policy)
        await self._overdue.check(order, now, look.reason)
        if isinstance(error, NoAnswer):
            return LookAgain(order.order_id, max(look.not_before, error.not_before or now), error.reason)
        return LookAgain(order.order_id, look.not_before, look.reason)

    async def _report_error(self, order: Order, error: Exception | None) -> None:
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
