"""The carrier stand-in: a process of its own that answers quickly, and writes down what it was asked and when.

    python -m bench.carrier PORT

Speaks as much HTTP/1.1 as clients with kept-alive connections need. Whatever is no POST of an order, no GET of one
and no question of the bench's own is answered with 500: then the bench has a mistake, and no figure comes of it.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Final

from bench import dialect
from bench.workload import LATENCY_S, index_of, takes_s
from number_orders.embedded.ports import LOOPBACK

REPORT: Final = "/bench/report"
TOLD: Final = "/bench/told"

_HEAD_ENDS: Final = b"\r\n\r\n"
_REASONS: Final = {200: "OK", 201: "Created", 500: "Internal Server Error"}


@dataclass(slots=True)
class Placed:
    """One order at the carrier."""

    named: str
    reference: str
    number: str
    posted_at: float
    done_at: float
    gets: int = 0
    told_at: float | None = None
    """When the end was first shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said, and how long it takes."""

    status: int
    body: bytes
    content_type: str = dialect.XML
    location: str | None = None
    after_s: float = LATENCY_S


class Books:
    """Everything that was ordered."""

    def __init__(self) -> None:
        self._orders: dict[str, Placed] = {}
        self._told = 0

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Do what a request asks for."""
        if path == TOLD:
            return _json(self._told)
        if path == REPORT:
            return _json([_shown(order) for order in self._orders.values()])
        if method == "POST" and path == dialect.ORDERS:
            return self._place(body)
        order = self._orders.get(path.removeprefix(f"{dialect.ORDERS}/"))
        return self._show(order) if method == "GET" and order else Answer(500, b"")

    def _place(self, body: bytes) -> Answer:
        now = time.time()
        reference, number = dialect.read_order(body)
        named = f"bench-{len(self._orders)}"
        done_at = now + LATENCY_S + takes_s(index_of(number))
        self._orders[named] = Placed(named, reference, number, now, done_at)
        shown = dialect.write_response(named=named, reference=reference, number=number, done=False)
        return Answer(201, shown, location=f"{dialect.ORDERS}/{named}")

    def _show(self, order: Placed) -> Answer:
        now = time.time()
        order.gets += 1
        done = now >= order.done_at
        if done and order.told_at is None:
            order.told_at = now
            self._told += 1
        shown = dialect.write_response(named=order.named, reference=order.reference, number=order.number, done=done)
        return Answer(200, shown)


class Connection(asyncio.Protocol):
    """One kept-alive connection; its requests come one after the other."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._got = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "it is a TCP connection"
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._got += data
        while (end := self._got.find(_HEAD_ENDS)) >= 0:
            head = self._got[:end].decode("latin-1")
            whole = end + len(_HEAD_ENDS) + _length(head)
            if len(self._got) < whole:
                return
            body = bytes(self._got[end + len(_HEAD_ENDS) : whole])
            del self._got[:whole]
            method, path, _ = head.split(" ", 2)
            answer = self._books.answer(method, path, body)
            self._loop.call_later(answer.after_s, self._say, answer)

    def _say(self, answer: Answer) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        location = f"Location: {answer.location}\r\n" if answer.location else ""
        head = (
            f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.content_type}\r\n"
            f"{location}Content-Length: {len(answer.body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + answer.body)


def _length(head: str) -> int:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


def _json(said: object) -> Answer:
    return Answer(200, json.dumps(said).encode(), "application/json", after_s=0)


def _shown(order: Placed) -> dict[str, object]:
    return {
        "index": index_of(order.number),
        "posted_at": order.posted_at,
        "done_at": order.done_at,
        "gets": order.gets,
        "told_at": order.told_at,
    }


async def serve(port: int) -> None:
    """Serve until killed."""
    books = Books()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(books), LOOPBACK, port, backlog=1024, reuse_address=True
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
