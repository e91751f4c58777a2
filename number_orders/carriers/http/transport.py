"""Send HTTP requests to one carrier, and prove for each of them whether it was sent.

An exception is no proof: a connection that broke after the request looks like one that was never made. So each request
carries a `SendGuard`. The connector asks the guard when a connection is ready, in the last moment before the first byte
can be written. The guard then records the request as sent, or refuses because it is too late or would be the second
time. A request whose guard says "not sent" has not left this machine.

Requests and responses are httpx's, the connections are aiohttp's.
Knows sockets, connection pools and compressed bodies. Does not know orders, or what an answer means.
"""

import asyncio
import re
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
import httpx
from yarl import URL

from number_orders.carriers.contract import CarrierAnswer

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_QUOTED_TARGET: Final = re.compile(rb"/[!$-;=?-Z\[\]_a-z|~]*")
"""A path with its query, in which every character that is not allowed there is percent-encoded."""
_GZIP_OR_ZLIB: Final = 47
"""zlib's `wbits` for "detect the format from the header"."""


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """How to talk to one carrier. `base_url` is scheme, host and port, and may have a path. Times are in seconds."""

    base_url: str
    connect_timeout_s: float = 5.0
    """Until the TLS handshake is done."""
    read_timeout_s: float = 30.0
    """Between two pieces of an answer."""
    pool_timeout_s: float = 5.0
    """Until a connection is free."""
    total_timeout_s: float = 40.0
    """For the whole request. Must be less than the lifecycle's `answer_within`."""
    connections_max: int = 100
    keepalive_s: float = 15.0
    """Less than carriers keep an idle connection: a POST on a connection that was just closed is a lost answer."""
    answer_bytes_max: int = 1024 * 1024
    """After decompression. 5000 numbers, or a list of 500 orders, take about 350 KiB."""
    receipt_bytes_max: int = 16 * 1024
    user_agent: str = "number-orders"


class TransportError(Exception):
    """A request was not sent, or its answer cannot be read. The message says why."""


SEND_ERRORS: Final = (httpx.HTTPError, aiohttp.ClientError, OSError, TransportError)
"""Everything that `Transport.send` raises when a request fails. Timeouts are OSErrors."""


@dataclass(slots=True)
class SendGuard:
    """Decides whether one request may be sent, and records whether it was. Times are seconds on `clock`."""

    clock: Callable[[], float]
    deadline: float
    """When the right to send ends."""
    once: bool
    """Refuse to send it again: aiohttp repeats some requests by itself on a new connection."""
    slot_ends_at: float = float("inf")
    """The end of the request's slot in the carrier's rate limit."""
    sent: bool = False
    slot_missed: bool = False
    """It was refused only because its slot had ended."""
    paused_until: Callable[[], float] = lambda: float("-inf")
    """Until when the carrier wants no requests of this kind. It may say so while the request waits for a connection."""
    paused: bool = False
    """It was refused only because of that."""

    def begin_sending(self) -> None:
        """Record that the first byte leaves now.

        Raises:
            TransportError: The request must not be sent, and nothing leaves.
        """
        if self.once and self.sent:
            raise TransportError("refused to send it a second time")
        now = self.clock()
        if now >= self.deadline:
            raise TransportError("too late, the deadline had passed")
        if now < self.paused_until():
            self.paused = True
            raise TransportError("the carrier wants no requests now")
        if now >= self.slot_ends_at:
            self.slot_missed = True
            raise TransportError("its slot in the carrier's rate limit had ended")
        self.sent = True


_GUARD: ContextVar[SendGuard] = ContextVar("guard")


@contextmanager
def _guarded_by(guard: SendGuard) -> Iterator[None]:
    """Let the connector ask `guard` about requests that are sent in this context."""
    token = _GUARD.set(guard)
    try:
        yield
    finally:
        _GUARD.reset(token)


class _GuardedConnector(aiohttp.TCPConnector):
    """A connection pool that asks the request's guard before it hands out a connection."""

    async def connect(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- the name is aiohttp's
    ) -> "Connection":
        """Return a connection on which aiohttp writes at once: connected, and through its TLS handshake."""
        connection = await super().connect(req, traces, timeout)
        try:
            _GUARD.get().begin_sending()
        except BaseException:
            connection.release()
            raise
        return connection


@cache
def default_tls() -> ssl.SSLContext:
    """Return a context that trusts certifi's certificates, or those of `SSL_CERT_FILE` or `SSL_CERT_DIR`.

    All carriers share it. Reading some 140 certificates takes as long as many requests, so a worker reads them once,
    before it forks.
    """
    return httpx.create_ssl_context()


