"""The fake carrier: a separate process that answers quickly and records what it was asked and when.

    python -m bench.carrier PORT

Speaks as much HTTP/1.1 as clients with kept-alive connections need. It answers 500 to everything but the POST of an
order, the GET of an order and the benchmark's own questions: the benchmark has a bug then, and the run fails.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Final

from bench import bandwidth_xml
from bench.workload import LATENCY_S, index_of, takes_s
from number_orders.embedded.ports import LOOPBACK

REPORT: Final = "/bench/report"
ENDED: Final = "/bench/ended"

_HEAD_ENDS: Final = b"\r\n\r\n"
_REASONS: Final = {200: "OK", 201: "Created", 500: "Internal Server Error"}


@dataclass(slots=True)
class Placed:
    """One order at the carrier."""

    carrier_order_id: str
    reference: str
    number: str
    posted_at: float
    done_at: float
    gets: int = 0
    ended_at: float | None = None
    """When a GET first reported it as complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and how long to wait before sending it."""

    status: int
    body: bytes
    content_type: str = bandwidth_xml.XML
    location: str | None = None
    after_s: float = LATENCY_S


class Orders:
    """Everything that was ordered."""

    def __init__(self) -> None:
        self._orders: dict[str, Placed] = {}
        self._ended = 0

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Return the response to a request."""
        if path == ENDED:
            return _json(self._ended)
        if path == REPORT:
            return _json([_as_json(order) for order in self._orders.values()])
        if method == "POST" and path == bandwidth_xml.ORDERS:
            return self._place(body)
        order = self._orders.get(path.removeprefix(f"{bandwidth_xml.ORDERS}/"))
        return self._get(order) if method == "GET" and order else Answer(500, b"")

    def _place(self, body: bytes) -> Answer:
        now = time.time()
        reference, number = bandwidth_xml.read_order(body)
        carrier_order_id = f"bench-{len(self._orders)}"
        done_at = now + LATENCY_S + takes_s(index_of(number))
        self._orders[carrier_order_id] = Placed(carrier_order_id, reference, number, now, done_at)
        body = bandwidth_xml.write_response(
            carrier_order_id=carrier_order_id, reference=reference, number=number, done=False
        )
        return Answer(201, body, location=f"{bandwidth_xml.ORDERS}/{carrier_order_id}")

    def _get(self, order: Placed) -> Answer:
        now = time.time()
        order.gets += 1
        done = now >= order.done_at
        if done and order.ended_at is None:
            order.ended_at = now
            self._ended += 1
        body = bandwidth_xml.write_response(
            carrier_order_id=order.carrier_order_id, reference=order.reference, number=order.number, done=done
        )
        return Answer(200, body)


class Connection(asyncio.Protocol):
    """One kept-alive connection, on which requests come one after another."""

    def __init__(self, orders: Orders) -> None:
        self._orders_placed = orders
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a TCP connection"
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that has arrived completely."""
        self._received += data
        while (end := self._received.find(_HEAD_ENDS)) >= 0:
            head = self._received[:end].decode("latin-1")
            length = end + len(_HEAD_ENDS) + _length(head)
            if len(self._received) < length:
                return
            body = bytes(self._received[end + len(_HEAD_ENDS) : length])
            del self._received[:length]
            method, path, _ = head.split(" ", 2)
            answer = self._orders_placed.answer(method, path, body)
            self._loop.call_later(answer.after_s, self._send, answer)

    def _send(self, answer: Answer) -> None:
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


def _json(value: object) -> Answer:
    return Answer(200, json.dumps(value).encode(), "application/json", after_s=0)


def _as_json(order: Placed) -> dict[str, object]:
    return {
        "index": index_of(order.number),
        "posted_at": order.posted_at,
        "done_at": order.done_at,
        "gets": order.gets,
        "ended_at": order.ended_at,
    }


async def serve(port: int) -> None:
    """Serve until killed."""
    orders = Orders()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(orders), LOOPBACK, port, backlog=1024, reuse_address=True
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
