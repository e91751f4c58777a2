"""The worker's consumer: Celery's, with dead letters, batches of orders, and a reconnect despite kombu's faults.

Celery logs a message that it cannot turn into a task and discards it. This consumer first stores it as a dead letter.
If it cannot be stored, it is returned to the broker.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from celery.worker.consumer import Consumer
from kombu import Message
from kombu.exceptions import KombuError

from config.queues import INTAKE
from workers.batches import BatchCollector
from workers.dead_letters import DeadLetters, body_of, headers_of
from workers.flow_control import install_flow_control
from workers.message_format import MALFORMED, find_fault, is_printable

log = structlog.get_logger(__name__)

MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longer messages are not read. Five hundred orders of ordinary length take about 1 MiB."""
_LEDGER_PAUSE_S: Final = 1.0
_EVENTS_EVERY_S: Final = 0.1
_CELERY_FAULTS: Final = (TypeError, ValueError, LookupError, AttributeError)
"""What Celery raises because of a message whose form it does not expect, before the message reaches the pool."""


class DeadLetterConsumer(Consumer):
    """Stores as dead letters the messages that Celery would discard or crash on."""

    connection_errors: tuple[type[BaseException], ...]
    _flush_events: Callable[[], None]
    event_dispatcher: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.batch_collector = BatchCollector(self)
        self._events_due_at = 0.0
        super().__init__(*args, **kwargs)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], Any]:
        """Return the handler for received messages: it checks each before Celery reads it."""
        install_flow_control(self, INTAKE)
        celery_handler = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Message) -> Any:
            if why := _unreadable(message):
                return self._store_or_return(message, why)
            try:
                return celery_handler(message)
            except _CELERY_FAULTS as fault:
                # Otherwise the message would be redelivered, and every worker would crash on it.
                return self._store_or_return(message, f"cannot be handled by Celery: {type(fault).__name__}: {fault}")

        return on_task_received

    def on_unknown_message(self, body: Any, message: Message) -> None:
        self._store_or_return(message, "is not a task message")

    def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:
        self._store_or_return(message, f"asks for a task that we do not have: {exc}")

    def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:
        self._store_or_return(message, f"is not a valid task message: {exc}")

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        self._store_or_return(message, f"cannot be read: {exc}")

    def _store_or_return(self, message: Message, why: str) -> None:
        """Store a message as a dead letter and acknowledge it; without a ledger, return it to the broker."""
        if DeadLetters.store(message, why):
            message.ack_log_error(log, self.connection_errors)
            self._fail_result(message, why)
        else:
            time.sleep(_LEDGER_PAUSE_S)  # otherwise it would come back at once, and again, until the ledger is back
            message.reject_log_error(log, self.connection_errors, requeue=True)

    def _fail_result(self, message: Message, why: str) -> None:
        """Answer a producer that waits for the result of this message."""
        task_id = headers_of(message).get("id")
        if isinstance(task_id, str) and is_printable(task_id):
            self.app.backend.mark_as_failure(task_id, ValueError(f"order refused: message: {why}"))

    def on_close(self) -> None:
        """Drop unstarted batches and send the buffered events: the connection was lost, or the worker stops."""
        self.batch_collector.drop_unstarted()
        self._flush_events()
        super().on_close()

    def on_send_event_buffered(self) -> Any:
        """Send task events in one message every 100 ms, not in every loop iteration. Each has its own timestamp."""
        now = time.monotonic()
        if now >= self._events_due_at:
            self._events_due_at = now + _EVENTS_EVERY_S
            self.timer.call_after(_EVENTS_EVERY_S, self._flush_events)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Reconnect to the broker, and go on even though kombu fails to clean up.

        kombu 5.7 requeues unacknowledged messages while it closes a connection that it has already released. That
        raises AttributeError, and Celery would stop the worker because of it. The broker redelivers those messages
        after the visibility timeout.
        """
        self._keep_events()
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as fault:
            log.warning("broker_lost", trouble=str(exc), cleanup_error=str(fault))

    def _keep_events(self) -> None:
        """Move buffered events to the outbound buffer, which the next dispatcher sends."""
        dispatcher = self.event_dispatcher
        for group, events in dispatcher._group_buffer.items() if dispatcher else ():  # noqa: SLF001
            if events:
                dispatcher._outbound_buffer.append((list(events), f"{group}.multi"))  # noqa: SLF001
                events.clear()


def _unreadable(message: Message) -> str | None:
    """Return why a message cannot be turned into a task, or None."""
    if message.content_type == MALFORMED:
        return f"is not a Celery message: {headers_of(message).get('why')}"
    size = len(body_of(message))
    if size > MESSAGE_BYTES_MAX:
        return f"is too long: {size} bytes of at most {MESSAGE_BYTES_MAX}"
    try:
        body = message.decode()
    except (KombuError, ValueError, TypeError, LookupError, RecursionError) as fault:
        return f"cannot be read: {type(fault).__name__}: {fault}"
    fault_found = find_fault(message.headers, body)
    return f"is not a valid task message: {fault_found}" if fault_found else None
