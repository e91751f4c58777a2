"""Follow orders with an HTTP client only: no ledger and no queue, and everything is lost with the process.

    python -m bench.bare httpx|httpx-aiohttp BASE_URL

Reads one line of JSON per range of orders, `[first, last + 1]`, and writes one line back: when each of them ended.
"""

import asyncio
import json
import sys
import time
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from bench.bandwidth_xml import COMPLETE, ORDERS, XML, read_response, write_order
from bench.workload import POLL_S, number_of

POOLS: Final = {"httpx": 20, "httpx-aiohttp": 100}
"""httpx's own pool gets slow above some 20 connections; aiohttp's does not, and 100 is its default."""
_TIMEOUT_S: Final = 30.0


def client(kind: str, base_url: str) -> httpx.AsyncClient:
    """Return a client of the given kind."""
    pool = POOLS[kind]
    if kind == "httpx":
        limits = httpx.Limits(max_connections=pool, max_keepalive_connections=pool)
        return httpx.AsyncClient(base_url=base_url, limits=limits, timeout=_TIMEOUT_S)
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=pool))
    return httpx.AsyncClient(base_url=base_url, transport=AiohttpTransport(client=session), timeout=_TIMEOUT_S)


async def follow(http: httpx.AsyncClient, at_once: asyncio.Semaphore, index: int) -> float:
    """Send one order, poll until it is complete, and return when that was seen."""
    async with at_once:  # waiting for this is cheaper than waiting for httpx's pool
        body = write_order(number_of(index), reference=f"bare-{index}")
        answer = await http.post(ORDERS, content=body, headers={"Content-Type": XML})
    carrier_order_id, status = read_response(answer.raise_for_status().content)
    while status != COMPLETE:
        await asyncio.sleep(POLL_S)
        async with at_once:
            answer = await http.get(f"{ORDERS}/{carrier_order_id}")
        _, status = read_response(answer.raise_for_status().content)
    return time.time()


async def work(kind: str, base_url: str) -> None:
    """Follow each range of orders that standard input names."""
    async with client(kind, base_url) as http:
        at_once = asyncio.Semaphore(POOLS[kind])
        while line := await asyncio.to_thread(sys.stdin.readline):
            indices = range(*json.loads(line))
            ended = await asyncio.gather(*(follow(http, at_once, index) for index in indices))
            sys.stdout.write(json.dumps(list(zip(indices, ended, strict=True))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
