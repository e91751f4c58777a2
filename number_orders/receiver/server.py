"""The HTTP server of one process: uvicorn, which ends streams before it waits for requests under way."""

import socket
from dataclasses import dataclass
from typing import Final

import uvicorn
from fastapi import FastAPI

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


class Server(uvicorn.Server):
    """Uvicorn, which knows about streams: they would never end by themselves."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams; then wait for requests under way, and stop."""
        app = self.config.app
        assert isinstance(app, FastAPI), "made by `serve`"
        app.state.receiver.streams.close()
        await super().shutdown(sockets)


def make_server(app: FastAPI, address: Address) -> Server:
    """Return a server that does not listen yet."""
    config = uvicorn.Config(
        app,
        host=address.host,
        port=address.port,
        proxy_headers=bool(address.trusted_proxies),
        forwarded_allow_ips=address.trusted_proxies or None,
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
    return Server(config)
