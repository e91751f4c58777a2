"""Who takes part: each starts its processes on a stage, is handed orders, and says when each of them ended.

An end is dated by its commit, where there is a ledger, and by the moment it was seen, where there is none.
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
from bench.dialect import ACCOUNT, SITE
from bench.stage import ROOT, BenchError, Stage, environment
from bench.workload import POLL_S, index_of, number_of
from number_orders.cli.stack import processes as stack_commands
from number_orders.ledger.migrate import migrate

APP: Final = "workers.celery_app"
CHILDREN: Final = 8
"""Of number-orders' worker, as shipped."""


class Crew(Protocol):
    """A contender at work."""

    @property
    def pids(self) -> Sequence[int]:
        """The main processes of all its workers."""
        ...

    def place(self, indices: range) -> None:
        """Hand these orders over."""
        ...

    def ends(self) -> Mapping[int, float]:
        """Return the orders that have ended, and when (seconds since the epoch)."""
        ...


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to follow orders."""

    name: str
    about: str
    start: Callable[[Stage], AbstractContextManager[Crew]] = field(repr=False)


def practice_settings(here: Stage) -> dict[str, str]:
    """Return the settings that send number-orders to the stage's carrier, asking every two seconds."""
    mine = {
        "DATABASE_URL": here.fresh.database_url,
        "BROKER_URL": here.fresh.broker_url,
        "VAR_DIR": str(here.directory),
        "BANDWIDTH__BASE_URL": here.carrier_url,
        "BANDWIDTH__ACCOUNT_ID": ACCOUNT,
        "BANDWIDTH__SITE_ID": SITE,
        "BANDWIDTH__USERNAME": "bench",
        "BANDWIDTH__PASSWORD": "bench",
        "BANDWIDTH__ASK_FIRST_S": str(POLL_S),
        "BANDWIDTH__ASK_FACTOR": "1",
        "BANDWIDTH__ASK_MAX_S": str(POLL_S),
    }
    return {f"NUMBER_ORDERS_{name}": value for name, value in mine.items()}


def order_of(index: int) -> dict[str, object]:
    """Return an order as producers write it."""
    return {"key": f"bench-{index}", "carrier": "bandwidth", "kind": "new_numbers", "numbers": [number_of(index)]}


class NumberOrders:
    """number-orders: one worker and one beat, as shipped."""

    def __init__(self, here: Stage, *, app: str = APP, **told: str) -> None:
        """Start both, with another application than the shipped one if need be, told these variables as well."""
        migrate(here.fresh.database_url)
        settings = practice_settings(here) | told
        worker = [app if word == APP else word for word in stack_commands.worker("worker", children=CHILDREN)]
        self._database_url = here.fresh.database_url
        self._producer = Celery(broker=here.fresh.broker_url, backend=here.fresh.broker_url, set_as_current=False)
        self.pids = [
            here.run("worker", worker, **settings),
            here.run("beat", stack_commands.beat(), **settings),
        ]

    def place(self, indices: range) -> None:
        """Send each order as a message of its own, as the README says."""
        for index in indices:
            self.submit(order_of(index))

    def submit(self, order: Mapping[str, object]) -> None:
        """Send one order."""
        self._producer.send_task("orders.submit", kwargs={"order": order}, queue="orders", task_id=str(uuid.uuid4()))

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
        """Let go of the broker."""
        self._producer.close()


class CeleryRetries:
    """A task that retries itself every two seconds."""

    def __init__(self, here: Stage, *pool: str) -> None:
        self._database_url = here.fresh.database_url
        with psycopg.connect(self._database_url, autocommit=True) as db:
            db.execute(celery_retries.TABLE)
        told = {
            celery_retries.BROKER: here.fresh.broker_url,
            celery_retries.DATABASE: self._database_url,
            celery_retries.CARRIER: here.carrier_url,
        }
        lean = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-O", "fair")
        argv = [sys.executable, "-m", "celery", "--quiet", "-A", "bench.celery_retries", "worker", *lean, *pool]
        self._producer = Celery(broker=here.fresh.broker_url, set_as_current=False)
        self.pids = [here.run("worker", argv, **told)]

    def place(self, indices: range) -> None:
        """Send a message for each order."""
        for index in indices:
            self._producer.send_task(celery_retries.TASK, args=[index], queue=celery_retries.QUEUE, ignore_result=True)

    def ends(self) -> Mapping[int, float]:
        """Return the orders whose row says so."""
        with psycopg.connect(self._database_url) as db:
            found = db.execute(
                "SELECT idx, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM orders WHERE state = 'COMPLETED'"
            ).fetchall()
        return {index: float(at) for index, at in found}

    def close(self) -> None:
        """Let go of the broker."""
        self._producer.close()


class Bare:
    """One process with an HTTP client."""

    def __init__(self, here: Stage, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.bare", kind, here.carrier_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(),
        )
        self.pids = [self._process.pid]
        self._asked = 0
        self._ends: dict[int, float] = {}

    def place(self, indices: range) -> None:
        """Name the stretch."""
        self._pipe(self._process.stdin).write(f"{json.dumps([indices.start, indices.stop])}\n")
        self._pipe(self._process.stdin).flush()
        self._asked += len(indices)

    def ends(self) -> Mapping[int, float]:
        """Wait for the whole stretch; the carrier has shown every end when we are asked."""
        while len(self._ends) < self._asked:
            line = self._pipe(self._process.stdout).readline()
            if not line:
                raise BenchError("the bare client exited in the middle of the run")
            self._ends |= dict(json.loads(line))
        return self._ends

    def close(self) -> None:
        """End it: it reads to the end of its input."""
        with self._process:
            self._pipe(self._process.stdin).close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None, "both are pipes"
        return pipe


class _Closing(Crew, Protocol):
    def close(self) -> None: ...


@contextmanager
def _crew(make: Callable[[Stage], _Closing], here: Stage) -> Iterator[Crew]:
    with ExitStack() as stack:
        crew = make(here)
        stack.callback(crew.close)
        yield crew


def _contender(name: str, about: str, make: Callable[[Stage], _Closing]) -> Contender:
    return Contender(name, about, partial(_crew, make))


CONTENDERS: Final[Mapping[str, Contender]] = {
    contender.name: contender
    for contender in (
        _contender("number-orders", f"one worker with {CHILDREN} children and one beat, as shipped", NumberOrders),
        _contender("httpx", "bare httpx.AsyncClient, pool of 20; nothing is stored", partial(Bare, kind="httpx")),
        _contender(
            "httpx-aiohttp",
            "bare httpx.AsyncClient over httpx-aiohttp, pool of 100; nothing is stored",
            partial(Bare, kind="httpx-aiohttp"),
        ),
        _contender(
            "celery-threads",
            "Celery -P threads -c 100, self.retry(countdown=2), a row per order",
            lambda here: CeleryRetries(here, "-P", "threads", "-c", "100"),
        ),
        _contender(
            "celery-prefork",
            "Celery -P prefork -c 2, self.retry(countdown=2), a row per order",
            lambda here: CeleryRetries(here, "-P", "prefork", "-c", "2"),
        ),
    )
}
BASE: Final = "httpx"
"""Whom the ratios are against."""
