"""Make waiting orders due now, when a person asks for it.

No rule is broken by it. An order in doubt is asked about sooner, and sent again no sooner. What a carrier's rule holds
back keeps waiting; limits, pauses and circuit breakers stay in force. A parked order needs a decision instead. Of an
ended order the notification can be repeated, and its late look be made now (lane `ask`).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.decisions import not_set_up
from number_orders.fulfilment.ports import Bell, Clock, OrderReader
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.schedule import WorkItem
from number_orders.ledger.webhooks import WEBHOOKS
from number_orders.orders.events import HeldBackByRule, Hurried, ToldAgain, event_type
from number_orders.orders.model import CarrierName, Lane, Order, OrderId, State

_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class RetryOutcome:
    """What a retry did for one order: the lanes on which it is due now, or why it did nothing."""

    order: Order
    lanes: tuple[Lane, ...] = ()
    """Where it is due now."""
    refusal: str | None = None


class _Schedule(Protocol):
    async def work_items(self, order_ids: Sequence[OrderId]) -> dict[OrderId, list[WorkItem]]: ...

    async def waiting_at(
        self, carrier: CarrierName, lane: Lane | None, *, after: OrderId | None, limit: int
    ) -> list[OrderId]: ...


class _Webhooks(Protocol):
    async def undelivered(self, order_ids: Sequence[OrderId]) -> frozenset[OrderId]: ...

    async def send_now(self, order_ids: Sequence[OrderId]) -> None: ...


class _History(Protocol):
    async def last_moves(self, order_ids: Sequence[OrderId]) -> dict[OrderId, str]: ...


class RetryStores(Clock, Protocol):
    """The parts of the ledger that retries use."""

    @property
    def orders(self) -> OrderReader: ...
    @property
    def schedule(self) -> _Schedule: ...
    @property
    def history(self) -> _History: ...
    @property
    def webhooks(self) -> _Webhooks: ...


@dataclass(slots=True)
class Retries:
    """Makes waiting orders due now."""

    ledger: RetryStores
    recorder: Recorder
    bell: Bell
    carriers: Mapping[CarrierName, Carrier]

    async def retry(
        self, order_ids: Sequence[OrderId], *, by: str, why: str | None, lane: Lane | None = None
    ) -> list[RetryOutcome]:
        """Make these orders due now, on one lane or wherever they wait. Unknown orders are left out.

        On the lane `tell`, a producer that has every document gets one more, about the order as it is now. Documents
        that could not be delivered to a URL are sent again, also those that were given up.
        """
        now = await self.ledger.now()
        orders = await self.ledger.orders.read(list(order_ids))
        work_items = await self.ledger.schedule.work_items(list(orders))
        moves = await self.ledger.history.last_moves(list(orders))
        undelivered = await self.ledger.webhooks.undelivered(list(orders)) if lane in {None, Lane.TELL} else frozenset()
        wanted = [
            _with_delivery(
                _wanted(order, work_items[order_id], moves.get(order_id, ""), lane, now),
                is_undelivered=order_id in undelivered,
            )
            if order.request.carrier in self.carriers
            else RetryOutcome(order, refusal=not_set_up(order))
            for order_id in dict.fromkeys(order_ids)
            if (order := orders.get(order_id))
        ]
        # First, so that no document is left given up if this process dies here.
        await self.ledger.webhooks.send_now([each.order.order_id for each in wanted if Lane.TELL in each.lanes])
        moved = await self.recorder.hear([heard for each in wanted for heard in _heard(each, by, why)], now=now)
        self.bell.ring({(each.order.request.carrier, lane) for each in wanted for lane in each.lanes})
        if undelivered:
            self.bell.ring([(WEBHOOKS, Lane.TELL)])
        return [_outcome(each, moved) for each in wanted]

    async def retry_all(
        self, carrier: CarrierName, *, by: str, why: str | None, lane: Lane | None = None
    ) -> AsyncIterator[Sequence[RetryOutcome]]:
        """Make everything that waits at a carrier due now, a few hundred orders at a time.

        Orders that their producer has scheduled for later, and late looks, are left out: `retry` one of them by its id.
        """
        after: OrderId | None = None
        while order_ids := await self.ledger.schedule.waiting_at(carrier, lane, after=after, limit=_AT_ONCE):
            after, now = order_ids[-1], await self.ledger.now()
            orders = await self.ledger.orders.read(order_ids)
            meant = [
                order_id for order_id, order in orders.items() if lane is Lane.TELL or not _waits(order, now, lane)
            ]
            outcomes = await self.retry(meant, by=by, why=why, lane=lane)
            yield [each for each in outcomes if not (each.refusal and each.order.state.is_final)]


def _wanted(order: Order, work_items: Sequence[WorkItem], last: str, lane: Lane | None, now: datetime) -> RetryOutcome:
    """Return on which lanes an order can be due now, or why on none."""
    waiting = [work_item for work_item in work_items if lane in {None, work_item.lane}]
    if order.state.is_final and lane is None and any(work_item.lane is Lane.ASK for work_item in waiting):
        waiting = [work_item for work_item in waiting if work_item.lane is not Lane.ASK]
        if not waiting:
            return RetryOutcome(order, refusal="it is over; `--lane ask` makes its late look now")
    held_back = issubclass(event_type(last), HeldBackByRule)
    if held_back and any(work_item.lane is Lane.SUBMIT and work_item.not_before > now for work_item in waiting):
        waiting = [work_item for work_item in waiting if work_item.lane is not Lane.SUBMIT]
        if not waiting:
            return RetryOutcome(
                order, refusal=f"a rule holds it back, and trying sooner would break it: {order.reason}"
            )
    if any(work_item.waits_for_lock for work_item in waiting):
        waiting = [work_item for work_item in waiting if not work_item.waits_for_lock]
        if not waiting:
            return RetryOutcome(order, refusal=_why_locked(work_items))
    if order.state is State.SUBMITTING:
        waiting = [work_item for work_item in waiting if work_item.lane is Lane.TELL]
    if waiting:
        return RetryOutcome(order, tuple(work_item.lane for work_item in waiting))
    if lane is Lane.TELL:
        return _notify_again(order)
    return RetryOutcome(order, refusal=_why_not(order, lane))


def _with_delivery(outcome: RetryOutcome, *, is_undelivered: bool) -> RetryOutcome:
    """Add the lane `tell` for an order with documents that were not delivered to their URL."""
    if not is_undelivered or Lane.TELL in outcome.lanes:
        return outcome
    return RetryOutcome(outcome.order, (*outcome.lanes, Lane.TELL))


def _notify_again(order: Order) -> RetryOutcome:
    notify = order.request.notify
    if notify is None:
        return RetryOutcome(order, refusal="its producer asked for no notifications")
    if order.state not in notify.on:
        wanted = ", ".join(sorted(notify.on))
        return RetryOutcome(
            order, refusal=f"its producer asked for notifications of {wanted} only; the order is {order.state}"
        )
    return RetryOutcome(order, (Lane.TELL,))


def _why_locked(work_items: Sequence[WorkItem]) -> str:
    reason = next(work_item.reason for work_item in work_items if work_item.waits_for_lock)
    return f"another order goes first: it {reason}"


def _why_not(order: Order, lane: Lane | None) -> str:
    if order.state is State.PARKED:
        return "a person decides what becomes of it: `number-orders resolve` carries that out"
    if order.state.is_final:
        return "it is over, and its producer has every document; `--lane tell` tells it again"
    if order.state is State.SUBMITTING:
        return "a worker is sending it; the result is known within a minute"
    return f"it waits for nothing on the lane {lane}"


def _heard(tried: RetryOutcome, by: str, why: str | None) -> list[Heard]:
    """Return the events to record."""
    told_again = [Heard(tried.order, ToldAgain(by, why))] if Lane.TELL in tried.lanes else []
    hurried = [Heard(tried.order, Hurried(by, why))] if set(tried.lanes) - {Lane.TELL} else []
    return [*hurried, *told_again]


def _outcome(tried: RetryOutcome, moved: Mapping[OrderId, Order]) -> RetryOutcome:
    if tried.refusal:
        return tried
    if (order := moved.get(tried.order.order_id)) is None:
        return RetryOutcome(
            tried.order, refusal="it has just moved, or it is archived (`number-orders archive undo`); look at it again"
        )
    return RetryOutcome(order, tried.lanes)


def _waits(order: Order, now: datetime, lane: Lane | None) -> bool:
    """Return whether an order waits on purpose: for the time that its producer chose, or for its late look."""
    wanted = order.request.not_before
    scheduled = order.state is State.ACCEPTED and wanted is not None and wanted > now
    return scheduled or (order.state.is_final and lane is Lane.ASK)
