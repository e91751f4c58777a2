"""What every request to a sandbox carrier passes through: counting, latency, faults, logging.

Knows nothing of what a request means. A carrier's handler is a plain function, because everything it uses is in memory.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from number_orders.sandbox.behaviour import Endpoint
from number_orders.sandbox.faults import Fault, FaultKind, RequestFacts
from number_orders.sandbox.request_log import LoggedRequest
from number_orders.sandbox.state import SandboxState

DROP_EXTENSION = "sandbox.drop"  # an ASGI extension of server.py: close the connection without an answer
FAULT_HEADER = "Sandbox-Fault"  # a request names its own fault in this header; it takes precedence over the rules

_HTML = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center><hr>gateway</body></html>"
_DEFAULT_STATUS = {FaultKind.HTML: 502, FaultKind.EMPTY: 200, FaultKind.GARBAGE: 200}
_GARBAGE_BYTES = 240
_GARBAGE_STARTS = {"application/xml": b"<?xml version=", "application/json": b'{"data":'}


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request whose body has been read."""

    request: Request
    body: bytes


Handler = Callable[[ReceivedRequest], Response]
ReferenceOf = Callable[[ReceivedRequest], str | None]
FaultAnswers = Mapping[FaultKind, Callable[[Fault], Response]]


class NoAnswer(Response):
    """Closes the connection without an answer, at once or after a wait."""

    def __init__(self, stopping: asyncio.Event, *, hang_s: float | None) -> None:
        super().__init__()
        self._stopping = stopping
        self._hang_s = hang_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait until the client disconnects, the time is over or the sandbox stops; then close the connection."""
        gone = asyncio.ensure_future(_disconnected(receive))
        stopped = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({gone, stopped}, timeout=self._hang_s, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        scope["extensions"][DROP_EXTENSION]()
        await gone  # so that the server knows that no client is left to answer


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class RouteBuilder:
    """Builds the routes of one carrier."""

    def __init__(
        self,
        carrier: str,
        sandbox: SandboxState,
        *,
        reference_of: ReferenceOf,
        fault_answers: FaultAnswers,
        media_type: str = "application/xml",
    ) -> None:
        self._carrier = carrier
        self._media_type = media_type
        self._sandbox = sandbox
        self._reference_of = reference_of
        self._fault_answers = fault_answers

    def route(
        self, method: str, path: str, handler: Handler, *, endpoint: Endpoint, template: str | None = None
    ) -> Route:
        """Serve `path` with `handler`; `template` is the route's short name in rules and reports."""
        named = template or path

        async def enter(request: Request) -> Response:
            return await self._serve(ReceivedRequest(request, await request.body()), named, endpoint, handler)

        methods = None if method == "*" else [method]
        return Route(path, enter, methods=methods)

    async def _serve(self, received: ReceivedRequest, template: str, endpoint: Endpoint, handler: Handler) -> Response:
        request, sandbox = received.request, self._sandbox
        logged = sandbox.request_log.start(self._carrier, request.method, template, request.scope["path"])
        reference = self._reference_of(received)
        fault = _fault_in_header(request) or sandbox.faults.select(
            RequestFacts(self._carrier, request.method, template, reference)
        )
        latency_s = sandbox.behaviour.latency(endpoint, sandbox.dice)
        if latency_s > 0:
            await asyncio.sleep(latency_s)
        answer = await self._answer(received, handler, fault)
        _record(logged, answer, fault)
        sandbox.request_log.finish(logged, reference, sandbox.behaviour.http_log_per_order)
        return answer

    async def _answer(self, received: ReceivedRequest, handler: Handler, fault: Fault | None) -> Response:
        if fault is None:
            return handler(received)
        if fault.fault is FaultKind.SLOW:
            await self._wait(fault.delay_s or 0.0)
            return handler(received)
        if fault.reaches_carrier:
            handler(received)
        return await self._faulty_answer(fault)

    async def _faulty_answer(self, fault: Fault) -> Response:
        kind = fault.fault
        if kind in self._fault_answers:
            return self._fault_answers[kind](fault)
        if kind in {FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER}:
            return NoAnswer(self._sandbox.stopping, hang_s=fault.delay_s)
        await self._wait(fault.delay_s or 0.0)
        if kind in {FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER}:
            return NoAnswer(self._sandbox.stopping, hang_s=0.0)
        return _gateway_answer(fault, self._media_type)

    async def _wait(self, seconds: float) -> None:
        """Wait, but not longer than the sandbox runs."""
        if seconds > 0:
            stopped = asyncio.ensure_future(self._sandbox.stopping.wait())
            await asyncio.wait({stopped}, timeout=seconds)
            stopped.cancel()


def _fault_in_header(request: Request) -> Fault | None:
    """Return the fault that a request names in its header."""
    kind = request.headers.get(FAULT_HEADER)
    return Fault(fault=FaultKind(kind)) if kind in set(FaultKind) else None


def _record(logged: LoggedRequest, answer: Response, fault: Fault | None) -> None:
    logged.status = None if isinstance(answer, NoAnswer) else answer.status_code
    logged.fault = fault.fault.value if fault else None


def _gateway_answer(fault: Fault, media_type: str) -> Response:
    """Build the answer of a gateway in front of the carrier, or of a broken carrier."""
    status = fault.status or _DEFAULT_STATUS.get(fault.fault, 503)
    match fault.fault:
        case FaultKind.HTML:
            return Response(_HTML % (status, status), status, media_type="text/html")
        case FaultKind.GARBAGE:
            noise = _GARBAGE_STARTS[media_type] + Random(fault.seed).randbytes(_GARBAGE_BYTES)
            return Response(noise, status, media_type=media_type)
        case _:
            return Response(status_code=status)
