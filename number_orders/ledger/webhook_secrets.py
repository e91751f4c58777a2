"""The secrets that sign documents for URLs: up to two for each producer, so that it can change from one to the other.

They are kept as they are, because signing needs them. A removed secret is forgotten; who added and removed it is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from number_orders.ledger.connection import Database


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """One secret of a producer, without the secret itself."""

    secret_id: int
    producer: str
    added_at: datetime
    added_by: str
    removed_at: datetime | None
    removed_by: str | None
    now: datetime


class WebhookSecrets:
    """Stores secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, producer: str, secret: str, *, by: str) -> int | None:
        """Store a secret; return its id, or None if the producer has two."""
        found = await self._database.run("add_webhook_secret", {"producer": producer, "secret": secret, "by": by})
        return int(found[0]["secret_id"]) if found else None

    async def known(self, producer: str) -> list[KnownSecret]:
        """Return every secret that a producer has or had, the oldest first."""
        found = await self._database.run("webhook_secrets_of", {"producer": producer})
        return [KnownSecret(**row) for row in found]

    async def remove(self, producer: str, secret_id: int, *, by: str) -> bool:
        """Forget a secret; return whether the producer had it."""
        params = {"producer": producer, "secret_id": secret_id, "by": by}
        return bool(await self._database.run("remove_webhook_secret", params))

    async def having(self, producers: Sequence[str]) -> frozenset[str]:
        """Return which of these producers have a secret."""
        found = await self._database.run("producers_with_webhook_secret", {"producers": list(producers)})
        return frozenset(row["producer"] for row in found)
