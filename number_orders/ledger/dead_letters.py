"""Keep messages that nobody can read."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database


class DeadLetterStore:
    """Keep messages that nobody can read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(
        self, *, queue: str, why: str, task_id: str | None, headers: Mapping[str, Any], body: bytes, size: int
    ) -> None:
        """Keep a message that nobody could read."""
        params = {"queue": queue, "why": why, "task_id": task_id, "headers": Jsonb(headers), "body": body, "size": size}
        await self._database.run("store_dead_letter", params)

    async def latest(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return the messages that nobody could read, latest first."""
        return list(await self._database.run("dead_letters", {"limit": limit}))

    async def delete(self, letter_ids: Sequence[int]) -> list[Mapping[str, Any]]:
        """Drop messages that nobody could read; return those that were there."""
        return list(await self._database.run("delete_dead_letters", {"letter_ids": list(letter_ids)}))
