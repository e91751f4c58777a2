"""The checks on messages accept everything that Celery itself sends."""

import base64
import json
from datetime import UTC, datetime
from uuid import uuid4

import redis
from celery import Celery, chain, group

from tests.integration.workers.messages import ORDER, TASK
from workers.message_format import as_message, find_fault


def test_what_celery_sends_passes_every_check(broker_url: str) -> None:
    """Nothing that our own or a producer's Celery sends is taken for a fault, in either protocol."""
    app = Celery("anybody", broker=broker_url, set_as_current=False)
    app.tasks.pop(TASK, None)  # a producer has none of our tasks; another test may have registered them here
    task = app.signature(TASK)
    later = datetime.fromtimestamp(4e9, UTC)
    with redis.Redis.from_url(broker_url) as broker:
        for protocol in (2, 1):
            app.conf.task_protocol = protocol
            app.send_task(TASK, kwargs={"order": ORDER}, queue="inspected", task_id=str(uuid4()))
            app.send_task(TASK, [ORDER], queue="inspected", eta=later, expires=later, shadow="an order", priority=3)
            task.apply_async(queue="inspected", link=task, link_error=[task], headers={"x-ours": "\x00"})
            chain(task.clone().set(queue="inspected"), task).apply_async()
            group([task.clone().set(queue="inspected")] * 2).apply_async()
        queues = [str(key, "ascii") for key in broker.keys("inspected*")]
        items = [item for queue in queues for item in broker.lrange(queue, 0, -1)]
    app.close()
    assert all(as_message(item, "inspected") is item for item in items)
    messages = [json.loads(item) for item in items]
    assert len(messages) == 2 * 6
    for message in messages:
        assert find_fault(message["headers"], json.loads(base64.b64decode(message["body"]))) is None, message
