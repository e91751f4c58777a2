"""A producer's HTTPS server on loopback, which answers as a test wants and keeps what it was sent."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from standardwebhooks.webhooks import Webhook

CERTIFICATES: Final = Path(__file__).parent / "certificates"
CA: Final = CERTIFICATES / "ca.pem"


@dataclass(frozen=True, slots=True)
class Received:
    """One request. `server_name` is the name that the client asked for in its TLS handshake (SNI)."""

    path: str
    server_name: str | None
    headers: Mapping[str, str]
    body: bytes
    connection: int

    def verified(self, secret: str) -> Any:
        """Return the document, verified as a producer does with the standard's library."""
        return Webhook(secret).verify(self.body, dict(self.headers))


@dataclass(frozen=True, slots=True)
class Reply:
    """How to answer: the bytes that are written, one after the other, with a pause before each but the first."""

    pieces: tuple[bytes, ...]
    pause_s: float = 0.0
    then_hang: bool = False
    then_close: bool = False


def status(code: int, *headers: str, body: bytes = b"") -> Reply:
    """Return a plain answer."""
    lines = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return Reply(("\r\n".join(lines).encode() + body,))


OK: Final = status(200, body=b"thank you")
CLOSES: Final = Reply((), then_close=True)
HANGS: Final = Reply((), then_hang=True)
DRIPS_STATUS: Final = Reply(tuple(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500), pause_s=0.05)
DRIPS_BODY: Final = Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n", *(b"x",) * 3000), pause_s=0.2)
HUGE: Final = Reply(
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *(b"10000\r\n" + b"x" * 0x10000 + b"\r\n",) * 5000)
)
"""Three hundred megabytes, as long as anybody reads them."""


@dataclass(slots=True)
class HookReceiver:
    """The server. `answer` says what a request gets."""

    answer: Callable[[Received], Reply] = lambda _: OK
    received: list[Received] = field(default_factory=list)
    bytes_written: int = 0
    connections: int = 0
    port: int = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """Return a URL of this server."""
        return f"https://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        connection = self.connections
        try:
            while request := await self._read(reader, writer, connection):
                self.received.append(request)
                reply = self.answer(request)
                await self._write(writer, reply)
                if reply.then_close:
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has hung up, or the test is over
        finally:
            writer.transport.abort()

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> Received | None:
        first = await reader.readline()
        if not first:
            return None
        headers = {}
        while line := (await reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        asked_for = getattr(writer.get_extra_info("ssl_object"), "asked_for", None)
        return Received(first.split()[1].decode(), asked_for, headers, body, connection)

    async def _write(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        for piece in reply.pieces:
            writer.write(piece)
            await writer.drain()
            self.bytes_written += len(piece)
            await asyncio.sleep(reply.pause_s)
        if reply.then_hang:
            await asyncio.sleep(3600)


@contextmanager
def running_receiver(answer: Callable[[Received], Reply] = lambda _: OK) -> Iterator[HookReceiver]:
    """Run a server in a thread."""
    receiver = HookReceiver(answer)
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=_tls())
        receiver.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # the transports close their sockets

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(60)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    context.sni_callback = _note_name
    return context


def _note_name(connection: Any, name: str | None, _: ssl.SSLContext) -> None:
    connection.asked_for = name
