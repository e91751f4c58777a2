"""The way through the broker: each call is a task message, and its answer comes from the result store.

Each message has an id of its own, so no answer of another call is ever read. Patience is ours: whatever the libraries
raise, or wait for, a call ends within its time, or a third later while a broker is frozen. How messages and answers
travel is for the subclasses to say: `over_redis` for Redis, `over_celery` for every broker that Celery knows.
"""

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

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
LOOK_EVERY_S: Final = 0.25
"""While the broker is away, how often to look for an answer again."""
_SHARE: Final = 6
_SHARE_S: Final = (0.1, 5.0)
_REASON_MAX: Final = 200
_REFUSED: Final = "order refused: "
_OLD: Final[Mapping[str, type[NumberOrdersError]]] = {"UnknownOrder": UnknownOrder, "NotCancellable": NotCancellable}
"""Exceptions of a service of release 0.1.0, by name."""


@dataclass(frozen=True, slots=True)
class Call:
    """A task message for the service."""

    task: str
    task_id: str
    kwargs: Mapping[str, Any]
    headers: Mapping[str, str]
    """Headers of ours, beside those of Celery's protocol."""


class NoAnswer(Exception):
    """There was no answer in time."""


class QueueTransport(ABC):
    """Sends calls to the service through its broker."""

    def __init__(self, *, producer: str, secret: str | None, wait_s: float) -> None:
        self._producer = producer
        self._secret = secret
        self._wait_s = wait_s

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
        return self._call("orders.get", {"key": str(key), "producer": self._producer})

    def cancel(self, order_id: UUID, why: str | None) -> Any:
        """Cancel an order; return its document afterwards."""
        return self._call("orders.cancel", {"order_id": str(order_id), "by": self._producer, "why": why and str(why)})

    @abstractmethod
    def close(self) -> None:
        """Close the connections of all threads."""

    @abstractmethod
    def _ask(self, call: Call, until: float) -> Any:
        """Send a call and return its answer, by `until` on the monotonic clock.

        Raises:
            NoAnswer: There was none in time.
            NumberOrdersError: The task has failed.
            Exception: The broker is away.
        """

    def _call(self, task: str, kwargs: Mapping[str, Any], wait_s: float | None = None) -> Any:
        began = time.monotonic()
        until = began + (self._wait_s if wait_s is None else min(wait_s, self._wait_s))
        task_id = str(uuid4())
        headers = {ANSWERS_HEADER: ANSWERS_TYPED, **trace_headers(), **self._signature(task, task_id, kwargs)}
        try:
            answer = self._ask(Call(task, task_id, kwargs, headers), until)
        except NumberOrdersError:
            raise
        except Exception as trouble:
            took = f"{time.monotonic() - began:.1f} s"
            raise NoTicket(
                f"no answer to {task} after {took}{_reason(trouble)}; it is safe to send it again"
            ) from trouble
        if isinstance(answer, Mapping) and "problem" in answer:
            raise error_of(Problem.model_validate(answer["problem"]))
        return answer

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


def share_s(wait_s: float) -> float:
    """Return how long the broker may take for one of the few things that a call asks of it."""
    return min(max(wait_s / _SHARE, _SHARE_S[0]), _SHARE_S[1])


def failure(kind: str, words: str) -> NumberOrdersError:
    """Return the error for a task that has failed: a refusal by release 0.1.0, or a fault of the service.

    Args:
        kind: The name of the exception that the task has raised.
        words: Its text.
    """
    if kind == ValueError.__name__ and words.startswith(_REFUSED):
        parts = [part.partition(": ") for part in words.removeprefix(_REFUSED).split("; ")]
        return OrderRefused(words.removeprefix(_REFUSED), [Fault(field=field, rule=rule) for field, _, rule in parts])
    return _OLD.get(kind, ServiceFailed)(words or kind)


def _reason(trouble: Exception) -> str:
    if isinstance(trouble, NoAnswer):
        return ""
    first = trouble.__cause__ or trouble  # Celery's own words are several lines about its settings
    return f" ({type(first).__name__}: {' '.join(str(first).split())[:_REASON_MAX]})"
