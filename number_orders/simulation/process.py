"""A pool child: its machine's clock, and the points at which it can die or freeze.

It can be killed or frozen wherever the world could notice: at each statement, request and message. A dead child does
nothing more, whatever its code tries. A frozen one continues later without noticing.
"""

import asyncio

from number_orders.simulation.clock import MachineClock
from number_orders.simulation.incidents import Incidents
from number_orders.simulation.trace import Trace

_FROZEN_S = (3.0, 900.0)


class Process:
    """One life of a pool child."""

    def __init__(self, name: str, clock: MachineClock, incidents: Incidents, trace: Trace) -> None:
        self.name = name
        self.clock = clock
        self.is_dead = False
        self._incidents = incidents
        self._trace = trace
        self._resumes_at = 0.0
        self._work: asyncio.Task[None] | None = None

    def set_task(self, life: asyncio.Task[None]) -> None:
        """Set the task that ends when this process is killed."""
        self._work = life

    async def checkpoint(self, where: str) -> None:
        """Pass a point at which the process may die or freeze.

        Raises:
            asyncio.CancelledError: the process is dead.
        """
        if self._incidents.happens(self._incidents.faults.frozen):
            self._freeze(where)
        while not self.is_dead and (pause_s := self._resumes_at - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110  it is the time that is waited for
            await asyncio.sleep(pause_s)
        self.checkpoint_now(where)

    def checkpoint_now(self, where: str) -> None:
        """Pass a point at which the process may die but cannot wait.

        Raises:
            asyncio.CancelledError: the process is dead.
        """
        if not self.is_dead and self._incidents.happens(self._incidents.faults.killed):
            self.die(where)
        if self.is_dead:
            raise asyncio.CancelledError

    def die(self, where: str) -> None:
        """End at once. Its memory is lost; requests that it sent are still in flight."""
        self._trace.note(self.name, "killed", where)
        self.is_dead = True
        if self._work is not None:
            self._work.cancel()

    def _freeze(self, where: str) -> None:
        pause_s = self._incidents.random_s(*_FROZEN_S)
        self._trace.note(self.name, "frozen", f"{where} for {pause_s:.1f} s")
        self._resumes_at = asyncio.get_running_loop().time() + pause_s
