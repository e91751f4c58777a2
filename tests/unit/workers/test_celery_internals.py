"""What our overrides take from Celery and kombu besides their documented parts is still there, in the same shape.

Each entry names the module that rests on it. Where one fails after `make lock`, look there first, and into ADR 26.
"""

import inspect
from importlib import metadata
from typing import Any

import pytest
from celery import beat
from celery.app.utils import Settings as CelerySettings
from celery.beat import ScheduleEntry, Scheduler
from celery.events.dispatcher import EventDispatcher
from celery.loaders.app import AppLoader
from celery.worker import state, strategy
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from kombu import Consumer as QueueConsumer
from kombu import Message
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from pydantic import SecretStr

from config.settings import Settings
from tasks.schedule import RECONCILIATION_LIMIT_S
from workers.apps import make_app

RESTS_ON: list[tuple[str, Any, str, str]] = [
    ("redis_transport", kombu_redis.Channel, "_brpop_start", "(self, timeout=None)"),
    ("redis_transport", kombu_redis.Channel, "_brpop_read", "(self, **options)"),
    ("redis_transport", kombu_redis.Channel, "_update_queue_cycle", "(self)"),
    ("redis_transport", kombu_redis.Channel, "_q_for_pri", "(self, queue, pri)"),
    ("redis_transport", kombu_redis.Channel, "_size", "(self, queue)"),
    ("redis_transport", kombu_redis.Channel, "_queue_bind", "(self, exchange, routing_key, pattern, queue)"),
    ("redis_transport", kombu_redis.Channel, "_create_client", "(self, asynchronous=False)"),
    ("redis_transport", kombu_redis.Channel, "conn_or_acquire", "(self, client=None)"),
    ("redis_transport", virtual.Transport, "_deliver", "(self, message, queue)"),
    (
        "unacknowledged",
        kombu_redis.Channel,
        "_do_restore_message",
        "(self, payload, exchange, routing_key, pipe, leftmost=False)",
    ),
    ("unacknowledged", kombu_redis.QoS, "_remove_from_indices", "(self, delivery_tag, pipe=None)"),
    ("unacknowledged", kombu_redis.QoS, "restore_by_tag", "(self, tag, client=None, leftmost=False)"),
    ("unacknowledged", kombu_redis.QoS, "restore_visible", "(self, start=0, num=10, interval=10)"),
    ("unacknowledged", kombu_redis.QoS, "append", "(self, message, delivery_tag)"),
    ("unacknowledged", virtual.QoS, "append", "(self, message, delivery_tag)"),
    ("unacknowledged", virtual.QoS, "ack", "(self, delivery_tag)"),
    ("consumer", Consumer, "create_task_handler", "(self, promise=<class 'vine.promises.promise'>)"),
    ("consumer", Consumer, "on_connection_error_after_connected", "(self, exc)"),
    ("consumer", Consumer, "on_send_event_buffered", "(self)"),
    ("consumer", Consumer, "on_close", "(self)"),
    ("consumer", Consumer, "on_decode_error", "(self, message, exc)"),
    ("consumer", Consumer, "on_invalid_task", "(self, body, message, exc)"),
    ("consumer", Consumer, "on_unknown_task", "(self, body, message, exc)"),
    ("consumer", Consumer, "on_unknown_message", "(self, body, message)"),
    ("flow_control", QueueConsumer, "_basic_consume", "(self, queue, consumer_tag=None, no_ack=None, nowait=True)"),
    ("batches", strategy, "default", "(task, app, consumer, info=<bound method"),
    ("batches", Request, "on_accepted", "(self, pid, time_accepted)"),
    ("batches", Request, "on_success", "(self, failed__retval__runtime, **kwargs)"),
    ("batches", Request, "reject", "(self, requeue=False)"),
    ("batches", state, "task_ready", "(request, successful=False"),
    ("request", Request, "on_failure", "(self, exc_info, send_failed_event=True, return_ok=False)"),
    ("request", Request, "_success_was_stored", "(self)"),
    ("scheduler", Scheduler, "apply_entry", "(self, entry, producer=None)"),
    ("scheduler", Scheduler, "adjust", "(self, n, drift=-0.01)"),
    ("scheduler", ScheduleEntry, "__init__", "(self, name=None, task=None, last_run_at=None"),
    ("scheduler", vars(beat)["BeatPidbox"], "__init__", "(self, service)"),
    ("own_celery", AppLoader, "read_configuration", "(self, env='CELERY_CONFIG_MODULE')"),
]
"""A module of `workers`, what has the part, its name, and how its signature begins."""


NAMES = [f"{module}: {name}" for module, _, name, _ in RESTS_ON]


@pytest.mark.parametrize(("module", "owner", "name", "signature"), RESTS_ON, ids=NAMES)
def test_part_has_its_shape(module: str, owner: Any, name: str, signature: str) -> None:
    part = getattr(owner, name, None)
    why = f"celery {metadata.version('celery')} or kombu {metadata.version('kombu')} changed {owner.__name__}.{name}"
    assert part is not None, f"{why}: it is gone, and workers/{module}.py needs it"
    found = str(inspect.signature(part))
    assert found.startswith(signature), f"{why}: it is {found}, and workers/{module}.py expects {signature}"


def test_objects_have_the_attributes_that_are_read_and_set() -> None:
    assert hasattr(Message(), "_state"), "workers/redis_transport.py sets `Message._state` as `Message.ack()` does"
    payload = {"body": "", "headers": {}, "properties": {"delivery_tag": "1", "delivery_info": {}}}
    taken: Any = virtual.Message(payload, channel=None)
    assert taken._raw is payload, "workers/unacknowledged.py gives `Message._raw` back to its queue"
    dispatcher: Any = EventDispatcher(enabled=False)
    for buffer in ("_group_buffer", "_outbound_buffer"):
        assert hasattr(dispatcher, buffer), f"workers/consumer.py moves events between buffers, and {buffer} is gone"


def test_settings_can_be_looked_at_through_another_class() -> None:
    """`workers.own_celery` gives Celery's settings another class, since there is no setting for it."""
    assert isinstance(vars(CelerySettings)["broker_url"], property)
    assert isinstance(vars(CelerySettings)["result_backend"], property)


def test_a_message_without_a_time_limit_has_that_of_its_task() -> None:
    """`workers.beat_app` loads no task, so its ticks have none: a nightly reconciliation would be killed too soon."""
    app = make_app(Settings(broker_url=SecretStr("redis://localhost/0")))
    reconcile = app.tasks["orders.reconcile"]
    given: dict[str, Any] = {}

    class Pool:
        def apply_async(self, *_: Any, **options: Any) -> None:
            given.update(options)

    pool: Any = Pool()
    headers: Any = {"lang": "py", "task": reconcile.name, "id": "1", "root_id": "1", "ignore_result": True}
    body: Any = ([], {}, {})
    message = Message(body=body, headers=headers, delivery_info={}, properties={})
    Request(message, app=app, task=reconcile, decoded=True).execute_using_pool(pool)
    assert given["timeout"] == RECONCILIATION_LIMIT_S
