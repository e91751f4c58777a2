"""Measure whether anything grows under a steady load: memory, tables, broker keys, connections, open files.

Orders come in through our client, so many a second, each a message of its own; two workers serve them. What the last
minute shows is compared with the second: the first is for start and caches. Orders themselves are kept, so their tables
grow, and are shown as bytes an order.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Annotated, Any, Final

import psutil
import psycopg
import redis
import typer

from bench import report
from bench.contenders import NumberOrders, order_of
from bench.environment import BenchEnvironment, BenchError, bench_environment, until
from bench.meter import ResourceMeter
from bench.servers import Servers
from bench.workload import measured
from number_orders_client import Client

_SENDERS: Final = 4
_SAMPLE_EVERY_S: Final = 5.0
_MINUTE_S: Final = 60.0
_TIMEOUT_S: Final = 120.0
_MB: Final = 1_000_000

_TABLES: Final = """
SELECT coalesce(sum(pg_total_relation_size(relid)) FILTER (WHERE relname = ANY(%(queues)s)), 0) AS queues,
       coalesce(sum(pg_total_relation_size(relid)) FILTER (WHERE relname <> ALL(%(queues)s)), 0) AS kept
FROM pg_stat_user_tables"""
_QUEUES: Final = ["owed", "turns", "limits", "breakers", "lanes", "guard", "tellings"]
"""The tables whose rows come and go. All others keep what they have."""
_CONNECTIONS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_UNFINISHED: Final = "SELECT count(*) FROM orders WHERE ended_at IS NULL"


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at one moment."""

    at_s: float
    """Since the first order."""
    memory_mb: float
    """PSS of both workers and beat."""
    queues_mb: float
    """The tables of work items, locks and the like, with their indexes."""
    kept_mb: float
    """All other tables."""
    broker_keys: int
    broker_mb: float
    database_connections: int
    broker_connections: int
    files: int
    """Open in both workers and beat."""
    unfinished: int
    """Orders that have not ended."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that must stay flat, and how much more of it the last minute may show."""

    name: str
    of: Callable[[Sample], float]
    digits: int
    factor: float
    slack: float
    """Above the factor: a page of a table, a connection more."""


FIGURES: Final = (
    Figure("memory of workers and beat, PSS MB", lambda it: it.memory_mb, 0, 1.05, 5),
    Figure("tables of work, MB", lambda it: it.queues_mb, 2, 1.2, 0.5),
    Figure("keys at the broker", lambda it: it.broker_keys, 0, 1.2, 50),
    Figure("memory of the broker, MB", lambda it: it.broker_mb, 1, 1.2, 1),
    Figure("connections to the database", lambda it: it.database_connections, 0, 1.0, 2),
    Figure("connections to the broker", lambda it: it.broker_connections, 0, 1.0, 4),
    Figure("open files", lambda it: it.files, 0, 1.05, 4),
    Figure("unfinished orders", lambda it: it.unfinished, 0, 1.3, 50),
)


def bench(
    per_s: Annotated[int, typer.Option(min=1, help="How many orders a second.")] = 50,
    minutes: Annotated[int, typer.Option(min=3, help="For how long.")] = 10,
    json_path: report.JsonPath = None,
) -> None:
    """Order steadily, and say what has grown since the second minute. Exits with 1 if anything has."""
    console = report.screen()
    with Servers() as servers, bench_environment(servers) as env, _deployed(env) as deployment:
        orders = per_s * minutes * int(_MINUTE_S)
        with _sampling(env, servers, deployment) as samples:
            late_s = _order(env, orders, per_s)
        _await_ends(env, orders)
    second, last = _minute(samples, 1), _minute(samples, minutes - 1)
    verdicts = [_row(figure, second, last) for figure in FIGURES]
    console.print(report.table(f"{per_s} orders a second for {minutes} minutes, two workers", verdicts))
    kept = (last[-1].kept_mb - second[0].kept_mb) * _MB / (per_s * (last[-1].at_s - second[0].at_s))
    console.print(f"{orders} orders, all ended; {kept:,.0f} bytes an order are kept; sent {late_s:.1f} s late at most")
    path = json_path or report.RESULTS / "sustained.json"
    report.write(path, {"orders": orders, "bytes_an_order": kept, "samples": [asdict(sample) for sample in samples]})
    console.print(f"written to {path}")
    if any(row[""] != "flat" for row in verdicts):
        raise typer.Exit(1)


