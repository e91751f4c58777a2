"""The HTTP server of one process: uvicorn, which ends streams before it waits for requests under way."""

import socket
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

STOP_WITHIN_S: Final = 20
"""How long requests under way may take once the process is asked to stop."""
_KEEP_ALIVE_S: Final = 30
_CONNECTIONS_MAX: Final = 4000
_BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, and whose word about its clients to believe."""

    host: str
    port: int
    trusted_proxies: str = ""
    """Addresses or networks, separated by commas, whose `X-Forwarded-For` and `-Proto` count; `*` is all."""


class PeerNote:
    """Notes who has connected, before a proxy's word about its client takes the place of that."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        await self._app({**scope, "peer": client[0]} if client else scope, receive, send)


class Server(uvicorn.Server):
    """Uvicorn, which knows about streams: they would never end by themselves."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams; then wait for requests under way, and stop."""
        receiver = self._app.state.receiver
        receiver.stopping.set()
        receiver.streams.close()
        await super().shutdown(sockets)


def make_server(app: FastAPI, address: Address) -> Server:
    """Return a server that does not listen yet."""
    outer: Any = app  # uvicorn and Starlette describe the same interface by different types
    if address.trusted_proxies:
        outer = ProxyHeadersMiddleware(outer, trusted_hosts=address.trusted_proxies)
    config = uvicorn.Config(
        PeerNote(outer),
        host=address.host,
        port=address.port,
        proxy_headers=False,  # above
        server_header=False,
        log_config=None,  # the process has set logging up
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        limit_concurrency=_CONNECTIONS_MAX,
        backlog=_BACKLOG,
        lifespan="on",
        ws="none",
    )
    return Server(config, app)
