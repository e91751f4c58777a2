"""Measure what waiting orders cost: ten thousand, a hundred thousand or a million of them.

Half wait to be sent (a taint window, a date); half are open at the carrier and polled now and then. None is due.
Measured on the ledger alone: a sustained claim of 200, with and without an old snapshot held by another transaction,
and the sweep. Then with worker and beat: CPU and memory at rest, and how soon an urgent order reaches the carrier.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from statistics import mean, median
from typing import Annotated, Final, LiteralString
from uuid import uuid4

import psycopg
import typer
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from bench import report
from bench.contenders import NumberOrders
from bench.environment import BenchEnvironment, BenchError, bench_environment, until
from bench.meter import ResourceMeter
from bench.runs import WARM_UP_ORDERS, quantile
from bench.servers import Servers
from bench.workload import measured, warm_up
from number_orders.fulfilment.lanes.run import LOOK_BACK
from number_orders.ledger.migrate import migrate
from number_orders.ledger.statements import SQL
from number_orders.orders.model import CarrierName, Kind, Lane

_CARRIER: Final = CarrierName("bandwidth")
_CLAIM: Final = 200
_KINDS: Final = {"kinds": list(Kind)}
_DUE: Final = 8000
_SWEEPS: Final = 500
_LEASE: Final = timedelta(hours=1)
_TIMEOUT_S: Final = 120.0
_LANE_RUN_S: Final = 5.0
"""How often a worker looks at all that is due. In between it continues from where it had got to."""
_CLAIM_EVERY_S: Final = 0.5
"""During an old snapshot: 400 orders are claimed and released per second, each of them every 20 s."""
_LAST_S: Final = 30.0
_URGENT_EVERY_S: Final = 0.7
"""Not a multiple of the sweep's interval of 1 s, so orders arrive at any point of it."""

_FILL: Final = """
WITH made AS (
    INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, request, state, version,
                        carrier_order_id, carrier_status, sends)
    SELECT uuidv7(), 'waiting', %(name)s || i, '\\x00', %(carrier)s, 'new_numbers',
           jsonb_build_object('key', %(name)s || i, 'carrier', %(carrier)s::text, 'kind', 'new_numbers',
                              'numbers', jsonb_build_array('+1' || (%(first)s + i))),
           CASE WHEN %(open)s THEN 'OPEN' ELSE 'ACCEPTED' END, CASE WHEN %(open)s THEN 2 ELSE 0 END,
           CASE WHEN %(open)s THEN %(name)s || i END, CASE WHEN %(open)s THEN 'RECEIVED' END,
           CASE WHEN %(open)s THEN 1 ELSE 0 END
    FROM generate_series(1, %(orders)s) AS i
    RETURNING order_id
)
INSERT INTO owed (order_id, lane, carrier, kind, not_before)
SELECT order_id, CASE WHEN %(open)s THEN 'ask' ELSE 'submit' END, %(carrier)s, 'new_numbers',
       now() + %(due_in)s + random() * %(over)s
FROM made
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The figures with so many orders waiting. Claims and sweeps in milliseconds."""

    waiting: int
    claim_ms: float
    claim_p95_ms: float
    old_snapshot_s: float
    old_claims: int
    claim_old_snapshot_ms: float
    """The median of the last half minute of the old snapshot."""
    claim_old_snapshot_mean_ms: float
    from_start_old_snapshot_ms: float
    """The median of those that looked at all that is due, as the first claim of a lane run does."""
    sweep_ms: float
    sweep_server_cpu_us: float
    idle_worker_ms_per_s: float
    idle_server_ms_per_s: float
    worker_process_pss_mb: float
    """On average."""
    worker_process_rss_mb: float
    """The largest."""
    urgent_p50_ms: float
    urgent_p95_ms: float


@dataclass(frozen=True, slots=True)
class OldSnapshot:
    """The figures of claims in the last half minute of an old snapshot."""

    claims: int
    """All since it was taken."""
    median_ms: float
    mean_ms: float
    from_start_ms: float


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """The figures measured with statements alone."""

    claims_ms: Sequence[float]
    old: OldSnapshot
    sweep_ms: float
    sweep_us: float


