"""The one clock of all sandbox carriers, and the format of timestamps."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def iso(moment: datetime) -> str:
    """Format `moment` for the control API: UTC with microseconds, always the same width."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class SandboxClock:
    """The machine's clock plus an offset that tests move forward, so that half an hour can pass at once."""

    def __init__(self, machine: Clock = wall_clock) -> None:
        self.machine = machine
        self.ahead = timedelta()
        self._woken = asyncio.Event()

    def __call__(self) -> datetime:
        """Return the current time in the sandbox."""
        return self.machine() + self.ahead

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.ahead += timedelta(seconds=seconds)
        self.wake()

    def reset(self) -> None:
        """Remove the offset."""
        self.ahead = timedelta()
        self.wake()

    def wake(self) -> None:
        """Wake the task that waits in `until`, so that it checks again what it waits for."""
        self._woken.set()

    async def until(self, moment: datetime | None) -> None:
        """Wait until `moment`, or until `wake` is called. One waiter at a time."""
        self._woken.clear()
        wait_s = None if moment is None else max(0.0, (moment - self()).total_seconds())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), wait_s)
