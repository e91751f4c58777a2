"""The contenders: each starts its processes, takes orders, and reports when each of them ended.

An order's end is the time of its commit for a contender with a database, else the time when it was seen.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Final, Protocol

import psycopg
from celery import Celery

from bench import celery_retries
from bench.bandwidth_xml import ACCOUNT, SITE
from bench.environment import ROOT, BenchEnvironment, BenchError, process_environment
from bench.workload import POLL_S, index_of, number_of
from number_orders.cli.stack import processes as stack_commands
from number_orders.ledger.migrate import migrate


class Deployment(Protocol):
    """A contender's running processes."""

    @property
    def pids(self) -> Sequence[int]:
        """The main processes of its workers."""
        ...

    def place(self, indices: range) -> None:
        """Submit these orders."""
        ...

    def ends(self) -> Mapping[int, float]:
        """Return when each order that has ended did so, in seconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Contender:
    """One design for following orders."""

    name: str
    about: str
    start: Callable[[BenchEnvironment], AbstractContextManager[Deployment]] = field(repr=False)


def practice_settings(env: BenchEnvironment) -> dict[str, str]:
    """Return the settings with which number-orders uses the fake carrier and asks every two seconds."""
    values = {
        "DATABASE_URL": env.servers.database_url,
        "BROKER_URL": env.servers.broker_url,
        "VAR_DIR": str(env.directory),
        "NUMBERS_PER_HOUR": "100000000",  # counted, and never reached
        "BANDWIDTH__BASE_URL": env.carrier_url,
        "BANDWIDTH__ACCOUNT_ID": ACCOUNT,
        "BANDWIDTH__SITE_ID": SITE,
        "BANDWIDTH__USERNAME": "bench",
        "BANDWIDTH__PASSWORD": "bench",
        "BANDWIDTH__ASK_FIRST_S": str(POLL_S),
        "BANDWIDTH__ASK_FACTOR": "1",
        "BANDWIDTH__ASK_MAX_S": str(POLL_S),
    }
    return {f"NUMBER_ORDERS_{name}": value for name, value in values.items()}


def order_of(index: int) -> dict[str, object]:
    """Return an order as a producer sends it."""
    return {"key": f"bench-{index}", "carrier": "bandwidth", "kind": "new_numbers", "numbers": [number_of(index)]}


def _worker_of(app: str, name: str) -> list[str]:
    lean = ("--without-gossip", "--without-mingle")
    return [sys.executable, "-m", "celery", "--quiet", "-A", app, "worker", *lean, "-n", f"{name}@%h"]


class NumberOrders:
    """number-orders: one worker, or more, and one beat, with default settings."""

    def __init__(self, env: BenchEnvironment, workers: int = 1, /, *, app: str | None = None, **variables: str) -> None:
        """Start all, with these environment variables too; `app` names another Celery application for the worker."""
        migrate(env.servers.database_url)
        settings = practice_settings(env) | variables
        names = ["worker", *(f"worker{number}" for number in range(2, workers + 1))]
        commands = {name: _worker_of(app, name) if app else stack_commands.worker(name) for name in names}
        self._database_url = env.servers.database_url
        self._producer = Celery(broker=env.servers.broker_url, backend=env.servers.broker_url, set_as_current=False)
        self.pids = [
            *(env.run(name, command, **settings) for name, command in commands.items()),
            env.run("beat", stack_commands.beat(), **settings),
        ]

    def place(self, indices: range) -> None:
        """Send each order in its own message."""
        for index in indices:
            self.submit(order_of(index))

    def submit(self, order: Mapping[str, object]) -> None:
        """Send one order."""
        self._producer.send_task("orders.submit", kwargs={"order": order}, queue="orders", task_id=str(uuid.uuid4()))

    def send(self, task: str, *, queue: str) -> None:
        """Send a task without arguments."""
        self._producer.send_task(task, queue=queue)

    def submit_many(self, orders: Sequence[Mapping[str, object]]) -> None:
        """Send many orders in one message."""
        self._producer.send_task("orders.submit_many", kwargs={"orders": orders}, queue="orders")

    def ends(self) -> Mapping[int, float]:
        """Return the orders that are COMPLETED in the ledger."""
        with psycopg.connect(self._database_url) as db:
            found = db.execute(
                "SELECT request -> 'numbers' ->> 0, extract(epoch FROM pg_xact_commit_timestamp(xmin)) "
                "FROM orders WHERE state = 'COMPLETED'"
            ).fetchall()
        return {index_of(number): float(at) for number, at in found}

    def close(self) -> None:
        """Close the connection to the broker."""
        self._producer.close()


class CeleryRetries:
    """A Celery task that retries itself every two seconds."""

    def __init__(self, env: BenchEnvironment, *pool: str) -> None:
        self._database_url = env.servers.database_url
        with psycopg.connect(self._database_url, autocommit=True) as db:
            db.execute(celery_retries.TABLE)
        variables = {
            celery_retries.BROKER: env.servers.broker_url,
            celery_retries.DATABASE: self._database_url,
            celery_retries.CARRIER: env.carrier_url,
        }
        lean = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-O", "fair")
        argv = [sys.executable, "-m", "celery", "--quiet", "-A", "bench.celery_retries", "worker", *lean, *pool]
        self._producer = Celery(broker=env.servers.broker_url, set_as_current=False)
        self.pids = [env.run("worker", argv, **variables)]

    def place(self, indices: range) -> None:
        """Send one message per order."""
        for index in indices:
            self._producer.send_task(celery_retries.TASK, args=[index], queue=celery_retries.QUEUE, ignore_result=True)

    def ends(self) -> Mapping[int, float]:
        """Return the orders that are COMPLETED in the table."""
        with psycopg.connect(self._database_url) as db:
            found = db.execute(
                "SELECT idx, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM orders WHERE state = 'COMPLETED'"
            ).fetchall()
        return {index: float(at) for index, at in found}

    def close(self) -> None:
        """Close the connection to the broker."""
        self._producer.close()


class Bare:
    """One process with an HTTP client and nothing else."""

    def __init__(self, env: BenchEnvironment, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.bare", kind, env.carrier_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=process_environment(),
        )
        self.pids = [self._process.pid]
        self._submitted = 0
        self._ends: dict[int, float] = {}

    def place(self, indices: range) -> None:
        """Write the range to the process."""
        self._pipe(self._process.stdin).write(f"{json.dumps([indices.start, indices.stop])}\n")
        self._pipe(self._process.stdin).flush()
        self._submitted += len(indices)

    def ends(self) -> Mapping[int, float]:
        """Wait for all ranges; the carrier has already reported every order as complete when this is called."""
        while len(self._ends) < self._submitted:
            line = self._pipe(self._process.stdout).readline()
            if not line:
                raise BenchError("the bare client exited during the run")
            self._ends |= dict(json.loads(line))
        return self._ends

    def close(self) -> None:
        """Close the input of the process, at which it exits."""
        with self._process:
            self._pipe(self._process.stdin).close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None, "both are pipes"
        return pipe


class _Closing(Deployment, Protocol):
    def close(self) -> None: ...


@contextmanager
def _deployment(make: Callable[[BenchEnvironment], _Closing], env: BenchEnvironment) -> Iterator[Deployment]:
    with ExitStack() as stack:
        deployment = make(env)
        stack.callback(deployment.close)
        yield deployment


def _contender(name: str, about: str, make: Callable[[BenchEnvironment], _Closing]) -> Contender:
    return Contender(name, about, partial(_deployment, make))


CONTENDERS: Final[Mapping[str, Contender]] = {
    contender.name: contender
    for contender in (
        _contender("number-orders", "one worker and one beat, default settings", NumberOrders),
        *(
            _contender(
                f"number-orders-{children}",
                f"the same with {children} children",
                partial(NumberOrders, NUMBER_ORDERS_CHILDREN=str(children)),
            )
            for children in (2, 3, 4, 8)
        ),
        _contender(
            "aiohttp", "bare aiohttp.ClientSession, pool of 100; nothing is stored", partial(Bare, kind="aiohttp")
        ),
        _contender("httpx", "bare httpx.AsyncClient, pool of 20; nothing is stored", partial(Bare, kind="httpx")),
        _contender(
            "httpx-aiohttp",
            "bare httpx.AsyncClient over httpx-aiohttp, pool of 100; nothing is stored",
            partial(Bare, kind="httpx-aiohttp"),
        ),
        _contender(
            "celery-threads",
            "Celery -P threads -c 100, self.retry(countdown=2), a row per order",
            lambda env: CeleryRetries(env, "-P", "threads", "-c", "100"),
        ),
        _contender(
            "celery-prefork",
            "Celery -P prefork -c 2, self.retry(countdown=2), a row per order",
            lambda env: CeleryRetries(env, "-P", "prefork", "-c", "2"),
        ),
    )
}
USUAL: Final = tuple(name for name in CONTENDERS if not name.startswith("number-orders-"))
"""The contenders of a bench that names none."""
BASE: Final = "aiohttp"
"""The contender that the ratios refer to: what durability, limits and a broker are measured against."""
