"""Kills one worker in the middle of a demo, and sees whether it is replaced."""

from collections.abc import Callable, Mapping
from typing import Final

from rich.text import Text

from number_orders.cli.stack.stack import Stack
from number_orders.embedded.supervisor import ProcessEvent, ProcessEventKind
from number_orders.orders.model import State

VICTIM: Final = "worker2"

_FROM: Final = 0.4
_AT_LATEST: Final = 0.7
"""Shares of accepted orders: kill from the first on, once enough orders are being sent, at the second at the latest."""
_ON_THEIR_WAY: Final = 3


class WorkerKill:
    """One SIGKILL. `on_event` is called from other threads."""

    def __init__(self, say: Callable[[str | Text], None], *, orders: int, wanted: bool) -> None:
        self._say = say
        self._orders = orders
        self._wanted = wanted
        self._stopping = False
        self.killed: str | None = None
        """Name and process id of the killed worker."""
        self.replaced = False
        self.unplanned: list[str] = []
        """Other exits, of which there should be none."""

    @property
    def is_over(self) -> bool:
        """Whether the kill is over, or none was wanted."""
        return not self._wanted or self.replaced

    def kill_when_due(self, stack: Stack, counts: Mapping[State, int]) -> None:
        """Kill the worker if it is time."""
        if not self._wanted or self.killed:
            return
        accepted, on_their_way = sum(counts.values()) / self._orders, counts.get(State.SUBMITTING, 0)
        if accepted >= _AT_LATEST or (accepted >= _FROM and on_their_way >= _ON_THEIR_WAY):
            self.killed = f"{VICTIM} (process {stack.worker_pid(VICTIM)})"
            stack.kill_worker(VICTIM)
            self._say(
                Text(
                    f"{self.killed} and its children are killed with SIGKILL, while {on_their_way} orders are on "
                    f"their way to the carrier and {counts.get(State.OPEN, 0)} are open",
                    "bold red",
                )
            )

    def expect_exits(self) -> None:
        """Ignore the exits from here on: the stack is being stopped."""
        self._stopping = True

    def on_event(self, event: ProcessEvent) -> None:
        """Record that a process exited or was restarted."""
        if self._stopping:
            return
        planned = event.name == VICTIM and self.killed is not None
        if event.kind is ProcessEventKind.EXITED and not planned:
            self.unplanned.append(f"{event.name} exited with {event.returncode}")
        if event.kind is ProcessEventKind.RESTARTED:
            self.replaced = self.replaced or planned
            self._say(Text(f"{event.name} was replaced: process {event.pid}", "green"))
