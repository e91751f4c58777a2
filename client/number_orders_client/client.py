"""The clients for producers in Python: one interface, over the queue or over HTTP, blocking or on an event loop.

    Client("redis://broker/0", producer="crm")         # through the broker, also sentinel:// and amqp://
    Client("https://orders.example.com", token="no_…")  # the orders API

Plain Celery and plain HTTP work as well: the contract is the same JSON.
"""
# ruff: noqa: PLC0415  -- each way needs packages of its own, and a producer installs those of one

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, NoReturn, Protocol, Self, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from number_orders_client.contract import OrderDocument, Ticket
from number_orders_client.errors import NotEnded, NoTicket
from number_orders_client.shapes import Orderable, Submitted, add_answer, batches, checked, plain, read_as

Result = TypeVar("Result")

_HTTP: Final = frozenset({"http", "https"})
_QUEUES: Final = frozenset({"redis", "rediss", "sentinel", "amqp", "amqps"})
_THREADS: Final = 8
"""An `AsyncClient` over the queue has so many calls under way at once; more wait."""
_PARKED: Final = "PARKED"


class Transport(Protocol):
    """One way to the service. Answers are as the service gives them, refusals are raised."""

    def submit(self, order: dict[str, Any], order_id: UUID | None) -> Any: ...

    def submit_many(self, orders: list[dict[str, Any]]) -> Any: ...

    def get(self, order_id: UUID, wait_s: float | None = None) -> Any: ...

    def find(self, key: str) -> Any: ...

    def cancel(self, order_id: UUID, why: str | None) -> Any: ...

    def close(self) -> Any: ...


