"""A small orders API on loopback that keeps to the HTTP contract, and can misbehave."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import ValidationError

from number_orders.sandbox.server import ClosingServer
from number_orders_client.contract import PROBLEM_PREFIX, OrderRequest
from number_orders_client.faults import faults_of, in_words

TOKEN: Final = "no_crm"
NOON: Final = "2026-11-22T12:00:00+00:00"


def problem(name: str, status: int, detail: str, faults: Any = (), **headers: str) -> Response:
    body = {"type": f"{PROBLEM_PREFIX}{name}", "title": name, "status": status, "detail": detail, "faults": [*faults]}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


class OrdersApi:
    """Orders in memory. `trouble` is answered to every call instead, once it is set."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.trouble: Any = None
        self.seen: list[str] = []
        self.app = FastAPI()
        self.app.middleware("http")(self._guard)
        self.app.post("/v1/orders:batch")(self._batch)
        self.app.post("/v1/orders")(self._submit)
        self.app.get("/v1/orders")(self._list)
        self.app.get("/v1/orders/{order_id}")(self._get)
        self.app.post("/v1/orders/{order_id}/cancel")(self._cancel)

    async def _guard(self, request: Request, call_next: Any) -> Any:
        self.seen.append(f"{request.method} {request.url.path}")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem("unauthorized", 401, "no such token")
        return await self.trouble() if self.trouble else await call_next(request)

    async def _submit(self, request: Request) -> Response:
        outcome = self._accept(await request.json())
        if isinstance(outcome, Response):
            return outcome
        location = {"Location": f"/v1/orders/{outcome['order_id']}"}
        return JSONResponse(outcome, 201 if outcome["new"] else 200, headers=location)

    async def _batch(self, request: Request) -> Response:
        answer: dict[str, list[Any]] = {"tickets": [], "refused": []}
        for index, raw in enumerate((await request.json())["orders"]):
            outcome = self._accept(raw)
            if isinstance(outcome, Response):
                faults = [{"field": "carrier", "rule": "is not one of ours"}]
                answer["refused"].append({"index": index, "key": raw.get("key"), "faults": faults})
            else:
                answer["tickets"].append({"index": index, **outcome})
        return JSONResponse(answer)

    def _accept(self, raw: Any) -> Response | dict[str, Any]:
        try:
            order = OrderRequest.model_validate(raw)
        except ValidationError as invalid:
            faults = faults_of(invalid)
            return problem("order-refused", 422, in_words(faults), [fault.model_dump() for fault in faults])
        if order.carrier != "bandwidth":
            fault = {"field": "carrier", "rule": "is not one of ours"}
            return problem("order-refused", 422, "carrier: is not one of ours", [fault])
        known = next((one for one in self.orders.values() if one["key"] == order.key), None)
        if known and known["quantity"] != order.quantity:
            return problem("key-conflict", 409, "key: stands for another order already")
        document = known or _document(order)
        self.orders[document["order_id"]] = document
        return {**{name: document[name] for name in ("order_id", "key", "state")}, "new": known is None}

    async def _list(self, key: str) -> Response:
        found = [one for one in self.orders.values() if one["key"] == key]
        return JSONResponse({"orders": found, "next": None})

    async def _get(self, order_id: str) -> Response:
        document = self.orders.get(order_id)
        return JSONResponse(document) if document else problem("unknown-order", 404, f"no order {order_id}")

    async def _cancel(self, order_id: str) -> Response:
        document = self.orders.get(order_id)
        if document is None:
            return problem("unknown-order", 404, f"no order {order_id}")
        if document["state"] == "OPEN":
            return problem("not-cancellable", 409, f"order {order_id} is OPEN")
        document |= {"state": "CANCELLED", "final": True, "version": 2, "ended_at": NOON}
        return JSONResponse(document)


def _document(order: OrderRequest) -> dict[str, Any]:
    return {
        "order_id": str(uuid4()),
        "producer": "crm",
        "key": order.key,
        "carrier": order.carrier,
        "kind": order.kind,
        "state": "ACCEPTED",
        "final": False,
        "version": 1,
        "reason": None,
        "quantity": order.quantity,
        "numbers": [],
        "reference": None,
        "carrier_order_id": None,
        "carrier_status": None,
        "accepted_at": NOON,
        "ended_at": None,
    }


async def silence() -> Response:
    """Answer after longer than any test waits."""
    await asyncio.sleep(600)
    return Response()


async def behind_a_proxy() -> Response:
    """Answer as a proxy whose service is away."""
    return PlainTextResponse("upstream is down", 503, headers={"Retry-After": "5"})


@contextmanager
def serving(api: OrdersApi) -> Iterator[str]:
    """Serve an API on a free port; yield its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(api.app, log_level="error", timeout_graceful_shutdown=1, lifespan="off")
        server = ClosingServer(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
