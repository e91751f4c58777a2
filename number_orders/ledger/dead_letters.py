"""Dead letters: broker messages that no task can be run from, kept where an operator sees them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg
from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.statements import SQL
from number_orders.ledger.text import storable_text
from number_orders.ledger.time_limit import time_limit
from number_orders.orders.errors import LedgerUnavailable

_CONNECT_TIMEOUT_S: Final = 3
_STORE_S: Final = 5.0
_BODY_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message, in the form in which PostgreSQL can store it."""

    queue: str
    why: str
    task_id: str | None
    headers: Mapping[str, Any]
    body: bytes
    """Its first 64 KiB."""
    size: int
    """The length of the whole body."""

    @classmethod
    def of(cls, *, queue: str, why: str, task_id: object, headers: Mapping[str, Any], body: bytes) -> Self:
        """Make a dead letter of whatever a message holds: shorten what is long, replace what cannot be stored."""
        return cls(
            queue=storable_text(queue),
            why=storable_text(why[:1000]),
            task_id=storable_text(str(task_id)[:200]) if task_id else None,
            headers=_storable_headers(headers),
            body=body[:_BODY_BYTES_MAX],
            size=len(body),
        )


class DeadLetterStore:
    """Stores dead letters, and lists and deletes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, letter: DeadLetter) -> None:
        """Store one dead letter."""
        await self._database.run("store_dead_letter", _row(letter))

    async def latest(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return the dead letters, latest first."""
        return list(await self._database.run("dead_letters", {"limit": limit}))

    async def delete(self, letter_ids: Sequence[int]) -> list[Mapping[str, Any]]:
        """Delete dead letters; return those that existed."""
        return list(await self._database.run("delete_dead_letters", {"letter_ids": list(letter_ids)}))


def store_dead_letter(url: str, letter: DeadLetter) -> None:
    """Store one dead letter on a connection of its own, which is closed afterwards.

    For the worker's main process, which must not hold a connection pool when it forks its children.

    Raises:
        LedgerUnavailable: It was not stored.
    """
    try:
        with (
            psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT_S, autocommit=True) as connection,
            time_limit(connection, _STORE_S),
        ):
            connection.execute(SQL["store_dead_letter"], _row(letter))
    except psycopg.Error as fault:
        raise LedgerUnavailable(str(fault)) from fault


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "queue": letter.queue,
        "why": letter.why,
        "task_id": letter.task_id,
        "headers": Jsonb(letter.headers),
        "body": letter.body,
        "size": letter.size,
    }


def _storable_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return headers as jsonb can hold them or, if it cannot, the start of their text."""
    try:
        text = json.dumps(headers, default=repr, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        text = ""
    if text and text == storable_text(text) and "\\u0000" not in text:
        return dict(json.loads(text))
    return {"unreadable": storable_text(repr(headers)[:1000])}
