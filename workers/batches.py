"""Batching of `orders.submit`: waiting messages become one job of one pool process.

The first request is dispatched at once. While its batch runs, further requests are collected; they are dispatched as
the next batch when the running one has finished, when they fill a batch, or when they have waited for `_WAIT_MAX_S`.

Each request stays a message and a task of its own: it is revoked, acknowledged and answered separately. Only the work
is shared (`tasks.orders.submit_batch`). Knows nothing of what an order is.
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
"""Celery's `worker.request.Request`; its stubs omit half of it."""

BATCH_MAX: Final = 256
_BATCH_BYTES_MAX: Final = 1024 * 1024
_WAIT_MAX_S: Final = 0.25
"""How long collected requests wait for the running batch. A slow batch must not delay the next."""
_BURST_GAP_S: Final = 0.1
"""Requests that arrive closer together than this, while earlier ones are under way, are a burst."""
_BURST_PAUSE_S: Final = 0.05
"""How long no messages are taken during a burst, so that several are waiting at the next read of the queue."""


def batching_strategy(task: Task[Any, Any], app: Celery, consumer: Any) -> Callable[..., Any]:
    """Return Celery's default strategy for a task, except that ready requests go to the batch collector."""
    handler: Callable[..., Any] = strategy.default(task, app, _BatchingConsumer(consumer) if consumer.hub else consumer)
    return handler


class _BatchingConsumer:
    """The consumer as the strategy sees it: its ready requests go to the collector instead of the pool."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.on_task_request = consumer.batch_collector.add

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


class Batch:
    """Requests that one pool process handles together. The worker schedules it like a single request."""

    def __init__(self, requests: Sequence[Request], on_finished: Callable[["Batch"], None]) -> None:
        self._requests = requests
        self._on_finished = on_finished
        self.is_started = False

    def execute_using_pool(self, pool: Any, **_: Any) -> None:
        """Give the requests that are not revoked to a pool process.

        Raises:
            TaskRevokedError: All are revoked.
        """
        self._requests = [request for request in self._requests if not request.revoked()]
        if not self._requests:
            self._on_finished(self)
            raise TaskRevokedError
        pool.apply_async(
            submit_batch,
            args=([request.request_dict for request in self._requests],),
            accept_callback=self._on_accepted,
            callback=self._on_success,
            error_callback=self._on_failure,
            timeout=self._requests[0].task.time_limit,
        )

    def _on_accepted(self, pid: Any, accepted_at: float) -> None:
        self.is_started = True
        for request in self._requests:
            request.on_accepted(pid, accepted_at)

    def _on_success(self, reports: Sequence[TaskReport]) -> None:
        """Acknowledge the successful requests in one go; then let each do the rest as if it had run alone."""
        self._on_finished(self)
        self._acknowledge(
            [request for request, report in zip(self._requests, reports, strict=True) if not report.failed]
        )
        for request, report in zip(self._requests, reports, strict=True):
            request.on_success(report)

    def _on_failure(self, failure: ExceptionInfo) -> None:
        """Requeue every request: the pool process died, timed out or raised, so the outcome of each is unknown.

        A redelivered request runs alone (`_may_be_batched`).
        """
        self._on_finished(self)
        wrapped = failure.exception  # the pool wraps it together with its traceback
        log.error("batch_failed", together=len(self._requests), trouble=repr(getattr(wrapped, "exc", wrapped)))
        for request in self._requests:
            state.task_ready(request)
            request.reject(requeue=True)  # does nothing if terminated: Celery has acknowledged it then

    def _acknowledge(self, requests: Sequence[Request]) -> None:
        unacknowledged = [request for request in requests if not request.acknowledged]
        if not unacknowledged:
            return
        try:
            redis_transport.acknowledge([request.message for request in unacknowledged])
        except unacknowledged[0].connection_errors as fault:
            log.warning("batch_not_acknowledged", together=len(unacknowledged), trouble=repr(fault))
        for request in unacknowledged:
            request.acknowledged = True  # otherwise `on_success` would try again for each


class BatchCollector:
    """Collects the requests of one consumer and dispatches them in batches."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer: Any = consumer
        self._collected: list[Request] = []
        self._bytes = 0
        self._running: set[Batch] = set()
        self._last_added_at = -_BURST_GAP_S
        self._paused_until = 0.0

    @property
    def running_count(self) -> int:
        """How many batches are dispatched and not finished."""
        return len(self._running)

    @property
    def is_paused(self) -> bool:
        """Whether no messages are taken now, because a burst is being collected."""
        return time.monotonic() < self._paused_until

    def capacity(self) -> int:
        """Return how many more requests fit into the next batch."""
        return BATCH_MAX - len(self._collected)

    def add(self, request: Request) -> None:
        """Collect a request that is ready to run, or pass it on if it must run alone."""
        if not _may_be_batched(request):
            self._consumer.on_task_request(request)
            return
        state.reserved_requests.discard(request)  # only its batch occupies a pool process
        self._collected.append(request)
        self._bytes += len(request.body)
        if len(self._collected) >= BATCH_MAX or self._bytes >= _BATCH_BYTES_MAX:
            self._dispatch()
        elif len(self._collected) == 1 and self._running:
            self._consumer.timer.call_after(_WAIT_MAX_S, self._dispatch)
        elif len(self._collected) == 1:
            self._consumer.hub.call_soon(self._dispatch)  # after this loop iteration has added its other requests
        self._pause_in_burst()

    def drop_unstarted(self) -> None:
        """Forget what no pool process has started: the broker still has these messages and redelivers them."""
        self._collected, self._bytes = [], 0
        self._running = {batch for batch in self._running if batch.is_started}

    def _pause_in_burst(self) -> None:
        """Take no messages for a moment if this request is part of a burst.

        This never delays a single order, nor the wake-up that it causes; nor a producer that waits for each ticket
        before it sends the next order.
        """
        now = time.monotonic()
        is_burst = now - self._last_added_at < _BURST_GAP_S and (self._running or len(self._collected) > 1)
        if is_burst and self._paused_until <= now:
            self._paused_until = now + _BURST_PAUSE_S
            self._consumer.timer.call_after(_BURST_PAUSE_S, _wake_event_loop)
        self._last_added_at = now

    def _dispatch(self) -> None:
        if self._collected:
            batch = Batch(self._collected, self._on_batch_finished)
            self._collected, self._bytes = [], 0
            self._running.add(batch)
            self._consumer.on_task_request(batch)

    def _on_batch_finished(self, batch: Batch) -> None:
        self._running.discard(batch)
        if not self._running:
            self._dispatch()


def _may_be_batched(request: Request) -> bool:
    """Return whether a request may be batched: no callbacks, and not redelivered, as after a batch that failed."""
    _, _, callbacks = request._payload  # noqa: SLF001  decoded already, and available nowhere else
    return not request.delivery_info["redelivered"] and not any((callbacks or {}).values())


def _wake_event_loop() -> None:
    """Do nothing. A timer that fires makes the worker's event loop ask `can_consume` again."""
