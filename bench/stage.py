"""Where one run takes place: fresh servers, a carrier of its own, and processes that end with the run.

Knows how they are started and where they are reached; a process that exits before it is told to spoils the run.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from bench.carrier import REPORT, TOLD
from bench.servers import Fresh, Servers
from number_orders.cli.stack.processes import free_port
from number_orders.embedded.ports import LOOPBACK
from number_orders.embedded.supervisor import ProcessEvent, ProcessEventKind, Supervisor

ROOT: Final = Path(__file__).resolve().parent.parent
_UP_WITHIN_S: Final = 30.0
_GRACE_S: Final = 30.0


class BenchError(Exception):
    """A run came to nothing, and why."""


@dataclass(slots=True)
class Stage:
    """One run's place."""

    fresh: Fresh
    carrier_url: str
    directory: Path
    keeper: Supervisor
    asker: httpx.Client = field(repr=False)
    """One for all questions: to make one costs as much as an order, and beside those it is to measure."""
    fallen: list[str] = field(default_factory=list)
    carrier_pid: int = 0

    def run(self, name: str, argv: Sequence[str], **told: str) -> int:
        """Start a process of the run, that is told these variables, and return its pid."""
        return self.keeper.start(name, argv, env={**environment(), **told}, cwd=ROOT)

    def told(self) -> int:
        """Return how many ends the carrier has shown."""
        self.check()
        return int(self.asker.get(TOLD).json())

    def report(self) -> Sequence[Mapping[str, Any]]:
        """Return what the carrier wrote down of every order."""
        report: Sequence[Mapping[str, Any]] = self.asker.get(REPORT).json()
        return report

    def check(self) -> None:
        """See that everything still runs.

        Raises:
            BenchError: something does not.
        """
        if self.fallen:
            log = self.directory / f"{self.fallen[0]}.log"
            words = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
            raise BenchError(f"{self.fallen[0]} exited in the middle of the run; its last words:\n{words}")


def environment() -> dict[str, str]:
    """Return the environment of every process of a run: ours, without settings of number-orders, with this code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBER_ORDERS_", "BENCH_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def stage(servers: Servers) -> Iterator[Stage]:
    """Set a stage, and clear it away."""
    fallen: list[str] = []
    over = False

    def heed(event: ProcessEvent) -> None:
        if event.kind is ProcessEventKind.EXITED and not over:
            fallen.append(event.name)

    directory = servers.directory / "log"
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with (
        Supervisor(output=directory, on_event=heed, grace_s=_GRACE_S) as keeper,
        httpx.Client(base_url=url, timeout=_UP_WITHIN_S) as asker,
    ):
        here = Stage(servers.fresh(), url, directory, keeper, asker, fallen)
        here.carrier_pid = here.run("carrier", [sys.executable, "-m", "bench.carrier", str(port)])
        _await_carrier(here)
        try:
            yield here
        finally:
            over = True


def until(deadline: float, what: str) -> Iterator[None]:
    """Go round until the deadline (monotonic) is over.

    Raises:
        BenchError: it is.
    """
    while time.monotonic() < deadline:
        yield
        time.sleep(0.1)
    raise BenchError(f"{what} took too long")


def _await_carrier(here: Stage) -> None:
    for _ in until(time.monotonic() + _UP_WITHIN_S, "the carrier's start"):
        try:
            here.told()
        except httpx.TransportError:
            continue
        return
