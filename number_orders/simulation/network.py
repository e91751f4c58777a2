"""The network between a process and a carrier: requests and answers get lost, late or broken.

The courier above it is the real one, so its handling of silence, refusals and limits is tested too.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from random import Random
from typing import Any, Final
from urllib.parse import unquote

import httpx
from starlette.applications import Starlette

from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.transport import SendGuard, TransportError
from number_orders.orders.model import CarrierName
from number_orders.sandbox.cm.access import CmAccount
from number_orders.sandbox.swift.access import SwiftAccount
from number_orders.simulation.clock import true_now
from number_orders.simulation.faults import LATE_MAX_S
from number_orders.simulation.incidents import Incidents
from number_orders.simulation.process import Process
from number_orders.simulation.rates import RateMonitor
from number_orders.simulation.trace import Trace

TIMEOUT_S = 30.0
"""The total time-out of one request, as in the default settings."""
_IDS: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9A-HJKMNP-TV-Z]{26}\b")
"""UUIDs and ULIDs."""
_SEARCHED: Final = 2000
_ACCOUNTS: Final = {
    CmAccount().account_guid, *CmAccount().company_profiles, SwiftAccount().account_id, *SwiftAccount().sub_accounts,
}  # fmt: skip
_ONE_WAY_S = (0.002, 0.2)
_SLOW_S = (1.0, 25.0)
_SLOWLY = 0.02
_NEARLY_ALL = 0.8


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """One request in flight. Its credentials are not in the trace."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def summary(self) -> str:
        """The request in one line."""
        return f"{self.method} {self.target}"

    @property
    def ids(self) -> set[str]:
        """What identifies the order: its reference, and the carrier's ids in the address."""
        named = _IDS.findall(f"{self.target} {self.body[:_SEARCHED].decode(errors='replace')}")
        return {*named} - _ACCOUNTS


class CarrierHost:
    """A carrier as the network reaches it."""

    def __init__(
        self,
        name: CarrierName,
        app: Starlette,
        incidents: Incidents,
        trace: Trace,
        on_carrier_action: Callable[[CarrierName], None],
        rate_monitor: RateMonitor,
        again: Random,
        on_request: Callable[[str], None],
    ) -> None:
        self.name = name
        self._app = app
        self._incidents = incidents
        self._trace = trace
        self._on_carrier_action = on_carrier_action
        self._rate_monitor = rate_monitor
        self._again = again
        self._on_request = on_request
        self._struck: set[str] = set()
        """Ids of the orders of which an answer was lost."""
        self._in_flight: set[asyncio.Task[None]] = set()

    def is_away(self) -> bool:
        """Return whether nobody can connect."""
        return self._incidents.is_ongoing("outages", self.name)

    def deliver(self, request: OutgoingRequest) -> "asyncio.Future[CarrierAnswer]":
        """Send a request; its sender may be dead when it arrives."""
        path, now = request.target.partition("?")[0], asyncio.get_running_loop().time()
        self._rate_monitor.on_request(self.name, request.method, path, now)
        self._on_request(request.target)
        reply: asyncio.Future[CarrierAnswer] = asyncio.get_running_loop().create_future()
        reply.add_done_callback(_ignore_result)
        delivery_task = asyncio.get_running_loop().create_task(self._exchange(request, reply))
        self._in_flight.add(delivery_task)
        delivery_task.add_done_callback(self._in_flight.discard)
        return reply

    async def _exchange(self, request: OutgoingRequest, reply: "asyncio.Future[CarrierAnswer]") -> None:
        incidents, faults = self._incidents, self._incidents.faults
        lost_before, lost_after = incidents.happens(faults.lost_before), incidents.happens(faults.lost_after)
        late, limited = incidents.happens(faults.late), self._is_limited()
        lost_after = lost_after or self._is_struck_again(request)
        await asyncio.sleep(incidents.random_s(*(_SLOW_S if incidents.happens(_SLOWLY) else _ONE_WAY_S)))
        if limited:
            answer = self._answer_429()
        elif lost_before:
            return await self._lose(request, reply, "lost on the way there")
        else:
            if late:
                self._trace.note(self.name, "late", request.summary)
                await asyncio.sleep(incidents.random_s(TIMEOUT_S / 2, LATE_MAX_S - _SLOW_S[1]))
            answer = await self._answer(request)
            if lost_after:
                return await self._lose(request, reply, "lost on the way back")
        await asyncio.sleep(incidents.random_s(*_ONE_WAY_S))
        if not reply.done():
            reply.set_result(answer)
        return None

    async def _lose(self, request: OutgoingRequest, reply: "asyncio.Future[CarrierAnswer]", where: str) -> None:
        """Lose a request or its answer: the connection breaks, or there is only silence."""
        self._struck |= request.ids
        how = self._incidents.choose("broken", "silent")
        self._trace.note(self.name, "lost", f"{request.summary}: {where}, {how}")
        if how == "broken" and not reply.done():
            await asyncio.sleep(self._incidents.random_s(*_ONE_WAY_S))
            if not reply.done():
                reply.set_exception(httpx.ReadError("the connection broke"))

    def _is_struck_again(self, request: OutgoingRequest) -> bool:
        """Return whether the answer to a further request of an order is lost, of which one was lost before."""
        probability = self._incidents.faults.struck_again if self._incidents.is_active else 0.0
        return bool(probability and request.ids & self._struck) and self._again.random() < probability

    def _is_limited(self) -> bool:
        in_limited_period = self._incidents.is_ongoing("limited_periods", self.name)
        return self._incidents.happens(_NEARLY_ALL if in_limited_period else self._incidents.faults.limited)

    def _answer_429(self) -> CarrierAnswer:
        now, wait_s = true_now(), int(self._incidents.random_s(1, 120))
        headers = {
            "epoch": {"x-ratelimit-reset": str(int((now + timedelta(seconds=wait_s)).timestamp()))},
            "past": {"x-ratelimit-reset": str(int(now.timestamp()) - 5)},
            "seconds": {"retry-after": str(wait_s)},
            "date": {"retry-after": format_datetime(now + timedelta(seconds=wait_s), usegmt=True)},
            "nothing": {},
        }
        return CarrierAnswer(429, headers[self._incidents.choose(*headers)], b"")

    async def _answer(self, request: OutgoingRequest) -> CarrierAnswer:
        """Let the carrier act on a request, and return its answer."""
        answer = await call_app(self._app, request)
        self._trace.note(self.name, "acted", f"{request.summary} -> {answer.status}")
        if request.method != "GET":
            self._on_carrier_action(self.name)
        return answer