class _AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends httpx's requests on aiohttp's connections: a request costs a third of what it costs on httpx's own."""

    def __init__(self, settings: CourierSettings, tls: ssl.SSLContext) -> None:
        self._settings = settings
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to its extension `target`, and return the response when its headers are there."""
        if self._session is None:
            self._session = self._new_session()
        answer = await self._session.request(
            request.method,
            _url(request.url, request.extensions["target"]),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
            data=request.content or None,
            allow_redirects=False,
        )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_BodyStream(answer))

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        settings = self._settings
        return aiohttp.ClientSession(
            connector=_GuardedConnector(
                limit=settings.connections_max, keepalive_timeout=settings.keepalive_s, ssl=self._tls
            ),
            timeout=aiohttp.ClientTimeout(
                total=None,  # `HttpTransport.send` has its own, which also counts reading the body
                connect=settings.pool_timeout_s + settings.connect_timeout_s,  # waiting and connecting together
                sock_connect=settings.connect_timeout_s,
                sock_read=settings.read_timeout_s,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,  # aiohttp's decompression has no size limit
        )


class _BodyStream(httpx.AsyncByteStream):
    """The body of an answer, piece by piece as it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self._answer.content.readany():
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Return the connection to the pool, or close it if the answer was not read to its end."""
        self._answer.release()
        await self._answer.wait_for_close()


@lru_cache(maxsize=1024)
def _url(origin: httpx.URL, target: bytes) -> URL:
    """Return the URL of a request. Cached, because an order is asked about many times at the same URL.

    Raises:
        TransportError: A character in `target` is not quoted. Sent as it is, this could be another request.
    """
    if not _QUOTED_TARGET.fullmatch(target):
        raise TransportError(f"the address is not well formed: {target[:200]!r}")
    return URL(f"{origin.scheme}://{origin.netloc.decode()}{target.decode()}", encoded=True)


class Transport(Protocol):
    """What the courier needs from the connections with one carrier. `HttpTransport` describes the methods."""

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, guard: SendGuard
    ) -> CarrierAnswer: ...

    def describe_failure(self, error: Exception, guard: SendGuard) -> str: ...

    async def aclose(self) -> None: ...


class HttpTransport:
    """All connections with one carrier. None is opened before the first request.

    httpx's transport is used without `httpx.AsyncClient`: then there are no redirects, cookies, .netrc, proxies or
    authentication flows that would have to be switched off, and a request costs half as much.
    """

    def __init__(self, settings: CourierSettings, tls: ssl.SSLContext | None) -> None:
        """Prepare the connection pool.

        Args:
            settings: The carrier's address, timeouts and limits.
            tls: Which certificates to trust; None for `default_tls`.
        """
        self._settings = settings
        self._base_url = httpx.URL(settings.base_url)
        self._base_path = self._base_url.raw_path.rstrip(b"/")
        self._common_headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "gzip"}
        self._connections = _AiohttpTransport(settings, tls or default_tls())

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, guard: SendGuard
    ) -> CarrierAnswer:
        """Send one request and return the whole answer.

        Args:
            method: The HTTP method.
            target: Path and query after the base URL, already quoted.
            headers: Beside `User-Agent` and `Accept-Encoding`.
            body: May be empty.
            guard: Decides whether the request may be sent, and records whether it was.

        Raises:
            SEND_ERRORS: The request was not sent, or its answer cannot be read; `guard.sent` says which.
        """
        started = time.monotonic()
        request = httpx.Request(
            method,
            self._base_url,
            headers={**self._common_headers, **headers},
            stream=httpx.ByteStream(body),  # so that httpx does not compute host and length, which aiohttp adds
            extensions={"target": self._base_path + target.encode()},  # so that httpx does not parse it each time
        )
        request.read()
        with _guarded_by(guard):
            async with asyncio.timeout(self._settings.total_timeout_s):
                response = await self._connections.handle_async_request(request)
                answer_headers = dict(response.headers.items())  # httpx gives names in lower case
                assert isinstance(response.stream, httpx.AsyncByteStream), "the transport is an asynchronous one"
                try:
                    # A 429 says all that matters in its headers. A broken body must not hide that it is a 429.
                    limited = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
                    bytes_max = self._settings.answer_bytes_max
                    content = b"" if limited else await _read_body(response.stream, answer_headers, bytes_max)
                finally:
                    await response.stream.aclose()
        return CarrierAnswer(
            response.status_code, answer_headers, content, timedelta(seconds=time.monotonic() - started)
        )

    def describe_failure(self, error: Exception, guard: SendGuard) -> str:
        """Return in words what went wrong, and whether the request had been sent."""
        outcome = "no answer" if guard.sent else "nothing was sent"
        if isinstance(error, TransportError):
            return f"{outcome}: {error}"
        if type(error) is TimeoutError:
            return f"{outcome} within {self._settings.total_timeout_s:g} s"
        return f"{outcome}: {type(error).__name__} {str(error)[:200]}".rstrip()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connections.aclose()


async def _read_body(stream: httpx.AsyncByteStream, headers: Mapping[str, str], bytes_max: int) -> bytes:
    """Return the decompressed body. Never holds more than `bytes_max` of it.

    Raises:
        TransportError: The body is longer, broken, or compressed in a way that was not asked for.
    """
    decoder = _decoder_for(headers.get("content-encoding", ""))
    body = bytearray()
    async for chunk in stream:
        body += decoder.decode(chunk, bytes_max + 1 - len(body))
        if len(body) > bytes_max:
            raise TransportError(f"the answer is longer than {bytes_max} bytes")
    decoder.finish()
    return bytes(body)


class _PlainDecoder:
    """Decodes a body that is not compressed."""

    def decode(self, chunk: bytes, bytes_max: int) -> bytes:
        return chunk[:bytes_max]

    def finish(self) -> None:
        return


class _GzipDecoder:
    """Decompresses a gzip body only as far as it is wanted, so that a decompression bomb does no harm."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._started = False

    def decode(self, chunk: bytes, bytes_max: int) -> bytes:
        self._started = self._started or bool(chunk)
        try:
            return self._stream.decompress(chunk, bytes_max)
        except zlib.error as error:
            raise TransportError("the answer's gzip is broken") from error

    def finish(self) -> None:
        if self._started and not self._stream.eof:
            raise TransportError("the answer's gzip is cut short")


def _decoder_for(encoding: str) -> _PlainDecoder | _GzipDecoder:
    match encoding.strip().lower():
        case "" | "identity":
            return _PlainDecoder()
        case "gzip" | "x-gzip" | "deflate":
            return _GzipDecoder()
        case other:
            raise TransportError(f"the answer is compressed as {other!r:.40}, which was not asked for")
