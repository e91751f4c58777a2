"""The way through Celery: each call is a task message, and its answer comes from the result store.

Each message has an id of its own, so no answer of another call is ever read. Patience is ours: whatever Celery, kombu
or redis-py raise, or wait for, a call ends within its time.
"""

import importlib
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from celery import Celery
from celery.app.utils import Settings
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult

from number_orders_client.contract import ANSWERS_HEADER, ANSWERS_TYPED, Fault, Problem
from number_orders_client.errors import (
    NotCancellable,
    NoTicket,
    NumberOrdersError,
    OrderRefused,
    ServiceFailed,
    UnknownOrder,
    error_of,
)
from number_orders_client.reference import derive_order_id
from number_orders_client.tracing import trace_headers

QUEUE: Final = "orders"
_LOOK_EVERY_S: Final = 0.25
_SHARE: Final = 6
"""A call talks to the broker a few times. None of these may take more than this share of the call's time."""
_SHARE_S: Final = (0.1, 5.0)
_REASON_MAX: Final = 200
_REFUSED: Final = "order refused: "
_OLD: Final[Mapping[str, type[NumberOrdersError]]] = {"UnknownOrder": UnknownOrder, "NotCancellable": NotCancellable}
"""Exceptions of a service of release 0.1.0, by name."""


class _GivenAddresses(Settings):
    """Celery's settings with the addresses that the client was given.

    Celery prefers `CELERY_BROKER_URL` and its like, which the producer's own application may have in its environment.
    """

    @property
    def broker_url(self) -> Any:
        return self.get("broker_url")

    broker_read_url = broker_write_url = broker_url

    @property
    def result_backend(self) -> Any:
        return self.get("result_backend")


