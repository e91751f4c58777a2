"""Time that passes only when nothing else is left to do: an event loop that leaps to its next timer.

Days cost what happens in them. Nothing here waits, opens a socket or starts a thread, and what happens at the same
moment happens in the same order every time, so a world is the same whenever it is run.
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
    """Everybody waits for somebody else, and no timer will wake anyone."""


class _InstantSelector(selectors.SelectSelector):
    """A selector that looks at nothing: instead of waiting, it lets the time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Let `timeout` seconds pass at once."""
        if timeout is None:
            raise Deadlock("every task waits, and no timer is set")
        self.passed_s += max(0.0, timeout)
        return []


class _NumberedTask(Task[T]):
    """A task that sorts in a set by its number. The address that others sort by differs from run to run."""

    def __init__(self, work: Coroutine[Any, Any, T], *, loop: AbstractEventLoop, number: int, **named: Any) -> None:
        self._number = number
        super().__init__(work, loop=loop, **named)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time. What others would do in a thread is done at once."""

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
        """Set a timer; no two go off at the same moment, or their order would depend on those cancelled before."""
        gap_s = next(self._timers) % _TIMER_GAPS * _TIMER_GAP_S
        return super().call_at(when + gap_s, callback, *args, context=context)

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: Any) -> "Future[T]":  # type: ignore[override]  # the real one takes executors of every kind
        """Call `func` here and now."""
        done: Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except asyncio.CancelledError:
            done.cancel()
        except BaseException as error:  # noqa: BLE001  whoever waits for it is to have it, whatever it is
            done.set_exception(error)
        return done

    def _new_task(
        self, loop: AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], **named: Any
    ) -> Task[T]:
        assert asyncio.iscoroutine(work)
        return _NumberedTask(work, loop=loop, number=next(self._numbers), **named)


def true_now() -> datetime:
    """Return the world's own time, which no machine in it knows but the ledger's."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass(frozen=True, slots=True)
class MachineClock:
    """One machine's idea of the time: set wrong, and running a little fast or slow."""

    ahead_s: float = 0.0
    drift: float = 0.0
    """Seconds gained each second."""

    def now(self) -> datetime:
        """Return what the machine takes for the present."""
        return true_now() + timedelta(seconds=self.ahead_s)

    def boot(self) -> float:
        """Return the seconds since the machine was started."""
        return 1000.0 + self.ahead_s + asyncio.get_running_loop().time() * (1 + self.drift)
