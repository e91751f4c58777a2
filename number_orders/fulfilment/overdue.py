"""Raise an alarm for an order that takes longer than its carrier usually needs. The work on it goes on.

The time counts from when the order was due for work. Waiting because the producer or a carrier's rule asked for it does
not count; an order that rules hold back again and again does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from number_orders.fulfilment.ports import AlarmStore
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import Order, OrderId


class WaitingTimes(Protocol):
    """Reads since when an order is worked on."""

    async def due_since(self, order_id: OrderId) -> datetime: ...

    async def trying_since(self, order_id: OrderId) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Overdue:
    """The overdue alarm of one carrier."""

    times: WaitingTimes
    alarms: AlarmStore
    patience: timedelta

    async def check(self, order: Order, now: datetime, why: str | None) -> None:
        """Raise the alarm if the order has been due for longer than `patience`."""
        if now - order.accepted_at <= self.patience:
            return
        since = await self.times.due_since(order.order_id)
        if now - since > self.patience:
            await self._raise(order, f"due since {_utc(since)} and still {order.state}: {why}")

    async def check_unsent(self, order: Order, now: datetime, why: str) -> None:
        """Raise the alarm if every attempt to send the order has failed for longer than `patience`."""
        if now - order.accepted_at <= self.patience:
            return
        since = await self.times.trying_since(order.order_id)
        if since is not None and now - since > self.patience:
            await self._raise(order, f"accepted {_utc(order.accepted_at)}, tried in vain since {_utc(since)}: {why}")

    async def check_late_look(self, order: Order, failing_for: timedelta, why: str) -> None:
        """Raise the alarm if an order that has ended could not be looked at again for longer than `patience`."""
        if failing_for > self.patience and order.ended_at is not None:
            await self._raise(order, f"ended {_utc(order.ended_at)}; the late look at it fails again and again: {why}")

    async def _raise(self, order: Order, detail: str) -> None:
        await self.alarms.raise_alarm(
            Alarm.OVERDUE, str(order.order_id), carrier=order.request.carrier, order_id=order.order_id, detail=detail
        )


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
