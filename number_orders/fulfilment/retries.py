"""What a person does with orders that wait: has them tried now, and not when their time has come.

Nothing is tried that must not be. What is in doubt is asked about sooner, and sent again no sooner; what a rule of the
carrier's holds back waits for it; limits, pauses and carriers out of reach hold as they did. A parked order is decided
about, and one that is over is over: only its telling can be done again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from number_orders.fulfilment.carrier import Carrier
from number_orders.fulfilment.decisions import not_set_up
from number_orders.fulfilment.ports import Bell
from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.ledger.ledger import Debt, Ledger
from number_orders.orders.events import Hurried, ToldAgain
from number_orders.orders.model import CarrierName, Lane, Order, OrderId, State

_AT_ONCE: Final = 200
_RULES: Final = frozenset({"Deferred", "PartSettled"})


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of wanting one order tried: what is done now, or why nothing is."""

    order: Order
    lanes: tuple[Lane, ...] = ()
    """Where it is due now."""
    refusal: str | None = None


@dataclass(slots=True)
class Hurrying:
    """Makes due now what waits."""

    ledger: Ledger
    recorder: Recorder
    bell: Bell
    carriers: Mapping[CarrierName, Carrier]

    async def retry(
        self, order_ids: Sequence[OrderId], *, by: str, why: str | None, lane: Lane | None = None
    ) -> list[Tried]:
        """Have these orders tried now, on one lane or wherever they wait; unknown orders are left out.

        On the lane `tell` a producer that was told already is told once more, how the order stands now.
        """
        now = await self.ledger.now()
        orders = await self.ledger.read(list(order_ids))
        debts = await self.ledger.debts(list(orders))
        moves = await self.ledger.last_moves(list(orders))
        wanted = [
            _wanted(order, debts[order_id], moves.get(order_id, ""), lane, now)
            if order.request.carrier in self.carriers
            else Tried(order, refusal=not_set_up(order))
            for order_id in dict.fromkeys(order_ids)
            if (order := orders.get(order_id))
        ]
        moved = await self.recorder.hear([heard for each in wanted for heard in _heard(each, by, why)], now=now)
        self.bell.ring({(each.order.request.carrier, lane) for each in wanted for lane in each.lanes})
        return [_outcome(each, moved) for each in wanted]

    async def retry_all(
        self, carrier: CarrierName, *, by: str, why: str | None, lane: Lane | None = None
    ) -> AsyncIterator[Sequence[Tried]]:
        """Have everything tried now that waits for its time at a carrier, a few hundred orders at a time.

        What its producer wants to wait is left alone: who means such an order names it.
        """
        after: OrderId | None = None
        while order_ids := await self.ledger.waiting_at(carrier, lane, after=after, limit=_AT_ONCE):
            after, now = order_ids[-1], await self.ledger.now()
            orders = await self.ledger.read(order_ids)
            meant = [order_id for order_id, order in orders.items() if lane is Lane.TELL or not _scheduled(order, now)]
            yield await self.retry(meant, by=by, why=why, lane=lane)


def _wanted(order: Order, debts: Sequence[Debt], last: str, lane: Lane | None, now: datetime) -> Tried:
    """Say on which lanes an order can be tried now, or why on none."""
    waiting = [debt for debt in debts if lane in {None, debt.lane}]
    if any(debt.lane is Lane.SUBMIT and last in _RULES and debt.not_before > now for debt in waiting):
        waiting = [debt for debt in waiting if debt.lane is not Lane.SUBMIT]
        if not waiting:
            return Tried(order, refusal=f"a rule holds it back, and trying sooner would break it: {order.reason}")
    if any(debt.in_line for debt in waiting):
        waiting = [debt for debt in waiting if not debt.in_line]
        if not waiting:
            return Tried(order, refusal=_why_in_line(debts))
    if order.state is State.SUBMITTING:
        waiting = [debt for debt in waiting if debt.lane is Lane.TELL]
    if waiting:
        return Tried(order, tuple(debt.lane for debt in waiting))
    if lane is Lane.TELL:
        return _told_again(order)
    return Tried(order, refusal=_why_not(order, lane))


def _told_again(order: Order) -> Tried:
    notify = order.request.notify
    if notify is None:
        return Tried(order, refusal="its producer does not want to be told")
    if order.state not in notify.on:
        wanted = ", ".join(sorted(notify.on))
        return Tried(order, refusal=f"its producer wants to hear of {wanted}, and of {order.state} it does not")
    return Tried(order, (Lane.TELL,))


def _why_in_line(debts: Sequence[Debt]) -> str:
    reason = next(debt.reason for debt in debts if debt.in_line)
    return f"its turn has not come: it {reason}"


def _why_not(order: Order, lane: Lane | None) -> str:
    if order.state is State.PARKED:
        return "a person decides what becomes of it: `number-orders resolve` carries that out"
    if order.state.is_final:
        return "it is over, and its producer knows; `--lane tell` tells it again"
    if order.state is State.SUBMITTING:
        return "a worker is sending it; what comes of that is known within a minute"
    return f"it waits for nothing on the lane {lane}"


def _heard(tried: Tried, by: str, why: str | None) -> list[Heard]:
    """Return what is written into the story."""
    telling = [Heard(tried.order, ToldAgain(by, why))] if Lane.TELL in tried.lanes else []
    hurried = [Heard(tried.order, Hurried(by, why))] if set(tried.lanes) - {Lane.TELL} else []
    return [*hurried, *telling]


def _outcome(tried: Tried, moved: Mapping[OrderId, Order]) -> Tried:
    if tried.refusal:
        return tried
    if (order := moved.get(tried.order.order_id)) is None:
        return Tried(tried.order, refusal="it has moved on just now")
    return Tried(order, tried.lanes)


def _scheduled(order: Order, now: datetime) -> bool:
    wanted = order.request.not_before
    return order.state is State.ACCEPTED and wanted is not None and wanted > now
