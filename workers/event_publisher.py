"""Sends events to Flower from a thread of its own: many in one message, and none while the broker is away.

Nobody waits for it, and nothing depends on it. What does not fit, or cannot be sent, is dropped.
"""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

import structlog
from celery import Celery
from celery.events.event import get_exchange
from kombu import Connection, Producer

from workers.order_events import TaskEvent

log = structlog.get_logger(__name__)

_GATHER_S: Final = 2.0
"""How long the first event waits for others."""
_EVENTS_MAX: Final = 500
"""The most events in one message."""
_WAITING_MAX: Final = 10_000
"""The most events that wait to be sent. Then the oldest are dropped."""
_SILENT_S: Final = 5.0
"""How long nothing is sent after the broker did not take a message."""
_CLOSE_WITHIN_S: Final = 1.5
_ROUTING_KEY: Final = "task.multi"
"""Celery's own for a list of task events."""


class PublishEvents(Protocol):
    """Sends one message, and may raise anything."""

    def __call__(self, events: Sequence[TaskEvent]) -> None: ...


class EventPublisher:
    """Gathers the events of one process and sends them."""

    def __init__(self, publish: PublishEvents, *, gather_s: float = _GATHER_S, silent_s: float = _SILENT_S) -> None:
        self._publish = publish
        self._gather_s = gather_s
        self._silent_s = silent_s
        self._waiting: deque[TaskEvent] = deque(maxlen=_WAITING_MAX)
        self._arrived, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._is_away = False

    def send(self, events: Sequence[TaskEvent]) -> None:
        """Send these events soon, or never. The thread starts with the first: a process without events has none."""
        if not events:
            return
        self._waiting.extend(events)
        if not self._arrived.is_set():
            self._arrived.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="order-events", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Send what waits, if that is a matter of a moment."""
        self._closing.set()
        self._arrived.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_WITHIN_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._arrived.wait()
            self._closing.wait(self._gather_s)
            self._arrived.clear()
            if not self._send_waiting():
                self._closing.wait(self._silent_s)
        self._send_waiting()

    def _send_waiting(self) -> bool:
        """Send everything that waits; return whether the broker took it. What it did not take is dropped."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _EVENTS_MAX))]
            try:
                self._publish(batch)
            except Exception as fault:  # noqa: BLE001  whatever it is, only Flower misses something
                self._waiting.clear()
                if not self._is_away:
                    log.warning("order_events_not_sent", trouble=repr(fault))
                self._is_away = True
                return False
            self._is_away = False
        return True


class CeleryEvents:
    """Publishes events at the broker. Used by one thread."""

    def __init__(self, app: Celery, node: str) -> None:
        """`app` gives up quickly; `node` is the name of the process among Flower's workers."""
        self._app = app
        self._node = node
        self._connection: Connection | None = None

    def __call__(self, events: Sequence[TaskEvent]) -> None:
        """Publish one message, once more on a new connection if that of before was closed meanwhile.

        Raises:
            Exception: The broker did not take it.
        """
        is_new = self._connection is None
        try:
            self._publish(events)
        except Exception:
            self.close()
            if is_new:
                raise
            self._publish(events)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.release()
        self._connection = None

    def _publish(self, events: Sequence[TaskEvent]) -> None:
        if self._connection is None:
            self._connection = self._app.connection_for_write()
        exchange = get_exchange(self._connection, name=self._app.conf.event_exchange)
        producer = Producer(self._connection.default_channel, exchange=exchange, serializer="json", auto_declare=False)
        sent = [{**event, "hostname": self._node} for event in events]
        producer.publish(
            sent,
            routing_key=_ROUTING_KEY,
            declare=[exchange],
            retry=False,
            headers={"hostname": self._node},
            delivery_mode=1,
        )
