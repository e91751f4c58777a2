"""The store of tickets: Celery's result backend on Redis or Sentinel, which can also store many results at once.

Key, content, expiry and notification of each result are exactly Celery's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from celery import Celery
from celery.app.task import Context
from celery.backends.base import Backend
from celery.backends.redis import RedisBackend, SentinelBackend
from celery.states import FAILURE, SUCCESS

log = structlog.get_logger(__name__)

RequestResult = tuple[Mapping[str, Any], object]
"""A Celery request, and the result of its task."""


def store_results(backend: Backend, results: Sequence[RequestResult]) -> None:
    """Store the results of successful tasks, in one round trip if the backend is a `TicketStore`."""
    if isinstance(backend, TicketStore):
        backend.store_results(results)
        return
    for request, result in results:
        backend.mark_as_done(request["id"], result, Context(dict(request)))


def spent_ids(backend: Backend, task_ids: Sequence[str]) -> frozenset[str]:
    """Return those of these task ids under which the store has a failed result.

    A producer that uses such an id again reads that result at once, whatever becomes of its new message.
    """
    try:
        if isinstance(backend, TicketStore):
            return backend.failed_ids(task_ids)
        return frozenset(one for one in task_ids if backend.get_task_meta(one, cache=False)["status"] == FAILURE)
    except Exception as trouble:  # noqa: BLE001  whatever a store raises: without it there is nothing to be misread
        log.warning("task_ids_not_checked", trouble=repr(trouble))
        return frozenset()


class TicketStore(RedisBackend):
    """Celery's Redis result backend with one more method."""

    app: Celery
    expires: int | None

    def store_results(self, results: Sequence[RequestResult]) -> None:
        """Store results and notify the clients that wait for them, as `mark_as_done` does for each."""
        if results:
            done_at = self.app.now().isoformat()
            entries = [
                (self.get_key_for_task(request["id"]), self._entry(request, result, done_at))
                for request, result in results
            ]
            self.ensure(self._set_all, (entries,))

    def failed_ids(self, task_ids: Sequence[str]) -> frozenset[str]:
        """Return those of these task ids that have a failed result."""
        keys = [self.get_key_for_task(one) for one in task_ids]
        found = zip(task_ids, self.mget(keys) if keys else (), strict=True)
        return frozenset(one for one, entry in found if entry and self.decode_result(entry)["status"] == FAILURE)

    def _entry(self, request: Mapping[str, Any], result: object, done_at: str) -> str | bytes:
        meta = {"status": SUCCESS, "result": result, "traceback": None, "children": []}
        meta |= {"date_done": done_at, "task_id": request["id"]}
        optional = {"group_id": request.get("group"), "parent_id": request.get("parent_id")}
        meta |= {name: value for name, value in optional.items() if value}
        entry: str | bytes = self.encode(meta)
        return entry

    def _set_all(self, entries: Sequence[tuple[str, str | bytes]]) -> None:
        with self.client.pipeline(transaction=False) as pipeline:
            for key, entry in entries:
                if self.expires:
                    pipeline.setex(key, self.expires, entry)
                else:
                    pipeline.set(key, entry)
                pipeline.publish(key, entry)
            pipeline.execute()


class SentinelTicketStore(TicketStore, SentinelBackend):
    """The same on the master that the sentinels name."""
