"""The demo's check on any engines: 200 mixed orders, a worker killed, an engine restarted, every end compared.

Two workers, beat and a producer's receiver run on the engines of a `Site`. At the end no order may be lost, none bought
twice, and each must have ended as the sandbox carriers' own report says, number by number.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from celery import Celery
from celery.backends.redis import RedisBackend

from number_orders.cli.demo.ledger_view import LedgerReader
from number_orders.cli.demo.verdict import judge
from number_orders.cli.stack import processes as shipped
from number_orders.embedded.supervisor import ProcessEvent, ProcessEventKind, Supervisor
from number_orders.ledger.migrate import migrate
from number_orders.sandbox.control import SandboxControl
from tests.acceptance.conftest import environment, quick_carrier
from tests.acceptance.demo_processes import NUMBER_ORDERS
from tests.acceptance.installation import hire_clerk
from tests.acceptance.queries import rows
from tests.acceptance.receiver import QUEUE
from tests.acceptance.stream import Stream, Told, wishes
from tests.acceptance.test_offers import three_carriers
from tests.invariants import broken_promises
from tests.processes import REPOSITORY, eventually

ORDERS: Final = 200
WORKERS: Final = ("worker1", "worker2")

_KILL_AFTER: Final = 60
_BREAK_AFTER: Final = 110
"""So many tickets have come when a worker is killed, and when the engine is restarted."""
_ON_THEIR_WAY: Final = 4
"""So many orders are on their way to a carrier when the worker is killed."""
_PRACTICE: Final = {
    "processing_s": [0.3, 2],
    "cm_review_s": [0.3, 1],
    "strange_s": 1,
    "taint_s": 2,
    "latency_s": {"order_create": [0.2, 0.8]},  # so that a killed worker has orders on their way
}
_CELERY: Final = (sys.executable, "-m", "celery", "-A")
_ALONE: Final = ("--without-gossip", "--without-mingle", "-l", "INFO")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the service and its producers connect to."""

    ledger_url: str
    """As workers connect: with the role of the service (deploy/grants.sql)."""
    direct_url: str
    """As the test and `migrate` connect: the owner, past any pooler."""
    broker_url: str
    service_broker_url: str | None = None
    """The address for the service, if it is another one than for producers."""
    result_url: str | None = None
    """Where the service stores tickets, if not at the broker."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings of the service, without their prefix."""
    producer: Mapping[str, Any] = field(default_factory=dict)
    """What producers must tell Celery on this broker."""
    forgets: bool = False
    """Whether the broker may forget a message that it has taken, as Redis may when it is killed."""

    @property
    def ticket_url(self) -> str:
        """Where producers look for tickets, as Celery takes it."""
        url = self.result_url or self.broker_url
        return url.replace("postgresql://", "db+postgresql+psycopg://")

    def environment(self, carrier: SandboxControl) -> dict[str, str]:
        """Return the settings of the service's processes."""
        results = {"NUMBER_ORDERS_RESULT_URL": self.result_url} if self.result_url else {}
        own = {f"NUMBER_ORDERS_{name}": value for name, value in self.settings.items()}
        taint = {"NUMBER_ORDERS_SWIFT__TAINT_WINDOW_S": "2", "NUMBER_ORDERS_SWIFT__TAINT_MARGIN_S": "0.5"}
        broker_url = self.service_broker_url or self.broker_url
        return environment(self.ledger_url, broker_url, carrier) | three_carriers() | taint | results | own


@dataclass
class Figures:
    """What a run showed."""

    orders: int = 0
    took_s: float = 0.0
    sent_again: int = 0
    not_taken: int = 0
    asked_for: int = 0
    doubts: int = 0

    def __str__(self) -> str:
        return (
            f"{self.orders} orders in {self.took_s:.0f} s; bought twice 0, lost 0; sent again {self.sent_again}, "
            f"not taken by the broker {self.not_taken}, ends asked for {self.asked_for}, in doubt {self.doubts}"
        )


