"""Listens to Celery's events as Flower does."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis
from celery import Celery

from tests.processes import eventually

Event = dict[str, Any]


@contextmanager
def task_events(app: Celery, broker: redis.Redis) -> Iterator[Mapping[str, list[Event]]]:
    """Collect the task events that come in the context, by task id."""
    events: dict[str, list[Event]] = {}

    def collect(event: Event) -> None:
        if event["type"].startswith("task-"):
            events.setdefault(event["uuid"], []).append(event)

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": collect})
        listening = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
        listening.start()
        for _ in eventually():
            if broker.pubsub_numpat():
                break
        try:
            yield events
        finally:
            receiver.should_stop = True
            listening.join()
