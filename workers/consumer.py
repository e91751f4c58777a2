"""The worker's consumer: Celery's, with dead letters, batches of orders, and a reconnect despite kombu's faults.

Celery logs a message that it cannot turn into a task and discards it. This consumer first stores it as a dead letter.
If it cannot be stored, it is returned to the broker. Messages are taken only from a broker that belongs to the ledger
of this worker (`workers.broker_owner`).
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu import Message
from kombu.exceptions import KombuError
from kombu.transport import redis as kombu_redis

from config.queues import INTAKE
from number_orders.ledger.identity import read_identity
from number_orders.orders.errors import Fault, OrderRefused
from tasks.answers import problem, wants_problems
from workers.batches import BatchCollector
from workers.broker_owner import EXIT_CODE, OwnerCheck
from workers.clock import machine_now
from workers.compression import UNPACKED_BYTES_MAX
from workers.dead_letters import DeadLetters, body_of, headers_of
from workers.flow_control import install_flow_control
from workers.message_format import MALFORMED, find_fault, is_printable, take_moments

log = structlog.get_logger(__name__)

MESSAGE_BYTES_MAX: Final = UNPACKED_BYTES_MAX
"""Longer messages are not read. Five hundred orders of ordinary length take about 1 MiB."""
_LEDGER_PAUSE_S: Final = 1.0
_EVENTS_EVERY_S: Final = 0.1
_OWNER_EVERY_S: Final = 2.0
_RECONNECT_S: Final = (1.0, 10.0)
"""The first and the longest pause before the broker is tried again after it has accepted a connection and failed."""
_STEADY_S: Final = 30.0
"""A connection that worked for this long ends a series of failures."""
_NAP_S: Final = 0.2
_CELERY_FAULTS: Final = (TypeError, ValueError, LookupError, AttributeError)
"""What Celery raises because of a message whose form it does not expect, before the message reaches the pool."""


class DeadLetterConsumer(Consumer):
    """Stores as dead letters the messages that Celery would discard or crash on."""

    connection_errors: tuple[type[BaseException], ...]
    _flush_events: Callable[[], None]
    event_dispatcher: Any
    task_consumer: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.batch_collector = BatchCollector(self)
        self.owner_check = OwnerCheck(lambda: read_identity(DeadLetters.database_url))
        self._events_due_at = 0.0
        self._failed_at = -_STEADY_S
        self._pause_s = 0.0
        super().__init__(*args, **kwargs)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], Any]:
        """Return the handler for received messages: it checks each before Celery reads it."""
        self._check_owner()
        state.maybe_shutdown()
        self.timer.call_repeatedly(_OWNER_EVERY_S, self._check_owner)
        install_flow_control(self, INTAKE)
        celery_handler = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Message) -> Any:
            if why := _unreadable(message):
                return self._store_or_return(message, why)
            take_moments(
                message.headers,
                message.decode(),
                own_now=machine_now(),
                broker_now=lambda: _broker_now(message.channel),
            )
            try:
                return celery_handler(message)
            except _CELERY_FAULTS as fault:
                # Otherwise the message would be redelivered, and every worker would crash on it.
                return self._store_or_return(message, f"cannot be handled by Celery: {type(fault).__name__}: {fault}")

        return on_task_received

    def _check_owner(self) -> None:
        """End the worker if its broker belongs to another ledger."""
        if self.owner_check.check(self.task_consumer.channel) is not None:
            state.should_stop = EXIT_CODE  # type: ignore[assignment]  # None until then

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
            refusal = OrderRefused([Fault("message", why)])
            if wants_problems(headers_of(message)):
                self.app.backend.mark_as_done(task_id, {"problem": problem(refusal)})
            else:
                self.app.backend.mark_as_failure(task_id, ValueError(f"order refused: {refusal}"))

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
        self._pause()

    def _pause(self) -> None:
        """Wait before the next attempt, longer each time, if the broker fails again and again.

        One that is read-only or refuses commands accepts connections, so Celery would try it many times a second.
        """
        failed_at, self._failed_at = self._failed_at, time.monotonic()
        first_s, longest_s = _RECONNECT_S
        is_steady = self._failed_at - failed_at - self._pause_s >= _STEADY_S
        self._pause_s = 0.0 if is_steady else min(max(2 * self._pause_s, first_s), longest_s)
        until = self._failed_at + self._pause_s
        while (left_s := until - time.monotonic()) > 0:
            state.maybe_shutdown()
            time.sleep(min(left_s, _NAP_S))

    def _keep_events(self) -> None:
        """Move buffered events to the outbound buffer, which the next dispatcher sends."""
        dispatcher = self.event_dispatcher
        for group, events in dispatcher._group_buffer.items() if dispatcher else ():  # noqa: SLF001
            if events:
                dispatcher._outbound_buffer.append((list(events), f"{group}.multi"))  # noqa: SLF001
                events.clear()


def _broker_now(channel: Any) -> datetime:
    """Return the time of a Redis broker. Another is taken to have this machine's."""
    if not isinstance(channel, kombu_redis.Channel):
        return machine_now()
    with channel.conn_or_acquire() as client:
        seconds, microseconds = client.time()
    return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)


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
