"""The connections with one carrier, and the proof of what left on them.

httpx's exceptions do not say whether a request had left: its aiohttp transport reports a connection
that broke *after* a request as `ConnectTimeout`. So nothing is read from exceptions. Each request
carries a `Departure`, and the connector marks it in the last moment before the first byte may leave.
Unmarked is proof that nothing left; the connector also refuses to let a request leave late or twice.

Knows sockets, pools and packed bodies. Knows nothing of orders or of what an answer means.
"""

import asyncio
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from carriers.contract import CarrierAnswer

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

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
            tls: Which certificates to trust; if None certifi's, or those that `SSL_CERT_FILE` names.
        """
        self._settings = settings
        self._base_url = settings.base_url.rstrip("/")
        self._tls = tls or httpx.create_ssl_context()
        self._transport = AiohttpTransport(verify=self._tls, client=self._session)
        self._extensions = {
            "timeout": {
                "connect": settings.connect_timeout_s,
                "read": settings.read_timeout_s,
                # The transport takes "pool" for waiting and connecting together.
                "pool": settings.pool_timeout_s + settings.connect_timeout_s,
            }
        }

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, departure: Departure
    ) -> CarrierAnswer:
        """Send one request under `departure` and return the whole answer.

        Raises:
            FAULTS: It did not leave, or no answer can be read; `departure.left` tells which.
        """
        begun = time.monotonic()
        every = {"User-Agent": self._settings.user_agent, "Accept-Encoding": "gzip"}
        request = httpx.Request(
            method,
            self._base_url + target,
            headers={**every, **headers},
            content=body or None,
            extensions=self._extensions,
        )
        with departing(departure):
            async with asyncio.timeout(self._settings.total_timeout_s):
                answer = await self._transport.handle_async_request(request)
                try:
                    # What a 429 has to say stands in its headers; nothing may spoil that it is a 429.
                    limited = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
                    unpacked = b"" if limited else await _read_body(answer, self._settings.answer_bytes_max)
                finally:
                    await answer.aclose()
        told = {name.lower(): value for name, value in answer.headers.items()}
        return CarrierAnswer(answer.status_code, told, unpacked, timedelta(seconds=time.monotonic() - begun))

    def words(self, fault: Exception, departure: Departure) -> str:
        """Say for a person what went wrong, and whether the request had left."""
        what = "no answer" if departure.left else "nothing was sent"
        if isinstance(fault, WireTrouble):
            return f"{what}: {fault}"
        if type(fault) is TimeoutError:
            return f"{what} within {self._settings.total_timeout_s:g} s"
        cause = fault.__cause__ if isinstance(fault, httpx.HTTPError) and fault.__cause__ else fault
        return f"{what}: {type(cause).__name__} {str(cause)[:200]}".rstrip()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _session(self) -> aiohttp.ClientSession:
        gate = _Gate(limit=self._settings.connections_max, keepalive_timeout=self._settings.keepalive_s, ssl=self._tls)
        return aiohttp.ClientSession(connector=gate, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


async def _read_body(answer: httpx.Response, bytes_max: int) -> bytes:
    """Return the body, unpacked, having never held more than `bytes_max` of it.

    Raises:
        WireTrouble: It is longer, or packed otherwise than was asked for, or badly.
    """
    unpack = _unpacker(answer.headers.get("content-encoding", ""))
    body = bytearray()
    assert isinstance(answer.stream, httpx.AsyncByteStream), "the transport is an asynchronous one"
    async for chunk in answer.stream:
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
