"""The way over HTTP: the requests of the orders API, and what its answers mean. Two transports share them.

Nothing is sent twice by itself: a call that had no answer raises `NoTicket`, and its caller sends it again.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import httpx
from pydantic import ValidationError

from number_orders_client.contract import PROBLEM_PREFIX, Problem
from number_orders_client.errors import NoTicket, ServiceFailed, UnknownOrder, error_of
from number_orders_client.tracing import trace_headers

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
_SHARE: Final = 6
_TROUBLE: Final = (httpx.HTTPError, httpx.InvalidURL, OSError)
_PASSING: Final = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
_BY_STATUS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "unknown-order",
    HTTPStatus.UNPROCESSABLE_ENTITY: "order-refused",
    HTTPStatus.TOO_MANY_REQUESTS: "too-many-requests",
}
"""What a status means without a problem document, as a proxy before the service answers."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API."""

    method: str
    path: str
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)


def _submit(order: dict[str, Any], order_id: UUID | None) -> Request:
    if order_id is not None:
        raise ValueError("order_id: over HTTP the service chooses the ids of orders; find them again by key")
    return Request("POST", "/v1/orders", order)


def _find(key: str) -> Request:
    return Request("GET", "/v1/orders", query={"key": key, "limit": "1"})


def _order(order_id: UUID) -> Request:
    return Request("GET", f"/v1/orders/{quote(str(order_id), safe='')}")


def _cancel(order_id: UUID, why: str | None) -> Request:
    return Request("POST", f"/v1/orders/{quote(str(order_id), safe='')}/cancel", {"why": why})


def _first(key: str, listed: Any) -> Any:
    orders = listed.get("orders") if isinstance(listed, Mapping) else None
    if not isinstance(orders, list):
        raise ServiceFailed("an answer that is no list of orders")
    for order in orders:
        if isinstance(order, Mapping) and order.get("key") == key:
            return order
    raise UnknownOrder(f"no order with the key {key!r}")


def _options(url: str, token: str | None) -> dict[str, Any]:
    def sign(request: httpx.Request) -> httpx.Request:
        request.headers.update(trace_headers())
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    return {
        "base_url": url,
        "headers": {"Accept": "application/json"},
        "auth": sign,  # a header alone would give way to a password for this host in ~/.netrc
        "follow_redirects": False,  # a token goes where it was meant to go
    }


def _stream(request: Request, wait_s: float) -> dict[str, Any]:
    share_s = wait_s / _SHARE
    timeout = httpx.Timeout(share_s, read=wait_s / 2)  # connect, write, wait for a connection: a share each
    url = {"method": request.method, "url": request.path, "params": request.query}
    return {**url, "json": request.body, "timeout": timeout}


def _read(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """Return what an answer holds.

    Raises:
        NumberOrdersError: It is a refusal, or says that it was not possible now.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        try:
            return json.loads(body)
        except ValueError:
            raise ServiceFailed(f"an answer that is no JSON: {body[:100]!r}") from None
    raise error_of(_problem(status, body), retry_after_s=_seconds(headers.get("retry-after")))


def _problem(status: int, body: bytes) -> Problem:
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        problem = Problem(type="about:blank", detail=f"HTTP {status}: {body[:200].decode(errors='replace')}")
    if problem.type.startswith(PROBLEM_PREFIX):
        return problem
    name = "ledger-unavailable" if status in _PASSING else _BY_STATUS.get(status, "")
    return problem.model_copy(update={"type": f"{PROBLEM_PREFIX}{name}"}) if name else problem


def _seconds(retry_after: str | None) -> float | None:
    try:
        return float(retry_after) if retry_after else None
    except ValueError:
        return None  # a date: the caller's own pace is as good


def _no_ticket(request: Request, began: float, trouble: Exception) -> NoTicket:
    call, took = f"{request.method} {request.path}", f"{time.monotonic() - began:.1f} s"
    reason = f"{type(trouble).__name__}: {trouble}".removesuffix(": ")
    return NoTicket(f"no answer to {call} after {took} ({reason}); it is safe to send it again")


class HttpTransport:
    """Sends calls to the orders API."""

    def __init__(self, url: str, *, token: str | None, wait_s: float) -> None:
        self._wait_s = wait_s
        self._http = httpx.Client(**_options(url, token))

    def submit(self, order: dict[str, Any], order_id: UUID | None) -> Any:
        """Submit one order; return its ticket."""
        return self._call(_submit(order, order_id))

    def submit_many(self, orders: list[dict[str, Any]]) -> Any:
        """Submit a batch; return its tickets and refusals."""
        return self._call(Request("POST", "/v1/orders:batch", {"orders": orders}))

    def get(self, order_id: UUID, wait_s: float | None = None) -> Any:
        """Return the document of an order."""
        return self._call(_order(order_id), wait_s)

    def find(self, key: str) -> Any:
        """Return the document of the order with this key."""
        return _first(key, self._call(_find(key)))

    def cancel(self, order_id: UUID, why: str | None) -> Any:
        """Cancel an order; return its document afterwards."""
        return self._call(_cancel(order_id, why))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(self, request: Request, wait_s: float | None = None) -> Any:
        given_s = self._wait_s if wait_s is None else min(wait_s, self._wait_s)
        began = time.monotonic()
        try:
            with self._http.stream(**_stream(request, given_s)) as answer:
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    _check_body(body, began + given_s)
        except _TROUBLE as trouble:
            raise _no_ticket(request, began, trouble) from trouble
        return _read(answer.status_code, answer.headers, body)


def _check_body(body: bytes, until: float) -> None:
    if len(body) > ANSWER_BYTES_MAX:
        raise ServiceFailed(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
    if time.monotonic() > until:
        raise httpx.ReadTimeout("the answer comes too slowly")


class AsyncHttpTransport:
    """The same on an event loop."""

    def __init__(self, url: str, *, token: str | None, wait_s: float) -> None:
        self._wait_s = wait_s
        self._http = httpx.AsyncClient(**_options(url, token))

    async def submit(self, order: dict[str, Any], order_id: UUID | None) -> Any:
        """Submit one order; return its ticket."""
        return await self._call(_submit(order, order_id))

    async def submit_many(self, orders: list[dict[str, Any]]) -> Any:
        """Submit a batch; return its tickets and refusals."""
        return await self._call(Request("POST", "/v1/orders:batch", {"orders": orders}))

    async def get(self, order_id: UUID, wait_s: float | None = None) -> Any:
        """Return the document of an order."""
        return await self._call(_order(order_id), wait_s)

    async def find(self, key: str) -> Any:
        """Return the document of the order with this key."""
        return _first(key, await self._call(_find(key)))

    async def cancel(self, order_id: UUID, why: str | None) -> Any:
        """Cancel an order; return its document afterwards."""
        return await self._call(_cancel(order_id, why))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _call(self, request: Request, wait_s: float | None = None) -> Any:
        given_s = self._wait_s if wait_s is None else min(wait_s, self._wait_s)
        began = time.monotonic()
        try:
            async with (
                asyncio.timeout(given_s),
                self._http.stream(**_stream(request, given_s)) as answer,
            ):
                body = b""
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    _check_body(body, began + given_s)
        except _TROUBLE as trouble:
            raise _no_ticket(request, began, trouble) from trouble
        return _read(answer.status_code, answer.headers, body)
