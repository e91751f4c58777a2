"""One event loop and one set of services for each process: made after the fork, kept until the process ends.

A pool child's ledger connections and HTTP clients belong to its loop, so they are opened and closed with it.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from number_orders.fulfilment.authority import Authority
from number_orders.fulfilment.callers import Callers, SignedMessages
from number_orders.fulfilment.intake import Intake
from number_orders.fulfilment.service import OrderService
from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import LedgerUnavailable

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that tasks and commands call, open and connected."""

    ledger: Ledger
    orders: OrderService
    intake: Intake
    callers: Callers = field(default_factory=lambda: Callers(None, SignedMessages.OFF))
    """Who has sent a queue message."""
    authority: Authority | None = None
    """Whose a token is; None in a process that takes none."""


OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


class Runtime:
    """Runs coroutines on the one loop of this process, with its services open."""

    def __init__(self, open_services: OpenServices, *, within_s: float | None = None) -> None:
        """Open the services.

        Raises:
            LedgerUnavailable: They could not be opened, or not within that time.
        """
        self.pid = os.getpid()
        self._runner = asyncio.Runner()
        self._opened = open_services()
        try:
            self.services = self._runner.run(self._enter(within_s))
        except BaseException:
            self._runner.close()
            raise

    async def _enter(self, within_s: float | None) -> Services:
        try:
            async with asyncio.timeout(within_s):
                return await self._opened.__aenter__()
        except TimeoutError as late:
            raise LedgerUnavailable("the ledger did not answer in time") from late

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run `work` to its end, in the caller's context, so that its log lines carry what is bound there."""
        return self._runner.run(work, context=copy_context())

    def close(self) -> None:
        """Close the services and the loop. Nothing relies on it: a killed process closes nothing."""
        self._runner.run(self._opened.__aexit__(None, None, None))
        self._runner.close()


class _Process:
    """The runtime of this process."""

    open_services: OpenServices | None = None
    runtime: Runtime | None = None


def install(open_services: OpenServices) -> None:
    """Set how this process and its children open their services. Open none yet."""
    _Process.open_services = open_services


def prepare(*, within_s: float) -> None:
    """Open this process's services before its first task, so that the first order does not wait for it.

    If the ledger does not answer within that time, the first task opens them.
    """
    if _Process.open_services is not None:
        try:
            _Process.runtime = Runtime(_Process.open_services, within_s=within_s)
        except LedgerUnavailable as away:
            log.warning("ledger_away", trouble=str(away))


def runtime() -> Runtime:
    """Return this process's runtime, made at first use. A child never uses its parent's."""
    if _Process.runtime is None or _Process.runtime.pid != os.getpid():
        if _Process.open_services is None:
            raise RuntimeError("no runtime was installed: this process was not started through workers/")
        _Process.runtime = Runtime(_Process.open_services)
    return _Process.runtime


def close() -> None:
    """Close this process's runtime, if it has one."""
    if _Process.runtime is not None and _Process.runtime.pid == os.getpid():
        _Process.runtime.close()
    _Process.runtime = None
