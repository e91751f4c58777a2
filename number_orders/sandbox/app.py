"""The sandbox as one web application: the sandbox carriers, and the control API beside them.

The control API is below `/_sandbox`. Faults and latency do not apply to it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from number_orders.sandbox.bandwidth.access import Account
from number_orders.sandbox.bandwidth.app import Bandwidth
from number_orders.sandbox.behaviour import Seconds, as_json, read_behaviour
from number_orders.sandbox.clock import iso
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.cm.app import Cm
from number_orders.sandbox.faults import read_fault
from number_orders.sandbox.inventory import StockPlan
from number_orders.sandbox.report import report
from number_orders.sandbox.state import CarrierFactory, SandboxCarrier, SandboxState
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.sandbox.swift.app import Swift


def create_app(
    sandbox: SandboxState,
    account: Account | None = None,
    swift: SwiftAccount | None = None,
    cm: CmAccount | None = None,
    stock: StockPlan | None = None,
    extra_carriers: Sequence[CarrierFactory] = (),
) -> Starlette:
    """Build the application with all sandbox carriers and `extra_carriers`."""
    carriers: Sequence[SandboxCarrier] = (
        Bandwidth(sandbox, account, stock),
        Swift(sandbox, swift, stock),
        Cm(sandbox, cm),
        *(create(sandbox) for create in extra_carriers),
    )
    served = [route for carrier in carriers for route in carrier.routes()]
    served.sort(key=_is_catch_all)  # stable: each carrier's busiest routes stay in front
    return Starlette(
        routes=[*served, *_ControlApi(sandbox, carriers).routes()],
        exception_handlers={HTTPException: _plain_error, ValidationError: _invalid},
    )


@dataclass(frozen=True, slots=True)
class _Advance:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    advance_s: Seconds


_ADVANCE: Final = TypeAdapter(_Advance)


def _is_catch_all(route: BaseRoute) -> bool:
    """Return whether a route catches all paths that no other route matches."""
    return isinstance(route, Route) and ":path}" in route.path


class _ControlApi:
    """Lets tests and demonstrations control the carriers and read what they really sold."""

    def __init__(self, sandbox: SandboxState, carriers: Sequence[SandboxCarrier]) -> None:
        self._sandbox = sandbox
        self._carriers = carriers

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/health", self._health),
            Route("/_sandbox/report", self._report),
            Route("/_sandbox/reset", self._reset, methods=["POST"]),
            Route("/_sandbox/behaviour", self._behaviour),
            Route("/_sandbox/behaviour", self._change_behaviour, methods=["PATCH"]),
            Route("/_sandbox/faults", self._faults),
            Route("/_sandbox/faults", self._add_fault, methods=["POST"]),
            Route("/_sandbox/faults", self._clear_faults, methods=["DELETE"]),
            Route("/_sandbox/clock", self._clock),
            Route("/_sandbox/clock", self._advance, methods=["POST"]),
            Route("/_sandbox/tokens/revoke", self._revoke, methods=["POST"]),
        ]

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"ok": True, "carriers": [carrier.name for carrier in self._carriers]})

    async def _report(self, request: Request) -> Response:
        since = request.query_params.get("since")
        return JSONResponse(report(self._sandbox, self._carriers, _moment(since) if since else None))

    async def _reset(self, request: Request) -> Response:
        self._sandbox.reset()
        self._sandbox.memory.clear()
        for carrier in self._carriers:
            carrier.reset()
        return Response(status_code=204)

    async def _behaviour(self, request: Request) -> Response:
        return JSONResponse(as_json(self._sandbox.behaviour))

    async def _change_behaviour(self, request: Request) -> Response:
        self._sandbox.behaviour = read_behaviour(await _object(request), self._sandbox.behaviour)
        return await self._behaviour(request)

    async def _faults(self, request: Request) -> Response:
        return JSONResponse(self._sandbox.faults.as_json())

    async def _add_fault(self, request: Request) -> Response:
        return JSONResponse(self._sandbox.faults.add(read_fault(await _object(request))), 201)

    async def _clear_faults(self, request: Request) -> Response:
        return JSONResponse({"cleared": self._sandbox.faults.clear()})

    async def _clock(self, request: Request) -> Response:
        clock = self._sandbox.clock
        return JSONResponse({"at": iso(clock()), "ahead_s": clock.ahead.total_seconds()})

    async def _advance(self, request: Request) -> Response:
        self._sandbox.advance(_ADVANCE.validate_python(dict(await _object(request))).advance_s)
        return await self._clock(request)

    async def _revoke(self, request: Request) -> Response:
        token = (await _object(request)).get("token")
        return JSONResponse({"revoked": sum(carrier.revoke_tokens(token) for carrier in self._carriers)})


def _moment(given: str) -> datetime:
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as fault:
        raise HTTPException(400, f"since is not an ISO timestamp: {given}") from fault
    if moment.tzinfo is None:
        raise HTTPException(400, "since needs an offset from UTC, e.g. +00:00")
    return moment


async def _object(request: Request) -> Mapping[str, Any]:
    """Read a JSON object from the body; an empty body is an empty object."""
    try:
        given = json.loads(await request.body() or b"{}")
    except ValueError as fault:
        raise HTTPException(400, "the body is not JSON") from fault
    if not isinstance(given, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return cast("dict[str, Any]", given)


async def _plain_error(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    return JSONResponse({"error": fault.detail}, fault.status_code, headers=fault.headers)


async def _invalid(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, ValidationError)
    reasons = [
        {"field": ".".join(map(str, each["loc"])), "reason": each["msg"]}
        for each in fault.errors(include_url=False, include_context=False)
    ]
    return JSONResponse({"error": "invalid", "reasons": reasons}, 422)
