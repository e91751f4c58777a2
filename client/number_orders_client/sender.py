"""A client for producers in Python: it checks orders against the contract and sends them through Celery.

Plain Celery works as well: the interface is the task's name and the order as JSON.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid4

from celery import Celery
from celery.app.utils import Settings
from celery.exceptions import TimeoutError as CeleryTimeoutError

from number_orders_client.contract import ORDERS_MAX, OrderDocument, OrderRequest, Refusal, Ticket

QUEUE = "orders"

Orderable = OrderRequest | Mapping[str, Any]


class NoTicketError(TimeoutError):
    """No answer came in time. The order may be stored or not; sending it again with the same key is safe."""


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


class Client:
    """Sends orders and fetches order documents through a broker."""

    def __init__(
        self,
        broker_url: str,
        *,
        producer: str = "default",
        wait_s: float = 10.0,
        result_url: str | None = None,
        celery_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare the client; it connects when it first sends.

        Args:
            broker_url: The broker of number-orders.
            producer: The name of the producer; keys are unique per producer.
            wait_s: How long to wait for a ticket or a document.
            result_url: Where the service stores tickets, as Celery takes it; by default the broker.
            celery_settings: What Celery must be told on this broker, such as the master's name behind Sentinel.
        """
        given = dict(celery_settings or {})
        transport = {
            # Without timeouts a frozen broker blocks the producer for ever.
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "confirm_publish": True,  # on RabbitMQ: an order that it has not taken raises an error
            **given.pop("broker_transport_options", {}),
        }
        self._app = Celery(
            "number-orders-client",
            broker=broker_url,
            backend=result_url or broker_url,
            set_as_current=False,  # in a task of the producer's own, its application stays the current one
        )
        # Celery has no setting for the class. Assigned in the usual way, `__class__` would become a Celery setting.
        object.__setattr__(self._app.conf, "__class__", _GivenAddresses)
        self._app.conf.update(
            task_serializer="json",
            result_serializer="json",
            accept_content=["json"],
            broker_transport_options=transport,
            redis_socket_timeout=5,
        )
        self._app.conf.update(given)
        self._producer = producer
        self._wait_s = wait_s

    def submit(self, order: Orderable, *, order_id: UUID | None = None) -> Ticket:
        """Submit an order and return its ticket: it is then stored in the ledger and will reach its end.

        Args:
            order: The order; it is checked against the contract before it is sent.
            order_id: The id for the order; by default a new one.

        Raises:
            pydantic.ValidationError: The order is not well formed; nothing was sent.
            ValueError: The service refused the order; the message names the field and the rule.
            NoTicketError: No answer in time. Submit the order again with the same key.
        """
        answer = self._call(
            "orders.submit", {"order": _plain(order), "producer": self._producer}, task_id=str(order_id or uuid4())
        )
        return Ticket.model_validate(answer)

    def submit_many(self, orders: Iterable[Orderable]) -> tuple[list[Ticket], list[Refusal]]:
        """Submit many orders, 500 per message; return tickets, and refusals with the index in `orders` of each bad one.

        Raises:
            pydantic.ValidationError: One of the orders is not well formed; nothing was sent.
            NoTicketError: No answer in time. Submit all again with the same keys.
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
        """Return the order document as it is now."""
        return OrderDocument.model_validate(self._call("orders.get", {"order_id": str(order_id)}))

    def cancel(self, order_id: UUID, *, why: str | None = None) -> None:
        """Cancel the order: end it if it was not sent yet, otherwise ask the carrier to cancel it.

        Once the carrier is asked, the order stays OPEN until the carrier has answered.

        Raises:
            Exception: It cannot be cancelled; the message says why.
            NoTicketError: No answer in time. Call again.
        """
        self._call("orders.cancel", {"order_id": str(order_id), "by": self._producer, "why": why})

    def wait(self, order_id: UUID, *, timeout_s: float, every_s: float = 1.0) -> OrderDocument:
        """Poll until the order has ended, and return its document.

        Raises:
            TimeoutError: The order has not ended yet. It goes on; call again at any time.
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
        """Close the connection to the broker."""
        self._app.close()

    def _call(self, task: str, kwargs: Mapping[str, Any], *, task_id: str | None = None) -> Any:
        sent = self._app.send_task(task, kwargs=dict(kwargs), queue=QUEUE, task_id=task_id)
        try:
            # Celery forbids waiting inside a task, because a pool may wait for itself. The service is another pool.
            return sent.get(timeout=self._wait_s, disable_sync_subtasks=False)
        except CeleryTimeoutError:
            raise NoTicketError(f"no answer to {task} within {self._wait_s:g} s; it is safe to send it again") from None
        finally:
            sent.forget()


def _plain(order: Orderable) -> dict[str, Any]:
    checked = order if isinstance(order, OrderRequest) else OrderRequest.model_validate(order)
    return checked.model_dump(mode="json", exclude_unset=True)
