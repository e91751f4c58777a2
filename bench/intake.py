"""The third bench: how many orders a second come in, one message each and five hundred a message.

The orders are for tomorrow, so nothing but their intake is measured.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import psycopg
import typer

from bench import report
from bench.contenders import NumberOrders, order_of
from bench.gauge import Gauge
from bench.servers import Servers
from bench.stage import Stage, stage, until
from bench.workload import measured, warming
from number_orders_client.contract import ORDERS_MAX as BATCH

_WARMED_BY: Final = 64
_PATIENCE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Intake:
    """How one way in went. CPU in milliseconds an order."""

    way: str
    orders: int
    wall_s: float
    worker_cpu_ms: float
    server_cpu_ms: float
    producer_cpu_ms: float

    @property
    def per_second(self) -> float:
        """Orders a second, from the first message sent to the last order committed."""
        return self.orders / self.wall_s


def bench(
    orders: Annotated[int, typer.Option(min=1, help="How many orders in messages of their own.")] = 2000,
    many: Annotated[int, typer.Option(min=1, help="How many orders in messages of 500.")] = 20_000,
    runs: Annotated[int, typer.Option(min=1, help="How often each.")] = 3,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Where the figures go; bench/results/intake.json, if not said.")
    ] = None,
) -> None:
    """Orders a second through orders.submit and orders.submit_many, and the CPU of each."""
    console = report.screen()
    done: list[Intake] = []
    with Servers() as servers:
        for _ in range(runs):
            done += _both(servers, orders, many)
    rows = [
        {
            "way in": one.way,
            "orders": f"{one.orders}",
            "orders/s": f"{one.per_second:.0f}",
            "worker CPU ms/order": f"{one.worker_cpu_ms:.3f}",
            "server CPU ms/order": f"{one.server_cpu_ms:.3f}",
            "producer CPU ms/order": f"{one.producer_cpu_ms:.3f}",
        }
        for one in sorted(done, key=lambda one: (one.way, one.per_second))
    ]
    console.print(report.table("Intake", rows))
    path = json_path or report.RESULTS / "intake.json"
    report.write(path, {"runs": [{**asdict(one), "per_second": one.per_second} for one in done]})
    console.print(f"written to {path}")


def _both(servers: Servers, orders: int, many: int) -> Iterator[Intake]:
    with stage(servers) as here:
        crew = NumberOrders(here)
        try:
            for index in warming(_WARMED_BY):
                crew.submit(_tomorrow(index))
            _await_rows(here, _WARMED_BY)
            yield _measure("submit", here, crew, servers, orders, lambda: _one_by_one(crew, measured(orders)))
            rest = range(orders, orders + many)
            yield _measure("submit_many", here, crew, servers, many, lambda: _in_batches(crew, rest))
        finally:
            crew.close()


def _one_by_one(crew: NumberOrders, indices: range) -> None:
    for index in indices:
        crew.submit(_tomorrow(index))


def _in_batches(crew: NumberOrders, indices: range) -> None:
    for start in range(indices.start, indices.stop, BATCH):
        crew.submit_many([_tomorrow(index) for index in range(start, min(start + BATCH, indices.stop))])


def _measure(
    way: str, here: Stage, crew: NumberOrders, servers: Servers, orders: int, send: Callable[[], None]
) -> Intake:
    gauge = Gauge({"workers": crew.pids, "servers": servers.pids})
    there, _ = _rows(here)
    before, began, ours = gauge.cpu_s(), time.time(), time.process_time()
    send()
    producer_s = time.process_time() - ours
    last_at = _await_rows(here, there + orders)
    used = {name: (after - before[name]) * 1000 / orders for name, after in gauge.cpu_s().items()}
    return Intake(way, orders, last_at - began, used["workers"], used["servers"], producer_s * 1000 / orders)


def _await_rows(here: Stage, orders: int) -> float:
    """Wait until the ledger has so many orders, and return when the last of them was committed."""
    for _ in until(time.monotonic() + _PATIENCE_S, f"the intake of {orders} orders"):
        here.check()
        there, last_at = _rows(here)
        if there >= orders:
            return last_at
    raise AssertionError("unreachable")


def _rows(here: Stage) -> tuple[int, float]:
    with psycopg.connect(here.fresh.database_url) as db:
        row = db.execute(
            "SELECT count(*), coalesce(extract(epoch FROM max(pg_xact_commit_timestamp(xmin))), 0) FROM orders"
        ).fetchone()
    assert row is not None, "an aggregate is one row"
    return int(row[0]), float(row[1])


def _tomorrow(index: int) -> Mapping[str, object]:
    return {**order_of(index), "not_before": _TOMORROW}


_TOMORROW: Final = (datetime.fromtimestamp(time.time(), UTC) + timedelta(days=1)).isoformat()
