"""When an order takes longer than this carrier usually needs: a person is told, and it is gone on with.

It is counted from when the order was to be worked on. What waited on purpose, because its producer wanted it to or a
rule did, is not late for that; what is held back by rules again and again is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from number_orders.ledger.ledger import Ledger
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import Order


@dataclass(frozen=True, slots=True)
class Overdue:
    """Calls a person about orders of one carrier that take too long."""

    ledger: Ledger
    patience: timedelta

    async def look(self, order: Order, now: datetime, why: str | None) -> None:
        """Call a person if the order is under way for too long by now."""
        if now - order.accepted_at <= self.patience:
            return
        since = await self.ledger.due_since(order.order_id)
        if now - since > self.patience:
            await self._call(order, f"due since {_said(since)} and still {order.state}: {why}")

    async def look_at_trying(self, order: Order, now: datetime, why: str) -> None:
        """Call a person if nothing could be sent for too long. Orders that wait on purpose are not being tried."""
        if now - order.accepted_at <= self.patience:
            return
        since = await self.ledger.trying_since(order.order_id)
        if since is not None and now - since > self.patience:
            await self._call(order, f"accepted {_said(order.accepted_at)}, tried in vain since {_said(since)}: {why}")

    async def _call(self, order: Order, detail: str) -> None:
        await self.ledger.raise_alarm(
            Alarm.OVERDUE, str(order.order_id), carrier=order.request.carrier, order_id=order.order_id, detail=detail
        )


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
