"""How many messages a worker takes at a time: many orders, which share a batch, and few of everything else.

Redis asks before each read; RabbitMQ delivers ahead, up to a limit for each queue.
"""

from typing import Any, Final

from celery.worker import state

from workers import redis_transport
from workers.batches import BATCH_MAX

_AMQP: Final = "amqp"


def install_flow_control(consumer: Any, queue: str) -> None:
    """Let the consumer take many messages of `queue` at a time, since a batch occupies one pool process."""
    if not consumer.hub:
        return
    if isinstance(consumer.task_consumer.channel, redis_transport.Channel):
        _take_in_batches(consumer, queue)
    elif consumer.connection.transport.driver_type == _AMQP:
        _limit_each_queue(consumer, queue)
    if consumer.event_dispatcher:
        consumer.event_dispatcher.buffer_limit = BATCH_MAX  # the events of one batch leave in one message


def _take_in_batches(consumer: Any, queue: str) -> None:
    """Take messages while a pool process is free.

    Replaces Celery's `can_consume` of `worker_disable_prefetch`, which counts one pool process per request: a batch
    occupies one, however many requests it holds.
    """
    channel, collector = consumer.task_consumer.channel, consumer.batch_collector

    def can_consume() -> bool:
        busy_processes: int = len(state.reserved_requests) + collector.running_count
        is_free = not collector.is_paused and busy_processes < int(consumer.pool.num_processes)
        return is_free and consumer.owner_check.is_ours

    channel.qos.can_consume = can_consume
    channel.take_in_batches(queue, collector.capacity)


def _limit_each_queue(consumer: Any, queue: str) -> None:
    """Let RabbitMQ deliver a batch of `queue` ahead, and of any other queue one message for each pool process.

    Celery limits the channel as a whole (or, on quorum queues, each queue alike). A limit of a queue holds for what
    begins to consume after it, so the consumers start one by one.
    """
    tasks, channel = consumer.task_consumer, consumer.task_consumer.channel
    consume_all = tasks.consume
    batched = next((one for one in tasks.queues if one.name == queue), None)  # None: this worker takes no orders
    if consumer.qos_global:
        channel.basic_qos(0, 0, True)  # no limit for the channel as a whole
    consumer.qos_global = False  # tells Celery not to lower it after a reconnect
    consumer.qos.callback = _keep_limits

    def consume(no_ack: bool | None = None) -> None:
        if batched:
            channel.basic_qos(0, BATCH_MAX, False)
            tasks._basic_consume(batched, no_ack=no_ack, nowait=True)  # noqa: SLF001  kombu starts all or none
        channel.basic_qos(0, int(consumer.pool.num_processes), False)
        consume_all(no_ack)

    tasks.consume = consume


def _keep_limits(**_: Any) -> None:
    """Change nothing: Celery would raise the limit of the channel by one for each delayed message that it holds."""
