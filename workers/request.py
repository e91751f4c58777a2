"""The worker's request and task classes.

A message that keeps killing pool children becomes a dead letter. No task sends Celery's events: Flower shows orders
(`workers.order_events`), and a row for each of our messages would bury them.
"""

from typing import Any

from celery import Task
from celery.exceptions import WorkerLostError
from celery.worker.request import Request
from celery.worker.state import task_ready

from workers.dead_letters import DeadLetters


class DeadLetterRequest(Request):
    """Stores its message as a dead letter when it has killed a child once too often."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Store a message that is not retried any more before it is acknowledged."""
        cause = getattr(exc_info.exception, "exc", exc_info.exception)  # the pool wraps it together with its traceback
        if self._killed_last_child(cause):
            why = f"has killed every child it was given: {cause}"
            if not DeadLetters.store(self.message, why):
                task_ready(self)
                self.reject(requeue=True)
                return
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def _killed_last_child(self, cause: BaseException) -> bool:
        task: Any = self.task  # the stubs lack both attributes
        return (
            isinstance(cause, WorkerLostError)
            and task.retry_on_worker_lost
            and (self.request_dict.get("retries") or 0) >= task.max_retries
            and not self._success_was_stored()  # type: ignore[attr-defined]
        )


class DeadLetterTask(Task[Any, Any]):
    """The base class of every task of the service."""

    Request = f"{__name__}:{DeadLetterRequest.__name__}"
    send_events = False
