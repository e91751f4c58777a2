"""Serves the sandbox in its own process, or in a thread of a test.

Adds to ASGI what the sandbox needs: closing a connection without an answer.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from number_orders.sandbox.app import create_app
from number_orders.sandbox.bandwidth.access import Account
from number_orders.sandbox.behaviour import Behaviour
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.control import SandboxControl
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.memory import Memory
from number_orders.sandbox.routes import DROP_EXTENSION
from number_orders.sandbox.state import CarrierFactory, SandboxState
from number_orders.sandbox.swift.access import SwiftAccount

# Longer than any client keeps a connection, so that no request meets a connection that is just being closed: a
# connection is lost here only by a fault.
_KEEP_ALIVE_S: Final = 3600
_GRACE_S: Final = 3
_START_S: Final = 20
_ITERATIONS_TO_ACCEPT: Final = 5
"""How many iterations of the loop asyncio needs, at most, from an incoming connection to its protocol."""
_BACKLOG: Final = 1024


class _DroppingProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with an ASGI extension that closes the connection during a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        served = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"] = {DROP_EXTENSION: self.transport.abort}
            await served(scope, receive, send)

        self.app = app


async def stop_accepting(servers: Iterable[asyncio.Server]) -> None:
    """Take no more connections, and let those that have just come get their protocols.

    asyncio never closes those that it accepts in the iteration in which a server is closed.
    """
    for server in servers:
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(_ITERATIONS_TO_ACCEPT):
        await asyncio.sleep(0)


class ClosingServer(uvicorn.Server):
    """Closes every connection before it ends, also those that come as it stops."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await stop_accepting(self.servers)
        await super().shutdown(sockets)
        for left in list(self.server_state.connections):  # those that did not close in time
            left.transport.abort()
        await asyncio.sleep(0)  # connections close in the loop's next iteration, and this is the last one


class _Server(ClosingServer):
    """Reports when it is ready, runs the carriers' background tasks, and ends hanging requests when it stops."""

    def __init__(self, config: uvicorn.Config, sandbox: SandboxState, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._sandbox = sandbox
        self._tasks: list[asyncio.Task[None]] = []
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tasks = [asyncio.create_task(task()) for task in self._sandbox.background_tasks]
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sandbox.stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.sleep(0)  # hanging requests close their connections before the server counts the open ones
        await super().shutdown(sockets)


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    behaviour: Behaviour | None = None,
    account: Account | None = None,
    swift: SwiftAccount | None = None,
    cm: CmAccount | None = None,
    stock: StockPlan | None = None,
    memory: Path | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Port 0 takes a free one; `on_ready` gets the URL.

    With `memory`, the orders that an earlier sandbox wrote to this file exist again.
    """
    with _listening(host, port) as listener:
        url = _url(listener)
        sandbox = SandboxState(behaviour, memory=Memory(memory))
        app = create_app(sandbox, account, swift, cm, stock)
        server = _new_server(sandbox, app, lambda: on_ready(url) if on_ready else None)
        # uvicorn raises the signal again once it has stopped; that must not kill a process that ends in order.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _ignore_signal)
        server.run(sockets=[listener])


@contextmanager
def running_sandbox(
    *,
    behaviour: Behaviour | None = None,
    account: Account | None = None,
    swift: SwiftAccount | None = None,
    cm: CmAccount | None = None,
    stock: StockPlan | None = None,
    memory: Path | None = None,
    extra_carriers: Sequence[CarrierFactory] = (),
) -> Iterator[SandboxControl]:
    """Serve from a thread on a free port for the duration of the block; yield a control client.

    `extra_carriers` are sandbox carriers that are served beside those of this package.
    """
    ready = Event()
    with _listening("127.0.0.1", 0) as listener:
        sandbox = SandboxState(behaviour, memory=Memory(memory))
        server = _new_server(sandbox, create_app(sandbox, account, swift, cm, stock, extra_carriers), ready.set)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
        thread.start()
        if not ready.wait(_START_S):
            raise TimeoutError(f"the sandbox did not start within {_START_S} s")
        with SandboxControl(_url(listener)) as control:
            yield control
        server.should_exit = True
        thread.join()


def write_ready_file(path: Path, url: str) -> None:
    """Write the URL so that a reader sees all of it or nothing."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(f"{url}\n", encoding="ascii")
    partial.replace(path)


def _new_server(sandbox: SandboxState, app: Starlette, on_ready: Callable[[], None]) -> _Server:
    config = uvicorn.Config(
        app,
        http=_DroppingProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        server_header=False,
    )
    return _Server(config, sandbox, on_ready)


def _listening(host: str, port: int) -> socket.socket:
    """Listen on host and port.

    The protocol is named because asyncio sets TCP_NODELAY only then; without it answers wait 40 ms for an ACK.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _ignore_signal(number: int, frame: FrameType | None) -> None:
    """Ignore a signal."""
