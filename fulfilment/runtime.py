"""One process, one event loop, one of everything: made after the fork, at first use, and kept for life.

A pool child's ledger connections and HTTP clients belong to its loop, so both live and die together here.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

from fulfilment.desk import Desk
from fulfilment.intake import Intake
from ledger.ledger import Ledger

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Room:
    """Everything the use cases need, open and connected."""

    ledger: Ledger
    desk: Desk
    intake: Intake


Opening = Callable[[], AbstractAsyncContextManager[Room]]


class Runtime:
    """Runs coroutines on the one loop of this process, with the room open."""

    def __init__(self, opening: Opening) -> None:
        self.pid = os.getpid()
        self._runner = asyncio.Runner()
        self._opened = opening()
        try:
            self.room = self._runner.run(self._opened.__aenter__())
        except BaseException:
            self._runner.close()
            raise

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
