"""Measure intake: how many orders a second, one or five hundred per message, and what a call of our client costs.

The orders are scheduled for tomorrow, so only their intake is measured.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import psycopg
import typer

from bench import report
from bench.contenders import NumberOrders, order_of
from bench.environment import BenchEnvironment, bench_environment, until
from bench.meter import ResourceMeter
from bench.servers import Servers
from bench.targets import Limit
from bench.workload import measured, warm_up
from number_orders_client import Client
from number_orders_client.contract import ORDERS_MAX as BATCH

_WARM_UP_ORDERS: Final = 64
_TIMEOUT_S: Final = 300.0
_LIMITS: Final = (
    (Limit("submit_many, orders/s", 10_000, 15_000, is_floor=True), "submit_many", "per_second"),
    (Limit("client.submit, producer CPU ms", 0.5, 0.3), "client.submit", "producer_cpu_ms"),
)


@dataclass(frozen=True, slots=True)
class Intake:
    """The figures of one way to submit. CPU in milliseconds per order."""

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
    orders: Annotated[int, typer.Option(min=1, help="How many orders with one message each.")] = 2000,
    many: Annotated[int, typer.Option(min=1, help="How many orders in messages of 500.")] = 20_000,
    calls: Annotated[int, typer.Option(min=1, help="How many orders by our client, each awaited.")] = 500,
    runs: Annotated[int, typer.Option(min=1, help="How often to run each.")] = 3,
    json_path: report.JsonPath = None,
) -> None:
    """Measure orders per second through orders.submit and orders.submit_many and by our client, and the CPU of each."""
    console = report.screen()
    done: list[Intake] = []
    with Servers() as servers:
        for _ in range(runs):
            done += _all_ways(servers, orders, many, calls)
    rows = [
        {
            "task": one.way,
            "orders": f"{one.orders}",
            "orders/s": f"{one.per_second:.0f}",
            "worker CPU ms/order": f"{one.worker_cpu_ms:.3f}",
            "server CPU ms/order": f"{one.server_cpu_ms:.3f}",
            "producer CPU ms/order": f"{one.producer_cpu_ms:.3f}",
        }
        for one in sorted(done, key=lambda one: (one.way, one.per_second))
    ]
    console.print(report.table("Intake", rows))
    by_way = {way: [one for one in done if one.way == way] for way in {one.way for one in done}}
    console.print(report.table("Targets", [limit.row(report.middle(by_way[way], of)) for limit, way, of in _LIMITS]))
    path = json_path or report.RESULTS / "intake.json"
    report.write(path, {"runs": [{**asdict(one), "per_second": one.per_second} for one in done]})
    console.print(f"written to {path}")


def _all_ways(servers: Servers, orders: int, many: int, calls: int) -> Iterator[Intake]:
    with bench_environment(servers) as env:
        deployment = NumberOrders(env)
        try:
            for index in warm_up(_WARM_UP_ORDERS):
                deployment.submit(_tomorrow(index))
            _await_rows(env, _WARM_UP_ORDERS)
            yield _measure(
                "submit", env, deployment, servers, orders, lambda: _one_by_one(deployment, measured(orders))
            )
            rest = range(orders, orders + many)
            yield _measure("submit_many", env, deployment, servers, many, lambda: _in_batches(deployment, rest))
            last = range(rest.stop, rest.stop + calls)
            with Client(env.servers.broker_url, producer="bench", wait_s=_TIMEOUT_S) as client:
                client.submit(_tomorrow(last.stop))
                yield _measure("client.submit", env, deployment, servers, calls, lambda: _by_client(client, last))
        finally:
            deployment.close()


def _one_by_one(deployment: NumberOrders, indices: range) -> None:
    for index in indices:
        deployment.submit(_tomorrow(index))


def _in_batches(deployment: NumberOrders, indices: range) -> None:
    for start in range(indices.start, indices.stop, BATCH):
        deployment.submit_many([_tomorrow(index) for index in range(start, min(start + BATCH, indices.stop))])


def _by_client(client: Client, indices: range) -> None:
    for index in indices:
        client.submit(_tomorrow(index))


def _measure(
    way: str, env: BenchEnvironment, deployment: NumberOrders, servers: Servers, orders: int, send: Callable[[], None]
) -> Intake:
    meter = ResourceMeter({"workers": deployment.pids, "servers": servers.pids})
    before_orders, _ = _rows(env)
    before, began, ours = meter.cpu_s(), time.time(), time.process_time()
    send()
    producer_s = time.process_time() - ours
    last_at = _await_rows(env, before_orders + orders)
    used = {name: (after - before[name]) * 1000 / orders for name, after in meter.cpu_s().items()}
    return Intake(way, orders, last_at - began, used["workers"], used["servers"], producer_s * 1000 / orders)


def _await_rows(env: BenchEnvironment, orders: int) -> float:
    """Wait until the ledger has so many orders; return when the last of them was committed."""
    for _ in until(time.monotonic() + _TIMEOUT_S, f"the intake of {orders} orders"):
        env.check()
        found, last_at = _rows(env)
        if found >= orders:
            return last_at
    raise AssertionError("unreachable")


def _rows(env: BenchEnvironment) -> tuple[int, float]:
    with psycopg.connect(env.servers.database_url) as db:
        row = db.execute(
            "SELECT count(*), coalesce(extract(epoch FROM max(pg_xact_commit_timestamp(xmin))), 0) FROM orders"
        ).fetchone()
    assert row is not None, "an aggregate returns one row"
    return int(row[0]), float(row[1])


def _tomorrow(index: int) -> Mapping[str, object]:
    return {**order_of(index), "not_before": _TOMORROW}


_TOMORROW: Final = (datetime.fromtimestamp(time.time(), UTC) + timedelta(days=1)).isoformat()
