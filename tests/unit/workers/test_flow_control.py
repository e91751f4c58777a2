"""On RabbitMQ each queue has a limit of its own. tests/engines/test_intake.py shows what comes of it."""

from types import SimpleNamespace
from typing import Any

import pytest

from workers.batches import BATCH_MAX
from workers.flow_control import install_flow_control

CHILDREN = 4


class Tasks:
    """Remembers in which order limits are set and queues are consumed, as kombu's consumer and channel."""

    def __init__(self, *names: str) -> None:
        self.queues = [SimpleNamespace(name=name) for name in names]
        self.channel = self
        self.done: list[object] = []
        self._consumed: set[str] = set()

    def basic_qos(self, size: int, count: int, apply_global: bool) -> None:
        self.done.append(("channel" if apply_global else "queue", count))

    def _basic_consume(self, queue: Any, **_: object) -> None:
        if queue.name not in self._consumed:
            self._consumed.add(queue.name)
            self.done.append(queue.name)

    def consume(self, no_ack: bool | None = None) -> None:
        for queue in self.queues:
            self._basic_consume(queue)


def a_consumer(tasks: Tasks, *, is_global: bool) -> Any:
    return SimpleNamespace(
        hub=object(),
        task_consumer=tasks,
        connection=SimpleNamespace(transport=SimpleNamespace(driver_type="amqp")),
        pool=SimpleNamespace(num_processes=CHILDREN),
        qos_global=is_global,
        qos=SimpleNamespace(callback=tasks.basic_qos),
        event_dispatcher=None,
    )


@pytest.mark.parametrize(
    ("is_global", "before"),
    [
        (True, [("channel", 0)]),  # RabbitMQ 3: Celery has limited the channel as a whole
        (False, []),
    ],
)
def test_orders_come_in_batches_and_everything_else_as_children_are_there(
    is_global: bool, before: list[object]
) -> None:
    tasks = Tasks("orders.sweep", "orders", "orders.bells.ask")
    consumer = a_consumer(tasks, is_global=is_global)

    install_flow_control(consumer, "orders")
    tasks.consume()
    consumer.qos.callback(prefetch_count=9)  # as Celery does for a delayed message

    others = [("queue", CHILDREN), "orders.sweep", "orders.bells.ask"]
    assert tasks.done == [*before, ("queue", BATCH_MAX), "orders", *others]
    assert consumer.qos_global is False


def test_worker_that_takes_no_orders_starts_too() -> None:
    """`-Q orders.bells.ask`"""
    tasks = Tasks("orders.bells.ask")

    install_flow_control(a_consumer(tasks, is_global=False), "orders")
    tasks.consume()

    assert tasks.done == [("queue", CHILDREN), "orders.bells.ask"]
