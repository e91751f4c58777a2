"""One process, one event loop, one of everything: made after the fork, at first use at the latest, and kept for life.

A pool child's ledger connections and HTTP clients belong to its loop, so both live and die together here.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from number_orders.fulfilment.intake import Intake
from number_orders.fulfilment.service import OrderService
from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import LedgerUnavailable

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the use cases need, open and connected."""

    ledger: Ledger
    orders: OrderService
    intake: Intake


Opening = Callable[[], AbstractAsyncContextManager[Services]]


class Runtime:
    """Runs coroutines on the one loop of this process, with the room open."""

    def __init__(self, opening: Opening, *, within_s: float | None = None) -> None:
        """Open the room.

        Raises:
            LedgerUnavailable: It could not be opened, or not so soon.
        """
        self.pid = os.getpid()
        self._runner = asyncio.Runner()
        self._opened = opening()
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
        """Run `work` to its end, in the caller's context: what is bound to its log lines is bound here too."""
        return self._runner.run(work, context=copy_context())

    def close(self) -> None:
        """Close the room and the loop. Nothing relies on it: a killed process closes nothing."""
        self._runner.run(self._opened.__aexit__(None, None, None))
        self._runner.close()


class _Home:
    """Where this process keeps its runtime."""

    opening: Opening | None = None
    runtime: Runtime | None = None


def install(opening: Opening) -> None:
    """Say how rooms are opened in this process and its children. Opens none yet."""
    _Home.opening = opening


def prepare(*, within_s: float) -> None:
    """Open this process's room before there is anything to do, so that the first order need not wait for it.

    Where the ledger does not answer so soon, the first task opens it.
    """
    if _Home.opening is not None:
        try:
            _Home.runtime = Runtime(_Home.opening, within_s=within_s)
        except LedgerUnavailable as away:
            log.warning("ledger_away", trouble=str(away))


def runtime() -> Runtime:
    """Return this process's runtime, made at first use; a child never uses its parent's."""
    if _Home.runtime is None or _Home.runtime.pid != os.getpid():
        if _Home.opening is None:
            raise RuntimeError("no runtime was installed: this process was not started through workers/")
        _Home.runtime = Runtime(_Home.opening)
    return _Home.runtime


def close() -> None:
    """Close this process's runtime, if it has one."""
    if _Home.runtime is not None and _Home.runtime.pid == os.getpid():
        _Home.runtime.close()
    _Home.runtime = None