def bench(
    sizes: Annotated[str, typer.Option(help="How many orders wait, separated by commas.")] = "0,10000,100000,1000000",
    claims: Annotated[int, typer.Option(min=20, help="How many claims of 200, one after another.")] = 1000,
    old_snapshot_s: Annotated[
        float, typer.Option(min=10, help="How long an old snapshot is held while claims go on.")
    ] = 300,
    urgent: Annotated[int, typer.Option(min=1, help="How many urgent orders, one after another.")] = 40,
    idle_s: Annotated[float, typer.Option(min=1, help="How long to watch the system at rest.")] = 30,
    json_path: report.JsonPath = None,
) -> None:
    """Measure claims, sweeps, CPU and memory at rest, and the time of an urgent order to the carrier."""
    console = report.screen()
    done: list[Waiting] = []
    with Servers() as servers:
        for size in map(int, sizes.split(",")):
            console.print(f"{size} waiting …")
            done.append(_measure(servers, size, claims, old_snapshot_s, urgent=urgent, idle_s=idle_s))
    console.print(report.table("Orders that wait", [_row(one) for one in done]))
    path = json_path or report.RESULTS / "waiting.json"
    report.write(path, {"runs": [asdict(one) for one in done]})
    console.print(f"written to {path}")


def _measure(servers: Servers, size: int, claims: int, old_snapshot_s: float, *, urgent: int, idle_s: float) -> Waiting:
    with bench_environment(servers) as env:
        url = env.servers.database_url
        migrate(url)
        _fill(url, size)
        ledger = _on_the_ledger(servers, url, claims, old_snapshot_s)
        deployment = NumberOrders(env)
        try:
            deployment.place(warm_up(WARM_UP_ORDERS))
            _await_ended(env, WARM_UP_ORDERS)
            worker, server, memory = _at_rest(deployment, servers, idle_s)
            delays = _urgent(deployment, env, urgent)
        finally:
            deployment.close()
    return Waiting(
        waiting=size,
        claim_ms=median(ledger.claims_ms),
        claim_p95_ms=quantile(ledger.claims_ms, 0.95),
        old_snapshot_s=old_snapshot_s,
        old_claims=ledger.old.claims,
        claim_old_snapshot_ms=ledger.old.median_ms,
        claim_old_snapshot_mean_ms=ledger.old.mean_ms,
        from_start_old_snapshot_ms=ledger.old.from_start_ms,
        sweep_ms=ledger.sweep_ms,
        sweep_server_cpu_us=ledger.sweep_us,
        idle_worker_ms_per_s=worker,
        idle_server_ms_per_s=server,
        worker_process_pss_mb=mean(pss for pss, _ in memory),
        worker_process_rss_mb=max(rss for _, rss in memory),
        urgent_p50_ms=quantile(delays, 0.5),
        urgent_p95_ms=quantile(delays, 0.95),
    )


