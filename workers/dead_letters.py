"""Turn messages into dead letters: read what a malformed message still holds, and store it in the ledger."""

from collections.abc import Mapping
from typing import Any

import structlog
from kombu import Message

from number_orders.ledger.dead_letters import DeadLetter, store_dead_letter
from number_orders.orders.errors import LedgerUnavailable

log = structlog.get_logger(__name__)


class DeadLetters:
    """Stores dead letters for the whole process. The URL is set on the class: Celery creates consumer and requests."""

    database_url: str = ""

    @classmethod
    def store(cls, message: Message, why: str) -> bool:
        """Store a message; return False if the ledger is unavailable."""
        headers = headers_of(message)
        letter = DeadLetter.of(
            queue=str((message.delivery_info or {}).get("routing_key") or "unknown"),
            why=why,
            task_id=headers.get("id"),
            headers=headers,
            body=body_of(message),
        )
        try:
            store_dead_letter(cls.database_url, letter)
        except LedgerUnavailable as away:
            log.warning("dead_letter_not_stored", why=letter.why, trouble=str(away))
            return False
        log.error("dead_letter_stored", why=letter.why, queue=letter.queue, task_id=letter.task_id, size=letter.size)
        return True


def headers_of(message: Message) -> Mapping[str, Any]:
    """Return the headers of a message; none, if a foreign client sent something other than a mapping."""
    headers: Any = message.headers
    return headers if isinstance(headers, Mapping) else {}


def body_of(message: Message) -> bytes:
    """Return the body of a message as bytes, whatever type a foreign client gave it."""
    body: Any = message.body or b""
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    return (body if isinstance(body, str) else repr(body)).encode(errors="replace")