def run_orders(site: Site, folder: Path, break_engine: Callable[[], None]) -> Figures:
    """Run the check, and return its figures.

    Raises:
        AssertionError: An order was lost, bought twice, or did not end as the carriers say; or a process gave up.
    """
    migrate(site.direct_url)
    hire_clerk(site.direct_url)
    with ExitStack() as stack:
        carrier = stack.enter_context(quick_carrier())
        carrier.behave(**_PRACTICE)
        told, exits = Told(folder / "told.jsonl"), list[ProcessEvent]()
        supervisor = stack.enter_context(_processes(site, carrier, folder, told, exits))
        _await_workers(folder)
        began = time.monotonic()
        stream = Stream(
            site.broker_url,
            told,
            wishes(seed=20261129),
            "run",
            result_url=site.ticket_url,
            conf=site.producer,
        )
        stream.start()
        try:
            _await_tickets(stream, _KILL_AFTER)
            _await_orders_on_their_way(site)
            _kill(supervisor, WORKERS[0])
            _await_tickets(stream, _BREAK_AFTER)
            break_engine()
            _await_tickets(stream, ORDERS)
        except BaseException:
            stream.abandon()
            raise
        tickets = stream.finish()
        assert _doctor_finds_wrong(site, carrier) == []
        asked = _follow(site, told, set(tickets.values()), carrier)
        given = stream.given
        figures = Figures(
            orders=len(tickets),
            took_s=time.monotonic() - began,
            sent_again=given.sent_again,
            not_taken=given.refused_by_broker,
            asked_for=len(asked),
            doubts=rows(
                site.direct_url, "SELECT count(DISTINCT order_id) AS n FROM order_events WHERE state = 'IN_DOUBT'"
            )[0]["n"],
        )
        _judge(site, told, asked, tickets, carrier)
        unplanned = [one for one in exits if one.name != "receiver" and one.returncode != -signal.SIGKILL]
        assert unplanned == []
    return figures


@contextmanager
def _processes(
    site: Site, carrier: SandboxControl, folder: Path, told: Told, exits: list[ProcessEvent]
) -> Iterator[Supervisor]:
    """Run workers, beat and the receiver; exits are recorded until they are stopped."""
    stopping: list[bool] = []

    def note(event: ProcessEvent) -> None:
        if event.kind is ProcessEventKind.EXITED and not stopping:
            exits.append(event)

    ours = {**os.environ, **site.environment(carrier)}
    theirs = {
        **os.environ,
        "BROKER_URL": site.broker_url,
        "TOLD": str(told.file),
        "CELERY_CONF": json.dumps(dict(site.producer)),
    }
    with Supervisor(output=folder / "log", on_event=note) as supervisor:
        for name in WORKERS:
            worker = shipped.worker(name, children=4)
            supervisor.start(name, worker, env=ours, cwd=REPOSITORY)
        supervisor.start("beat", shipped.beat(), env=ours, cwd=REPOSITORY)
        receiver = [*_CELERY, "tests.acceptance.receiver", "worker", *_ALONE, "-P", "solo", "-Q", QUEUE]
        supervisor.start("receiver", [*receiver, "-n", "receiver@%h"], env=theirs, cwd=REPOSITORY)
        yield supervisor
        stopping.append(True)


def _await_workers(folder: Path) -> None:
    logs = [folder / "log" / f"{name}.log" for name in WORKERS]
    for _ in eventually():
        if all(log.exists() and "ready." in log.read_text(errors="replace") for log in logs):
            return


def _await_tickets(stream: Stream, count: int) -> None:
    for _ in eventually(within_s=240):
        assert stream.is_alive(), "the producer broke"
        if len(stream.given.tickets) >= count:
            return


