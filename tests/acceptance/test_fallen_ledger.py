"""A ledger falls back in time under load, restored from a dump or replaced by its standby. Nothing is bought twice.

Producers do as docs/deploying.md says: they send every key again whose end they do not know.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from celery import Celery
from celery.result import AsyncResult

from number_orders.cli.demo.ledger_view import LedgerReader
from number_orders.cli.demo.verdict import judge
from number_orders.embedded.engines import Engines
from number_orders.ledger.ledger import PostgresLedger
from number_orders.ledger.migrate import migrate
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import OrderId
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.clusters import Cluster, clusters, wait_until_followed
from tests.acceptance.conftest import environment, producing, quick_carrier
from tests.acceptance.stream import wishes
from tests.acceptance.test_offers import three_carriers
from tests.conftest import empty_broker
from tests.integration.ledger.examples import a_new_order, a_request
from tests.processes import Processes, eventually

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.timeout(900),
    # The producer's results keep their sockets per thread and never close them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

LEDGER: Final = "orders"
BEFORE: Final = 200
"""Orders that are sent before the ledger falls back, half of them before the backup."""
AFTER: Final = 100
"""Orders that are sent after the backup, and that it has forgotten."""


@dataclass
class Shop:
    """A producer that repeats whatever it does not know the end of."""

    app: Celery
    bodies: Iterator[Mapping[str, Any]]
    orders: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Every order by its key."""

    def send(self, count: int) -> list[AsyncResult[Any]]:
        """Send new orders; return what will be their tickets."""
        made = {f"fallen-{len(self.orders) + n}": body for n, body in enumerate(islice(self.bodies, count))}
        self.orders |= made
        return [self._submit(key) for key in made]

    def repeat(self) -> dict[str, set[str]]:
        """Send every key again, until each has a ticket; return the ids of the orders."""
        tickets: dict[str, set[str]] = {}
        for _ in eventually(within_s=240):
            sent = {key: self._submit(key) for key in self.orders if key not in tickets}
            for key, result in sent.items():
                try:
                    tickets[key] = {result.get(timeout=30)["order_id"]}
                except TimeoutError:
                    continue
            if len(tickets) == len(self.orders):
                break
        return tickets

    def _submit(self, key: str) -> AsyncResult[Any]:
        order = {**self.orders[key], "key": key}
        return self.app.send_task("orders.submit", kwargs={"order": order}, queue="orders")


@contextmanager
def shop(engines: Engines) -> Iterator[Shop]:
    """A producer on an empty broker."""
    with producing(empty_broker(engines)) as producer:
        yield Shop(producer.app, (wish.body for wish in wishes(seed=20261129)))


def answered(results: list[AsyncResult[Any]], count: int) -> None:
    """Wait until so many of these orders have tickets."""
    for _ in eventually(within_s=240):
        if sum(result.ready() for result in results) >= count:
            return


def verdict(url: str, carrier: SandboxControl, tickets: Mapping[str, set[str]]) -> list[str]:
    """Wait until every order has ended; return what the carriers' own report says otherwise, with the stories."""
    ours: dict[str, Any] = {}
    with LedgerReader(url) as ledger:
        for _ in eventually(within_s=300):
            ours = {order_id: entry.document for order_id, entry in ledger.entries().items()}
            if all(document["final"] for document in ours.values()):
                break
        said = {order_id: [document] for order_id, document in ours.items()}
        found = judge(tickets=tickets, ours=ours, heard=said, report=carrier.report())
        wrong = [*found.bought_twice, *found.lost, *found.wrong_end]
        told = [order_id for order_id in ours if any(order_id in one for one in wrong)]
        stories = ledger.stories([OrderId(UUID(order_id)) for order_id in told])
    return [*wrong, *(f"{story.order}: {[(e['event'], e['detail']) for e in story.events]}" for story in stories)]


def take_broker(url: str, engines: Engines, carrier: SandboxControl) -> None:
    """Run the command after which the workers of a new cluster may use the broker of the old one."""
    subprocess.run(
        [Path(sys.executable).with_name("number-orders"), "take-broker"],
        env=environment(url, engines.broker_url, carrier),
        check=True,
        capture_output=True,
    )


def fallen(url: str) -> bool:
    """Tell whether the ledger is in a guard period, and says so."""
    with psycopg.connect(url) as db:
        alarms = db.execute("SELECT what FROM alarms WHERE what = 'ledger_fell_back'").fetchall()
        (active,) = db.execute("SELECT coalesce(ends_at > now(), false) FROM guard").fetchone() or (False,)
    return bool(alarms) and bool(active)


def came_to(url: str) -> str:
    """Return the figures of a run."""
    with psycopg.connect(url) as db:
        (looked,) = db.execute("SELECT count(*) FROM order_events WHERE event = 'HistoryLost'").fetchone() or (0,)
        (sent,) = db.execute("SELECT count(*) FROM order_events WHERE event = 'SubmissionBegun'").fetchone() or (0,)
        (orders,) = db.execute("SELECT count(*) FROM orders").fetchone() or (0,)
    return f"orders: {orders}; looked for after the fall: {looked}; sent as far as is known: {sent}; bought twice: 0"


