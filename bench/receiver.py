"""Measure the orders API: POSTs of orders a second and their p99, one by one and many at once, and batches of 500.

Beside it an application that stores nothing (FastAPI and uvicorn alike), so that the difference is what intake costs.
The orders are scheduled for tomorrow, so only their intake is measured. The load comes from one process of its own.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Annotated, Final

import httpx
import typer

from bench import report
from bench.contenders import order_of, practice_settings
from bench.environment import ROOT, BenchEnvironment, bench_environment, process_environment, until
from bench.meter import ResourceMeter
from bench.receiver_app import TOKEN
from bench.runs import quantile
from bench.servers import Servers
from number_orders.cli.stack.processes import free_port
from number_orders.embedded.ports import LOOPBACK
from number_orders.ledger.migrate import migrate
from number_orders_client.contract import ORDERS_MAX

_WARM_UP: Final = 200
_AT_ONCE: Final = (1, 16, 64)
_BATCHES: Final = 8
_SEND_WITHIN_S: Final = 300.0
_UP_WITHIN_S: Final = 30.0
_RATE: Final = {"NUMBER_ORDERS_RECEIVER__RATE_PER_S": "10000", "NUMBER_ORDERS_RECEIVER__RATE_BURST": "100000"}


@dataclass(frozen=True, slots=True)
class Load:
    """The figures of one way to send orders. Latency in milliseconds, CPU in milliseconds per order."""

    way: str
    at_once: int
    orders: int
    per_second: float
    p50_ms: float
    p99_ms: float
    receiver_cpu_ms: float
    server_cpu_ms: float


def bench(
    orders: Annotated[int, typer.Option(min=100, help="How many orders one by one, each way.")] = 3000,
    runs: Annotated[int, typer.Option(min=1, help="How often to run each.")] = 3,
    json_path: report.JsonPath = None,
) -> None:
    """Measure orders per second and latency of POST /v1/orders, and the CPU of each."""
    console = report.screen()
    done: list[Load] = []
    with Servers() as servers:
        for _ in range(runs):
            done += _all_ways(servers, orders)
    rows = [
        {
            "way": one.way,
            "at once": f"{one.at_once}",
            "orders/s": f"{one.per_second:.0f}",
            "p50 ms": f"{one.p50_ms:.1f}",
            "p99 ms": f"{one.p99_ms:.1f}",
            "receiver CPU ms/order": f"{one.receiver_cpu_ms:.3f}",
            "server CPU ms/order": f"{one.server_cpu_ms:.3f}",
        }
        for one in sorted(done, key=lambda one: (one.way, one.at_once, one.per_second))
    ]
    console.print(report.table("POST /v1/orders", rows))
    path = json_path or report.RESULTS / "receiver.json"
    report.write(path, {"runs": [asdict(one) for one in done]})
    console.print(f"written to {path}")


def _all_ways(servers: Servers, orders: int) -> Iterator[Load]:
    for kind in ("receiver", "bare"):
        with bench_environment(servers) as env, _serving(env, kind) as (pid, port):
            orders_to_come = map(_tomorrow, count())
            to = Target(kind, port, pid, servers)
            to.send("/v1/orders", _bodies(orders_to_come, _WARM_UP), 8)
            for at_once in _AT_ONCE:
                yield to.measure("/v1/orders", _bodies(orders_to_come, orders), at_once)
            if kind == "receiver":
                batches = [
                    json.dumps({"orders": list(islice(orders_to_come, ORDERS_MAX))}).encode() for _ in range(_BATCHES)
                ]
                yield to.measure("/v1/orders:batch", batches, 2, each=ORDERS_MAX)


def _bodies(orders: Iterator[Mapping[str, object]], wanted: int) -> list[bytes]:
    return [json.dumps(order).encode() for order in islice(orders, wanted)]


@contextmanager
def _serving(env: BenchEnvironment, kind: str) -> Iterator[tuple[int, int]]:
    """Start an application, and wait until it serves; yield its pid and port."""
    migrate(env.servers.database_url)
    port = free_port()
    argv = [sys.executable, "-m", "bench.receiver_app", kind, str(port)]
    own_port = {"NUMBER_ORDERS_RECEIVER__PORT": str(port)}
    pid = env.run(kind, argv, **practice_settings(env), **_RATE, **own_port)
    for _ in until(time.monotonic() + _UP_WITHIN_S, f"the start of {kind}"):
        env.check()
        try:
            httpx.get(f"http://{LOOPBACK}:{port}/healthz")
        except httpx.TransportError:
            continue
        break
    yield pid, port


@dataclass(frozen=True, slots=True)
class Target:
    """An application under load."""

    kind: str
    port: int
    pid: int
    servers: Servers

    def measure(self, path: str, bodies: Sequence[bytes], at_once: int, *, each: int = 1) -> Load:
        """Send bodies of `each` orders, so many at once, and measure."""
        meter = ResourceMeter({"receiver": [self.pid], "servers": self.servers.pids})
        before, orders = meter.cpu_s(), len(bodies) * each
        wall_s, took = self.send(path, bodies, at_once)
        used = {name: (after - before[name]) * 1000 / orders for name, after in meter.cpu_s().items()}
        return Load(
            self.kind if each == 1 else f"{self.kind}, batches of {each}",
            at_once,
            orders,
            orders / wall_s,
            quantile(took, 0.5) * 1000,
            quantile(took, 0.99) * 1000,
            used["receiver"],
            used["servers"],
        )

    def send(self, path: str, bodies: Sequence[bytes], at_once: int) -> tuple[float, list[float]]:
        """Send from a process of its own; return how long all took, and each, in seconds."""
        asked = {"port": self.port, "path": path, "token": TOKEN, "at_once": at_once}
        sender = subprocess.run(
            [sys.executable, "-m", "bench.http_load"],
            input=json.dumps(asked | {"bodies": [body.decode() for body in bodies]}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=_SEND_WITHIN_S,
            cwd=ROOT,
            env=process_environment(),
        )
        sent = json.loads(sender.stdout)
        return sent["wall_s"], sent["took"]


def _tomorrow(index: int) -> Mapping[str, object]:
    tomorrow = datetime.fromtimestamp(time.time(), UTC) + timedelta(days=1)
    return {**order_of(index), "not_before": tomorrow.isoformat()}
