"""The lane `tell`: hands order documents to producers, in order per order, until the broker has them.

At least once: a worker that dies between handing over and writing it down hands over again. The document's
`version` and the message's id are the same then, so a producer can tell.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from number_orders.fulfilment.ports import Delivery, Notifier
from number_orders.ledger.ledger import Claim, Claims, Ledger, OutboxMessage
from number_orders.orders.model import CarrierName, Lane, OrderId

log = structlog.get_logger(__name__)

_LIMIT: Final = 200
_LEASE: Final = timedelta(seconds=15)
_CHANNEL: Final = "task"


@dataclass(slots=True)
class TellLane:
    """Tells what is due to be told."""

    ledger: Ledger
    notifier: Notifier

    async def run(self, carrier: CarrierName) -> bool:
        """Tell one batch; return whether more may be due."""
        claims = await self.ledger.claim(carrier, Lane.TELL, limit=_LIMIT, lease=_LEASE)
        if claims is None:
            return False
        by_id = {claim.order.order_id: claim for claim in claims.claims}
        untold = await self.ledger.pending_messages(list(by_id), _CHANNEL)
        deliveries = [
            Delivery(telling, notify.task, notify.queue)
            for telling in untold
            if (notify := by_id[telling.order_id].order.request.notify) and notify.task
        ]
        troubles = await asyncio.to_thread(self.notifier.tell, deliveries)
        failed = [(delivery.message, why) for delivery, why in zip(deliveries, troubles, strict=True) if why]
        told = [delivery.message for delivery, why in zip(deliveries, troubles, strict=True) if not why]
        await self._settle(claims, by_id, told, failed)
        return len(claims.claims) == _LIMIT and not failed

    async def _settle(
        self,
        claims: Claims,
        by_id: dict[OrderId, Claim],
        told: Sequence[OutboxMessage],
        failed: Sequence[tuple[OutboxMessage, str]],
    ) -> None:
        whys = {telling.order_id: why for telling, why in failed}
        happy = [claim for order_id, claim in by_id.items() if order_id not in whys]
        await self.ledger.mark_delivered(claims, happy, told, _CHANNEL)
        # What was owed anew while we were telling is still there, and is due at once.
        await self.ledger.release(claims, [claim.order.order_id for claim in happy])
        if failed:
            log.warning("not_told", orders=len(whys), reason=failed[0][1])
            await self.ledger.mark_undelivered(failed, _CHANNEL)
            pauses = [(order_id, _pause(by_id[order_id]), why) for order_id, why in whys.items()]
            await self.ledger.postpone(claims, [(order_id, claims.now + pause, why) for order_id, pause, why in pauses])


def _pause(claim: Claim) -> timedelta:
    return timedelta(seconds=min(2.0**claim.attempts, 300.0))
