"""One run of one contender over W(N): warm up, hand all orders over, wait for the last end, and count.

CPU counts from before the first order is handed over to after the last end.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.contenders import Contender, Crew
from bench.gauge import Gauge
from bench.servers import Servers
from bench.stage import BenchError, Stage, stage, until
from bench.workload import measured, warming

WARMED_BY: Final = 64
_PATIENCE_S: Final = 120.0
_PATIENCE_PER_ORDER_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to. Times in seconds, CPU in milliseconds an order."""

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
    peak_pss_mb: float
    peak_rss_mb: float
    processes: int

    @property
    def server_cpu_ms(self) -> float:
        """PostgreSQL and Valkey together."""
        return self.postgres_cpu_ms + self.valkey_cpu_ms


def run(contender: Contender, servers: Servers, orders: int) -> Run:
    """Let a contender run over the workload.

    Raises:
        BenchError: something exited or took far too long, or an order was bought twice or never.
    """
    with stage(servers) as here, contender.start(here) as crew:
        warm = warming(WARMED_BY)
        crew.place(warm)
        _await_ends(crew, here, len(warm))
        groups = {"workers": crew.pids, "carrier": [here.carrier_pid]}
        groups |= {"postgres": [servers.postgres_pid], "valkey": [servers.valkey_pid]}
        with Gauge(groups) as gauge:
            before, began, ours = gauge.cpu_s(), time.time(), time.process_time()
            crew.place(measured(orders))
            producer_s = time.process_time() - ours
            ends = _await_ends(crew, here, len(warm) + orders)
            used = {name: (after - before[name]) * 1000 / orders for name, after in gauge.cpu_s().items()}
        placed = [order for order in here.report() if order["index"] in measured(orders)]
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
            peak_pss_mb=gauge.peaks["workers"].pss_mb,
            peak_rss_mb=gauge.peaks["workers"].rss_mb,
            processes=gauge.peaks["workers"].processes,
        )


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of them does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(share * (len(ranked) - 1)))]


def _await_ends(crew: Crew, here: Stage, orders: int) -> Mapping[int, float]:
    deadline = time.monotonic() + _PATIENCE_S + _PATIENCE_PER_ORDER_S * orders
    for _ in until(deadline, f"the end of {orders} orders"):
        if here.told() >= orders and len(ends := crew.ends()) >= orders:
            return ends
    raise AssertionError("unreachable")


def _lateness(placed: Sequence[Mapping[str, Any]], ends: Mapping[int, float]) -> list[float]:
    """Return how long after the carrier's completion each order ended; of one bought twice, the first counts."""
    done: dict[int, float] = {}
    for order in placed:
        done.setdefault(order["index"], order["done_at"])
    if missing := [index for index in done if index not in ends]:
        raise BenchError(f"{len(missing)} orders never ended, order {missing[0]} among them")
    return [ends[index] - at for index, at in done.items()]
