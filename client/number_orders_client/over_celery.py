"""The way through Celery, for every broker that it knows, and for what a producer must tell it (`celery_settings`)."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.app.utils import Settings
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult

from number_orders_client.over_queue import LOOK_EVERY_S, QUEUE, Call, NoAnswer, QueueTransport, failure, share_s


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


class CeleryTransport(QueueTransport):
    """Sends calls as Celery tasks."""

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
        super().__init__(producer=producer, secret=secret, wait_s=wait_s)
        given = dict(celery_settings or {})
        timeout_s = share_s(wait_s)
        transport = {
            # Without timeouts a frozen broker blocks the producer for ever.
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "socket_keepalive": True,
            "confirm_publish": True,  # on RabbitMQ: an order that it has not taken raises an error
            **({"read_timeout": timeout_s, "write_timeout": timeout_s} if broker_url.startswith("amqp") else {}),
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
            broker_connection_timeout=timeout_s,
            task_publish_retry_policy=once,
            redis_socket_timeout=timeout_s,
            redis_socket_connect_timeout=timeout_s,
            result_backend_transport_options={
                "retry_policy": once,
                **given.pop("result_backend_transport_options", {}),
            },
        )
        self.app.conf.update(given)
        self._backends: dict[int, Any] = {}

    def close(self) -> None:
        """Close the connections of all threads."""
        for backend in self._backends.values():
            with suppress(Exception):  # a broker that is gone has closed them
                backend.result_consumer.stop()
                backend.client.connection_pool.disconnect()
        self._backends.clear()
        self.app.close()

    def _ask(self, call: Call, until: float) -> Any:
        sent: AsyncResult[Any] = self.app.send_task(
            call.task,
            kwargs=dict(call.kwargs),
            queue=QUEUE,
            headers=dict(call.headers),
            task_id=call.task_id,
            # Otherwise Celery writes the arguments into the headers once more, for people to read: a tenth of the call.
            argsrepr="()",
            kwargsrepr="{}",
        )
        answer = self._await(sent, until)
        if isinstance(answer, BaseException):
            kind = ValueError if isinstance(answer, ValueError) else type(answer)
            raise failure(kind.__name__, str(answer))
        return answer

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
            except CeleryTimeoutError as over:
                if time.monotonic() >= until:
                    raise NoAnswer from over
            except Exception:
                if time.monotonic() + LOOK_EVERY_S >= until:
                    raise
                time.sleep(LOOK_EVERY_S)
            look_s = min(until - time.monotonic(), LOOK_EVERY_S)