def _fill(url: str, size: int) -> None:
    """Insert the waiting orders; none is due for a day."""
    common = {"carrier": _CARRIER, "due_in": timedelta(days=1), "over": timedelta(days=1)}
    with psycopg.connect(url, autocommit=True) as db:
        for name, is_open, first in (("tainted-", False, 2_120_000_000), ("polled-", True, 2_130_000_000)):
            db.execute(_FILL, {**common, "name": name, "open": is_open, "first": first, "orders": size // 2})
        db.execute("VACUUM ANALYZE")
        db.execute("CHECKPOINT")


def _on_the_ledger(servers: Servers, url: str, claims: int, old_snapshot_s: float) -> LedgerFigures:
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SET plan_cache_mode = force_generic_plan")  # as the ledger does
        db.execute(SQL["open_lanes"], {"carriers": [_CARRIER], "lanes": list(Lane)})
        meter = ResourceMeter({"servers": servers.pids})
        before = meter.cpu_s()["servers"]
        sweeps = [_timed(db, SQL["due_lanes"], _KINDS)[0] for _ in range(_SWEEPS)]
        used_us = (meter.cpu_s()["servers"] - before) * 1e6 / _SWEEPS
        due = {"carrier": _CARRIER, "due_in": timedelta(minutes=-5), "over": timedelta(minutes=1)}
        db.execute(_FILL, {**due, "name": "due-", "open": True, "first": 2_140_000_000, "orders": _DUE})
        db.execute("ANALYZE")  # as autovacuum does within a minute
        plain = [_timed_claim(db)[0] for _ in range(claims)]
        with _old_snapshot(url):
            old = _under_an_old_snapshot(db, old_snapshot_s)
        db.execute("DELETE FROM orders WHERE key LIKE 'due-%'")  # their work items go with them
        db.execute("VACUUM ANALYZE")
    return LedgerFigures(plain, old, median(sweeps), used_us)


@contextmanager
def _old_snapshot(url: str) -> Iterator[None]:
    """Hold a snapshot, as a dump or a forgotten transaction does."""
    with psycopg.connect(url) as db:
        db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        db.execute("SELECT count(*) FROM lanes")
        yield


def _under_an_old_snapshot(db: psycopg.Connection, lasts_s: float) -> OldSnapshot:
    """Claim as workers do: each lane run looks at all that is due once, and then continues from where it had got to."""
    ends = time.monotonic() + lasts_s
    claims, last, from_start = 0, [], []
    while (began := time.monotonic()) < ends:
        since = None
        while (now := time.monotonic()) < min(began + _LANE_RUN_S, ends):
            took, reached = _timed_claim(db, since)
            claims += 1
            if now >= ends - _LAST_S:
                last.append(took)
                from_start += [took] if since is None else []
            since = reached - LOOK_BACK
            time.sleep(max(0.0, now + _CLAIM_EVERY_S - time.monotonic()))
    return OldSnapshot(claims, median(last), mean(last), median(from_start))


def _timed_claim(db: psycopg.Connection, since: datetime | None = None) -> tuple[float, datetime]:
    """Claim 200 orders and release them, due at once and last of all; return the time taken and how far it got."""
    token = uuid4()
    claim = {"carrier": _CARRIER, "lane": Lane.ASK, "limit": _CLAIM, "lease": _LEASE, "token": token, "since": since}
    took, found = _timed(db, SQL["claim_unlimited"], claim | _KINDS)
    if len(found) != _CLAIM:
        raise BenchError(f"a claim found {len(found)} orders")
    later = [{"order_id": str(row["order_id"]), "not_before": row["now"].isoformat(), "reason": None} for row in found]
    db.execute(SQL["postpone"], {"later": Jsonb(later), "lane": Lane.ASK, "token": token})
    return took, found[0]["reached"]


def _timed(
    db: psycopg.Connection, statement: LiteralString, given: Mapping[str, object]
) -> tuple[float, list[DictRow]]:
    """Run a statement; return the milliseconds until its result arrived, without reading it, and the result."""
    cursor = db.cursor(row_factory=dict_row)
    began = time.perf_counter()
    cursor.execute(statement, given)
    took = (time.perf_counter() - began) * 1000
    return took, cursor.fetchall()


def _at_rest(
    deployment: NumberOrders, servers: Servers, idle_s: float
) -> tuple[float, float, Sequence[tuple[float, float]]]:
    meter = ResourceMeter({"workers": deployment.pids, "servers": servers.pids})
    before, began = meter.cpu_s(), time.monotonic()
    time.sleep(idle_s)
    after, lasted = meter.cpu_s(), time.monotonic() - began
    used = {name: (after[name] - before[name]) * 1000 / lasted for name in after}
    return used["workers"], used["servers"], meter.memory_mb()["workers"]


def _urgent(deployment: NumberOrders, env: BenchEnvironment, orders: int) -> list[float]:
    """Return for each order the milliseconds from sending it to its POST at the carrier."""
    sent: dict[int, float] = {}
    for index in measured(orders):
        sent[index] = time.time()
        deployment.place(range(index, index + 1))
        time.sleep(_URGENT_EVERY_S)
    _await_ended(env, WARM_UP_ORDERS + orders)
    return [(order["posted_at"] - sent[order["index"]]) * 1000 for order in env.report() if order["index"] in sent]


def _await_ended(env: BenchEnvironment, orders: int) -> None:
    for _ in until(time.monotonic() + _TIMEOUT_S, f"the end of {orders} orders"):
        if env.ended() >= orders:
            return


def _row(one: Waiting) -> Mapping[str, str]:
    return {
        "waiting": f"{one.waiting:,}",
        "claim 200 ms (p95)": f"{one.claim_ms:.1f} ({one.claim_p95_ms:.1f})",
        f"old snapshot of {one.old_snapshot_s:.0f} s: ms": f"{one.claim_old_snapshot_ms:.1f}",
        "(mean, from start)": f"({one.claim_old_snapshot_mean_ms:.1f}, {one.from_start_old_snapshot_ms:.1f})",
        "sweep ms (CPU µs)": f"{one.sweep_ms:.2f} ({one.sweep_server_cpu_us:.0f})",
        "idle ms/s workers": f"{one.idle_worker_ms_per_s:.1f}",
        "servers": f"{one.idle_server_ms_per_s:.1f}",
        "worker PSS MB (largest RSS)": f"{one.worker_process_pss_mb:.1f} ({one.worker_process_rss_mb:.0f})",
        "urgent ms p50": f"{one.urgent_p50_ms:.0f}",
        "p95": f"{one.urgent_p95_ms:.0f}",
    }
