"""The receiver with a token of the benchmark's own, and an application that stores nothing: what HTTP alone costs.

python -m bench.receiver_app receiver|bare PORT
"""

import json
import sys
import uuid
from uuid import UUID

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from number_orders.fulfilment.authority import Identity, Role
from number_orders.receiver.server import Address, make_server
from workers import receiver

TOKEN = "bench-token"  # noqa: S105  of a process on loopback that lives for some seconds


class OneToken:
    """Knows one producer."""

    async def identify(self, token: str) -> Identity | None:
        """Return the producer."""
        return Identity("bench", Role.PRODUCER, UUID(int=1)) if token == TOKEN else None


def bare() -> FastAPI:
    """Return an application that reads an order and answers with a ticket."""
    app = FastAPI()

    @app.post("/v1/orders")
    async def submit(request: Request) -> JSONResponse:
        order = json.loads(await request.body())
        ticket = {"order_id": str(uuid.uuid4()), "key": order["key"], "state": "ACCEPTED", "new": True}
        return JSONResponse(ticket, 201)

    return app


def main() -> None:
    """Serve until stopped."""
    kind, *port = sys.argv[1:]
    if kind == "receiver":
        receiver.serve(open_authority=lambda _: OneToken())
        return
    uvicorn.Server(make_server(bare(), Address("127.0.0.1", int(port[0]))).config).run()


if __name__ == "__main__":
    main()