def _await_orders_on_their_way(site: Site) -> None:
    query = "SELECT count(*) AS n FROM orders WHERE state = 'SUBMITTING'"
    for _ in eventually(every_s=0.02):
        if rows(site.direct_url, query)[0]["n"] >= _ON_THEIR_WAY:
            return


def _kill(supervisor: Supervisor, name: str) -> None:
    pid = supervisor.pid(name)
    assert pid is not None, f"{name} does not run"
    os.killpg(pid, signal.SIGKILL)


def _doctor_finds_wrong(site: Site, carrier: SandboxControl) -> list[dict[str, Any]]:
    """Return the checks of `number-orders doctor` that are wrong, or could not be made."""
    done = subprocess.run(
        [*NUMBER_ORDERS, "doctor", "--json"],
        env={**os.environ, **site.environment(carrier)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout, done.stderr
    return [check for check in json.loads(done.stdout)["checks"] if check["verdict"] not in {"good", "look"}]


def _follow(site: Site, told: Told, order_ids: set[str], carrier: SandboxControl) -> dict[str, list[Any]]:
    """Wait until every order has ended and was told; ask for those of which the broker may have lost the message."""
    for _ in eventually(within_s=240):
        orders = {
            str(row["order_id"]): row for row in rows(site.direct_url, "SELECT order_id, state, ended_at FROM orders")
        }
        _decide(site, [order_id for order_id, row in orders.items() if row["state"] == "PARKED"], carrier)
        untold = rows(site.direct_url, "SELECT FROM tellings WHERE told_at IS NULL LIMIT 1")
        if all(orders.get(order_id, {}).get("ended_at") for order_id in order_ids) and not untold:
            break
    missing: set[str] = set()
    for _ in range(50 if site.forgets else 400):
        missing = order_ids - told.ends().keys()
        if not missing:
            return {}
        time.sleep(0.1)
    assert site.forgets, f"the broker took these ends, and nobody received them: {missing}"
    with _producer(site) as app:
        return {order_id: [_call(app, "orders.get", {"order_id": order_id})] for order_id in missing}


def _decide(site: Site, parked: Sequence[str], carrier: SandboxControl) -> None:
    """Look each parked order up at the carrier, as a person would, and say what to do."""
    if not parked:
        return
    with _producer(site) as app:
        for order_id in parked:
            there = [one for one in carrier.report()["orders"] if one["customer_order_id"] == order_id]
            decision = {"carrier_order_id": there[0]["order_id"]} if there else {}
            as_ = "adopted" if there else "send-again"
            _call(
                app, "orders.resolve", {"order_id": order_id, "as_": as_, "by": "test", "why": "looked up", **decision}
            )


@contextmanager
def _producer(site: Site) -> Iterator[Celery]:
    app = Celery("asking", broker=site.broker_url, backend=site.ticket_url, set_as_current=False)
    app.conf.update(dict(site.producer))
    yield app
    if isinstance(app.backend, RedisBackend):
        backend: Any = app.backend  # the stubs know the base class only
        backend.result_consumer.stop()
        backend.client.connection_pool.disconnect()
    app.close()


def _call(app: Celery, task: str, kwargs: Mapping[str, Any]) -> Any:
    queue = "orders.operators" if task == "orders.resolve" else "orders"
    return app.send_task(task, kwargs=dict(kwargs), queue=queue).get(timeout=60)


def _judge(
    site: Site, told: Told, asked: Mapping[str, list[Any]], tickets: Mapping[str, str], carrier: SandboxControl
) -> None:
    with LedgerReader(site.direct_url) as books:
        ours = {order_id: entry.document for order_id, entry in books.entries().items()}
    verdict = judge(
        tickets={key: {order_id} for key, order_id in tickets.items()},
        ours=ours,
        heard={**told.heard(), **asked},
        report=carrier.report(),
    )
    assert verdict.wrongs == []
    assert verdict.numbers_compared > len(ours) / 2
    assert broken_promises(site.direct_url) == []
