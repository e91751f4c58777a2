"""Kills one worker in the middle of a demonstration, and sees whether it is replaced."""

from collections.abc import Callable, Mapping
from typing import Final

from rich.text import Text

from number_orders.cli.stack.stack import Stack
from number_orders.embedded.supervisor import ProcessEvent, ProcessEventKind
from number_orders.orders.model import State

VICTIM: Final = "worker2"

_FROM: Final = 0.4
_AT_LAST: Final = 0.7
"""It happens once this much has been accepted: as soon as some orders are on their way to the carrier, or at last."""
_ON_THEIR_WAY: Final = 3


class Sabotage:
    """One SIGKILL. `happened` is called from other threads."""

    def __init__(self, say: Callable[[str | Text], None], *, orders: int, wanted: bool) -> None:
        self._say = say
        self._orders = orders
        self._wanted = wanted
        self._stopping = False
        self.killed: str | None = None
        """Which worker was killed, and the process it was."""
        self.replaced = False
        self.unplanned: list[str] = []
        """What else exited, which nothing should."""

    @property
    def is_over(self) -> bool:
        """Whether all that was to be done was done."""
        return not self._wanted or self.replaced

    def consider(self, stack: Stack, counts: Mapping[State, int]) -> None:
        """Kill, if it is time to."""
        if not self._wanted or self.killed:
            return
        accepted, on_their_way = sum(counts.values()) / self._orders, counts.get(State.SUBMITTING, 0)
        if accepted >= _AT_LAST or (accepted >= _FROM and on_their_way >= _ON_THEIR_WAY):
            self.killed = f"{VICTIM} (process {stack.worker_pid(VICTIM)})"
            stack.kill_worker(VICTIM)
            self._say(
                Text(
                    f"{self.killed} and its children are killed with SIGKILL, while {on_their_way} orders are on "
                    f"their way to the carrier and {counts.get(State.OPEN, 0)} are open",
                    "bold red",
                )
            )

    def stopping(self) -> None:
        """From here on, exits are as they should be."""
        self._stopping = True

    def happened(self, event: ProcessEvent) -> None:
        """Take note of what a process did."""
        if self._stopping:
            return
        planned = event.name == VICTIM and self.killed is not None
        if event.kind is ProcessEventKind.EXITED and not planned:
            self.unplanned.append(f"{event.name} exited with {event.returncode}")
        if event.kind is ProcessEventKind.RESTARTED:
            self.replaced = self.replaced or planned
            self._say(Text(f"{event.name} was replaced: process {event.pid}", "green"))
