"""A receiver of notices as a process of its own: `python -m tests.acceptance.notice_process PORT`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from config.settings import Settings
from number_orders.ledger.ledger import PostgresLedger
from workers.notices import notice_routes


def make_app(settings: Settings) -> FastAPI:
    """Return an application with the routes for notices, and nothing else."""
    assert settings.database_url is not None
    ledger = PostgresLedger.at(settings.database_url.get_secret_value(), connections_max=3, **settings.ledger_options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with ledger:
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(notice_routes(settings, lambda _: ledger))
    return app


if __name__ == "__main__":
    uvicorn.run(make_app(Settings()), host="127.0.0.1", port=int(sys.argv[1]), log_level="info", access_log=False)
