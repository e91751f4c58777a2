"""A thin sender for producers in Python: the contract on the way in, Celery on the wire, tickets on the way out.

Whoever prefers bare Celery needs none of this: the task's name and the order as JSON are the whole interface.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid4

from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError

from number_orders_client.contract import ORDERS_MAX, OrderDocument, OrderRequest, Refusal, Ticket

QUEUE = "orders"

Orderable = OrderRequest | Mapping[str, Any]


class NoTicketError(TimeoutError):
    """No ticket came in time. The order may or may not be in: send it again with the same key, which is safe."""


class Client:
    """Sends orders through a broker and fetches what became of them."""

    def __init__(
        self, broker_url: str, *, producer: str = "default", wait_s: float = 10.0, result_url: str | None = None
    ) -> None:
        """Prepare to send; nothing is connected yet.

        Args:
            broker_url: The broker that number-orders listens to.
            producer: Whose orders these are; keys are unique per producer.
            wait_s: How long to wait for a ticket or a document.
            result_url: Where tickets are kept; the broker, unless the service says otherwise.
        """
        self._app = Celery("number-orders-client", broker=broker_url, backend=result_url or broker_url)
        self._app.conf.update(
            task_serializer="json",
            result_serializer="json",
            accept_content=["json"],
            # A frozen broker costs seconds, not for ever.
            broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 3, "socket_keepalive": True},
            redis_socket_timeout=5,
        )
        self._producer = producer
        self._wait_s = wait_s

    def submit(self, order: Orderable, *, order_id: UUID | None = None) -> Ticket:
        """Order numbers, and return the ticket: from here on the order is in the ledger and reaches an end.

        Args:
            order: The order; a mapping is checked against the contract before anything is sent.
            order_id: The id it shall have; by default a new one.

        Raises:
            pydantic.ValidationError: It is not well formed; nothing was sent.
            ValueError: The service refused it; the message names field and rule.
            NoTicketError: No answer in time. Send it again with the same key.
        """
        answer = self._call(
            "orders.submit", {"order": _plain(order), "producer": self._producer}, task_id=str(order_id or uuid4())
        )
        return Ticket.model_validate(answer)

    def submit_many(self, orders: Iterable[Orderable]) -> tuple[list[Ticket], list[Refusal]]:
        """Order many at once, in batches; the good are taken, each bad one is reported by its index in `orders`.

        Raises:
            pydantic.ValidationError: One of them is not well formed; nothing was sent.
            NoTicketError: No answer in time. Send them again with the same keys.
        """
        plain = [_plain(order) for order in orders]
        tickets: list[Ticket] = []
        refusals: list[Refusal] = []
        for start in range(0, len(plain), ORDERS_MAX):
            batch = {"orders": plain[start : start + ORDERS_MAX], "producer": self._producer}
            answer = self._call("orders.submit_many", batch)
            tickets += [Ticket.model_validate(ticket) for ticket in answer["tickets"]]
            refusals += [Refusal.model_validate({**one, "index": one["index"] + start}) for one in answer["refused"]]
        return tickets, refusals

    def get(self, order_id: UUID) -> OrderDocument:
        """Return the order as it stands now."""
        return OrderDocument.model_validate(self._call("orders.get", {"order_id": str(order_id)}))

    def cancel(self, order_id: UUID, *, why: str | None = None) -> None:
        """Cancel the order; once the carrier has it, have the carrier asked to drop it, if it can."""
        self._call("orders.cancel", {"order_id": str(order_id), "by": self._producer, "why": why})

    def wait(self, order_id: UUID, *, timeout_s: float, every_s: float = 1.0) -> OrderDocument:
        """Ask until the order is at its end, and return it.

        Raises:
            TimeoutError: It is still under way. That ends nothing: ask again whenever you like.
        """
        until = time.monotonic() + timeout_s
        while True:
            document = self.get(order_id)
            if document.final:
                return document
            if time.monotonic() + every_s > until:
                raise TimeoutError(f"order {order_id} is {document.state} after {timeout_s:g} s: {document.reason}")
            time.sleep(every_s)

    def close(self) -> None:
        """Let go of the broker."""
        self._app.close()

    def _call(self, task: str, kwargs: Mapping[str, Any], *, task_id: str | None = None) -> Any:
        sent = self._app.send_task(task, kwargs=dict(kwargs), queue=QUEUE, task_id=task_id)
        try:
            return sent.get(timeout=self._wait_s)
        except CeleryTimeoutError:
            raise NoTicketError(f"no answer to {task} within {self._wait_s:g} s") from None
        finally:
            sent.forget()


def _plain(order: Orderable) -> dict[str, Any]:
    shaped = order if isinstance(order, OrderRequest) else OrderRequest.model_validate(order)
    return shaped.model_dump(mode="json", exclude_unset=True)
