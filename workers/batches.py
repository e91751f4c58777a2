"""Orders that come in together are taken in together: the messages that wait become one job of one pool child.

The first message goes at once. While it is under way the next ones gather, and go together when it is done, when they
are many, or when they have waited long enough. Each stays a message and a task of its own: revoked,
acknowledged, answered and told of in Celery's events by itself; only the work is done together
(`tasks.orders.submit_batch`). Knows nothing of what an order is.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from billiard.einfo import ExceptionInfo
from celery import Celery, Task
from celery.exceptions import TaskRevokedError
from celery.worker import state, strategy
from celery.worker.consumer import Consumer

from tasks.orders import TaskReport, submit_batch
from workers import redis_transport

log = structlog.get_logger(__name__)

Request = Any
"""Celery's `worker.request.Request`, of which its stubs leave out half."""

TOGETHER_MAX: Final = 256
_BYTES_MAX: Final = 1024 * 1024
_PATIENCE_S: Final = 0.25
"""How long messages wait for the group before them. A group that is held up holds up nobody else."""
_STREAM_S: Final = 0.1
"""Orders that come so soon after one another are a stream."""
_REST_S: Final = 0.05
"""How long a stream is left alone after each look, so that the next look finds more than one."""


def gathering(task: Task[Any, Any], app: Celery, consumer: Any) -> Callable[..., Any]:
    """Celery's strategy for a task whose messages are gathered: its own, except that what is ready is handed to us."""
    ordinary: Callable[..., Any] = strategy.default(task, app, _Gathering(consumer) if consumer.hub else consumer)
    return ordinary


class _Gathering:
    """A consumer as its strategies see it, whose ready requests go to the gatherer."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.on_task_request = consumer.gatherer.take

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


class Group:
    """Requests that are done together. To the worker, which runs it when a child is free, it looks like a request."""

    def __init__(self, requests: Sequence[Request], over: Callable[["Group"], None]) -> None:
        self._requests = requests
        self._over = over
        self.is_accepted = False

    def execute_using_pool(self, pool: Any, **_: Any) -> None:
        """Hand those that are still wanted to a pool child.

        Raises:
            TaskRevokedError: None is.
        """
        self._requests = [request for request in self._requests if not request.revoked()]
        if not self._requests:
            self._over(self)
            raise TaskRevokedError
        pool.apply_async(
            submit_batch,
            args=([request.request_dict for request in self._requests],),
            accept_callback=self._on_accepted,
            callback=self._on_done,
            error_callback=self._on_broken,
            timeout=self._requests[0].task.time_limit,
        )

    def _on_accepted(self, pid: Any, accepted_at: float) -> None:
        self.is_accepted = True
        for request in self._requests:
            request.on_accepted(pid, accepted_at)

    def _on_done(self, outcomes: Sequence[TaskReport]) -> None:
        """Acknowledge what was answered, and let each request see to the rest as if it had been alone."""
        self._over(self)
        self._acknowledge(
            [request for request, (failed, *_) in zip(self._requests, outcomes, strict=True) if not failed]
        )
        for request, outcome in zip(self._requests, outcomes, strict=True):
            request.on_success(outcome)

    def _on_broken(self, trouble: ExceptionInfo) -> None:
        """The child is gone, or was too slow, or stumbled: nothing is known, and each comes again by itself."""
        self._over(self)
        wrapped = trouble.exception  # with its traceback, as the pool does
        log.error("group_broken", together=len(self._requests), trouble=repr(getattr(wrapped, "exc", wrapped)))
        for request in self._requests:
            state.task_ready(request)
            request.reject(requeue=True)  # except one that was terminated, and has said so

    def _acknowledge(self, requests: Sequence[Request]) -> None:
        wanting = [request for request in requests if not request.acknowledged]
        if not wanting:
            return
        try:
            redis_transport.acknowledge([request.message for request in wanting])
        except wanting[0].connection_errors as trouble:
            log.warning("not_acknowledged", together=len(wanting), trouble=repr(trouble))
        for request in wanting:
            request.acknowledged = True


class Gatherer:
    """Gathers the requests of one consumer."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer: Any = consumer
        self._waiting: list[Request] = []
        self._bytes = 0
        self._under_way: set[Group] = set()
        self._came_at = -_STREAM_S
        self._rests_until = 0.0

    @property
    def groups(self) -> int:
        """How many groups are under way."""
        return len(self._under_way)

    @property
    def is_resting(self) -> bool:
        """Tell whether no message is to be taken just now."""
        return time.monotonic() < self._rests_until

    def room(self) -> int:
        """Return how many more messages may be gathered now."""
        return TOGETHER_MAX - len(self._waiting)

    def take(self, request: Request) -> None:
        """Take a request whose time has come."""
        if not _goes_with_others(request):
            self._consumer.on_task_request(request)
            return
        state.reserved_requests.discard(request)  # it takes no child of its own
        self._waiting.append(request)
        self._bytes += len(request.body)
        if len(self._waiting) >= TOGETHER_MAX or self._bytes >= _BYTES_MAX:
            self._leave()
        elif len(self._waiting) == 1 and self._under_way:
            self._consumer.timer.call_after(_PATIENCE_S, self._leave)
        elif len(self._waiting) == 1:
            self._consumer.hub.call_soon(self._leave)  # with those that have come in the same breath
        self._rest()

    def forget(self) -> None:
        """Drop what has not begun: the broker has it, and gives it to somebody."""
        self._waiting, self._bytes = [], 0
        self._under_way = {group for group in self._under_way if group.is_accepted}

    def _rest(self) -> None:
        """Leave a stream alone for a moment; an order that comes by itself, and the bell it is rung for, never wait."""
        now = time.monotonic()
        if now - self._came_at < _STREAM_S and self._rests_until <= now:
            self._rests_until = now + _REST_S
            self._consumer.timer.call_after(_REST_S, _wake)
        self._came_at = now

    def _leave(self) -> None:
        if self._waiting:
            group = Group(self._waiting, self._on_over)
            self._waiting, self._bytes = [], 0
            self._under_way.add(group)
            self._consumer.on_task_request(group)

    def _on_over(self, group: Group) -> None:
        self._under_way.discard(group)
        if not self._under_way:
            self._leave()


def _goes_with_others(request: Request) -> bool:
    """Tell whether a request is an order and nothing else, and none that some group may have come to grief over."""
    _, _, followed_by = request._payload  # noqa: SLF001  decoded already, and nowhere else
    return not request.delivery_info["redelivered"] and not any((followed_by or {}).values())


def _wake() -> None:
    """Do nothing: that a timer has fired makes the worker's loop look whether it may take messages again."""


def open_gates(consumer: Any, queue: str) -> None:
    """Take many messages of a queue at a time, and any while a child is free; those that are gathered need but one."""
    channel, gatherer = consumer.task_consumer.channel, consumer.gatherer
    if not consumer.hub or not isinstance(channel, redis_transport.Channel):
        return

    def can_consume() -> bool:
        busy: int = len(state.reserved_requests) + gatherer.groups
        return not gatherer.is_resting and busy < int(consumer.pool.num_processes)

    channel.qos.can_consume = can_consume  # type: ignore[method-assign]  # in place of Celery's, which counts requests
    channel.gather(queue, gatherer.room)
    if consumer.event_dispatcher:
        consumer.event_dispatcher.buffer_limit = TOGETHER_MAX  # what is told in one breath is told in one message