class Client:
    """Submits orders and fetches their documents. Thread-safe; connects when it first sends."""

    def __init__(
        self,
        url: str,
        *,
        producer: str = "default",
        token: str | None = None,
        secret: str | None = None,
        wait_s: float = 10.0,
        result_url: str | None = None,
        celery_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Choose the way by the scheme of the address.

        Args:
            url: The broker of number-orders, or the orders API with `https://` or `http://`.
            producer: The name of the producer; keys are unique per producer. Over HTTP the token tells it.
            token: HTTP: the producer's token.
            secret: Queue: the producer's signing key; each message is signed with it.
            wait_s: No call takes longer; or a third longer, while a broker is frozen.
            result_url: Queue: where the service stores tickets, as Celery takes it; by default the broker.
            celery_settings: Queue: what Celery must be told on this broker, such as the master's name behind Sentinel.

        Raises:
            ValueError: The address has another scheme, or an argument is for the other way.
            ImportError: The packages for this way are not installed; the message says which.
        """
        _check_arguments(url, token=token, queue_only=(secret, result_url, celery_settings))
        if _is_http(url):
            http = _import_http()
            self._way: Transport = http.HttpTransport(url, token=token, wait_s=wait_s)
        else:
            self._way = _queue_transport(url, producer, secret, wait_s, result_url, celery_settings)

    def submit(self, order: Orderable, *, order_id: UUID | None = None) -> Ticket:
        """Submit an order and return its ticket: it is then stored in the ledger and will reach its end.

        Args:
            order: The order; it is checked against the contract before it is sent.
            order_id: Queue: the order's id; by default `derive_order_id(producer, key)`.

        Raises:
            OrderRefused: It breaks rules; nothing was stored. `KeyConflict`: its key belongs to another order.
            NoTicket: No answer in time. Submit the same order again.
        """
        return read_as(Ticket, self._way.submit(plain(checked(order)), order_id))

    def submit_many(self, orders: Iterable[Orderable]) -> Submitted:
        """Submit many orders, up to 500 per call; each is accepted or refused by itself.

        Returns:
            The tickets, and a refusal for each bad order with its index and key, malformed ones included.

        Raises:
            NoTicket: No answer in time. Submit all again.
        """
        submitted = Submitted([], [])
        for batch in batches(orders, submitted.refused):
            add_answer(self._way.submit_many(batch.orders), batch, submitted)
        return submitted

    def get(self, order_id: UUID) -> OrderDocument:
        """Return the order as it is now.

        Raises:
            UnknownOrder: There is none, or it is another producer's.
            NoTicket: No answer in time.
        """
        return read_as(OrderDocument, self._way.get(order_id))

    def find(self, key: str) -> OrderDocument:
        """Return the order with this key of this producer, whichever way it was submitted.

        Raises:
            UnknownOrder: There is none.
            NoTicket: No answer in time.
        """
        return read_as(OrderDocument, self._way.find(key))

    def cancel(self, order_id: UUID, *, why: str | None = None) -> OrderDocument:
        """Cancel the order; return it as it is afterwards.

        CANCELLED: it was not sent yet, and has ended. OPEN: the carrier is asked to drop it; its end tells whether it
        did.

        Raises:
            NotCancellable: It is too late, or the carrier cancels nothing.
            UnknownOrder: There is none, or it is another producer's.
            NoTicket: No answer in time. Call again.
        """
        return read_as(OrderDocument, self._way.cancel(order_id, why))

    def wait(self, order_id: UUID, *, timeout_s: float, every_s: float = 1.0) -> OrderDocument:
        """Poll until the order has ended, or is PARKED and waits for a person; return it as it is then.

        Raises:
            NotEnded: Neither in this time. It goes on; wait again at any time.
            NoTicket: There was no answer at all in this time.
        """
        waited = _Waited(order_id, timeout_s)
        while True:
            try:
                document = read_as(OrderDocument, self._way.get(order_id, waited.left_s()))
            except NoTicket as silent:
                waited.had_no_answer(silent)
            else:
                if waited.is_over(document):
                    return document
            time.sleep(waited.pause_s(every_s))

    def close(self) -> None:
        """Close the connections."""
        self._way.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """`Client` on an event loop. Over the queue, its calls run in threads."""

    def __init__(
        self,
        url: str,
        *,
        producer: str = "default",
        token: str | None = None,
        secret: str | None = None,
        wait_s: float = 10.0,
        result_url: str | None = None,
        celery_settings: Mapping[str, Any] | None = None,
    ) -> None:
        """As `Client`."""
        _check_arguments(url, token=token, queue_only=(secret, result_url, celery_settings))
        if _is_http(url):
            http = _import_http()
            self._way: Any = http.AsyncHttpTransport(url, token=token, wait_s=wait_s)
        else:
            self._way = _InThreads(_queue_transport(url, producer, secret, wait_s, result_url, celery_settings))

    async def submit(self, order: Orderable, *, order_id: UUID | None = None) -> Ticket:
        """As `Client.submit`."""
        return read_as(Ticket, await self._way.submit(plain(checked(order)), order_id))

    async def submit_many(self, orders: Iterable[Orderable]) -> Submitted:
        """As `Client.submit_many`."""
        submitted = Submitted([], [])
        for batch in batches(orders, submitted.refused):
            add_answer(await self._way.submit_many(batch.orders), batch, submitted)
        return submitted

    async def get(self, order_id: UUID) -> OrderDocument:
        """As `Client.get`."""
        return read_as(OrderDocument, await self._way.get(order_id))

    async def find(self, key: str) -> OrderDocument:
        """As `Client.find`."""
        return read_as(OrderDocument, await self._way.find(key))

    async def cancel(self, order_id: UUID, *, why: str | None = None) -> OrderDocument:
        """As `Client.cancel`."""
        return read_as(OrderDocument, await self._way.cancel(order_id, why))

    async def wait(self, order_id: UUID, *, timeout_s: float, every_s: float = 1.0) -> OrderDocument:
        """As `Client.wait`."""
        waited = _Waited(order_id, timeout_s)
        while True:
            try:
                document = read_as(OrderDocument, await self._way.get(order_id, waited.left_s()))
            except NoTicket as silent:
                waited.had_no_answer(silent)
            else:
                if waited.is_over(document):
                    return document
            await asyncio.sleep(waited.pause_s(every_s))

    async def close(self) -> None:
        """Close the connections."""
        await self._way.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Waited:
    """How long an order has been waited for, and how it stood at last."""

    def __init__(self, order_id: UUID, timeout_s: float) -> None:
        self._order_id = order_id
        self._timeout_s = timeout_s
        self._until = time.monotonic() + timeout_s
        self._last: OrderDocument | None = None

    def left_s(self) -> float:
        """Return the time that is left; a first look has a moment in any case."""
        return max(self._until - time.monotonic(), 0.1)

    def is_over(self, document: OrderDocument) -> bool:
        """Note how the order stands; tell whether it is at rest."""
        self._last = document
        return document.final or document.state == _PARKED

    def had_no_answer(self, silent: NoTicket) -> None:
        """Go on without an answer; at the end of the time, if there was none at all, raise `silent`."""
        if self._last is None and time.monotonic() >= self._until:
            raise silent

    def pause_s(self, every_s: float) -> float:
        """Return how long to wait before the next look.

        Raises:
            NotEnded: The time is over.
        """
        left_s = self._until - time.monotonic()
        if left_s <= 0 and self._last is not None:
            self._give_up(self._last)
        return max(min(every_s, left_s), 0)

    def _give_up(self, last: OrderDocument) -> NoReturn:
        words = f"order {self._order_id} is {last.state} after {self._timeout_s:g} s"
        raise NotEnded(f"{words}: {last.reason}" if last.reason else words, last)


class _InThreads:
    """A blocking transport whose calls run in threads of its own."""

    def __init__(self, way: Transport) -> None:
        self._way = way
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="number-orders-client")

    async def submit(self, order: dict[str, Any], order_id: UUID | None) -> Any:
        return await self._run(self._way.submit, order, order_id)

    async def submit_many(self, orders: list[dict[str, Any]]) -> Any:
        return await self._run(self._way.submit_many, orders)

    async def get(self, order_id: UUID, wait_s: float | None = None) -> Any:
        return await self._run(self._way.get, order_id, wait_s)

    async def find(self, key: str) -> Any:
        return await self._run(self._way.find, key)

    async def cancel(self, order_id: UUID, why: str | None) -> Any:
        return await self._run(self._way.cancel, order_id, why)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._way.close()

    async def _run(self, call: Callable[..., Result], *args: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(copy_context().run, call, *args))


def _is_http(url: str) -> bool:
    scheme = urlsplit(url.partition(";")[0]).scheme
    if scheme not in _HTTP | _QUEUES:
        ways = ", ".join(f"{one}://" for one in sorted(_QUEUES))
        raise ValueError(f"the address must begin with https:// (the orders API) or be a broker's ({ways})")
    return scheme in _HTTP


def _check_arguments(url: str, *, token: str | None, queue_only: tuple[object, ...]) -> None:
    if _is_http(url) and any(one is not None for one in queue_only):
        raise ValueError("secret, result_url and celery_settings are for the queue; over HTTP give a token")
    if not _is_http(url) and token is not None:
        raise ValueError("a token is for HTTP; over the queue give a secret")


def _import_http() -> Any:
    try:
        from number_orders_client import over_http
    except ImportError as missing:
        raise ImportError("orders over HTTP need httpx: pip install 'number-orders-client[http]'") from missing
    return over_http


def _queue_transport(
    url: str,
    producer: str,
    secret: str | None,
    wait_s: float,
    result_url: str | None,
    celery_settings: Mapping[str, Any] | None,
) -> Transport:
    try:
        if result_url is None and celery_settings is None:
            from number_orders_client.over_redis import RedisTransport, is_supported

            if is_supported(url):
                return RedisTransport(url, producer=producer, secret=secret, wait_s=wait_s)
        from number_orders_client.over_celery import CeleryTransport
    except ImportError as missing:
        raise ImportError(
            "orders over the queue need Celery and redis-py: pip install 'number-orders-client[queue]'"
        ) from missing
    return CeleryTransport(
        url,
        producer=producer,
        secret=secret,
        wait_s=wait_s,
        result_url=result_url,
        celery_settings=celery_settings,
    )
