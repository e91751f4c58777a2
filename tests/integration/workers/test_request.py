"""Flower knows each task by its name, whichever of its events it has missed."""

import threading
from typing import Any

import redis
from celery import Celery
from celery.events.state import State

from tests.processes import Processes, eventually

ORDER = {
    "key": "crm-1",
    "carrier": "bandwidth",
    "kind": "new_numbers",
    "criteria": {"npa": "919"},
    "quantity": 1,
    "not_before": "2099-01-01T00:00:00Z",
}


def test_every_event_names_its_task_and_the_last_has_its_arguments(
    processes: Processes, app: Celery, broker_url: str
) -> None:
    events: list[dict[str, Any]] = []
    with app.connection_for_read() as connection, redis.Redis.from_url(broker_url) as broker:
        receiver = app.events.Receiver(connection, handlers={"*": events.append})
        listening = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
        listening.start()
        for _ in eventually():
            if broker.pubsub_numpat():
                break
        processes.worker(children=1)
        sent = app.send_task("orders.submit", [ORDER], queue="orders")
        refused = app.send_task("orders.submit", [{}], queue="orders")
        for _ in eventually():
            ended = {event["uuid"] for event in events if event["type"] in {"task-succeeded", "task-failed"}}
            if {sent.id, refused.id} <= ended:
                break
        receiver.should_stop = True
        listening.join()

    for missed in ({"task-received"}, {"task-received", "task-started"}):
        state: Any = State()  # the stubs lack its tasks
        for event in events:
            if event["type"] not in missed:
                state.event(dict(event))
        assert state.tasks[sent.id].name == state.tasks[refused.id].name == "orders.submit"
        assert "crm-1" in state.tasks[sent.id].args