@contextmanager
def workers(log: Path, url: str, engines: Engines, carrier: SandboxControl) -> Iterator[Processes]:
    """Two workers and a beat on a ledger."""
    env = environment(url, engines.broker_url, carrier) | three_carriers()
    with Processes(log, env) as running:
        running.beat()
        running.worker()
        running.worker()
        yield running


def test_a_dump_restored_in_mid_run_buys_nothing_twice(engines: Engines, tmp_path: Path, record_property: Any) -> None:
    """`pg_dump` in the middle of 200 orders, 100 more after it, restored to a new cluster."""
    with ExitStack() as opened:
        folder, carrier = opened.enter_context(clusters()), opened.enter_context(quick_carrier())
        ours = opened.enter_context(shop(engines))
        old, new = (opened.enter_context(running_cluster(folder / name)) for name in ("old", "new"))
        with psycopg.connect(old.url(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {LEDGER}".encode())
        migrate(old.url(LEDGER))
        with workers(tmp_path / "old", old.url(LEDGER), engines, carrier):
            sent = ours.send(BEFORE)
            answered(sent, BEFORE // 2)
            backup = old.dump(LEDGER)
            answered(sent + ours.send(AFTER), BEFORE + AFTER)
        new.restore(backup, LEDGER)
        take_broker(new.url(LEDGER), engines, carrier)
        with workers(tmp_path / "new", new.url(LEDGER), engines, carrier):
            tickets = ours.repeat()
            assert verdict(new.url(LEDGER), carrier, tickets) == []
        assert fallen(new.url(LEDGER))
        record_property("came to", came_to(new.url(LEDGER)))


@pytest.mark.parametrize("synchronous", [False, True], ids=["asynchronous", "synchronous"])
def test_a_standby_that_takes_over_buys_nothing_twice(
    engines: Engines, tmp_path: Path, synchronous: bool, record_property: Any
) -> None:
    """The primary is killed while the standby lags. Workers find the new primary by their URL, without a restart."""
    with ExitStack() as opened:
        folder, carrier = opened.enter_context(clusters()), opened.enter_context(quick_carrier())
        ours = opened.enter_context(shop(engines))
        primary, standby = opened.enter_context(running_cluster(folder / "primary")), Cluster(folder / "standby")
        with psycopg.connect(primary.url(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {LEDGER}".encode())
        migrate(primary.url(LEDGER))
        primary.copy_to(standby, "standby")
        opened.callback(standby.kill)
        standby.start()
        if synchronous:
            with psycopg.connect(primary.url(), autocommit=True) as db:
                db.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
                db.execute("SELECT pg_reload_conf()")
        wait_until_followed(primary, synchronously=synchronous)
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        url = f"postgresql://number_orders@{hosts}/{LEDGER}?target_session_attrs=read-write"
        with workers(tmp_path / "log", url, engines, carrier):
            sent = ours.send(BEFORE)
            answered(sent, BEFORE // 2)
            standby.freeze()
            more = ours.send(AFTER)
            if synchronous:
                before = sum(result.ready() for result in (*sent, *more))
                time.sleep(3)  # nothing may come in this time
                ready = sum(result.ready() for result in (*sent, *more))
                assert ready <= before + 8, "a ticket was given for what the standby does not have"
            else:
                answered(sent + more, BEFORE + AFTER // 2)
            known = {result.id for result in (*sent, *more) if result.ready()}
            primary.kill()
            standby.thaw()
            standby.promote()
            if synchronous:
                with psycopg.connect(standby.url(LEDGER), autocommit=True) as db:
                    there = {str(row[0]) for row in db.execute("SELECT order_id FROM orders").fetchall()}
                assert known <= there
            tickets = ours.repeat()
            assert verdict(standby.url(LEDGER), carrier, tickets) == []
        assert fallen(standby.url(LEDGER))
        record_property("came to", came_to(standby.url(LEDGER)))


def test_a_commit_that_no_standby_confirms_is_no_ticket() -> None:
    """The wait ends at our own limit, and PostgreSQL has the order. Sent again, it gets no ticket either."""
    with clusters() as folder, running_cluster(folder / "alone") as cluster:
        migrate(cluster.url())
        with LedgerReader(cluster.url()), psycopg.connect(cluster.url(), autocommit=True) as db:
            db.execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'")
            db.execute("SELECT pg_reload_conf()")

        async def unconfirmed() -> None:
            async with (
                PostgresLedger.at(cluster.url(), statement_s=0.5, margin_s=0.5) as ledger,
                PostgresLedger.at(cluster.url()) as patient,
            ):
                order = a_new_order(a_request("crm-1"))
                with pytest.raises(LedgerUnavailable):
                    await ledger.intake.accept([order])
                assert (await patient.intake.accept([order])).states == {}  # it is there, so nothing is written
                with pytest.raises(LedgerUnavailable):
                    await ledger.intake.find_taken([order])
                assert len(await patient.orders.with_key("crm-1")) == 1

        asyncio.run(unconfirmed())


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """An empty cluster that runs."""
    cluster = Cluster(folder)
    cluster.init()
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.kill()
