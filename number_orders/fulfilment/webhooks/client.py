"""Send documents to producers' URLs over HTTPS, whatever is at the other end.

The URL is a producer's, so nothing there is trusted: no redirect is followed, no cookie kept, no proxy of the
environment used, and of the answer only status and headers count. Every address is checked in the moment before it is
connected (`AddressRules`), whatever the name led to before. One client serves a process.
Knows HTTP. Does not know orders, or when to try again.
"""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from number_orders.carriers.http.transport import default_tls
from number_orders.fulfilment.webhooks.addresses import AddressRules, host_of

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ConnectionKey

_USER_AGENT: Final = "number-orders"
_BODY_BYTES_MAX: Final = 4096
_BODY_WITHIN_S: Final = 1.0
"""A short answer that arrives within this is read to its end, so that its connection can be used again."""
_KEPT_ALIVE_S: Final = 15.0
_NAMES_KEPT_S: Final = 10
_LOOK_UPS: Final = 16
"""Threads that look names up. No other work of the process waits for them: a dead name server blocks them."""


class NotDelivered(Exception):
    """The host gave no answer; the message says why."""


class AddressRefused(OSError):
    """The host has no address that documents may be sent to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the host answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]


_AUTHORITY: Final = re.compile(r"[^/?#]*")
_AS_GIVEN: Final = "!$%&'()*+,-./:;=?@[]_|~"

_ANY_ADDRESS: ContextVar[bool] = ContextVar("any_address", default=False)
"""Whether the request under way goes to a name that may have any address."""


class WebhookClient:
    """Sends documents. No connection is opened before the first."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        tls: ssl.SSLContext,
        timeout_s: float = 10.0,
        connections_max: int = 100,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Prepare the connection pool.

        Args:
            rules: Which addresses may be connected.
            tls: Which certificates to trust.
            timeout_s: For one document, from looking its host's name up to the status of the answer.
            connections_max: The most connections at the same time.
            resolver: Looks names up; by default the machine's own.
        """
        self._rules = rules
        self._tls = tls
        self._timeout_s = timeout_s
        self._connections_max = connections_max
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one document and return the answer.

        Raises:
            NotDelivered: There was no answer in time, or the address is not allowed.
        """
        try:
            target = _target(url)
            token = _ANY_ADDRESS.set(self._rules.allows_host(target.raw_host or ""))
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._post(target, headers, body)
            finally:
                _ANY_ADDRESS.reset(token)
        except TimeoutError:
            raise NotDelivered(f"no answer within {self._timeout_s:g} s") from None
        # ValueError: a name that DNS cannot hold.
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            raise NotDelivered(_in_words(fault)) from fault

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, target: URL, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            return await self._exchange(target, headers, body)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # Most likely a connection from before, which the host had closed: once more, on another one.
            return await self._exchange(target, headers, body)

    async def _exchange(self, target: URL, headers: Mapping[str, str], body: bytes) -> Answer:
        if self._session is None:
            self._session = self._new_session()
        answer = await self._session.post(target, headers=headers, data=body, allow_redirects=False)
        async with _read_or_closed(answer):
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()})

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=_AbruptConnector(
                ssl=self._tls,
                limit=self._connections_max,
                keepalive_timeout=_KEPT_ALIVE_S,
                resolver=self._resolver or _OwnThreadsResolver(),
                ttl_dns_cache=_NAMES_KEPT_S,
                socket_factory=self._open_socket,
            ),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None),  # `post` has its own
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    def _open_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Return a socket for exactly this address, which aiohttp connects next.

        Raises:
            AddressRefused: Documents may not be sent there.
        """
        family, kind, protocol, _, place = address
        if not (_ANY_ADDRESS.get() or self._rules.allows_address(str(place[0]))):
            raise AddressRefused(f"{place[0]} is no public address")
        return socket.socket(family=family, type=kind, proto=protocol)


def _target(url: str) -> URL:
    """Return the URL as it is requested: the host as DNS writes it, and the rest exactly as the producer gave it."""
    parsed = URL(url)
    _, _, authority_and_rest = url.partition("://")
    rest = _AUTHORITY.sub("", authority_and_rest, count=1)
    quoted = quote(rest if rest.startswith("/") else f"/{rest}", safe=_AS_GIVEN)
    return URL(f"https://{host_of(url)}{quoted}", encoded=True) if parsed.raw_host else parsed


@cache
def webhook_tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the public certificate authorities, and those in `ca_file`.

    A worker reads them once, before it forks.
    """
    if ca_file is None:
        return default_tls()
    context = httpx.create_ssl_context()
    context.load_verify_locations(cafile=ca_file)
    return context


@asynccontextmanager
async def _read_or_closed(answer: aiohttp.ClientResponse) -> AsyncIterator[None]:
    """Read a short body to its end, so that the connection can be used again; otherwise close the connection."""
    is_read = False
    try:
        yield
        with contextlib.suppress(aiohttp.ClientError, OSError):  # the status is known, and nothing else matters
            async with asyncio.timeout(_BODY_WITHIN_S):
                is_read = await _read(answer)
    finally:
        if is_read:
            answer.release()
        else:
            answer.close()


async def _read(answer: aiohttp.ClientResponse) -> bool:
    """Read the body unless it is long; return whether it is read."""
    if (answer.content_length or 0) > _BODY_BYTES_MAX:
        return False
    read = 0
    while chunk := await answer.content.readany():
        read += len(chunk)
        if read > _BODY_BYTES_MAX:
            return False
    return True


class _AbruptConnector(aiohttp.TCPConnector):
    """A connection pool that drops what it does not keep, where TLS would read on for 30 s to take leave in form."""

    def _release(self, key: "ConnectionKey", protocol: "ResponseHandler", *, should_close: bool = False) -> None:
        if should_close or protocol.should_close:
            protocol.abort()
        super()._release(key, protocol, should_close=should_close)


class _OwnThreadsResolver(AbstractResolver):
    """Looks names up as the machine does, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name."""
        look_up = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(place[0]),
                port=port,
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, protocol, _, place in await look_up
        ]

    async def close(self) -> None:
        """Leave the threads to what they look up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _in_words(fault: Exception) -> str:
    """Return what went wrong, for the producer and for people: the cause, without Python's names where it has words."""
    cause = fault.os_error if isinstance(fault, aiohttp.ClientConnectorError) else fault
    words = str(cause)[:200] or type(cause).__name__
    return words if isinstance(cause, AddressRefused) else f"{type(cause).__name__}: {words}"
