"""Where producers find their tickets: Celery's own store on Redis, which can also keep many at once.

What is kept, under which key and for how long, is Celery's business and stays as it is; only the ways to the server
are fewer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery
from celery.app.task import Context
from celery.backends.base import Backend
from celery.backends.redis import RedisBackend
from celery.states import SUCCESS

Answer = tuple[Mapping[str, Any], object]
"""A Celery request, and what it is answered."""


def keep_all(store: Backend, answers: Sequence[Answer]) -> None:
    """Keep what these tasks have answered, at once where the store can."""
    if isinstance(store, TicketStore):
        store.keep_all(answers)
        return
    for request, answer in answers:
        store.mark_as_done(request["id"], answer, Context(dict(request)))


class TicketStore(RedisBackend):
    """Celery's store on Redis."""

    app: Celery
    expires: int | None

    def keep_all(self, answers: Sequence[Answer]) -> None:
        """Keep answers and wake whoever waits for them, as `mark_as_done` does one by one."""
        if answers:
            done_at = self.app.now().isoformat()
            entries = [
                (self.get_key_for_task(request["id"]), self._entry(request, answer, done_at))
                for request, answer in answers
            ]
            self.ensure(self._set_all, (entries,))

    def _entry(self, request: Mapping[str, Any], answer: object, done_at: str) -> str | bytes:
        meta = {"status": SUCCESS, "result": answer, "traceback": None, "children": []}
        meta |= {"date_done": done_at, "task_id": request["id"]}
        meta |= {
            name: of for name, of in (("group_id", request.get("group")), ("parent_id", request.get("parent_id"))) if of
        }
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
