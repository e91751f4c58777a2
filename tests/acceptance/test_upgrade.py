"""A rolling upgrade under load: workers of the previous release and of this one, side by side on one ledger."""

import asyncio
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
import redis

from number_orders.embedded.engines import Engines
from number_orders.ledger.ledger import PostgresLedger
from number_orders.ledger.migrate import head, migrate
from number_orders.orders.model import State
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import Backend, MakeOrder, Producer, quick_carrier
from tests.acceptance.test_killed_workers import PATIENT, Load, await_rest, differences
from tests.conftest import empty_broker, fresh_ledger
from tests.processes import Process, Processes, eventually

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.timeout(600),
    # The producer's thread ends with sockets open: Celery's results keep theirs per thread and never close them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RELEASES: Final = Path(__file__).parents[1] / "releases"
PREVIOUS_REVISION: Final = "0001"
SERVED: Final = 20
"""So many orders have come to their end by a worker that serves."""
HANDED_ON: Final = 5
"""So many orders were begun by one release and ended by the other, both ways."""
WITHIN_S: Final = 300
NOTIFY: Final = {"task": "crm.number_order_ended", "queue": "crm-ends"}


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """The previous release, as it would be installed."""
    home = tmp_path / "previous"
    for wheel in RELEASES.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(home)
    return home


@pytest.fixture
def backend(engines: Engines, previous: Path) -> Iterator[Backend]:
    """A ledger that the previous release has made."""
    with fresh_ledger(engines, template="template0") as url, quick_carrier() as carrier:
        assert told_by(previous, f"from ledger.migrate import migrate; print(migrate({url!r}))") == PREVIOUS_REVISION
        yield Backend(url, empty_broker(engines), carrier)


@pytest.fixture
def older(previous: Path, tmp_path: Path, env: dict[str, str]) -> Iterator[Processes]:
    """Start processes of the previous release here."""
    with Processes(tmp_path / "older", {**env, "PYTHONPATH": str(previous)}, home=previous) as running:
        yield running


def test_both_releases_serve_one_ledger_and_nobody_notices_the_upgrade(
    older: Processes,
    processes: Processes,
    producer: Producer,
    broker_url: str,
    ledger_url: str,
    carrier: SandboxControl,
    an_order: MakeOrder,
) -> None:
    """The old worker; the ledger migrated under it; a new one beside it; the old one gone. Orders come throughout."""
    older_beat, before = older.beat(), older.worker(env=PATIENT)
    load = Load(producer, partial(an_order, notify=NOTIFY), random.Random(20261122))
    load.start()
    await_ends(before)

    assert migrate(ledger_url) == head() != PREVIOUS_REVISION
    await_ends(before, since=len(moves(before)))  # what it owes from here on has kinds that it knows nothing of

    processes.beat()
    since, after = len(moves(before)), processes.worker(env=PATIENT)
    for _ in eventually(WITHIN_S):
        old, new = Part(moves(before)[since:]), Part(moves(after))
        if min(len(old.begun & new.ended), len(new.begun & old.ended)) >= HANDED_ON:
            break

    assert (older_beat.stop(), before.stop()) == (0, 0)
    await_ends(after, since=len(moves(after)))
    tickets = load.finish(at_least=SERVED)
    orders = await_rest(ledger_url, len(tickets))

    report = carrier.report()
    assert report["duplicates"] == {"customer_order_ids": {}, "numbers": {}}
    assert {order["order_id"] for order in orders} == tickets
    assert differences(orders, report["orders"], ledger_url) == []
    for _ in eventually(WITHIN_S):
        if told(broker_url) == tickets:
            break
    assert [line for worker in (before, after) for line in complaints(worker)] == []
    old, new = Part(moves(before)), Part(moves(after))
    print(  # noqa: T201  the figures of docs/reliability.md; `pytest -s` shows them
        f"{len(orders)} orders; begun by the old worker {len(old.begun)}, by the new {len(new.begun)}; "
        f"handed on: {len(old.begun & new.ended)} to the new, {len(new.begun & old.ended)} to the old"
    )


