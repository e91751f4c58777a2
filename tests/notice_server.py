"""The receiver's routes for notices, served by uvicorn on loopback in the loop of a test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from fastapi import APIRouter, FastAPI

from number_orders.sandbox.server import ClosingServer


@asynccontextmanager
async def serving(make_router: Callable[[str], APIRouter]) -> AsyncIterator[str]:
    """Serve a router; yield the address of the server, which the router is made for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = FastAPI()
        app.include_router(make_router(url))
        server = ClosingServer(uvicorn.Config(app, log_level="warning", access_log=False, ws="none", lifespan="on"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            if serving.done():
                await serving
            await asyncio.sleep(0.005)
        try:
            yield url
        finally:
            server.should_exit = True
            await serving
