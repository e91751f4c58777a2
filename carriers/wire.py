"""The one HTTP client of a carrier, and the proof of what left it.

httpx's exceptions do not say whether a request had left: its aiohttp transport reports a connection
that broke *after* a request as `ConnectTimeout`. So nothing is read from exceptions. Each request
carries a `Departure`, and the connector marks it in the last moment before the first byte may leave.
Unmarked is proof that nothing left; the connector also refuses to let a request leave late or twice.

Knows sockets, pools and packed bodies. Knows nothing of orders or of what an answer means.
"""

import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

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
    answer_bytes_max: int = 4 * 1024 * 1024
    """Unpacked. 5000 numbers with their details are about 2 MiB."""
    receipt_bytes_max: int = 16 * 1024
    user_agent: str = "number-orders"


class WireTrouble(Exception):
    """Why a request did not leave, or why its answer cannot be read, in words."""


@dataclass(slots=True)
class Departure:
    """Whether one request may leave, and whether it has."""

    clock: Callable[[], float]
    not_after: float
    once: bool
    left: bool = False

    def leave(self) -> None:
        """Note that the first byte leaves now; or refuse, and nothing leaves."""
        if self.once and self.left:
            raise WireTrouble("something tried to send it a second time")
        if self.clock() >= self.not_after:
            raise WireTrouble("it was too late for it to leave")
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


def open_client(settings: CourierSettings, tls: ssl.SSLContext | None) -> httpx.AsyncClient:
    """Return the carrier's client. It opens no connection before its first request.

    Without `tls`, certificates are checked against certifi's list, or the one `SSL_CERT_FILE` names.
    Proxies, .netrc and cookies are left out: what is sent is what stands in the settings.
    """
    trusted = tls or httpx.create_ssl_context()

    def session() -> aiohttp.ClientSession:
        gate = _Gate(limit=settings.connections_max, keepalive_timeout=settings.keepalive_s, ssl=trusted)
        return aiohttp.ClientSession(connector=gate, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)

    waiting_and_connecting = settings.pool_timeout_s + settings.connect_timeout_s
    return httpx.AsyncClient(
        base_url=settings.base_url,
        transport=AiohttpTransport(verify=trusted, client=session),
        # The transport takes httpx's "pool" for waiting and connecting together.
        timeout=httpx.Timeout(
            connect=settings.connect_timeout_s, read=settings.read_timeout_s, write=None, pool=waiting_and_connecting
        ),
        headers={"User-Agent": settings.user_agent, "Accept-Encoding": "gzip"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


async def read_body(answer: httpx.Response, bytes_max: int) -> bytes:
    """Return the body, unpacked, having never held more than `bytes_max` of it.

    Raises:
        WireTrouble: It is longer, or packed otherwise than was asked for, or badly.
    """
    unpack = _unpacker(answer.headers.get("content-encoding", ""))
    body = bytearray()
    async for chunk in answer.aiter_raw():
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
