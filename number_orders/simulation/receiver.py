"""The receiver in a simulated world: the real routes for notices, in a process that dies, freezes and is replaced."""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Final

import httpx
from fastapi import FastAPI

from number_orders.carriers.bandwidth.notices import BandwidthNotices
from number_orders.carriers.cm.notices import CMNotices
from number_orders.carriers.notices import NoticeAddresses
from number_orders.carriers.subscriptions import WantedSubscription
from number_orders.fulfilment.ports import Bell
from number_orders.ledger.ledger import Ledger
from number_orders.receiver.notices.credentials import BasicCredentials
from number_orders.receiver.notices.intake import NoticeIntake
from number_orders.receiver.notices.routes import NoticeLimits, NoticeSource, notice_router
from number_orders.simulation.carriers import BANDWIDTH, CM_COM
from number_orders.simulation.incidents import Incidents
from number_orders.simulation.network import OutgoingRequest, call_app
from number_orders.simulation.process import Process
from number_orders.simulation.trace import Trace

ASKS_EVERY: Final = timedelta(seconds=5)
"""As in the default settings; a test compares."""
ADDRESSES: Final = NoticeAddresses("http://receiver.test", b"the secret of every simulated world")
SUBSCRIPTION: Final = WantedSubscription(
    ADDRESSES.of_carrier(BANDWIDTH), "receiver", "a password of the simulated world", timedelta(days=1)
)
_RESTART_S: Final = (0.5, 60.0)
_ONE_WAY_S: Final = (0.002, 0.2)
_TIMEOUT_S: Final = 5.0


class SimulatedReceiver(httpx.AsyncBaseTransport):
    """Receives what carriers send, while its process lives."""

    def __init__(
        self,
        *,
        new_process: Callable[[str], Process],
        open_ledger: Callable[[Process], Ledger],
        open_bell: Callable[[Process], Bell],
        incidents: Incidents,
        trace: Trace,
        on_crash: Callable[[str], None],
    ) -> None:
        self._new_process = new_process
        self._open_ledger = open_ledger
        self._open_bell = open_bell
        self._incidents = incidents
        self._trace = trace
        self._on_crash = on_crash
        self._app: FastAPI | None = None

    def open_client(self) -> httpx.AsyncClient:
        """Return a client that reaches this receiver and nobody else."""
        return httpx.AsyncClient(transport=self)

    async def run(self) -> None:
        """Run processes, one after the other."""
        for life in count():
            process = self._new_process(f"receiver.{life}")
            task = asyncio.get_running_loop().create_task(self._serve(process))
            process.set_task(task)
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
            if not process.is_dead:
                self._on_crash("".join(traceback.format_exception(task.exception())) if not task.cancelled() else "")
            await asyncio.sleep(self._incidents.random_s(*_RESTART_S))

    async def _serve(self, process: Process) -> None:
        intake = NoticeIntake(self._open_ledger(process).notices, self._open_bell(process), asks_every=ASKS_EVERY)
        app = FastAPI()
        app.include_router(notice_router(_sources(), lambda _: intake, limits=NoticeLimits(clock=process.clock.boot)))
        try:
            async with app.router.lifespan_context(app):
                self._app = app
                await asyncio.Event().wait()
        finally:
            self._app = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request to the receiver, and its answer back, if it comes in time."""
        body, incidents = await request.aread(), self._incidents
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await asyncio.sleep(incidents.random_s(*_ONE_WAY_S))
                if self._app is None:
                    raise httpx.ConnectError("connection refused")
                headers = dict(request.headers)
                target = request.url.raw_path.decode()
                answer = await call_app(self._app, OutgoingRequest(request.method, target, headers, body))
                await asyncio.sleep(incidents.random_s(*_ONE_WAY_S))
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        self._trace.note(
            "receiver", "answered", f"{target.partition('/notices/')[2].partition('/')[0]} {answer.status}"
        )
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


def _sources() -> Sequence[NoticeSource]:
    credentials = BasicCredentials(SUBSCRIPTION.username, SUBSCRIPTION.password)
    return (
        NoticeSource(BANDWIDTH, BandwidthNotices(), credentials),
        NoticeSource(CM_COM, CMNotices(), addresses=ADDRESSES),
    )
