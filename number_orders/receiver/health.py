"""Whether the process lives, and whether it can serve requests."""

import asyncio
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from number_orders.orders.errors import FulfilmentError
from number_orders.receiver import shapes
from number_orders.receiver.access import Served
from number_orders.receiver.parts import Receiver

_WITHIN_S: Final = 3.0

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=shapes.Health)
async def healthz() -> Response:
    """Tell that the process lives. Needs no token, and looks at nothing else."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    response_model=shapes.Readiness,
    responses={503: {"model": shapes.Readiness, "description": "Requests cannot be served now."}},
)
async def readyz(receiver: Served) -> Response:
    """Tell whether requests can be served. Needs no token.

    The broker is not needed: an order that came over HTTP is in the ledger, and the sweep finds it.
    """
    ledger, broker = await asyncio.gather(_ledger_fault(receiver), receiver.connections.broker_fault())
    sweep = "not reachable, and not needed: workers find orders in the ledger within a second"
    checks = {"ledger": ledger or "ok", "broker": "ok" if broker is None else sweep}
    return JSONResponse({"ready": ledger is None, "checks": checks}, 503 if ledger else 200)


async def _ledger_fault(receiver: Receiver) -> str | None:
    try:
        async with asyncio.timeout(_WITHIN_S):
            await receiver.services.ledger.now()
            return await receiver.connections.schema_fault()
    except TimeoutError:
        return f"no answer within {_WITHIN_S:g} s"
    except FulfilmentError:
        return "not reachable"  # the log has the reason, which may name the server
