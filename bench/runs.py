"""One run of one contender with W(N): warm up, submit all orders, wait until the last has ended, and measure.

CPU is measured from before the first order is submitted until after the last has ended.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.contenders import Contender, Deployment
from bench.environment import BenchEnvironment, BenchError, bench_environment, until
from bench.meter import ResourceMeter
from bench.servers import Servers
from bench.workload import measured, warm_up

WARM_UP_ORDERS: Final = 64
_TIMEOUT_S: Final = 120.0
_TIMEOUT_PER_ORDER_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """The figures of one run. Times in seconds, CPU in milliseconds per order."""

    contender: str
    orders: int
    wall_s: float
    worker_cpu_ms: float
    postgres_cpu_ms: float
    valkey_cpu_ms: float
    producer_cpu_ms: float
    carrier_cpu_ms: float
    posts: float
    gets: float
    late_p50_s: float
    late_p95_s: float
    rest_pss_mb: float
    """Between the warm-up and the first order."""
    peak_pss_mb: float
    peak_rss_mb: float
    processes: int

    @property
    def server_cpu_ms(self) -> float:
        """PostgreSQL and Valkey together."""
        return self.postgres_cpu_ms + self.valkey_cpu_ms


def run(contender: Contender, servers: Servers, orders: int) -> Run:
    """Run the workload with a contender.

    Raises:
        BenchError: A process exited, the run took too long, or an order never ended.
    """
    with bench_environment(servers) as env, contender.start(env) as deployment:
        warm = warm_up(WARM_UP_ORDERS)
        deployment.place(warm)
        _await_ends(deployment, env, len(warm))
        groups = {"workers": deployment.pids, "carrier": [env.carrier_pid]}
        groups |= {"postgres": [servers.postgres_pid], "valkey": [servers.valkey_pid]}
        with ResourceMeter(groups) as meter:
            rest_pss_mb = sum(pss for pss, _ in meter.memory_mb()["workers"])
            before, began, ours = meter.cpu_s(), time.time(), time.process_time()
            deployment.place(measured(orders))
            producer_s = time.process_time() - ours
            ends = _await_ends(deployment, env, len(warm) + orders)
            used = {name: (after - before[name]) * 1000 / orders for name, after in meter.cpu_s().items()}
        placed = [order for order in env.report() if order["index"] in measured(orders)]
        late = _lateness(placed, ends)
        return Run(
            contender=contender.name,
            orders=orders,
            wall_s=max(ends[order["index"]] for order in placed) - began,
            worker_cpu_ms=used["workers"],
            postgres_cpu_ms=used["postgres"],
            valkey_cpu_ms=used["valkey"],
            producer_cpu_ms=producer_s * 1000 / orders,
            carrier_cpu_ms=used["carrier"],
            posts=len(placed) / orders,
            gets=sum(order["gets"] for order in placed) / orders,
            late_p50_s=quantile(late, 0.5),
            late_p95_s=quantile(late, 0.95),
            rest_pss_mb=rest_pss_mb,
            peak_pss_mb=meter.peaks["workers"].pss_mb,
            peak_rss_mb=meter.peaks["workers"].rss_mb,
            processes=meter.peaks["workers"].processes,
        )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(share * (len(ranked) - 1)))]


def _await_ends(deployment: Deployment, env: BenchEnvironment, orders: int) -> Mapping[int, float]:
    deadline = time.monotonic() + _TIMEOUT_S + _TIMEOUT_PER_ORDER_S * orders
    for _ in until(deadline, f"the end of {orders} orders"):
        if env.ended() >= orders and len(ends := deployment.ends()) >= orders:
            return ends
    raise AssertionError("unreachable")


def _lateness(placed: Sequence[Mapping[str, Any]], ends: Mapping[int, float]) -> list[float]:
    """Return how long after the carrier completed it each order ended. If it was bought twice, the first counts."""
    done: dict[int, float] = {}
    for order in placed:
        done.setdefault(order["index"], order["done_at"])
    if missing := [index for index in done if index not in ends]:
        raise BenchError(f"{len(missing)} orders never ended, order {missing[0]} among them")
    return [ends[index] - at for index, at in done.items()]
