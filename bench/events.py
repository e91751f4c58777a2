"""Measure what it costs to show orders in Flower: its share of a worker's CPU at W(N), within each run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from bench import report
from bench.contenders import Contender, Deployment, NumberOrders
from bench.environment import BenchEnvironment
from bench.profiled_names import EVENTS, GO
from bench.runs import run
from bench.servers import Servers
from bench.workload import ORDERS_MAX


def bench(
    orders: Annotated[int, typer.Option(min=1, max=ORDERS_MAX, help="How many orders, all at once.")] = 1000,
    runs: Annotated[int, typer.Option(min=1, help="How often.")] = 3,
) -> None:
    """Run W(N) with order events; both figures come from the same run, so a busy machine does not matter."""
    console = report.screen()
    with Servers() as servers:
        for number in range(1, runs + 1):
            with TemporaryDirectory() as folder:
                done = run(Contender("number-orders", "", partial(_counting, folder=folder)), servers, orders)
                files = [json.loads(file.read_text(encoding="utf-8")) for file in Path(folder).glob("*.json")]
            events_ms = sum(sum(taken.values()) for taken in files) * 1000 / orders
            console.print(
                f"run {number}: {done.worker_cpu_ms:.2f} ms of worker CPU per order, {events_ms:.3f} of them for "
                f"order events: {events_ms / done.worker_cpu_ms:.1%}"
            )


class _Counting(NumberOrders):
    """Counts from the order on that follows the warm-up."""

    def __init__(self, env: BenchEnvironment, folder: str) -> None:
        super().__init__(env, app="bench.events_app", **{EVENTS: folder})
        self._go = Path(folder) / GO
        self._is_warm = False

    def place(self, indices: range) -> None:
        """As `NumberOrders`; the first are the warm-up."""
        if self._is_warm:
            self._go.touch()
        self._is_warm = True
        super().place(indices)


@contextmanager
def _counting(env: BenchEnvironment, *, folder: str) -> Iterator[Deployment]:
    deployment = _Counting(env, folder)
    try:
        yield deployment
    finally:
        deployment.close()
        env.supervisor.stop()  # each process writes its figures when it ends