def _ignore_result(reply: "asyncio.Future[CarrierAnswer]") -> None:
    """Read a reply's exception, because a dead process no longer does."""
    if not reply.cancelled():
        reply.exception()


async def call_app(app: Starlette, request: OutgoingRequest) -> CarrierAnswer:
    """Call an application in this process."""
    path, _, query = request.target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method, "scheme": "http",
        "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
        "client": ("127.0.0.1", 1), "server": ("carrier.test", 80),
    }  # fmt: skip
    messages: list[Mapping[str, object]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Mapping[str, object]) -> None:
        messages.append(message)

    await app(scope, receive, send)
    return _collect_answer(messages)


def _collect_answer(messages: list[Mapping[str, object]]) -> CarrierAnswer:
    start, *rest = messages
    headers, status = start["headers"], start["status"]
    assert isinstance(headers, list)
    assert isinstance(status, int)
    bodies = [part["body"] for part in rest]
    answer_headers = {name.decode().lower(): value.decode() for name, value in headers}
    return CarrierAnswer(status, answer_headers, b"".join(body for body in bodies if isinstance(body, bytes)))


class SimulatedTransport:
    """The connections of one process to one carrier."""

    def __init__(self, host: CarrierHost, process: Process, incidents: Incidents) -> None:
        self._host = host
        self._process = process
        self._incidents = incidents

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes, guard: SendGuard
    ) -> CarrierAnswer:
        """Send one request under `guard`, and return the answer if it comes in time."""
        process, incidents = self._process, self._incidents
        async with asyncio.timeout(TIMEOUT_S):
            await process.checkpoint("connecting")
            await asyncio.sleep(incidents.random_s(*_ONE_WAY_S))
            if self._host.is_away() or incidents.happens(incidents.faults.refused):
                raise ConnectionRefusedError("connection refused")
            await process.checkpoint("about to send")
            guard.begin_sending()
            request = OutgoingRequest(method, target, {**headers, "Host": "carrier.test"}, body)
            reply = self._host.deliver(request)
            await process.checkpoint("sent")
            answer = await reply
            await process.checkpoint("answered")
            return answer

    def describe_failure(self, fault: Exception, guard: SendGuard) -> str:
        """Describe for a person what went wrong."""
        what = "no answer" if guard.sent else "nothing was sent"
        return f"{what}: {fault}" if isinstance(fault, TransportError) else f"{what}: {type(fault).__name__}"

    async def aclose(self) -> None:
        """Close nothing; nothing is open."""