@contextmanager
def _deployed(env: BenchEnvironment) -> Iterator[NumberOrders]:
    deployment = NumberOrders(env, 2)
    try:
        yield deployment
    finally:
        deployment.close()


def _order(env: BenchEnvironment, orders: int, per_s: int) -> float:
    """Submit orders at their moments, and read each ticket; return by how much one came too late at most."""
    began = time.monotonic()
    late_s = [0.0] * _SENDERS

    def send(sender: int, client: Client) -> None:
        for index in measured(orders)[sender::_SENDERS]:
            due = began + index / per_s
            time.sleep(max(0.0, due - time.monotonic()))
            late_s[sender] = max(late_s[sender], time.monotonic() - due)
            client.submit(order_of(index))
            env.check()

    with Client(env.servers.broker_url, producer="bench") as client, ThreadPoolExecutor(_SENDERS) as threads:
        for sent in [threads.submit(send, sender, client) for sender in range(_SENDERS)]:
            sent.result()
    return max(late_s)


@contextmanager
def _sampling(env: BenchEnvironment, servers: Servers, deployment: NumberOrders) -> Iterator[list[Sample]]:
    """Sample in a thread until the block is over."""
    samples: list[Sample] = []
    faults: list[BaseException] = []
    stopped = threading.Event()

    def sample() -> None:
        try:
            began = time.monotonic()
            while not stopped.wait(_SAMPLE_EVERY_S):
                samples.append(_sample(env, servers, deployment, time.monotonic() - began))
        except BaseException as fault:  # noqa: BLE001  raised below
            faults.append(fault)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    yield samples
    stopped.set()
    thread.join()
    if faults:
        raise faults[0]


def _sample(env: BenchEnvironment, servers: Servers, deployment: NumberOrders, at_s: float) -> Sample:
    meter = ResourceMeter({"workers": deployment.pids})
    with psycopg.connect(env.servers.database_url) as db:
        queues, kept = _only(db.execute(_TABLES, {"queues": _QUEUES}))
        (connections,) = _only(db.execute(_CONNECTIONS))
        (unfinished,) = _only(db.execute(_UNFINISHED))
    with redis.Redis.from_url(env.servers.broker_url) as broker:
        keys: Any = broker.dbsize()
        about: Any = broker.info()
    return Sample(
        at_s=at_s,
        memory_mb=sum(pss for pss, _ in meter.memory_mb()["workers"]),
        queues_mb=float(queues) / _MB,  # PostgreSQL adds up sizes as numeric
        kept_mb=float(kept) / _MB,
        broker_keys=keys,
        broker_mb=about["used_memory"] / _MB,
        database_connections=connections,
        broker_connections=about["connected_clients"],
        files=_open_files(deployment.pids),
        unfinished=unfinished,
    )


def _only(found: "psycopg.Cursor[tuple[Any, ...]]") -> tuple[Any, ...]:
    row = found.fetchone()
    assert row is not None, "an aggregate returns one row"
    return row


def _open_files(roots: Sequence[int]) -> int:
    processes = [
        one for root in roots for one in (psutil.Process(root), *psutil.Process(root).children(recursive=True))
    ]
    return sum(process.num_fds() for process in processes)


def _await_ends(env: BenchEnvironment, orders: int) -> None:
    with psycopg.connect(env.servers.database_url, autocommit=True) as db:
        for _ in until(time.monotonic() + _TIMEOUT_S, "the last end"):
            env.check()
            (ended,) = _only(db.execute("SELECT count(*) FROM orders WHERE state = 'COMPLETED'"))
            if ended == orders:
                return


def _minute(samples: Sequence[Sample], minute: int) -> Sequence[Sample]:
    found = [one for one in samples if minute * _MINUTE_S <= one.at_s < (minute + 1) * _MINUTE_S]
    if not found:
        raise BenchError(f"nothing was sampled in minute {minute + 1}")
    return found


def _row(figure: Figure, second: Sequence[Sample], last: Sequence[Sample]) -> Mapping[str, str]:
    before, after = (median(figure.of(sample) for sample in minute) for minute in (second, last))
    is_flat = after <= before * figure.factor + figure.slack
    return {
        "figure": figure.name,
        "second minute": f"{before:,.{figure.digits}f}",
        "last minute": f"{after:,.{figure.digits}f}",
        "": "flat" if is_flat else "grows",
    }
