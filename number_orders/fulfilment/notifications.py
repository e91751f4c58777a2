"""The lane `tell`: deliver order documents to producers' tasks, in order for each order, until the broker has them.

Documents for a URL are only queued here, each order for its host, and delivered by a run of their own
(`fulfilment.webhooks.delivery`), so that no slow URL delays a task.

Delivery is at least once: a worker that dies between delivering and recording it delivers again. The document's
`version` and the message's id are the same then, so a producer can recognise the repetition.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

import structlog

from number_orders.fulfilment.ports import AlarmStore, Bell, Delivery, Notifier, WorkStore
from number_orders.fulfilment.watch import REPEAT_AFTER
from number_orders.fulfilment.webhooks.addresses import host_of
from number_orders.ledger.outbox import OutboxMessage
from number_orders.ledger.schedule import Claim, Claims, Later
from number_orders.ledger.webhooks import WEBHOOKS
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import CarrierName, Lane, OrderId

log = structlog.get_logger(__name__)

_LIMIT: Final = 200
_LEASE: Final = timedelta(seconds=15)
_CHANNEL: Final = "task"
_DELIVERED_WITHIN: Final = timedelta(hours=1)
"""Documents that the broker refuses for longer raise an alarm."""


class OutboxStore(Protocol):
    """Keeps documents until they are delivered."""

    async def pending(self, order_ids: Sequence[OrderId], channel: str) -> list[OutboxMessage]: ...

    async def mark_delivered(
        self, claims: Claims, done: Sequence[Claim], delivered: Sequence[OutboxMessage], channel: str
    ) -> None: ...

    async def mark_undelivered(self, failed: Sequence[tuple[OutboxMessage, str]], channel: str) -> None: ...


class WebhookQueue(Protocol):
    """Keeps the orders that have documents for their URL."""

    async def queue(self, hosts: Mapping[OrderId, str]) -> bool: ...


@dataclass(slots=True)
class TellLane:
    """Deliver the documents that are due."""

    schedule: WorkStore
    outbox: OutboxStore
    webhooks: WebhookQueue
    alarms: AlarmStore
    notifier: Notifier
    bell: Bell

    async def run(self, carrier: CarrierName) -> bool:
        """Deliver one batch; return whether more may be due."""
        claims = await self.schedule.claim(carrier, Lane.TELL, limit=_LIMIT, lease=_LEASE)
        if claims is None:
            return False
        by_id = {claim.order.order_id: claim for claim in claims.claims}
        if await self.webhooks.queue(dict(_hosts(claims.claims))):
            self.bell.ring([(WEBHOOKS, Lane.TELL)])
        pending = await self.outbox.pending(list(by_id), _CHANNEL)
        deliveries = [
            Delivery(message, notify.task, notify.queue, order.trace_parent)
            for message in pending
            if (notify := (order := by_id[message.order_id].order).request.notify) and notify.task
        ]
        errors = await asyncio.to_thread(self.notifier.deliver, deliveries)
        failed = [(delivery.message, why) for delivery, why in zip(deliveries, errors, strict=True) if why]
        delivered = [delivery.message for delivery, why in zip(deliveries, errors, strict=True) if not why]
        await self._record(claims, by_id, delivered, failed)
        await self._raise_alarm(carrier, [(by_id[message.order_id], why) for message, why in failed])
        return len(claims.claims) == _LIMIT and not failed

    async def _raise_alarm(self, carrier: CarrierName, failed: Sequence[tuple[Claim, str]]) -> None:
        """Raise an alarm if documents have been refused for too long: their producers wait, and know nothing of it."""
        late = [(claim.order, why) for claim, why in failed if _tried_for(claim.attempts) > _DELIVERED_WITHIN]
        for order, why in late[:1]:
            minutes = _DELIVERED_WITHIN.total_seconds() / 60
            count = f"{len(late)} documents are" if len(late) > 1 else "1 document is"
            detail = f"{count} refused for more than {minutes:g} minutes, such as that of order {order.order_id}: {why}"
            await self.alarms.note_alarm(
                Alarm.NOTIFICATIONS_WAIT,
                carrier,
                carrier=carrier,
                order_id=order.order_id,
                detail=detail,
                again_after=REPEAT_AFTER,
            )

    async def _record(
        self,
        claims: Claims,
        by_id: Mapping[OrderId, Claim],
        delivered: Sequence[OutboxMessage],
        failed: Sequence[tuple[OutboxMessage, str]],
    ) -> None:
        reasons = {message.order_id: why for message, why in failed}
        done = [claim for order_id, claim in by_id.items() if order_id not in reasons]
        await self.outbox.mark_delivered(claims, done, delivered, _CHANNEL)
        for message in delivered:
            log.info("producer_told", order_id=str(message.order_id), version=message.version, channel=_CHANNEL)
        # A document that was added during the delivery is still owed, and due at once.
        await self.schedule.release(claims, [claim.order.order_id for claim in done])
        if failed:
            for order_id, why in reasons.items():
                log.warning("not_delivered", order_id=str(order_id), channel=_CHANNEL, reason=why)
            await self.outbox.mark_undelivered(failed, _CHANNEL)
            pauses = {order_id: _retry_after(by_id[order_id].attempts) for order_id in reasons}
            later = [Later(order_id, claims.now + pauses[order_id], why) for order_id, why in reasons.items()]
            await self.schedule.postpone(claims, later)


def _hosts(claims: Sequence[Claim]) -> Iterator[tuple[OrderId, str]]:
    """Yield the orders that name a URL, each with the URL's host."""
    for claim in claims:
        notify = claim.order.request.notify
        if notify and notify.url:
            yield claim.order.order_id, host_of(notify.url)


def _retry_after(attempts: int) -> timedelta:
    return timedelta(seconds=min(2.0**attempts, 300.0))


def _tried_for(attempts: int) -> timedelta:
    """Return how long so many attempts and the pauses after them have taken, at least."""
    return sum(map(_retry_after, range(attempts)), timedelta())
