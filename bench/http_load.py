"""Send requests from a process of its own: bodies as JSON on standard input, how long each took on standard output."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence

from number_orders.embedded.ports import LOOPBACK


def main() -> None:
    """Send what standard input says: port, path, token, how many at once, and the bodies."""
    asked = json.load(sys.stdin)
    bodies = [body.encode() for body in asked["bodies"]]
    head = f"POST {asked['path']} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {asked['token']}\r\n"
    wall_s, took = asyncio.run(_post_all(asked["port"], head, bodies, asked["at_once"]))
    json.dump({"wall_s": wall_s, "took": took}, sys.stdout)


async def _post_all(port: int, head: str, bodies: Sequence[bytes], at_once: int) -> tuple[float, list[float]]:
    waiting, began = iter(bodies), time.perf_counter()
    sent = await asyncio.gather(*(_post_some(port, head, waiting) for _ in range(at_once)))
    return time.perf_counter() - began, [took for some in sent for took in some]


async def _post_some(port: int, head: str, waiting: Iterator[bytes]) -> list[float]:
    """Post one body after the other on one connection. An HTTP client would cost more than what is measured."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    took = []
    for body in waiting:
        began = time.perf_counter()
        lengths = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(f"{head}{lengths}".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        status, length = answer.split(b" ", 2)[1], answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        content = await reader.readexactly(int(length))
        took.append(time.perf_counter() - began)
        if status not in {b"200", b"201"}:
            sys.exit(f"answered {status.decode()}: {content[:300].decode(errors='replace')}")
    writer.close()
    return took


if __name__ == "__main__":
    main()
