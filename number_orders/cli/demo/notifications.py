"""Reads the producer's notifications from its queue, and keeps all of them."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, Self

from kombu import Connection, Consumer, Message, Queue

_DRAIN_S: Final = 0.3

Document = Mapping[str, Any]


class NotificationReader:
    """Consumes the queue in a thread while the context is open."""

    def __init__(self, broker_url: str, queue: str) -> None:
        self._broker_url = broker_url
        self._queue = Queue(queue, routing_key=queue)
        self._heard: defaultdict[str, list[Document]] = defaultdict(list)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="demo-notifications", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def heard(self) -> dict[str, list[Document]]:
        """Return the documents received so far by order id, each order's in the order of arrival."""
        return {order_id: list(documents) for order_id, documents in list(self._heard.items())}

    def ends(self) -> int:
        """Return for how many orders a final document was received."""
        return sum(any(document["final"] for document in documents) for documents in list(self._heard.values()))

    def _listen(self) -> None:
        with (
            Connection(self._broker_url) as connection,
            Consumer(connection, queues=[self._queue], callbacks=[self._take], accept=["json"]),
        ):
            while not self._over.is_set():
                with contextlib.suppress(TimeoutError):  # no message arrived
                    connection.drain_events(timeout=_DRAIN_S)

    def _take(self, body: Any, message: Message) -> None:
        (document,), _options, _embedded = body  # a Celery message: arguments, keyword arguments, and Celery's own
        self._heard[document["order_id"]].append(document)
        message.ack()
