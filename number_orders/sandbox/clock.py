"""The practice carriers' only clock, and how they write a moment down."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Return this moment, aware and in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def iso(moment: datetime) -> str:
    """Write `moment` for the control API: UTC with microseconds, always the same width."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class SandboxClock:
    """The machine's clock, and how far the sandbox has been moved ahead of it: half an hour can pass at once."""

    def __init__(self, machine: Clock = wall_clock) -> None:
        self.machine = machine
        self.ahead = timedelta()
        self._woken = asyncio.Event()

    def __call__(self) -> datetime:
        """Return this moment in the sandbox."""
        return self.machine() + self.ahead

    def advance(self, seconds: float) -> None:
        """Move the sandbox forward."""
        self.ahead += timedelta(seconds=seconds)
        self.wake()

    def reset(self) -> None:
        """Go back to the machine's time."""
        self.ahead = timedelta()
        self.wake()

    def wake(self) -> None:
        """Wake whoever waits in `until`, because what it waits for may have changed."""
        self._woken.set()

    async def until(self, moment: datetime | None) -> None:
        """Wait until `moment`, or until stirred. One waiter at a time."""
        self._woken.clear()
        wait_s = None if moment is None else max(0.0, (moment - self()).total_seconds())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), wait_s)
