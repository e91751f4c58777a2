"""The ASGI application: routes, errors, and what runs beside the requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI

from number_orders.receiver import docs_page, health, problems
from number_orders.receiver.api import events, market, numbers, orders
from number_orders.receiver.api.documentation import add_schemas
from number_orders.receiver.parts import Connections, Limits, Receiver

OpenConnections = Callable[[], AbstractAsyncContextManager[Connections]]

_ABOUT = """\
Order phone numbers, and follow each order to its true end. Send `Authorization: Bearer TOKEN` with every request; an
operator makes a token with `number-orders producers add NAME` and `number-orders producers token NAME`.
Errors are `application/problem+json` (RFC 9457): `type` is for programs, `detail` for people, and `faults` name field
and rule. After 503, or no answer, send the same request again: an order with the same key is the same order.
"""


def create_app(open_connections: OpenConnections, *, limits: Limits, routers: Sequence[APIRouter] = ()) -> FastAPI:
    """Make the application. It connects when its server starts it.

    Args:
        open_connections: Opens what it is connected to, an `Authority` among it, for the life of the process.
        limits: What this process does at most.
        routers: Further endpoints, such as carriers' notices. They find their parts at `app.state.receiver`.
    """
    app = _App(
        title="number-orders",
        description=_ABOUT,
        version=version("number-orders"),
        lifespan=lambda app: _serving(app, open_connections, limits),
        docs_url=None,  # FastAPI's own pages load scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        # A request that breaks a rule is a problem of ours, not FastAPI's own shape; `documentation` describes it.
        responses={},
    )
    problems.install(app)
    for router in (orders.router, events.router, numbers.router, market.router, health.router, *routers):
        app.include_router(router)
    app.include_router(docs_page.router)
    return app


class _App(FastAPI):
    """FastAPI with our own error shape in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            add_schemas(document)
            _drop_fastapi_errors(document)
        assert self.openapi_schema is not None, "FastAPI has made it"
        return self.openapi_schema


def _drop_fastapi_errors(document: dict[str, Any]) -> None:
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


@asynccontextmanager
async def _serving(app: FastAPI, open_connections: OpenConnections, limits: Limits) -> AsyncIterator[None]:
    async with open_connections() as connections:
        receiver = Receiver(connections, limits)
        app.state.receiver = receiver
        polling = asyncio.create_task(receiver.streams.run())
        try:
            yield
        finally:
            polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await polling
