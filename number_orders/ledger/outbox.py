"""The outbox: order documents that producers do not have yet (table `tellings`).

Messages are written by `IntakeStore.accept` and `OrderStore.record`, with the event that they report. The work item
of their order on the lane `tell` says when they are due. They are delivered at least once, in order for each order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.schedule import Claim, Claims
from number_orders.orders.model import OrderId


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One order document that the producer does not have yet."""

    order_id: OrderId
    version: int
    document: Mapping[str, Any]


class Outbox:
    """Reads the messages that are not delivered yet, and records deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pending(self, order_ids: Sequence[OrderId], channel: str) -> list[OutboxMessage]:
        """Return the undelivered messages of these orders on one channel, in order for each order."""
        found = await self._database.run("pending_messages", {"order_ids": list(order_ids), "channel": channel})
        return [OutboxMessage(row["order_id"], row["version"], row["document"]) for row in found]

    async def mark_delivered(
        self, claims: Claims, done: Sequence[Claim], delivered: Sequence[OutboxMessage], channel: str
    ) -> None:
        """Mark messages as delivered, and delete the work items of the orders that have none left.

        Args:
            claims: What was claimed; its token guards the work items.
            done: The claims whose messages are all delivered. A work item that was renewed since it was claimed
                (another `generation`) stays: its order has a new message.
            delivered: The messages.
            channel: How they were delivered.
        """
        params = {
            "done": Jsonb([{"order_id": str(claim.order.order_id), "generation": claim.generation} for claim in done]),
            "delivered": Jsonb(
                [{"order_id": str(message.order_id), "version": message.version} for message in delivered]
            ),
            "channel": channel,
            "token": claims.token,
        }
        await self._database.run("mark_delivered", params)

    async def mark_undelivered(self, failed: Sequence[tuple[OutboxMessage, str]], channel: str) -> None:
        """Store why messages could not be delivered."""
        entries = [
            {"order_id": str(message.order_id), "version": message.version, "trouble": why} for message, why in failed
        ]
        await self._database.run("mark_undelivered", {"failed": Jsonb(entries), "channel": channel})
