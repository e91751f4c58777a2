"""The receiver's routes for notices in a process of their own, beside one that stores nothing: `… PORT`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request, Response

from number_orders.cli.stack.environment import given_settings
from number_orders.ledger.ledger import PostgresLedger
from workers.notices import notice_routes

BARE = "/bare"


def make_app() -> FastAPI:
    """Return the application, with the settings of the environment."""
    settings = given_settings()
    assert settings.database_url is not None, "the bench names a database"
    ledger = PostgresLedger.at(settings.database_url.get_secret_value(), connections_max=3)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with ledger:
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(notice_routes(settings, lambda _: ledger))

    @app.post(BARE)
    async def bare(request: Request) -> Response:
        """Read a body and answer: what any route costs here."""
        await request.body()
        return Response(status_code=202)

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