class QueueTransport:
    """Sends calls to the service through its broker."""

    def __init__(
        self,
        broker_url: str,
        *,
        producer: str,
        secret: str | None,
        wait_s: float,
        result_url: str | None,
        celery_settings: Mapping[str, Any] | None,
    ) -> None:
        given = dict(celery_settings or {})
        share_s = min(max(wait_s / _SHARE, _SHARE_S[0]), _SHARE_S[1])
        transport = {
            # Without timeouts a frozen broker blocks the producer for ever.
            "socket_timeout": share_s,
            "socket_connect_timeout": share_s,
            "socket_keepalive": True,
            "confirm_publish": True,  # on RabbitMQ: an order that it has not taken raises an error
            **({"read_timeout": share_s, "write_timeout": share_s} if broker_url.startswith("amqp") else {}),
            **given.pop("broker_transport_options", {}),
        }
        once = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0, "interval_max": 0.1}
        self.app = Celery(
            "number-orders-client",
            broker=broker_url,
            backend=result_url or broker_url,
            set_as_current=False,  # in a task of the producer's own, its application stays the current one
        )
        # Celery has no setting for the class. Assigned in the usual way, `__class__` would become a Celery setting.
        object.__setattr__(self.app.conf, "__class__", _GivenAddresses)
        self.app.conf.update(
            task_serializer="json",
            result_serializer="json",
            accept_content=["json"],
            broker_transport_options=transport,
            broker_connection_timeout=share_s,
            task_publish_retry_policy=once,
            redis_socket_timeout=share_s,
            redis_socket_connect_timeout=share_s,
            result_backend_transport_options={
                "retry_policy": once,
                **given.pop("result_backend_transport_options", {}),
            },
        )
        self.app.conf.update(given)
        self._producer = producer
        self._secret = secret
        self._wait_s = wait_s
        self._backends: dict[int, Any] = {}

    def submit(self, order: dict[str, Any], order_id: UUID | None) -> Any:
        """Submit one order; return its ticket."""
        chosen = order_id or derive_order_id(self._producer, order["key"])
        return self._call("orders.submit", {"order": order, "producer": self._producer, "order_id": str(chosen)})

    def submit_many(self, orders: list[dict[str, Any]]) -> Any:
        """Submit a batch; return its tickets and refusals."""
        return self._call("orders.submit_many", {"orders": orders, "producer": self._producer})

    def get(self, order_id: UUID, wait_s: float | None = None) -> Any:
        """Return the document of an order."""
        return self._call("orders.get", {"order_id": str(order_id)}, wait_s)

    def find(self, key: str) -> Any:
        """Return the document of the order with this key."""
        return self._call("orders.get", {"key": key, "producer": self._producer})

    def cancel(self, order_id: UUID, why: str | None) -> Any:
        """Cancel an order; return its document afterwards."""
        return self._call("orders.cancel", {"order_id": str(order_id), "by": self._producer, "why": why})

    def close(self) -> None:
        """Close the connections of all threads."""
        for backend in self._backends.values():
            with suppress(Exception):  # a broker that is gone has closed them
                backend.result_consumer.stop()
                backend.client.connection_pool.disconnect()
        self._backends.clear()
        self.app.close()

    def _call(self, task: str, kwargs: Mapping[str, Any], wait_s: float | None = None) -> Any:
        began = time.monotonic()
        until = began + (self._wait_s if wait_s is None else min(wait_s, self._wait_s))
        try:
            answer = self._await(self._send(task, kwargs), until)
        except NumberOrdersError:
            raise
        except Exception as trouble:
            took = f"{time.monotonic() - began:.1f} s"
            raise NoTicket(
                f"no answer to {task} after {took}{_reason(trouble)}; it is safe to send it again"
            ) from trouble
        if isinstance(answer, BaseException):
            raise _old_refusal(answer)
        if isinstance(answer, Mapping) and "problem" in answer:
            raise error_of(Problem.model_validate(answer["problem"]))
        return answer

    def _send(self, task: str, kwargs: Mapping[str, Any]) -> AsyncResult[Any]:
        task_id = str(uuid4())
        headers = {ANSWERS_HEADER: ANSWERS_TYPED, **trace_headers(), **self._signature(task, task_id, kwargs)}
        return self.app.send_task(
            task,
            kwargs=dict(kwargs),
            queue=QUEUE,
            headers=headers,
            task_id=task_id,
            # Otherwise Celery writes the arguments into the headers once more, for people to read: a tenth of the call.
            argsrepr="()",
            kwargsrepr="{}",
        )

    def _signature(self, task: str, task_id: str, kwargs: Mapping[str, Any]) -> Mapping[str, str]:
        if self._secret is None:
            return {}
        # Imported by name: it needs a package that only producers with a signing key install.
        signing = importlib.import_module("number_orders_client.signing")
        message = signing.Message(task, task_id, kwargs=kwargs)
        signed_at = datetime.fromtimestamp(time.time(), UTC)
        headers: Mapping[str, str] = signing.sign(
            message, signer=self._producer, secret=self._secret, signed_at=signed_at
        )
        return headers

    def _await(self, sent: Any, until: float) -> Any:
        """Wait for the answer; while the broker is away, look for it again until the time is over."""
        backend = self._backends[id(sent.backend)] = sent.backend
        try:
            answer = self._look(sent, until)
            with suppress(Exception):  # otherwise it expires by itself
                sent.forget()
            return answer
        finally:
            with suppress(Exception):
                backend.remove_pending_result(sent)
            sent.backend = None  # it would do the same again whenever it is collected, broker or not

    def _look(self, sent: AsyncResult[Any], until: float) -> Any:
        look_s = until - time.monotonic()
        while True:
            try:
                # Celery forbids waiting in a task, because a pool may wait for itself. The service is another pool.
                return sent.get(timeout=max(look_s, 0), propagate=False, disable_sync_subtasks=False)
            except CeleryTimeoutError:
                if time.monotonic() >= until:
                    raise
            except Exception:
                if time.monotonic() + _LOOK_EVERY_S >= until:
                    raise
                time.sleep(_LOOK_EVERY_S)
            look_s = min(until - time.monotonic(), _LOOK_EVERY_S)


def _reason(trouble: Exception) -> str:
    if isinstance(trouble, CeleryTimeoutError):
        return ""
    first = trouble.__cause__ or trouble  # Celery's own words are several lines about its settings
    return f" ({type(first).__name__}: {' '.join(str(first).split())[:_REASON_MAX]})"


def _old_refusal(raised: BaseException) -> NumberOrdersError:
    """Return the error for a task that has failed: a refusal by release 0.1.0, or a fault of the service."""
    words = str(raised)
    if isinstance(raised, ValueError) and words.startswith(_REFUSED):
        parts = [part.partition(": ") for part in words.removeprefix(_REFUSED).split("; ")]
        return OrderRefused(words.removeprefix(_REFUSED), [Fault(field=field, rule=rule) for field, _, rule in parts])
    kind = _OLD.get(type(raised).__name__, ServiceFailed)
    return kind(words or type(raised).__name__)
