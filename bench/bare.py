"""Follow orders with an HTTP client only: no ledger and no queue, and everything is lost with the process.

    python -m bench.bare aiohttp|httpx|httpx-aiohttp BASE_URL

Reads one line of JSON per range of orders, `[first, last + 1]`, and writes one line back: when each of them ended.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from bench.bandwidth_xml import COMPLETE, ORDERS, XML, read_response, write_order
from bench.workload import POLL_S, number_of

POOLS: Final = {"aiohttp": 100, "httpx": 20, "httpx-aiohttp": 100}
"""httpx's own pool gets slow above some 20 connections; aiohttp's does not, and 100 is its default."""
_TIMEOUT_S: Final = 30.0

Send = Callable[[str, str, bytes | None], Awaitable[bytes]]
"""Send a request, by method, path and body; return the body of the answer."""


@asynccontextmanager
async def client(kind: str, base_url: str) -> AsyncIterator[Send]:
    """Open a client of the given kind."""
    pool = POOLS[kind]
    if kind == "httpx":
        limits = httpx.Limits(max_connections=pool, max_keepalive_connections=pool)
        async with httpx.AsyncClient(base_url=base_url, limits=limits, timeout=_TIMEOUT_S) as http:
            yield _by_httpx(http)
        return
    connector = aiohttp.TCPConnector(limit=pool)
    if kind == "aiohttp":
        timeout = aiohttp.ClientTimeout(_TIMEOUT_S)
        async with aiohttp.ClientSession(base_url, connector=connector, timeout=timeout) as session:
            yield _by_aiohttp(session)
        return
    transport = AiohttpTransport(client=aiohttp.ClientSession(connector=connector))
    async with httpx.AsyncClient(base_url=base_url, transport=transport, timeout=_TIMEOUT_S) as http:
        yield _by_httpx(http)


def _by_httpx(http: httpx.AsyncClient) -> Send:
    async def send(method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": XML} if body else None
        answer = await http.request(method, path, content=body, headers=headers)
        return answer.raise_for_status().content

    return send


def _by_aiohttp(session: aiohttp.ClientSession) -> Send:
    async def send(method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": XML} if body else None
        async with session.request(method, path, data=body, headers=headers, raise_for_status=True) as answer:
            return await answer.read()

    return send


async def follow(send: Send, at_once: asyncio.Semaphore, index: int) -> float:
    """Send one order, poll until it is complete, and return when that was seen."""
    async with at_once:  # waiting for this is cheaper than waiting for httpx's pool
        answer = await send("POST", ORDERS, write_order(number_of(index), reference=f"bare-{index}"))
    carrier_order_id, status = read_response(answer)
    while status != COMPLETE:
        await asyncio.sleep(POLL_S)
        async with at_once:
            answer = await send("GET", f"{ORDERS}/{carrier_order_id}", None)
        _, status = read_response(answer)
    return time.time()


async def work(kind: str, base_url: str) -> None:
    """Follow each range of orders that standard input names."""
    async with client(kind, base_url) as send:
        at_once = asyncio.Semaphore(POOLS[kind])
        while line := await asyncio.to_thread(sys.stdin.readline):
            indices = range(*json.loads(line))
            ended = await asyncio.gather(*(follow(send, at_once, index) for index in indices))
            sys.stdout.write(json.dumps(list(zip(indices, ended, strict=True))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
