"""The desk: what this service does, in words of its trade. Everything from outside comes through here.

Decides nothing about orders: what follows from an event stands in `number_orders.orders.lifecycle`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.decisions import Decisions, not_set_up
from number_orders.fulfilment.lanes.ask import AskLane
from number_orders.fulfilment.lanes.circuit_breaker import CircuitBreaker
from number_orders.fulfilment.lanes.presence import LanePresence
from number_orders.fulfilment.lanes.rate import LedgerClock
from number_orders.fulfilment.lanes.run import LANE_RUN_S, LaneRun, LaneWork
from number_orders.fulfilment.lanes.submit import SubmitLane
from number_orders.fulfilment.notifications import TellLane
from number_orders.fulfilment.ports import Bell, Notifier, Slots
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.retries import Retries, RetryOutcome
from number_orders.fulfilment.watch import SerialLockWatch
from number_orders.ledger.ledger import Ledger
from number_orders.orders.alarms import Alarm
from number_orders.orders.document import document
from number_orders.orders.errors import NotCancellable, UnknownOrder
from number_orders.orders.events import CancelAsked, Decision
from number_orders.orders.model import CarrierName, Lane, Order, OrderId, State

log = structlog.get_logger(__name__)

_PLACE_S: Final = (0.0, 0.05)
"""How long a place is waited for: whoever has it may be about to leave, and then it was for us that the bell rang."""

_TRIES: Final = 5
"""How often an order is read again because it moved while it was being called back."""


class OrderService:
    """Works lanes off, calls orders back, lets people decide about parked ones, and answers for all of them."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        carriers: Mapping[CarrierName, Carrier],
        notifier: Notifier,
        bell: Bell,
        slots: Slots,
        boot_clock: Callable[[], float],
        receipts_kept: timedelta = timedelta(days=30),
    ) -> None:
        self._ledger = ledger
        self._carriers = carriers
        self._recorder = Recorder(ledger, {name: carrier.policy for name, carrier in carriers.items()})
        self._notifier = notifier
        self._bell = bell
        self._slots = slots
        self._boot_clock = boot_clock
        self._ledger_clock = LedgerClock()
        self._receipts_kept = receipts_kept
        self._deciding = Decisions(ledger, self._recorder, bell, carriers)
        self._hurrying = Retries(ledger, self._recorder, bell, carriers)

    async def work(self, carrier: CarrierName, lane: Lane) -> None:
        """Do what is due on one lane, for a lane_run. Twice, late or never changes no outcome."""
        if carrier not in self._carriers:
            log.error("carrier_not_set_up", carrier=carrier, lane=lane.value)
            return
        free = more = False
        for wait_s in _PLACE_S:
            if not free:
                await asyncio.sleep(wait_s)
                with self._slots.take(carrier, lane) as free:
                    more = free and await self._run_lane(carrier, lane)
        if more:
            self._bell.ring([(carrier, lane)])

    async def sweep(self) -> int:
        """Ring for every lane on which something is due; return how many."""
        due = await self._ledger.due_lanes()
        self._bell.ring(due)
        return len(due)

    async def forget(self) -> None:
        """Drop what is kept only for a while."""
        await self._ledger.forget_receipts(self._receipts_kept)

    async def cancel(self, order_id: OrderId, *, by: str, why: str | None = None) -> Order:
        """Call an order back; calling it back twice is calling it back.

        Before it is sent, that is its end. Once the carrier has it, the carrier is asked to drop it, where it can be
        asked: the order stays OPEN until the carrier has said what became of it.

        Raises:
            UnknownOrder: There is no such order.
            NotCancellable: The carrier may have it, or has it and cannot be asked, or it is over.
        """
        for _ in range(_TRIES):
            order = await self._read(order_id)
            if order.state is State.CANCELLED or (order.state is State.OPEN and order.cancel_asked_at):
                return order
            if order.request.carrier not in self._carriers:
                raise NotCancellable(not_set_up(order))
            if order.state is not State.ACCEPTED and not self._takes_back(order):
                raise NotCancellable(_why_not(order))
            moved = await self._recorder.hear([Heard(order, CancelAsked(by, why))], now=await self._ledger.now())
            if order_id in moved:
                self._bell.ring([(order.request.carrier, Lane.TELL), (order.request.carrier, Lane.ASK)])
                return moved[order_id]
            # It has moved since it was read: it is being sent, or was not after all, or somebody else called it back.
        raise NotCancellable(f"order {order_id} could not be called back just now; try again")

    def _takes_back(self, order: Order) -> bool:
        """Tell whether the carrier has the order and can be asked to drop it."""
        capabilities = self._carriers[order.request.carrier].adapter.capabilities
        return order.state is State.OPEN and order.request.kind in capabilities.called_back

    async def resolve(self, order_id: OrderId, decision: Decision) -> Order:
        """Do with a parked order what a person has decided (`number_orders.fulfilment.decisions`)."""
        return await self._deciding.resolve(order_id, decision)

    async def park(self, order_id: OrderId, *, by: str, why: str) -> Order:
        """Take an order out of the machine's hands, for a person to decide about (`fulfilment.decisions`)."""
        return await self._deciding.park(order_id, by=by, why=why)

    async def retry(
        self, order_ids: Sequence[OrderId], by: str, why: str | None, lane: Lane | None = None
    ) -> list[RetryOutcome]:
        """Have what these orders wait for tried now (`number_orders.fulfilment.retries`)."""
        return await self._hurrying.retry(order_ids, by=by, why=why, lane=lane)

    async def retry_all(
        self, carrier: CarrierName, by: str, why: str | None, lane: Lane | None = None
    ) -> AsyncIterator[Sequence[RetryOutcome]]:
        """Have everything tried now that waits for its time at a carrier (`number_orders.fulfilment.retries`)."""
        async for tried in self._hurrying.retry_all(carrier, by=by, why=why, lane=lane):
            yield tried

    async def mind(self) -> None:
        """Tell a person what no order can tell by itself, and forget the alarms of what is over."""
        for carrier in self._carriers.values():
            await SerialLockWatch(self._ledger, carrier).look()
        await self._ledger.drop_alarms_unless(Alarm.WAITS_FOR_PARKED, State.PARKED)

    async def documents(self, order_ids: Sequence[OrderId]) -> list[dict[str, Any]]:
        """Return the documents of these orders, in the same order.

        Raises:
            UnknownOrder: One of them does not exist.
        """
        orders = await self._ledger.read(order_ids)
        for order_id in order_ids:
            if order_id not in orders:
                raise UnknownOrder(order_id)
        numbers = await self._ledger.numbers(order_ids)
        return [document(orders[order_id], numbers[order_id]) for order_id in order_ids]

    async def _run_lane(self, carrier: CarrierName, lane: Lane) -> bool:
        if lane is Lane.TELL:
            self._bell.heard(carrier, lane)
            return await TellLane(self._ledger, self._notifier).run(carrier)
        lane_run = LaneRun(
            self._lane_work(carrier, lane),
            self._ledger,
            self._recorder,
            CircuitBreaker(self._ledger, self._carriers[carrier].breaker_policy),
            LanePresence(self._bell, self._slots, carrier, lane),
            boot_clock=self._boot_clock,
            ledger_clock=self._ledger_clock,
            lasts_s=LANE_RUN_S,
        )
        more = await lane_run.run()
        log.debug("lane_run_over", carrier=carrier, lane=lane.value, started=lane_run.started, more=more)
        return more

    def _lane_work(self, carrier: CarrierName, lane: Lane) -> LaneWork:
        if lane is Lane.SUBMIT:
            return SubmitLane(self._carriers[carrier], self._ledger, self._recorder)
        return AskLane(self._carriers[carrier], self._ledger, self._recorder)

    async def _read(self, order_id: OrderId) -> Order:
        found = await self._ledger.read([order_id])
        if order_id not in found:
            raise UnknownOrder(order_id)
        return found[order_id]


def _why_not(order: Order) -> str:
    where = f"order {order.order_id} is {order.state}"
    if order.state.is_final:
        return f"{where}: it is over, and what is over stays as it is"
    if order.state is State.PARKED:
        return f"{where}: a person decides what becomes of it"
    if order.state is State.OPEN:
        return f"{where}: {order.request.carrier} has it, and offers no way to call it back"
    return f"{where}: {order.request.carrier} may have it; try again once that is known"
