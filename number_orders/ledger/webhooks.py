"""Documents that go to URLs: which deliveries are due, on leases, and what became of each.

The documents are in the outbox (table `tellings`, channel `url`). An order is queued here while it has some that are
not delivered; the oldest goes first. Every host of a producer has its own limit, so that none delays another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.orders.alarms import Alarm
from number_orders.orders.model import CarrierName, OrderId

URL_CHANNEL: Final = "url"
WEBHOOKS: Final = CarrierName("webhooks")
"""In place of a carrier: the lane `tell` of all documents that go to URLs."""

_FAULTS_MAX: Final = 3
"""After so many attempts in a row that did not reach a host, it is left alone for a while."""
_HOLD_FIRST: Final = timedelta(seconds=5)
_HOLD_MAX: Final = timedelta(minutes=5)


class Outcome(StrEnum):
    """What became of one attempt to deliver a document."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class DueDocument:
    """One document that is to be sent to a URL now."""

    version: int
    document: Mapping[str, Any]
    tries: int
    """How often it was tried before."""
    tried_since: datetime | None
    """When the first of these attempts failed; None if none did, or a person began a new series."""


@dataclass(frozen=True, slots=True)
class DueWebhook:
    """An order whose oldest document is to be sent to its URL, ours until the lease ends."""

    order_id: OrderId
    producer: str
    host: str
    url: str
    generation: int
    secrets: tuple[str, ...]
    message: DueDocument | None
    """None: everything was delivered meanwhile."""
    trace_parent: str | None = None
    """See `Order.trace_parent`."""


@dataclass(frozen=True, slots=True)
class DueWebhooks:
    """What one claim took. `now` is the ledger's time; `token` guards what is recorded about it."""

    now: datetime
    token: UUID
    webhooks: Sequence[DueWebhook]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one delivery."""

    webhook: DueWebhook
    outcome: Outcome
    reached: bool | None = None
    """Whether the host gave an answer; None if it was not asked."""
    trouble: str | None = None
    wait: timedelta = timedelta()
    """After `FAILED`: until the next attempt."""


class Webhooks:
    """Queues orders that have documents for URLs, leases the due ones, and records deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def queue(self, hosts: Mapping[OrderId, str]) -> bool:
        """Queue the orders among these that have documents to be sent, each for its host; return whether any has."""
        entries = [{"order_id": str(order_id), "host": host} for order_id, host in hosts.items()]
        return bool(entries) and bool(await self._database.run("queue_webhooks", {"orders": Jsonb(entries)}))

    async def claim(self, *, limit: int, per_host: int, per_producer: int, lease: timedelta) -> DueWebhooks | None:
        """Lease due deliveries; return None if there are none.

        Args:
            limit: How many at most.
            per_host: How many may be under way to one host of one producer, by all workers together.
            per_producer: The same to all hosts of one producer. Those who have fewest under way come first.
            lease: How long they are ours.
        """
        token = uuid4()
        params = {"limit": limit, "per_host": per_host, "per_producer": per_producer, "lease": lease, "token": token}
        found = await self._database.run("claim_webhooks", params)
        return DueWebhooks(found[0]["now"], token, [_due_webhook(row) for row in found]) if found else None

    async def settle(self, due: DueWebhooks, settled: Sequence[Settled]) -> None:
        """Record what became of deliveries of one claim, and raise the alarms about those that were given up."""
        params = {
            "token": due.token,
            "claimed_at": due.now,
            "results": Jsonb([_result(one) for one in settled]),
            "hosts": Jsonb(_hosts(settled)),
            "faults_max": _FAULTS_MAX,
            "hold_first": _HOLD_FIRST,
            "hold_max": _HOLD_MAX,
            "alarm": Alarm.NOTIFICATION_GIVEN_UP.value,
        }
        await self._database.run("settle_webhooks", params)

    async def undelivered(self, order_ids: Sequence[OrderId]) -> frozenset[OrderId]:
        """Return which of these orders have documents for their URL that were not delivered, given up or not."""
        found = await self._database.run("undelivered_webhooks", {"order_ids": list(order_ids)})
        return frozenset(OrderId(row["order_id"]) for row in found)

    async def send_now(self, order_ids: Sequence[OrderId]) -> None:
        """Make the undelivered documents of these orders due, those that were given up too."""
        if order_ids:
            await self._database.run("send_webhooks_now", {"order_ids": list(order_ids)})

    async def owe_lost(self) -> int:
        """Have documents queued that nothing is to be done about; return of how many orders."""
        (row,) = await self._database.run("owe_lost_webhooks", {})
        return int(row["orders"])

    async def forget_hosts(self) -> None:
        """Delete the hosts that nothing is to be sent to."""
        await self._database.run("forget_webhook_hosts", {})


def _due_webhook(row: Mapping[str, Any]) -> DueWebhook:
    message = (
        DueDocument(row["version"], row["document"], row["tries"], row["tried_since"])
        if row["version"] is not None
        else None
    )
    return DueWebhook(
        order_id=OrderId(row["order_id"]),
        producer=row["producer"],
        host=row["host"],
        url=row["url"],
        generation=row["generation"],
        secrets=tuple(row["secrets"]),
        message=message,
        trace_parent=row["trace_parent"],
    )


def _result(settled: Settled) -> dict[str, Any]:
    webhook = settled.webhook
    return {
        "order_id": str(webhook.order_id),
        "producer": webhook.producer,
        "host": webhook.host,
        "version": webhook.message.version if webhook.message else None,
        "generation": webhook.generation,
        "outcome": settled.outcome,
        "trouble": settled.trouble,
        "wait_s": settled.wait.total_seconds(),
        "detail": f"order {webhook.order_id}: {settled.trouble}",
    }


def _hosts(settled: Sequence[Settled]) -> list[dict[str, Any]]:
    """Return whether each host that was asked gave an answer: one answer shows that it can."""
    reached: dict[tuple[str, str], bool] = {}
    for one in settled:
        if one.reached is not None:
            host = one.webhook.producer, one.webhook.host
            reached[host] = reached.get(host, False) or one.reached
    return [{"producer": producer, "host": host, "reached": known} for (producer, host), known in reached.items()]
