"""CM.com's callbacks: one POST with the whole request for every change of its status, without retries.

Whether CM.com retries is not known. The sandbox does not, so that no client depends on being called.
"""

import asyncio
import heapq
import json
from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import count
from typing import Any, Final

import httpx

from number_orders.sandbox.clock import iso
from number_orders.sandbox.cm import json as cm_json
from number_orders.sandbox.cm.order_book import Request
from number_orders.sandbox.cm.stages import Stage
from number_orders.sandbox.state import SandboxState

_TIMEOUT_S: Final = 5
_CALLBACKS_KEPT: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One callback; `answer` is its HTTP status, or None if nobody answered."""

    at: datetime
    url: str
    order_id: str
    customer_order_id: str
    status: str
    answer: int | None


class CallbackSender:
    """Waits for the next change of any request and calls its customer."""

    def __init__(self, sandbox: SandboxState) -> None:
        self._sandbox = sandbox
        self._sequence = count()
        self.reset()

    def reset(self) -> None:
        """Forget scheduled callbacks and those made."""
        self.sent: deque[Callback] = deque(maxlen=_CALLBACKS_KEPT)
        self._due: list[tuple[datetime, int, Request, Stage]] = []
        self._sandbox.clock.wake()

    def schedule(self, request: Request, after: datetime) -> None:
        """Schedule a callback for each stage from `after` on, except the first stage of the request."""
        if request.sent.callback_url is None:
            return
        for stage in request.stages[1:]:
            if stage.at >= after:
                heapq.heappush(self._due, (stage.at, next(self._sequence), request, stage))
        self._sandbox.clock.wake()

    async def run(self) -> None:
        """Make callbacks until cancelled."""
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as http, asyncio.TaskGroup() as sending:
            while True:
                await self._sandbox.clock.until(self._due[0][0] if self._due else None)
                for request, stage in self._due_now():
                    for _ in range(self._sandbox.behaviour.cm_callback_times):
                        sending.create_task(self._send(http, request, stage))

    def _due_now(self) -> list[tuple[Request, Stage]]:
        """Return the changes that are due, without those that a cancellation prevented."""
        changes = []
        while self._due and self._due[0][0] <= self._sandbox.clock():
            _, _, request, stage = heapq.heappop(self._due)
            if stage in request.stages:
                changes.append((request, stage))
        return changes

    async def _send(self, http: httpx.AsyncClient, request: Request, stage: Stage) -> None:
        url, at = request.sent.callback_url or "", self._sandbox.clock()
        body = json.dumps(cm_json.request(request, stage, self._sandbox.behaviour))
        try:
            response = await http.post(url, content=body, headers={"Content-Type": "application/json"})
            answer: int | None = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            answer = None  # nobody answered; the callback is in the report and is not repeated
        self.sent.append(
            Callback(
                at=at,
                url=url,
                order_id=request.guid,
                customer_order_id=request.reference,
                status=stage.status,
                answer=answer,
            )
        )

    def callbacks_as_json(self, since: datetime | None) -> list[dict[str, Any]]:
        """Return the callbacks made since then."""
        sent = [callback for callback in self.sent if since is None or callback.at >= since]
        return [{"carrier": "cm", **asdict(callback), "at": iso(callback.at)} for callback in sent]
