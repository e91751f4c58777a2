"""Measure notifications: how many order documents a CPU second of a worker delivers, by task and by URL.

One process does what a worker's child does, on the lane `tell` and on that of the URLs. Intake is not measured.
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

import psycopg
import structlog
import typer

from bench import report
from bench.environment import ROOT, process_environment
from bench.meter import ResourceMeter
from bench.servers import Servers
from number_orders.cli.discovery import find_settings
from number_orders.cli.stack.processes import free_port
from number_orders.embedded.ports import LOOPBACK
from number_orders.embedded.supervisor import Supervisor
from number_orders.fulfilment.runtime import Services
from number_orders.fulfilment.webhooks.messages import new_secret
from number_orders.ledger.migrate import migrate
from number_orders.ledger.webhooks import WEBHOOKS
from number_orders.orders.model import CarrierName, Lane
from workers import senders
from workers.bootstrap import services_factory

_CERTIFICATES: Final = ROOT / "tests" / "certificates"
_BANDWIDTH: Final = CarrierName("bandwidth")
_TOMORROW_S: Final = 86_400
_BATCH: Final = 500
_UP_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Notified:
    """The figures of one way. CPU in milliseconds per document."""

    way: str
    documents: int
    wall_s: float
    worker_cpu_ms: float
    server_cpu_ms: float

    @property
    def per_cpu_s(self) -> float:
        """Documents that one CPU second of the worker delivers."""
        return 1000 / self.worker_cpu_ms


def bench(
    documents: Annotated[int, typer.Option(min=1, help="How many documents each way.")] = 4000,
    runs: Annotated[int, typer.Option(min=1, help="How often to run each.")] = 3,
    json_path: report.JsonPath = None,
) -> None:
    """Measure documents per CPU second by Celery task and by HTTPS, and the ratio of the two."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # log lines are made, and written nowhere
    done: list[Notified] = []
    with Servers() as servers, Supervisor(output=servers.directory / "log", on_event=lambda _: None) as supervisor:
        port = free_port()
        files = [str(_CERTIFICATES / name) for name in ("server.pem", "server.key")]
        command = [sys.executable, "-m", "bench.hook_server", str(port), *files]
        supervisor.start("hooks", command, env=process_environment(), cwd=ROOT)
        _await_port(port)
        ways = {
            "task": {"task": "bench.heard", "queue": "bench"},
            "url": {"url": f"https://{LOOPBACK}:{port}/hooks"},
        }
        for _ in range(runs):
            done += [_measure(way, notify, servers, port, documents) for way, notify in ways.items()]
    rows = [
        {
            "way": one.way,
            "documents": f"{one.documents}",
            "documents/s": f"{one.documents / one.wall_s:.0f}",
            "worker CPU ms/document": f"{one.worker_cpu_ms:.3f}",
            "documents/CPU s": f"{one.per_cpu_s:.0f}",
            "server CPU ms/document": f"{one.server_cpu_ms:.3f}",
        }
        for one in sorted(done, key=lambda one: (one.way, one.per_cpu_s))
    ]
    console = report.screen()
    console.print(report.table("Notifications", rows))
    path = json_path or report.RESULTS / "notifications.json"
    report.write(path, {"runs": [{**asdict(one), "per_cpu_s": one.per_cpu_s} for one in done]})
    console.print(f"written to {path}")


def _measure(way: str, notify: Mapping[str, str], servers: Servers, port: int, documents: int) -> Notified:
    empty = servers.emptied()
    with _variables(
        DATABASE_URL=empty.database_url,
        BROKER_URL=empty.broker_url,
        BANDWIDTH__ACCOUNT_ID="9900000",
        BANDWIDTH__SITE_ID="743",
        BANDWIDTH__TOKEN="bench",  # noqa: S106  nobody asks for it
        WEBHOOKS__PORTS=f"[{port}]",
        WEBHOOKS__ALLOWED_NETWORKS='["127.0.0.0/8"]',
        WEBHOOKS__CA_FILE=str(_CERTIFICATES / "ca.pem"),
        WEBHOOKS__PER_HOST="100",
    ):
        settings = find_settings()
    migrate(empty.database_url)
    open_services = services_factory(
        settings,
        bell=lambda: senders.make_bell(settings),
        notifier=lambda: senders.make_notifier(settings),
        slots=_FreeSlots(),
    )

    async def deliver() -> Notified:
        async with open_services() as services:
            await services.ledger.webhook_secrets.add("default", new_secret(), by="bench")
            await _accept(services, [_order(-1, notify)])
            await _deliver_all(services, empty.database_url)  # connections and caches
            await _accept(services, [_order(index, notify) for index in range(documents)])
            meter = ResourceMeter({"servers": servers.pids})
            servers_before, began, ours = meter.cpu_s(), time.monotonic(), time.process_time()
            await _deliver_all(services, empty.database_url)
            cpu_ms = (time.process_time() - ours) * 1000 / documents
            server_ms = (meter.cpu_s()["servers"] - servers_before["servers"]) * 1000 / documents
            return Notified(way, documents, time.monotonic() - began, cpu_ms, server_ms)

    return asyncio.run(deliver())


async def _accept(services: Services, orders: Sequence[Mapping[str, Any]]) -> None:
    for start in range(0, len(orders), _BATCH):
        outcomes = await services.intake.submit_many(orders[start : start + _BATCH], producer="default")
        refused = [outcome for outcome in outcomes if not hasattr(outcome, "new")]
        assert not refused, refused[0]


async def _deliver_all(services: Services, database_url: str) -> None:
    """Work on both lanes until every document is delivered."""
    with psycopg.connect(database_url, autocommit=True) as db:
        while db.execute("SELECT 1 FROM tellings WHERE told_at IS NULL LIMIT 1").fetchone():
            await services.orders.work(_BANDWIDTH, Lane.TELL)
            await services.orders.work(WEBHOOKS, Lane.TELL)


def _order(index: int, notify: Mapping[str, str]) -> dict[str, Any]:
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _TOMORROW_S))
    what = {"carrier": "bandwidth", "kind": "new_numbers", "criteria": {"npa": "919"}, "quantity": 1}
    return {"key": f"bench-{index}", **what, "not_before": tomorrow, "notify": {**notify, "on": ["ACCEPTED"]}}


class _FreeSlots:
    """The slots of a process that is alone."""

    @contextmanager
    def take(self, carrier: CarrierName, lane: Lane) -> Iterator[bool]:
        """Enter with True."""
        yield True

    def keep_alone(self, carrier: CarrierName, lane: Lane) -> None:
        """Do nothing: there is nobody else."""

    def allow_another(self, carrier: CarrierName, lane: Lane) -> None:
        """Do nothing: there is nobody else."""


@contextmanager
def _variables(**values: str) -> Iterator[None]:
    """Set environment variables of ours for a moment."""
    names = {f"NUMBER_ORDERS_{name}": value for name, value in values.items()}
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def _await_port(port: int) -> None:
    until = time.monotonic() + _UP_WITHIN_S
    while time.monotonic() < until:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the producer's server did not start")