def test_an_order_that_a_killed_old_worker_had_in_hand_is_accepted_by_the_new_release(
    older: Processes, processes: Processes, producer: Producer, broker_url: str, ledger_url: str, an_order: MakeOrder
) -> None:
    """The old release keeps unacknowledged messages under kombu's names, which the new one uses no more."""
    before = older.worker()
    order_id = str(uuid4())
    with psycopg.connect(ledger_url) as db, redis.Redis.from_url(broker_url) as broker:
        db.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        sent = producer.app.send_task("orders.submit", [an_order()], queue="orders", task_id=order_id)
        for _ in eventually(WITHIN_S):
            if broker.hlen("unacked") == 1 and not broker.llen("orders"):
                break
        before.kill()
        tags: list[Any] = broker.hkeys("unacked")
        broker.zadd("unacked_index", dict.fromkeys(tags, 1))  # the visibility timeout is over
    assert migrate(ledger_url) == head()
    processes.worker()
    ticket = sent.get(timeout=WITHIN_S)
    assert (ticket["order_id"], ticket["new"]) == (order_id, True)
    with redis.Redis.from_url(broker_url) as broker:
        assert not broker.exists("unacked", "unacked_index")


def test_an_old_worker_gives_the_key_of_an_archived_order_back(
    older: Processes, processes: Processes, producer: Producer, ledger_url: str, an_order: MakeOrder
) -> None:
    """It does not look into the archive, as after a rollback. It buys nothing, and a new worker answers the message."""
    assert migrate(ledger_url) == head()
    order = an_order()
    new, beat = processes.worker(), processes.beat()
    with psycopg.connect(ledger_url, autocommit=True) as db:
        first = producer.app.send_task("orders.submit", [order], queue="orders").get(timeout=WITHIN_S)
        for _ in eventually(WITHIN_S):
            if db.execute("SELECT order_id FROM orders WHERE ended_at IS NOT NULL").fetchall():
                break
        assert (beat.stop(), new.stop()) == (0, 0)
        db.execute("DELETE FROM receipts; DELETE FROM owed; UPDATE tellings SET told_at = now()")
        db.execute("UPDATE orders SET ended_at = ended_at - '90 days'::interval")
        asyncio.run(archive_all(ledger_url))
        old = older.worker()
        sent = producer.app.send_task("orders.submit", [order], queue="orders")
        old.await_words("belongs to an archived order")
        processes.worker()
        again = sent.get(timeout=WITHIN_S)
        assert (again["order_id"], again["new"]) == (first["order_id"], False)
        assert db.execute("SELECT order_id FROM orders").fetchall() == []


async def archive_all(ledger_url: str) -> None:
    """Archive the orders that have ended."""
    async with PostgresLedger.at(ledger_url) as ledger:
        assert await ledger.archive.copy(timedelta(days=31)) == 1
        assert await ledger.archive.remove(stays=timedelta()) == (1, 1)


@dataclass(frozen=True, slots=True)
class Part:
    """What one worker did of all that was done, by its own log."""

    moved: Sequence[Mapping[str, str]]

    @property
    def begun(self) -> set[str]:
        return {move["order_id"] for move in self.moved if move["event_name"] == "SubmissionBegun"}

    @property
    def ended(self) -> set[str]:
        return {move["order_id"] for move in self.moved if State(move["to_state"]).is_final}


def moves(worker: Process) -> list[Mapping[str, str]]:
    """Return every step that a worker has written down, in its order."""
    return [line for line in log_of(worker) if line["event"] == "order_moved"]


def complaints(worker: Process) -> list[Mapping[str, str]]:
    """Return what was wrong for a worker. Warnings are for what passes, such as a machine that is busy.

    Revision 0004 ends the sessions of workers: one that was in use is an error of a task, and the next does its work.
    """
    wrong = [line for line in log_of(worker) if line["level"] in {"error", "critical"}]
    return [line for line in wrong if "AdminShutdown" not in line["event"]]


def log_of(process: Process) -> list[Mapping[str, str]]:
    """Return the whole lines of a log; what is no JSON, a greeting or a traceback that nobody caught, as itself."""
    return [read(line) for line in process.said().splitlines(keepends=True) if line.endswith("\n")]


def read(line: str) -> Mapping[str, str]:
    try:
        said: Mapping[str, str] = json.loads(line)
    except ValueError:
        return {"event": line, "level": "critical" if "Traceback" in line else "info"}
    return said


def await_ends(worker: Process, since: int = 0) -> None:
    """Wait until so many orders have come to their end by this worker."""
    for _ in eventually(WITHIN_S):
        if len(Part(moves(worker)[since:]).ended) >= SERVED:
            break


def told(broker_url: str) -> set[str]:
    """Return the orders whose ends the producer was told."""
    with redis.Redis.from_url(broker_url) as broker:
        ids = [json.loads(message)["headers"]["id"] for message in broker.lrange(NOTIFY["queue"], 0, -1)]
    return {order_id for order_id, _, _ in (each.partition("-told-") for each in ids)}


def told_by(release: Path, code: str) -> str:
    """Run a line of Python with the code of a release, and return what it prints."""
    env = {**os.environ, "PYTHONPATH": str(release)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=release, env=env, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()
