"""A small carrier on a real socket. It answers, lies and hangs up as each test wants."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from number_orders.sandbox.server import stop_accepting


@dataclass(frozen=True)
class Heard:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Act = Callable[[asyncio.StreamWriter], Awaitable[bool]]
"""Answers one request; returns whether the connection stays open."""


def reply(status: int = 200, body: bytes = b"yes", **headers: str) -> Act:
    """Answer correctly and keep the connection."""
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    whole = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{named}\r\n".encode() + body

    async def act(writer: asyncio.StreamWriter) -> bool:
        writer.write(whole)
        await writer.drain()
        return True

    return act


def raw(data: bytes, *, hang_up: bool = True) -> Act:
    """Write these bytes, then hang up, or stop answering."""

    async def act(writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        if not hang_up:
            await asyncio.sleep(30)
        return False

    return act


def hang_up_after(act: Act) -> Act:
    """Answer as if the connection stayed open, then close it."""

    async def closing(writer: asyncio.StreamWriter) -> bool:
        await act(writer)
        return False

    return closing


def after(event: asyncio.Event, act: Act) -> Act:
    """Answer when the event is set."""

    async def waiting(writer: asyncio.StreamWriter) -> bool:
        await event.wait()
        return await act(writer)

    return waiting


drop = raw(b"")
silence = raw(b"", hang_up=False)


class TinyCarrier:
    """Performs its acts one after the other, one for each request, on whichever connection it comes."""

    def __init__(self, *acts: Act) -> None:
        self.acts = list(acts)
        self.heard: list[Heard] = []
        self.called = asyncio.Event()
        self.connections = 0
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop_accepting([self._server])
        self._server.close()
        for task, writer in self._open.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open[asyncio.create_task(self._serve(reader, writer))] = writer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                self.heard.append(await _request(reader))
                self.called.set()
                if not await self.acts.pop(0)(writer):
                    break
        writer.close()


async def _request(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(method, target, headers, body)
