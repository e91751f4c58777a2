"""Keep order documents until the producer has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.schedule import Claim, Claims
from number_orders.orders.model import OrderId


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One order document that the producer is still to get."""

    order_id: OrderId
    version: int
    document: Mapping[str, Any]


class Outbox:
    """Keep order documents until the producer has them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pending(self, order_ids: Sequence[OrderId], channel: str) -> list[OutboxMessage]:
        """Return what is still to be told of these orders, each order's documents in order."""
        found = await self._database.run("pending_messages", {"order_ids": list(order_ids), "channel": channel})
        return [OutboxMessage(row["order_id"], row["version"], row["document"]) for row in found]

    async def mark_delivered(
        self, claims: Claims, paid: Sequence[Claim], told: Sequence[OutboxMessage], channel: str
    ) -> None:
        """Mark documents as handed over, and pay the work_items of the orders that have none left."""
        params = {
            "paid": Jsonb([{"order_id": str(claim.order.order_id), "generation": claim.generation} for claim in paid]),
            "told": Jsonb([{"order_id": str(message.order_id), "version": message.version} for message in told]),
            "channel": channel,
            "token": claims.token,
        }
        await self._database.run("mark_delivered", params)

    async def mark_undelivered(self, failed: Sequence[tuple[OutboxMessage, str]], channel: str) -> None:
        """Keep why a document could not be handed over."""
        entries = [{"order_id": str(t.order_id), "version": t.version, "trouble": why} for t, why in failed]
        await self._database.run("mark_undelivered", {"failed": Jsonb(entries), "channel": channel})
