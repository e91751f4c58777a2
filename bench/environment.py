"""The environment of one run: empty databases, a fake carrier, and processes that end with the run.

A process that exits during the run makes the run fail.
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

from bench.carrier import ENDED, REPORT
from bench.servers import EmptyServers, Servers
from number_orders.cli.stack.processes import free_port
from number_orders.embedded.ports import LOOPBACK
from number_orders.embedded.supervisor import ProcessEvent, ProcessEventKind, Supervisor

ROOT: Final = Path(__file__).resolve().parent.parent
_UP_WITHIN_S: Final = 30.0
_GRACE_S: Final = 30.0


class BenchError(Exception):
    """A run failed; the message says why."""


@dataclass(slots=True)
class BenchEnvironment:
    """The servers and processes of one run."""

    servers: EmptyServers
    carrier_url: str
    directory: Path
    supervisor: Supervisor
    http: httpx.Client = field(repr=False)
    """The client for all questions: making one costs as much CPU as an order, and would distort the figures."""
    exited: list[str] = field(default_factory=list)
    carrier_pid: int = 0

    def run(self, name: str, argv: Sequence[str], **variables: str) -> int:
        """Start a process with these environment variables; return its pid."""
        return self.supervisor.start(name, argv, env={**process_environment(), **variables}, cwd=ROOT)

    def ended(self) -> int:
        """Return how many orders the carrier has reported as complete."""
        self.check()
        return int(self.http.get(ENDED).json())

    def report(self) -> Sequence[Mapping[str, Any]]:
        """Return what the carrier recorded of every order."""
        report: Sequence[Mapping[str, Any]] = self.http.get(REPORT).json()
        return report

    def check(self) -> None:
        """Check that every process still runs.

        Raises:
            BenchError: One has exited.
        """
        if self.exited:
            log = self.directory / f"{self.exited[0]}.log"
            output = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
            raise BenchError(f"{self.exited[0]} exited during the run; the end of its output:\n{output}")


def process_environment() -> dict[str, str]:
    """Return the environment variables of every process: ours without settings, and with this code on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBER_ORDERS_", "BENCH_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def bench_environment(servers: Servers) -> Iterator[BenchEnvironment]:
    """Set up the environment of one run, and stop its processes afterwards."""
    exited: list[str] = []
    over = False

    def on_event(event: ProcessEvent) -> None:
        if event.kind is ProcessEventKind.EXITED and not over:
            exited.append(event.name)

    directory = servers.directory / "log"
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with (
        Supervisor(output=directory, on_event=on_event, grace_s=_GRACE_S) as supervisor,
        httpx.Client(base_url=url, timeout=_UP_WITHIN_S) as http,
    ):
        env = BenchEnvironment(servers.emptied(), url, directory, supervisor, http, exited)
        env.carrier_pid = env.run("carrier", [sys.executable, "-m", "bench.carrier", str(port)])
        _await_carrier(env)
        try:
            yield env
        finally:
            over = True


def until(deadline: float, what: str) -> Iterator[None]:
    """Yield every 100 ms until the deadline (monotonic clock).

    Raises:
        BenchError: The deadline has passed.
    """
    while time.monotonic() < deadline:
        yield
        time.sleep(0.1)
    raise BenchError(f"{what} took too long")


def _await_carrier(env: BenchEnvironment) -> None:
    for _ in until(time.monotonic() + _UP_WITHIN_S, "the carrier's start"):
        try:
            env.ended()
        except httpx.TransportError:
            continue
        return
