"""The connections with one carrier, and the proof of what left on them.

httpx's requests and answers, on a transport of ours over aiohttp's connections. Exceptions do not say
whether a request had left: a connection that broke *after* it looks like one that never came about. So
nothing is read from them. Each request carries a `Departure`, and the connector marks it in the last
moment before the first byte may leave. Unmarked is proof that nothing left; the connector also refuses
to let a request leave late or twice.

Knows sockets, pools and packed bodies. Knows nothing of orders or of what an answer means.
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

_TARGET: Final = re.compile(rb"/[!$-;=?-Z\[\]_a-z|~]*")
"""A path and a query, of which all that cannot stand there is quoted."""
_GZIP_OR_ZLIB: Final = 47
"""zlib's `wbits` for "look at the header"."""


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """How to talk to one carrier. `base_url` is scheme, host and port; times are in seconds."""

    base_url: str
    connect_timeout_s: float = 5.0
    """To the end of the TLS handshake."""
    read_timeout_s: float = 30.0
    """Between two pieces of an answer."""
    pool_timeout_s: float = 5.0
    """For a free connection."""
    total_timeout_s: float = 40.0
    """For one request with everything. Stay below the lifecycle's `answer_within`."""
    connections_max: int = 100
    keepalive_s: float = 15.0
    """Less than carriers keep a connection: a POST on one they just closed is a lost answer."""
    answer_bytes_max: int = 1024 * 1024
    """Unpacked. 5000 numbers, or 500 orders in a list, are about 350 KiB."""
    receipt_bytes_max: int = 16 * 1024
    user_agent: str = "number-orders"


class WireTrouble(Exception):
    """Why a request did not leave, or why its answer cannot be read, in words."""


FAULTS: Final = (httpx.HTTPError, aiohttp.ClientError, OSError, WireTrouble)
"""All that `Wire.send` raises when a request fails; timeouts are among the OSErrors."""


@dataclass(slots=True)
class Departure:
    """Whether one request may leave, and whether it has."""

    clock: Callable[[], float]
    not_after: float
    once: bool
    place_until: float = float("inf")
    """The end of its place in the carrier's rate."""
    left: bool = False
    missed: bool = False
    """It could have left, but for its place."""

    def leave(self) -> None:
        """Note that the first byte leaves now; or refuse, and nothing leaves."""
        if self.once and self.left:
            raise WireTrouble("something tried to send it a second time")
        now = self.clock()
        if now >= self.not_after:
            raise WireTrouble("it was too late for it to leave")
        if now >= self.place_until:
            self.missed = True
            raise WireTrouble("it missed its place in the carrier's rate")
        self.left = True


_DEPARTURE: ContextVar[Departure] = ContextVar("departure")


@contextmanager
def departing(departure: Departure) -> Iterator[None]:
    """Let requests made in this context leave under `departure`."""
    token = _DEPARTURE.set(departure)
    try:
        yield
    finally:
        _DEPARTURE.reset(token)


class _Gate(aiohttp.TCPConnector):
    """A pool of connections that asks the departure before it hands one out."""

    async def connect(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- the name is aiohttp's
    ) -> "Connection":
        """Return a connection to write on at once: connected, through its handshake, and ours."""
        connection = await super().connect(req, traces, timeout)
        try:
            _DEPARTURE.get().leave()
        except BaseException:
            connection.release()
            raise
        return connection


@cache
def usual_tls() -> ssl.SSLContext:
    """Return how the usual certificates are trusted: certifi's, or those of `SSL_CERT_FILE` or `SSL_CERT_DIR`.

    One for all carriers. To read some 140 certificates takes as long as many requests, so a worker does it once, before
    it forks.
    """
    return httpx.create_ssl_context()


class _Transport(httpx.AsyncBaseTransport):
    """httpx's way to the network, on aiohttp's connections: a call costs a third of what httpx's own take."""

    def __init__(self, settings: CourierSettings, tls: ssl.SSLContext) -> None:
        self._settings = settings
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request that was read to its `target`, and return the answer as soon as its head is there."""
        if self._session is None:
            self._session = self._open()
        answer = await self._session.request(
            request.method,
            _address(request.url, request.extensions["target"]),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
            data=request.content or None,
            allow_redirects=False,
        )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        settings = self._settings
        return aiohttp.ClientSession(
            connector=_Gate(limit=settings.connections_max, keepalive_timeout=settings.keepalive_s, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(
                total=None,  # the wire's own, which counts everything
                connect=settings.pool_timeout_s + settings.connect_timeout_s,  # waiting and connecting together
                sock_connect=settings.connect_timeout_s,
                sock_read=settings.read_timeout_s,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,  # that has no limit
        )


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self._answer.content.readany():
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Give the connection back; one with an answer that was not read to its end is closed."""
        self._answer.release()
        await self._answer.wait_for_close()


