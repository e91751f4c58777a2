"""Messages that nobody can read are buried in the ledger, where an operator sees them: never dropped, never looping.

Celery's own consumer logs such a message and throws it away. This one writes it down first; if that cannot be done,
the message goes back to the broker. A message that kills every child it is given ends in the same place.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import psycopg
import structlog
from celery import Task
from celery.exceptions import WorkerLostError
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from celery.worker.state import task_ready
from kombu import Message
from kombu.exceptions import KombuError
from psycopg.types.json import Jsonb

from config.queues import INTAKE
from number_orders.ledger.statements import SQL
from workers.batches import BatchCollector, install_flow_control
from workers.message_format import MALFORMED, find_fault, is_printable

log = structlog.get_logger(__name__)

MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""The longest message that is read at all; five hundred orders of ordinary length are a quarter of it."""
_KEPT_BYTES: Final = 64 * 1024
_PAUSE_S: Final = 1.0
_TELLS_EVERY_S: Final = 0.1
_STUMBLES: Final = (TypeError, ValueError, LookupError, AttributeError)
"""What Celery raises over a message whose form it did not expect, before it hands it to the pool."""


class DeadLetters:
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
                connection.execute(SQL["store_dead_letter"], letter)
        except psycopg.Error as trouble:
            log.warning("dead_letter_not_stored", why=why, trouble=str(trouble))
            return False
        log.error("dead_letter_stored", why=why, queue=letter["queue"], task_id=letter["task_id"], size=len(body))
        return True


class CarefulConsumer(Consumer):
    """Celery's consumer, with a place for the messages it cannot read, and one where orders gather.

    And it does not give up over a lost broker.
    """

    connection_errors: tuple[type[BaseException], ...]
    _flush_events: Callable[[], None]
    event_dispatcher: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.batches = BatchCollector(self)
        self._tells_at = 0.0
        super().__init__(*args, **kwargs)

    def on_close(self) -> None:
        """Let go of what has not begun, as the connection is lost or the worker ends; tell what has happened."""
        self.batches.drop_unstarted()
        self._flush_events()
        super().on_close()

    def on_send_event_buffered(self) -> Any:
        """Tell what happens to tasks a moment later, together with the rest of it; each event has its own time."""
        now = time.monotonic()
        if now >= self._tells_at:
            self._tells_at = now + _TELLS_EVERY_S
            self.timer.call_after(_TELLS_EVERY_S, self._flush_events)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Lose the broker, and look for it again.

        kombu 5.7 gives unacknowledged messages back while it closes a connection that it has let go of before, trips
        over that, and Celery would give up for it. The broker hands those messages out again when their time is over.
        """
        self._save_events()
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as tripped:
            log.warning("broker_lost", trouble=str(exc), tripped=str(tripped))

    def _save_events(self) -> None:
        """Put what is still to be told where the next dispatcher finds it, as a dispatcher does that cannot tell it."""
        teller = self.event_dispatcher
        for group, events in teller._group_buffer.items() if teller else ():  # noqa: SLF001
            if events:
                teller._outbound_buffer.append((list(events), f"{group}.multi"))  # noqa: SLF001
                events.clear()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], Any]:
        """Look at a message before it is handed to the pool, where an unreadable body would merely fail."""
        install_flow_control(self, INTAKE)
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
        if DeadLetters.bury(message, why):
            message.ack_log_error(log, self.connection_errors)
            self._answer(message, why)
        else:
            time.sleep(_PAUSE_S)  # the ledger is away: no reason to spin
            message.reject_log_error(log, self.connection_errors, requeue=True)

    def _answer(self, message: Message, why: str) -> None:
        """Tell whoever waits for a result that none will come."""
        task_id = _headers(message).get("id")
        if isinstance(task_id, str) and is_printable(task_id):
            self.app.backend.mark_as_failure(task_id, ValueError(f"order refused: message: {why}"))


class CarefulRequest(Request):
    """Celery's request, with a place for the messages that no child survives."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Bury what is not tried once more, before it is acknowledged."""
        how = getattr(exc_info.exception, "exc", exc_info.exception)  # the pool wraps it, with its traceback
        if self._has_killed_enough(how):
            why = f"has killed every child it was given: {how}"
            if not DeadLetters.bury(self.message, why):
                task_ready(self)
                self.reject(requeue=True)
                return
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def _has_killed_enough(self, how: BaseException) -> bool:
        task: Any = self.task  # the stubs do not know all of either
        return (
            isinstance(how, WorkerLostError)
            and task.retry_on_worker_lost
            and (self.request_dict.get("retries") or 0) >= task.max_retries
            and not self._success_was_stored()  # type: ignore[attr-defined]
        )


class CarefulTask(Task[Any, Any]):
    """What every task of ours is."""

    Request = f"{__name__}:{CarefulRequest.__name__}"


def _unreadable(message: Message) -> str | None:
    if message.content_type == MALFORMED:
        return f"is no message of Celery's: {_headers(message).get('why')}"
    size = len(_raw(message))
    if size > MESSAGE_BYTES_MAX:
        return f"is too long: {size} bytes of at most {MESSAGE_BYTES_MAX}"
    try:
        said = message.decode()
    except (KombuError, ValueError, TypeError, LookupError, RecursionError) as wrong:
        return f"cannot be read: {type(wrong).__name__}: {wrong}"
    fault = find_fault(message.headers, said)
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
