"""Messages that nobody can read are buried in the ledger, where an operator sees them: never dropped, never looping.

Celery's own consumer logs such a message and throws it away. This one writes it down first; if that cannot be done,
the message goes back to the broker.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg
import structlog
from celery.worker.consumer import Consumer
from kombu import Message
from kombu.exceptions import KombuError
from psycopg.types.json import Jsonb

from config.queues import INTAKE
from ledger.statements import SQL
from workers.envelope import fault_in, is_plain
from workers.gathering import Gatherer, open_gates

log = structlog.get_logger(__name__)

MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""The longest message that is read at all; five hundred orders of ordinary length are a quarter of it."""
_KEPT_BYTES: Final = 64 * 1024
_PAUSE_S: Final = 1.0
_STUMBLES: Final = (TypeError, ValueError, LookupError, AttributeError)
"""What Celery raises over a message whose form it did not expect, before it hands it to the pool."""


class Undertaker:
    """Buries letters, on a connection of its own each time: there should be few, and the consumer must not fork one."""

    database_url: str = ""

    @classmethod
    def bury(cls, message: Message, why: str) -> bool:
        """Write a message down; False when the ledger cannot be had."""
        body = _raw(message)
        task_id = _headers(message).get("id")
        letter = {
            "queue": _storable(str((message.delivery_info or {}).get("routing_key") or "unknown")),
            "why": _storable(why[:1000]),
            "task_id": _storable(str(task_id)[:200]) if task_id else None,
            "headers": Jsonb(_plain(_headers(message))),
            "body": body[:_KEPT_BYTES],
            "size": len(body),
        }
        try:
            with psycopg.connect(cls.database_url, connect_timeout=3, autocommit=True) as connection:
                connection.execute(SQL["bury_letter"], letter)
        except psycopg.Error as trouble:
            log.warning("letter_not_buried", why=why, trouble=str(trouble))
            return False
        log.error("letter_buried", why=why, queue=letter["queue"], task_id=letter["task_id"], size=len(body))
        return True


class CarefulConsumer(Consumer):
    """Celery's consumer, with a place for the messages it cannot read, and one where orders gather."""

    connection_errors: tuple[type[BaseException], ...]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.gatherer = Gatherer(self)
        super().__init__(*args, **kwargs)

    def on_close(self) -> None:
        """Let go of what has not begun, as the connection is lost or the worker ends."""
        self.gatherer.forget()
        super().on_close()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], Any]:
        """Look at a message before it is handed to the pool, where an unreadable body would merely fail."""
        open_gates(self, INTAKE)
        hand_on = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Message) -> Any:
            if why := _unreadable(message):
                return self._bury(message, why)
            try:
                return hand_on(message)
            except _STUMBLES as wrong:
                # Unburied it would come back, to this worker or to the next, and every one would fall over it.
                return self._bury(message, f"is no message that Celery can take: {type(wrong).__name__}: {wrong}")

        return on_task_received

    def on_unknown_message(self, body: Any, message: Message) -> None:
        self._bury(message, "is no task message")

    def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:
        self._bury(message, f"asks for a task that we do not have: {exc}")

    def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:
        self._bury(message, f"is no valid task: {exc}")

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        self._bury(message, f"cannot be read: {exc}")

    def _bury(self, message: Message, why: str) -> None:
        if Undertaker.bury(message, why):
            message.ack_log_error(log, self.connection_errors)
            self._answer(message, why)
        else:
            time.sleep(_PAUSE_S)  # the ledger is away: no reason to spin
            message.reject_log_error(log, self.connection_errors, requeue=True)

    def _answer(self, message: Message, why: str) -> None:
        """Tell whoever waits for a result that none will come."""
        task_id = _headers(message).get("id")
        if isinstance(task_id, str) and is_plain(task_id):
            self.app.backend.mark_as_failure(task_id, ValueError(f"order refused: message: {why}"))


def _unreadable(message: Message) -> str | None:
    size = len(_raw(message))
    if size > MESSAGE_BYTES_MAX:
        return f"is too long: {size} bytes of at most {MESSAGE_BYTES_MAX}"
    try:
        said = message.decode()
    except (KombuError, ValueError, TypeError, LookupError, RecursionError) as wrong:
        return f"cannot be read: {type(wrong).__name__}: {wrong}"
    fault = fault_in(message.headers, said)
    return f"is no valid task: {fault}" if fault else None


def _headers(message: Message) -> Mapping[str, Any]:
    found: Any = message.headers  # kombu says a mapping; a stranger may have said anything
    return found if isinstance(found, Mapping) else {}


def _raw(message: Message) -> bytes:
    body: Any = message.body or b""  # kombu says text or bytes; what a stranger sent may be neither
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    return (body if isinstance(body, str) else repr(body)).encode(errors="replace")


def _plain(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Headers as jsonb takes them, or the text of what it would not take."""
    try:
        text = json.dumps(headers, default=repr, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        text = ""
    if text and text == _storable(text) and "\\u0000" not in text:
        return dict(json.loads(text))
    return {"unreadable": _storable(repr(headers)[:1000])}


def _storable(text: str) -> str:
    """Text as PostgreSQL takes it: no NUL, no half characters."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")
