"""Virtual time: an event loop that jumps to its next timer when nothing else is left to do.

A day costs as much as what happens in it. Nothing here waits, opens a socket or starts a thread, and simultaneous
events always happen in the same order, so that a world is the same in every run.
"""

import asyncio
import selectors
from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, TypeVar

EPOCH: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""When every world begins: a Monday."""

_TIMER_GAP_S: Final = 1e-9
_TIMER_GAPS: Final = 1000

T = TypeVar("T")


class Deadlock(Exception):
    """Every task waits, and no timer will wake any of them."""


class _InstantSelector(selectors.SelectSelector):
    """A selector without sockets: instead of waiting, it advances the time."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Advance the time by `timeout` seconds."""
        if timeout is None:
            raise Deadlock("every task waits, and no timer is set")
        self.passed_s += max(0.0, timeout)
        return []


class _NumberedTask(Task[T]):
    """A task with its number as hash. The default hash is an address, which differs between runs."""

    def __init__(self, work: Coroutine[Any, Any, T], *, loop: AbstractEventLoop, number: int, **named: Any) -> None:
        self._number = number
        super().__init__(work, loop=loop, **named)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time. Work for other threads is done at once."""

    def __init__(self) -> None:
        self._selector = _InstantSelector()
        super().__init__(self._selector)
        self._numbers = count(1)
        self._timers = count(1)
        self.set_task_factory(self._new_task)

    def time(self) -> float:
        """Return the seconds since the world began."""
        return self._selector.passed_s

    def call_at(  # type: ignore[override]  # the real one's arguments fit its callback, which nothing here looks at
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer. No two are at the same moment, or their order would depend on timers cancelled before."""
        gap_s = next(self._timers) % _TIMER_GAPS * _TIMER_GAP_S
        return super().call_at(when + gap_s, callback, *args, context=context)

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: Any) -> "Future[T]":  # type: ignore[override]  # the real one takes executors of every kind
        """Call `func` at once."""
        done: Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except asyncio.CancelledError:
            done.cancel()
        except BaseException as error:  # noqa: BLE001  the task that waits for it gets any error
            done.set_exception(error)
        return done

    def _new_task(
        self, loop: AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], **named: Any
    ) -> Task[T]:
        assert asyncio.iscoroutine(work)
        return _NumberedTask(work, loop=loop, number=next(self._numbers), **named)


def true_now() -> datetime:
    """Return the world's true time. Of its machines only the ledger knows it."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass(frozen=True, slots=True)
class MachineClock:
    """The clock of one machine: wrong by an offset, and slightly fast or slow."""

    ahead_s: float = 0.0
    drift: float = 0.0
    """Seconds gained each second."""

    def now(self) -> datetime:
        """Return the machine's wall-clock time."""
        return true_now() + timedelta(seconds=self.ahead_s)

    def boot(self) -> float:
        """Return the seconds since the machine was booted."""
        return 1000.0 + self.ahead_s + asyncio.get_running_loop().time() * (1 + self.drift)