@lru_cache(maxsize=1024)
def _address(origin: httpx.URL, target: bytes) -> URL:
    """Return where a request goes, taken apart once for all the times that an order is asked about.

    Raises:
        WireTrouble: What should be quoted in the target is not; as it stands it might be another request.
    """
    if not _TARGET.fullmatch(target):
        raise WireTrouble(f"the address is not well formed: {target[:200]!r}")
    return URL(f"{origin.scheme}://{origin.netloc.decode()}{target.decode()}", encoded=True)


class Carries(Protocol):
    """What the courier needs of the connections with one carrier; `Wire` says of each method what it promises."""

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, departure: Departure
    ) -> CarrierAnswer: ...

    def words(self, fault: Exception, departure: Departure) -> str: ...

    async def aclose(self) -> None: ...


class Wire:
    """All connections with one carrier. None is opened before the first request.

    The transport is used without `httpx.AsyncClient` around it: redirects, cookies, .netrc, proxies and
    authentication flows are not switched off here, they do not exist, and a call costs half as much.
    """

    def __init__(self, settings: CourierSettings, tls: ssl.SSLContext | None) -> None:
        """Prepare the pool.

        Args:
            settings: Where the carrier is, and how long to wait for it.
            tls: Which certificates to trust; if None, the usual ones.
        """
        self._settings = settings
        self._base_url = httpx.URL(settings.base_url)
        self._base_path = self._base_url.raw_path.rstrip(b"/")
        self._every = {"User-Agent": settings.user_agent, "Accept-Encoding": "gzip"}
        self._transport = _Transport(settings, tls or usual_tls())

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, departure: Departure
    ) -> CarrierAnswer:
        """Send one request under `departure` and return the whole answer.

        Raises:
            FAULTS: It did not leave, or no answer can be read; `departure.left` tells which.
        """
        begun = time.monotonic()
        request = httpx.Request(
            method,
            self._base_url,
            headers={**self._every, **headers},
            stream=httpx.ByteStream(body),  # as a stream, or httpx would look for what aiohttp adds: host and length
            extensions={"target": self._base_path + target.encode()},  # or httpx would take it apart each time
        )
        request.read()
        with departing(departure):
            async with asyncio.timeout(self._settings.total_timeout_s):
                answer = await self._transport.handle_async_request(request)
                told = dict(answer.headers.items())  # their names are in lower case
                assert isinstance(answer.stream, httpx.AsyncByteStream), "the transport is an asynchronous one"
                try:
                    # What a 429 has to say stands in its headers; nothing may spoil that it is a 429.
                    limited = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
                    unpacked = b"" if limited else await _read(answer.stream, told, self._settings.answer_bytes_max)
                finally:
                    await answer.stream.aclose()
        return CarrierAnswer(answer.status_code, told, unpacked, timedelta(seconds=time.monotonic() - begun))

    def words(self, fault: Exception, departure: Departure) -> str:
        """Say for a person what went wrong, and whether the request had left."""
        what = "no answer" if departure.left else "nothing was sent"
        if isinstance(fault, WireTrouble):
            return f"{what}: {fault}"
        if type(fault) is TimeoutError:
            return f"{what} within {self._settings.total_timeout_s:g} s"
        return f"{what}: {type(fault).__name__} {str(fault)[:200]}".rstrip()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


async def _read(stream: httpx.AsyncByteStream, headers: Mapping[str, str], bytes_max: int) -> bytes:
    """Return the body, unpacked, having never held more than `bytes_max` of it.

    Raises:
        WireTrouble: It is longer, or packed otherwise than was asked for, or badly.
    """
    unpack = _unpacker(headers.get("content-encoding", ""))
    body = bytearray()
    async for chunk in stream:
        body += unpack.feed(chunk, bytes_max + 1 - len(body))
        if len(body) > bytes_max:
            raise WireTrouble(f"the answer is longer than {bytes_max} bytes")
    unpack.finish()
    return bytes(body)


class _Plain:
    """A body that is not packed."""

    def feed(self, chunk: bytes, bytes_max: int) -> bytes:
        return chunk[:bytes_max]

    def finish(self) -> None:
        return


class _Gzip:
    """A gzip body, unpacked as far as wanted and no further: a bomb stays packed."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._begun = False

    def feed(self, chunk: bytes, bytes_max: int) -> bytes:
        self._begun = self._begun or bool(chunk)
        try:
            return self._stream.decompress(chunk, bytes_max)
        except zlib.error as fault:
            raise WireTrouble("the answer's gzip is broken") from fault

    def finish(self) -> None:
        if self._begun and not self._stream.eof:
            raise WireTrouble("the answer's gzip is cut short")


def _unpacker(encoding: str) -> _Plain | _Gzip:
    match encoding.strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip" | "deflate":
            return _Gzip()
        case other:
            raise WireTrouble(f"the answer is packed as {other!r:.40}, which was not asked for")
